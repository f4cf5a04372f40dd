"""Train on some datasets, test on others that were never seen: a split by source, for per-cycle sequences."""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.cell import Source
from batgen.data.published_split import check_fraction, hold_out
from batgen.errors import ConfigError


@dataclass(frozen=True)
class SourceSplit:
    """The cells of the sources in `train` train, those of each source in `test` are a test set named after it.

    val: fraction of the training cells that validate instead, from every training source. seed: null takes the seed of
    the run. Raises ConfigError for an empty side and a source on both.
    """

    ACCEPTS = ("sequences",)
    kind = "source"
    column = "source"

    train: list[str]
    test: list[str]
    val: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_fraction(self.val)
        for side in ("train", "test"):
            names = getattr(self, side)
            if isinstance(names, str) or not names:
                raise ConfigError(f"split.{side}={names}: a list of sources, such as split.{side}=[sim].")
        if both := sorted(set(self.train) & set(self.test)):
            raise ConfigError(f"split.train and split.test both have source {both[0]}: a test source must be unseen.")

    def divide(self, cells: pd.DataFrame, short: pd.DataFrame, source: Source, seed: int) -> dict[str, tuple[str, ...]]:
        """Cell ids of train, val and a test set for each source in `test`, of `cells`; `short` are too short to be used.

        Raises ConfigError for a source that no cell has (all its cells being too short is said so), and for one that
        is on neither side.
        """
        there = set(cells["source"])
        known = sorted(there | set(short["source"]))
        for side in ("train", "test"):
            for name in getattr(self, side):
                if name not in known:
                    near = difflib.get_close_matches(name, known, 1)
                    hint = f"; did you mean '{near[0]}'?" if near else "."
                    raise ConfigError(
                        f"split.{side}: data={source.name} has no source {name!r}, it has {', '.join(known)}{hint}"
                    )
                if name not in there:
                    raise ConfigError(
                        f"split.{side}: every cell of {name} is too short for cycles=; use fewer cycles, or leave it out."
                    )
        if unused := sorted(set(known) - set(self.train) - set(self.test)):
            raise ConfigError(
                f"split.train and split.test name no side for source {unused[0]}. Add it to one of them, or leave it out "
                f"of the data (data.sources.{unused[0]}=null)."
            )
        rng = np.random.default_rng(seed if self.seed is None else self.seed)
        train, val = hold_out(cells[cells["source"].isin(self.train)], self.val, rng)
        return {"train": train, "val": val} | {
            name: tuple(cells.loc[cells["source"] == name, "cell_id"]) for name in self.test
        }
