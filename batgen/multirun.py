"""What every multirun shares: which jobs there are is for grid and search to say, how they are started for Hydra."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen.best import best_words, override_word, read_best
from batgen.errors import BatgenError

#: What a job returned, or what went wrong.
Outcome = tuple[Any, Exception | None]


@dataclass(frozen=True)
class Multirun:
    """A multirun as Hydra hands it over.

    folder: where its jobs lie; typed: the overrides typed, sweeps (a=1,2) as they are; cfg: the config of all that is typed
    but the sweeps; choices: what each config group was set to ("model" -> "rcvae"); named: jobs may be given names (nobody
    typed hydra.sweep.subdir); parallel: the launcher runs jobs side by side, so it wants them all at once.
    first: values of best=FILE that a search has among its parameters, for its first trial.
    compose(words) -> (config, folder name) of a job; start(jobs, number of the first) -> outcomes, in order.
    """

    folder: Path
    typed: tuple[str, ...]
    cfg: DictConfig
    named: bool
    parallel: bool
    choices: Mapping[str, Any]
    compose: Callable[[Sequence[str]], tuple[DictConfig, str]]
    start: Callable[[Sequence[Sequence[str]], int], list[Outcome]]
    first: Mapping[str, Any] = field(default_factory=dict)

    def placed(self, words: Sequence[str], name: str) -> list[str]:
        """The words of a job whose folder is `name` below this one's."""
        return [
            *words,
            override_word("hydra.sweep.dir", str(self.folder)),
            override_word("hydra.sweep.subdir", name),
        ]


def _searched(multirun: Multirun) -> Multirun:
    """Without the values of best=FILE whose keys are searched: nobody typed them, and each trial sets its own. They
    are what a search begins with (`first`).

    Raises ConfigError where the space is none.
    """
    if multirun.cfg.best is None:
        return multirun
    from batgen.search.space import parse_space

    space = parse_space(OmegaConf.to_container(multirun.cfg.search.space, resolve=True), multirun.cfg)
    keys = {p.key for p in space}
    searched = [w for w in best_words(Path(multirun.cfg.best), []) if w.partition("=")[0] in keys]
    values = read_best(Path(multirun.cfg.best))[1]
    first = {
        key: value for key, value in values.items() if override_word(key, value) in {*searched} & {*multirun.typed}
    }
    return replace(multirun, typed=tuple(word for word in multirun.typed if word not in searched), first=first)


def run_multirun(multirun: Multirun) -> Any:
    """Search where the config names a search, else every job of the grid."""
    try:
        if multirun.cfg.search is not None:
            from batgen.search.sweep import run_search

            return run_search(_searched(multirun))
        from batgen.grid import run_grid

        return run_grid(multirun)
    except BatgenError:
        os.environ["HYDRA_FULL_ERROR"] = (
            "1"  # Hydra hands it on as it is, and the command line prints its message alone
        )
        raise
