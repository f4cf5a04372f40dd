"""Splits of profiles that are one fold: blocks of cycles within cells, and the splits that curves have."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.profile_split import Fold, HeldOutCells, consecutive
from batgen.data.split import Split
from batgen.errors import ConfigError

#: What the test set of a `Split` of each kind is called: "cells" is for whole cells alone.
TEST_SETS = {
    "cell": "cells",
    "policy": "cells",
    "condition": "conditions",
    "chronological": "later",
    "sample": "samples",
}


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Blocks of `block` consecutive cycles of every cell in turn: `train` blocks to train, one to val, one to test.

    Cells are on all sides, so this answers what a model does within a cell (its spread, for one), never how it does on
    another cell. Where the turn starts shifts with the cell and the seed; seed: None takes the run's.
    """

    ACCEPTS = ("profiles",)
    kind = "blocked"

    block: int = 5
    train: int = 3
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("block", "train"):
            if getattr(self, name) < 1:
                raise ConfigError(f"split.{name}={getattr(self, name)}: it must be at least 1.")

    def divide(self, table: pd.DataFrame, seed: int) -> list[Fold]:
        """One fold, of a table with columns cell_id and ecl. Raises ConfigError where cells have too few cycles for it."""
        seed = seed if self.seed is None else self.seed
        turn = np.empty(len(table), dtype=np.int64)
        # cells start at different turns, so that every part has early and late cycles of some cell
        for shift, rows in enumerate(table.groupby("cell_id", sort=True).indices.values(), start=seed):
            turn[rows] = (consecutive(table["ecl"].to_numpy()[rows], self.block) + shift) % (self.train + 2)
        # the two that are not for training lie apart, so that each has training blocks on one side at least
        val, test = turn == self.train // 2, turn == self.train + 1
        parts = [np.flatnonzero(rows).astype(np.int64) for rows in (~val & ~test, val, test)]
        if not all(map(len, parts)):
            raise ConfigError(
                f"split.block={self.block}: train, val and test have {', '.join(str(len(p)) for p in parts)} profiles; "
                "use smaller blocks or more cycles."
            )
        return [Fold("fold0", parts[0], parts[1], {"blocks": parts[2]})]


def single_fold(split: Split, table: pd.DataFrame, seed: int) -> Fold:
    """What `split` makes of the records of a table (cell_id, ecl, protocol, ...): all windows of a record are on one side.

    Its kind "policy" keeps protocols apart where the table has no column policy. Raises ConfigError as `Split.assign` does.
    """
    record = table.groupby(["cell_id", "ecl"], sort=False).ngroup().to_numpy()
    first = np.unique(record, return_index=True)[1]
    parts = split.assign(with_policy(table).iloc[first].reset_index(drop=True), seed)
    train, val, test = (np.flatnonzero(np.isin(record, parts[p])).astype(np.int64) for p in ("train", "val", "test"))
    return Fold("fold0", train, val, {TEST_SETS[split.kind]: test})


def with_policy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column policy, its protocol where it has none."""
    return table if "policy" in table else table.assign(policy=table["protocol"])


def make_folds(split: HeldOutCells | Blocked | Split, table: pd.DataFrame, seed: int) -> list[Fold]:
    """The folds of any split of profiles."""
    return [single_fold(split, table, seed)] if isinstance(split, Split) else split.divide(table, seed)
