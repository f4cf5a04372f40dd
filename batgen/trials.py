"""What the trials of all families have in common: what they may look at, and what they read from their own tables."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from batgen.build import signature
from batgen.errors import ConfigError

#: Told the epoch (from 0) and the monitored score after each validation; True: the training is to end.
Report = Callable[[int, float], bool]


class NoTrial(ConfigError):
    """No trial of this search can succeed: another one need not be tried."""


def refuse_untrained(conf: Mapping[str, Any], method: str) -> None:
    """Raise NoTrial for a model without the method that trainings minimise: it has no epochs to validate."""
    target = str(conf["model"]["_target_"])
    if method not in signature(target).methods:
        name = target.rpartition(".")[0].rpartition(".")[2]
        raise NoTrial(f"model={name}: it is fitted in one step, not trained, so a search has nothing to watch.")


def refuse_tested(seen: np.ndarray, tested: np.ndarray, what: str, remedy: str) -> None:
    """Raise NoTrial where something in `tested` (N,) is in `seen` (M,), what the models of a trial learn from or are
    judged by: one model's test is then another's training."""
    if shared := set(seen.tolist()) & set(tested.tolist()):
        raise NoTrial(
            f"A search must not look at what is tested, but {len(shared)} {what} that one model is tested on train another. "
            f"Use {remedy}."
        )


def scores_at(path: Path, column: str, value: float) -> dict[str, float]:
    """The validation scores in the last row of the table `path` where `column` is `value`, named val/... as in trainings."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row[column] and float(row[column]) == value]
    return {f"val/{name[4:]}": float(text) for name, text in rows[-1].items() if name.startswith("val") and text}
