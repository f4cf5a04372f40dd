"""Capacities of the 124 MIT/Severson cells over their whole life, from `SeversonBattery.mat`.

The file holds flat arrays, one cell after the other in the order of the crosswalk: `Num_Cycles_Flt` (124), `Cycles_Flt`
and `PCL_Flt` (99281), and the published split as 1-based indices. PCL is the capacity lost as a fraction of the
*nominal* 1.1 Ah: 1.1 (1 - PCL) equals the capacities of the per-cycle charge features to 1e-7 Ah in all of 71,506 rows
of 109 cells, and lies a steady 15 to 24 mAh above the end of Qd(V) (whose grid begins at 3.5 V, below the start of a
discharge), with the same steps from cycle to cycle in 117 of 124 cells and at no shift of the numbering. Cycles count
from 2 in batch 1, from 1 in batches 2 and 3.

`Features_mov_Flt` has three columns which the file does not name. They follow capacity and temperature and are
smoothed, by the name with a moving window that may look ahead of its cycle: they are not read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from batgen.data.sources.mit_qdlin import NOMINAL_AH
from batgen.errors import DataError

#: Our name of a part of the published split -> the array of the file.
PARTS = {"train": "train_ind", "test": "test_ind", "secondary": "secondary_test_ind"}
_FLAT = ("Cycles_Flt", "PCL_Flt")
#: The published life is the last cycle of the record, or the one after it.
_LIFE_SLACK = 1


@dataclass(frozen=True)
class Trajectory:
    """Cycle numbers (n,) and discharge capacities (n,) in Ah of one cell."""

    cycle: np.ndarray
    capacity_Ah: np.ndarray


def read_trajectories(path: Path, lives: np.ndarray) -> list[Trajectory]:
    """One trajectory a cell, in the order of the crosswalk, whose published `lives` (cells,) tell that order.

    Raises DataError, naming the file, when it cannot be read, has other cells, or has them in another order.
    """
    arrays = _read(path, ("Num_Cycles_Flt", *_FLAT))
    counts = arrays["Num_Cycles_Flt"].astype(int)
    if len(counts) != len(lives):
        raise DataError(f"{path}: {len(counts)} cells, the crosswalk has {len(lives)}. Set data.crosswalk to its own.")
    for name in _FLAT:
        if len(arrays[name]) != counts.sum():
            raise DataError(
                f"{path}: {name} has {len(arrays[name])} values where Num_Cycles_Flt counts {counts.sum()} cycles. "
                "The file is damaged: fetch it again."
            )
    cuts = np.cumsum(counts)[:-1]
    cycles = np.split(arrays["Cycles_Flt"].astype(np.int64), cuts)
    capacities = np.split(NOMINAL_AH * (1 - arrays["PCL_Flt"].astype(float)), cuts)
    for row, (cycle, life) in enumerate(zip(cycles, lives, strict=True), start=1):
        last = int(cycle[-1]) if cycle.size else 0
        if abs(last - life) > _LIFE_SLACK:
            raise DataError(
                f"{path}: cell {row} ends at cycle {last}, row {row} of the crosswalk says a life of {life:g}: the two "
                "do not have the same order. Set data.crosswalk to the table that belongs to the file."
            )
    return [Trajectory(*pair) for pair in zip(cycles, capacities, strict=True)]


def read_parts(path: Path, n_cells: int) -> dict[str, np.ndarray]:
    """The published split: part -> indices from 0. Raises DataError when a part is not of the cells 1..`n_cells`."""
    arrays = _read(path, tuple(PARTS.values()))
    parts = {part: arrays[name].astype(int) - 1 for part, name in PARTS.items()}
    every = np.concatenate(list(parts.values()))
    if len(np.unique(every)) != len(every) or (every < 0).any() or (every >= n_cells).any():
        raise DataError(f"{path}: the split names a cell twice, or one that is not of 1..{n_cells}. Fetch it again.")
    return parts


def _read(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        raw = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # scipy raises whatever it stumbles over: zlib.error, ValueError, struct.error
        raise DataError(f"{path}: not a readable .mat file ({error!r}). Fetch it again, or set data.file.") from error
    missing = [name for name in names if name not in raw]
    if missing:
        raise DataError(f"{path}: no array {missing[0]}. It is not the file of capacity losses; set data.file.")
    return {name: np.asarray(raw[name]).ravel() for name in names}
