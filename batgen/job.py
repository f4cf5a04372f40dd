"""One job of the command line: a run, or a trial of a search. Jobs of a search or an ablation speak to a file of their own."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from batgen.console import speaking_to
from batgen.run import train

#: Where a job that is one of many says what it does.
LOG = "log.txt"
#: What `search.trial` is in the run that a search ends with.
FINAL = "final"


def run_job(cfg: DictConfig, folder: Path) -> Any:
    """Train in `folder` and return the score; for a trial of a search, what the search wants to know.

    The nodes `search` and `ablation` say why a job is run, not what it is: they are no part of the run's config.
    """
    search, ablation = cfg.get("search"), cfg.get("ablation")
    if search is not None and search.trial not in (None, FINAL):
        from batgen.search.job import run_trial

        return run_trial(cfg, folder)
    cfg.search = cfg.ablation = None
    with speaking_to(folder / LOG) if ablation is not None else nullcontext():
        return train(cfg, folder).score
