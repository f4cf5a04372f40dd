"""One job of the command line: a run, or a trial of a search. Trials, jobs of an ablation and jobs side by side speak to a
file of their own."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from batgen.console import speaking_to
from batgen.jobs import holding, state
from batgen.processes import check_devices, main_process
from batgen.run import train

#: Where a job that is one of many says what it does.
LOG = "log.txt"
#: What `search.trial` is in the run that a search ends with.
FINAL = "final"


def run_job(cfg: DictConfig, folder: Path, many: bool = False, beside: bool = False) -> Any:
    """Train in `folder` and return the score; for a trial of a search, what the search wants to know.

    many: the job is one of several, and another process may have the same ones; beside: others run at the same time.
    The nodes `search` and `ablation` say why a job is run, not what it is: they are no part of the run's config.
    """
    search, ablation = cfg.get("search"), cfg.get("ablation")
    if search is not None and search.trial not in (None, FINAL):
        from batgen.search.job import run_trial

        return run_trial(cfg, folder)
    cfg.search = cfg.ablation = None
    with ExitStack() as stack:
        if beside or ablation is not None:
            stack.enter_context(speaking_to(folder / LOG))
        if many and main_process():
            stack.enter_context(holding(folder))
            if state(folder, cfg, ()) == "finished":
                return None  # by another process, for which this one waited
            check_devices(cfg.trainer.get("devices", 1), cfg.trainer.get("num_nodes", 1))
        return train(cfg, folder, many).score
