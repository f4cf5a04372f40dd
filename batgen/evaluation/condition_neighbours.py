"""For each curve the nearest in condition of every other cell: where measured stand-ins for a generator come from."""

import numpy as np
from scipy.spatial.distance import cdist

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import condition_matrix

_CHUNK_ROWS = 512
#: Other cells, nearest in condition, one of which stands in for a generator.
CELLS = 5


def nearest_of_cells(rows: CurveSet, among: CurveSet, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distance in condition (N, C) from each of `rows` to the nearest curve of each of the C cells of `among`, and that
    curve's row number (N, C).

    Conditions are in standard deviations of those of `among`. A row's own cell is infinitely far: a cell knows itself.
    """
    own, others = condition_matrix(rows, among, names), condition_matrix(among, among, names)
    cells, index = np.unique(among.cells, return_inverse=True)
    distance, place = np.empty((len(rows), len(cells))), np.empty((len(rows), len(cells)), dtype=np.int64)
    for number in range(len(cells)):
        mine = np.flatnonzero(index == number)
        for start in range(0, len(rows), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            gap = cdist(own[part], others[mine])
            best = gap.argmin(axis=1)
            distance[part, number], place[part, number] = gap[np.arange(len(gap)), best], mine[best]
    distance[rows.cells[:, None] == cells[None, :]] = np.inf
    return distance, place


def of_other_cells(rows: CurveSet, among: CurveSet, names: tuple[str, ...], count: int, seed: int) -> np.ndarray | None:
    """Row numbers (count, N) in `among` of the nearest curves of `count` different other cells, nearest cell first.

    Cells that are equally near come in random order. None where a row has fewer other cells than that.
    """
    distance, place = nearest_of_cells(rows, among, names)
    if not len(rows) or int(np.isfinite(distance).sum(axis=1).min()) < count:
        return None
    jitter = 1e-9 * np.random.default_rng(seed).random(distance.shape)
    order = np.argsort(distance + jitter, axis=1)[:, :count]
    found: np.ndarray = np.take_along_axis(place, order, axis=1).T
    return found


def of_another_cell(rows: CurveSet, among: CurveSet, names: tuple[str, ...], seed: int) -> np.ndarray | None:
    """Row number (N,) in `among` of the nearest curve of a random one of the CELLS nearest other cells; None without any."""
    others = len(np.unique(among.cells)) - int(bool(set(rows.cells) & set(among.cells)))
    found = of_other_cells(rows, among, names, min(CELLS, others), seed) if others > 0 else None
    if found is None:
        return None
    chosen: np.ndarray = found[np.random.default_rng(seed).integers(0, len(found), len(rows)), np.arange(len(rows))]
    return chosen
