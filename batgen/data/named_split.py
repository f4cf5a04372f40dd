"""Test on cells that are named, train on all others: for a protocol, a load or a cell that must stay unseen."""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.cell import Source
from batgen.data.published_split import check_fraction, hold_out
from batgen.errors import ConfigError


@dataclass(frozen=True)
class NamedSplit:
    """test: ids of the cells to test on. val: fraction of the others that validate; seed: null takes the seed of the run.

    Raises ConfigError without a test cell.
    """

    ACCEPTS = ("sequences",)
    kind = "named"
    column = "cell_id"

    test: list[str]
    val: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_fraction(self.val)
        if isinstance(self.test, str) or not self.test:
            raise ConfigError(f"split.test={self.test}: name the cells to test on, such as split.test=[B0038].")

    def divide(self, cells: pd.DataFrame, short: pd.DataFrame, source: Source, seed: int) -> dict[str, tuple[str, ...]]:
        """Cell ids of train, val and test, of `cells`; `short` are too short to be used.

        Raises ConfigError for an unknown cell and one of the latter.
        """
        there = list(cells["cell_id"])
        for name in self.test:
            if name in set(short["cell_id"]):
                raise ConfigError(
                    f"split.test: cell {name} is too short for cycles=; use fewer cycles, or another cell."
                )
            if name not in there:
                near = difflib.get_close_matches(name, there, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(there[:8])} ..."
                raise ConfigError(f"split.test: data={source.name} has no usable cell {name!r}; {hint}")
        rng = np.random.default_rng(seed if self.seed is None else self.seed)
        train, val = hold_out(cells[~cells["cell_id"].isin(self.test)], self.val, rng)
        return {"train": train, "val": val, "test": tuple(self.test)}
