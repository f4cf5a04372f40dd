"""Folds of whole cells for profiles: every cell is tested once, by a model that never saw it.

Few cells share a protocol (ambient and current), so cells are dealt to folds protocol by protocol: a protocol is then
missing from the training of a fold only where a single cell was run that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.errors import ConfigError

#: From so many cells on, cells are shuffled by the seed; below, the k-th cell of each protocol is in fold k, whatever the seed.
MANY_CELLS = 24
#: Where cycles validate instead of cells: every cell's cycles in so many runs, of which every fifth validates.
_RUNS, _EVERY = 10, 5
VALIDATE = ("cells", "cycles")
HELD = "held_out_cells"
#: Shares of records that validate and that test, where records are split at random.
_VAL, _TEST = 0.15, 0.25


@dataclass(frozen=True)
class Fold:
    """One training: row numbers (int64, ascending) of train and val, and of each test set by name.

    tests: "cells" held out of train and val; "apart" for cells that are never trained on; other names where the split is
    not of whole cells (see `profile_blocks`). note: one sentence where val is not what was asked for, else "".
    """

    name: str
    train: np.ndarray
    val: np.ndarray
    tests: dict[str, np.ndarray]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class HeldOutCells:
    """folds: how many; None holds out one cell at a time. run: only the first so many are run; None: all. apart: cells never
    trained on, tested in the first fold. val: "cells" (at most one of each protocol, at most a third of the training cells, and
    only where the protocol keeps another) or "cycles" (runs of cycles of the training cells); seed: None takes the run's.
    records: split at random by record instead, as published examples do: one fold, cells on all sides (a leak, for parity).
    """

    ACCEPTS = ("profiles",)

    folds: int | None
    run: int | None = None
    apart: Sequence[str] | None = None
    val: str = "cells"
    records: bool = False
    seed: int | None = None

    @property
    def kind(self) -> str:
        return "records" if self.records else HELD

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"split.folds={self.folds}: at least 2, or null for one cell at a time.")
        if self.run is not None and self.run < 1:
            raise ConfigError(f"split.run={self.run}: at least 1, or null for all folds.")
        if isinstance(self.apart, str):
            raise ConfigError(
                f"split.apart={self.apart}: it must be a list of cells, such as split.apart=[{self.apart}]."
            )
        if self.val not in VALIDATE:
            raise ConfigError(f"split.val={self.val}: it must be one of {', '.join(VALIDATE)}.")

    def divide(self, table: pd.DataFrame, seed: int) -> list[Fold]:
        """The folds of a table with columns cell_id, ecl, protocol; the same for the same table and seed.

        Raises ConfigError for an unknown cell in `apart` and for fewer cells than folds.
        """
        seed = seed if self.seed is None else self.seed
        if self.records:
            return [_random_records(table, seed)]
        cell = table["cell_id"].to_numpy(str)
        there = sorted(set(cell))
        apart = [] if self.apart is None else [str(name) for name in self.apart]
        if unknown := [name for name in apart if name not in there]:
            rest = ",".join(name for name in apart if name in there)
            raise ConfigError(
                f"split.apart: the data have no cell {unknown[0]!r}; they have {_listed(there)}. Use split.apart=[{rest}]."
            )
        strata = _strata(table[~np.isin(cell, apart)])
        count = sum(map(len, strata))
        folds = max(count, 2) if self.folds is None else self.folds
        if count < folds:
            raise ConfigError(
                f"split.folds={folds}: the data have {count} cell{'' if count == 1 else 's'} to hold out in turn. Use "
                f"{f'split.folds={count} or fewer' if count > 1 else 'split=blocked, or data with more cells'}."
            )
        groups = _deal(strata, folds, seed)
        made = []
        for number, held in enumerate(groups[: self.run]):
            training = [[name for name in stratum if name not in held] for stratum in strata]
            rows = np.isin(cell, [name for stratum in training for name in stratum])
            val, note = self._validating(table, training, number, seed)
            tests = {"cells": _rows(np.isin(cell, held))}
            if apart and number == 0:
                tests["apart"] = _rows(np.isin(cell, apart))
            made.append(Fold(f"fold{number}", _rows(rows & ~val), _rows(val), tests, note))
        return made

    def _validating(
        self, table: pd.DataFrame, training: list[list[str]], number: int, seed: int
    ) -> tuple[np.ndarray, str]:
        """Which rows (bool) validate in fold `number`, and a note where it is not as asked for."""
        turn, note = number + seed, ""
        if self.val == "cells":
            most = -(-sum(map(len, training)) // 3)
            spare = sorted((s for s in training if len(s) > 1), key=len, reverse=True)[:most]
            if spare:
                return np.isin(table["cell_id"].to_numpy(str), [s[turn % len(s)] for s in spare]), ""
            note = (
                f"fold{number}: no protocol has two training cells, so runs of cycles of the training cells validate "
                "instead of whole cells"
            )
        trained = np.isin(table["cell_id"].to_numpy(str), [name for stratum in training for name in stratum])
        val = np.zeros(len(table), dtype=bool)
        # cells start at different turns, as early and late cycles differ
        for shift, rows in enumerate(table.groupby("cell_id", sort=True).indices.values(), start=turn):
            val[rows] = trained[rows] & (_runs(table["ecl"].to_numpy()[rows], _RUNS) % _EVERY == shift % _EVERY)
        if not val.any() or val.sum() == trained.sum():
            raise ConfigError(
                "split.val: the training cells have too few cycles to validate on; use more cells or cycles."
            )
        return val, note


def consecutive(ecl: np.ndarray, length: int) -> np.ndarray:
    """Number (int64) of the block of `length` consecutive recorded cycles that each row is in; `ecl` (n,) of one cell.

    Windows of one record have one cycle, so they are never on two sides.
    """
    _, order = np.unique(ecl, return_inverse=True)
    return (order // length).astype(np.int64)


def _runs(ecl: np.ndarray, runs: int) -> np.ndarray:
    """As `consecutive`, with blocks so long that there are about `runs`."""
    return consecutive(ecl, max(1, len(np.unique(ecl)) // runs))


def _strata(table: pd.DataFrame) -> list[list[str]]:
    """Ids of the cells of each protocol, sorted; a cell has the protocol of most of its rows, the first of equals."""
    protocols = table.groupby("cell_id", sort=True)["protocol"].agg(lambda of_cell: of_cell.mode().iloc[0])
    groups: dict[str, list[str]] = {}
    for name, protocol in protocols.items():
        groups.setdefault(str(protocol), []).append(str(name))
    return [groups[protocol] for protocol in sorted(groups)]


def _deal(strata: list[list[str]], folds: int, seed: int) -> list[list[str]]:
    """Cells of each fold. No fold has all cells of a stratum of two or more; none is empty, given as many cells as folds."""
    count = sum(map(len, strata))
    if count >= MANY_CELLS:
        rng = np.random.default_rng(seed)
        strata = [[stratum[i] for i in rng.permutation(len(stratum))] for stratum in strata]
    # With few cells every stratum starts at the first fold, so that the folds are alike; with many, or where that would leave
    # a fold empty, each goes on where the last one stopped. A cell alone goes where there are fewest.
    aligned = count < MANY_CELLS and max(map(len, strata)) >= folds
    groups: list[list[str]] = [[] for _ in range(folds)]
    start = 0
    for stratum in sorted(strata, key=lambda s: len(s) == 1):
        if aligned:
            start = 0 if len(stratum) > 1 else min(range(folds), key=lambda fold: len(groups[fold]))
        for i, name in enumerate(stratum):
            groups[(start + i) % folds].append(name)
        start += len(stratum)
    return groups


def _random_records(table: pd.DataFrame, seed: int) -> Fold:
    """One fold of records at random; all windows of a record are on one side."""
    record = table.groupby(["cell_id", "ecl"], sort=False).ngroup().to_numpy()
    draw = np.random.default_rng(seed).random(record.max() + 1)[record]
    test, val = draw < _TEST, (draw >= _TEST) & (draw < _TEST + _VAL)
    if not test.any() or not val.any() or (test | val).all():
        raise ConfigError(f"split.records: {len(table)} profiles are too few to split; use more cycles or cells.")
    return Fold("fold0", _rows(~test & ~val), _rows(val), {"samples": _rows(test)})


def _rows(chosen: np.ndarray) -> np.ndarray:
    return np.flatnonzero(chosen).astype(np.int64)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", and others" if len(names) > 8 else "")
