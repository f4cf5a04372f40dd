"""One training of an `UnseenSoc` split, and what must hold of it: above all that nothing leaks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.errors import DataError

#: Two SOCs nearer than this are one.
SAME_SOC = 1e-6


@dataclass(frozen=True, eq=False)
class Member:
    """One training and its test. Rows are positions in the pulse table, int64, ascending.

    train, test: rows of test_set "grid". random: rows of test_set "random_soc" of tested cells, none at a training SOC.
    fold: 0 where cells are shared. calibration: none | quantile | random, with the cells it chose.
    """

    case: str
    fold: int
    calibration: str
    train: np.ndarray
    test: np.ndarray
    random: np.ndarray
    calibration_cells: tuple[str, ...]
    extrapolates: bool


def same_soc(soc: np.ndarray, socs: Sequence[float]) -> np.ndarray:
    """bool (N,): which of `soc` (N,) are in the list `socs`."""
    return (np.abs(soc[:, None] - np.asarray(socs, dtype=float)) < SAME_SOC).any(axis=1)


def grid_rows(table: pd.DataFrame) -> np.ndarray:
    """bool (N,): tests at the SOCs of the grid, not at random ones. Raises DataError when there are none."""
    grid = table["test_set"].to_numpy(str) == "grid"
    if not grid.any():
        raise DataError(
            f"none of the {len(table)} pulse tests is on the SOC grid (test_set=grid): nothing to train on."
        )
    return grid


def check_members(members: Sequence[Member], table: pd.DataFrame, cells: str) -> None:
    """Raise DataError unless no member tests what it was trained on.

    No row and no (stage, SOC) on two sides; train and test on the grid, random off it; calibration cells not tested; no
    cell but these trained at a tested SOC. With cells "disjoint", no physical cell is on both sides.
    """
    stage, cell = table["stage_id"].to_numpy(str), table["cell_id"].to_numpy(str)
    soc, grid = table["soc"].to_numpy(float).round(6), grid_rows(table)
    for m in members:
        where = f"The split leaks in case {m.case}, fold {m.fold}, calibration {m.calibration}"
        every = np.concatenate([m.train, m.test, m.random])
        if len(np.unique(every)) < len(every):
            values, counts = np.unique(every, return_counts=True)
            raise DataError(f"{where}: row {values[counts > 1][0]} is there twice.")
        if not (grid[m.train].all() and grid[m.test].all()) or grid[m.random].any():
            raise DataError(f"{where}: train and test must be rows of the grid, random rows off it.")
        tested = np.concatenate([m.test, m.random])
        both = set(zip(stage[m.train], soc[m.train], strict=True)) & set(zip(stage[tested], soc[tested], strict=True))
        if both:
            one = min(both)
            raise DataError(f"{where}: stage {one[0]} at SOC {one[1]:g} is trained on and tested.")
        if known := set(m.calibration_cells) & set(cell[tested]):
            raise DataError(f"{where}: calibration cell {min(known)} is tested.")
        ordinary = m.train[~np.isin(cell[m.train], m.calibration_cells)]
        if seen := set(soc[ordinary]) & set(soc[tested]):
            raise DataError(f"{where}: SOC {min(seen):g} is tested, but cells were trained at it.")
        if cells == "disjoint" and (shared := set(cell[m.train]) & set(cell[tested])):
            raise DataError(f"{where}: cell {min(shared)} is trained on and tested.")
