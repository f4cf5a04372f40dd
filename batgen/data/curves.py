"""Curves of one cell out of an open store: contiguous slices, gathered by index arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np


@dataclass(frozen=True)
class Curves:
    """Some cycles of one cell end to end: cycle i has samples offsets[i]:offsets[i + 1] of every column.

    `cycle` (n,) int64, `offsets` (n + 1,) int64, `columns` {signal: (offsets[-1],) float32}.
    """

    cycle: np.ndarray
    offsets: np.ndarray
    columns: dict[str, np.ndarray]


def layout(file: h5py.File, number: int, part: str, first: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cycle numbers (n,), offsets (n + 1,) and absolute sample bounds (n, 2) of a part, for cycles up to `first`."""
    group = file[f"cells/{number:05d}"]
    cycle = group["cycle"][()]
    n = len(cycle) if first is None else int(np.searchsorted(cycle, first, side="right"))
    offsets = group["offsets"][: n + 1]
    bounds = np.stack([offsets[:-1], offsets[1:]], axis=1)
    if part != "cycle":
        bounds = offsets[:-1, None] + group[part][:n]
    return cycle[:n], offsets, bounds


def read_curves(file: h5py.File, number: int, signals: Sequence[str], part: str, first: int | None) -> Curves:
    """Signals of the cycles up to `first` that have the part, read in one slice a signal."""
    cycle, _, bounds = layout(file, number, part, first)
    present = bounds[:, 1] > bounds[:, 0]
    cycle, bounds = cycle[present], bounds[present]
    length = bounds[:, 1] - bounds[:, 0]
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    begin, end = (int(bounds[0, 0]), int(bounds[-1, 1])) if len(bounds) else (0, 0)
    contiguous = end - begin == offsets[-1]
    take = None if contiguous else np.repeat(bounds[:, 0] - begin - offsets[:-1], length) + np.arange(offsets[-1])
    columns = {}
    for name in signals:
        values = file[f"cells/{number:05d}/signals/{name}"][begin:end] if end else np.empty(0, np.float32)
        columns[name] = values if take is None else values[take]
    return Curves(cycle, offsets, columns)
