"""For each curve the nearest in condition of every other cell: where measured stand-ins for a generator come from."""

import numpy as np
from scipy.spatial.distance import cdist

from batgen.data.curve_set import CurveSet

_CHUNK_ROWS = 512
#: Other cells, nearest in condition, one of which stands in for a generator; none that is so many standard deviations
#: further than the nearest: with few cells the fifth may be at another ambient.
CELLS, FURTHER = 5, 0.5
#: Kinds of cells: curves of another kind are no neighbours, whatever their conditions. In standard deviations.
_KINDS, _APART = ("chemistry", "battery"), 10.0


def condition_matrix(curves: CurveSet, like: CurveSet, names: tuple[str, ...]) -> np.ndarray:
    """(N, C) conditions of `curves` in standard deviations of those of `like`; those that `like` holds constant are left out.
    Chemistry and battery type follow as columns of their own, far apart, where `like` has several."""
    columns = []
    for name in names:
        known = like.column(name)
        spread = float(np.nanstd(known)) if np.isfinite(known).any() else 0.0
        if spread > 0:
            columns.append((curves.column(name) - np.nanmean(known)) / spread)
    for name in _KINDS:
        if name in like.table and name in curves.table:
            kinds = np.unique(like.table[name].to_numpy(str))
            columns += [_APART * (curves.table[name].to_numpy(str) == kind) for kind in kinds[1:]]
    return np.nan_to_num(np.stack(columns, axis=1)) if columns else np.zeros((len(curves), 1))


def nearest_of_cells(
    rows: CurveSet, among: CurveSet, names: tuple[str, ...], own: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in condition (N, C) from each of `rows` to the nearest curve of each of the C cells of `among`, and that
    curve's row number (N, C).

    Conditions are in standard deviations of those of `among`. A row's own cell is infinitely far, a cell
    knows itself, unless `own`.
    """
    asked, others = condition_matrix(rows, among, names), condition_matrix(among, among, names)
    cells, index = np.unique(among.cells, return_inverse=True)
    distance, place = np.empty((len(rows), len(cells))), np.empty((len(rows), len(cells)), dtype=np.int64)
    for number in range(len(cells)):
        mine = np.flatnonzero(index == number)
        for start in range(0, len(rows), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            gap = cdist(asked[part], others[mine])
            best = gap.argmin(axis=1)
            distance[part, number], place[part, number] = gap[np.arange(len(gap)), best], mine[best]
    if not own:
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
    """Row number (N,) in `among` of the nearest curve of a random one of the CELLS nearest other cells, of those that are
    hardly further than the nearest; None where a row has no other cell."""
    distance, place = nearest_of_cells(rows, among, names)
    if not len(rows) or not np.isfinite(distance).any(axis=1).all():
        return None
    return _one_of(distance, place, seed)


def nearest_rows(rows: CurveSet, among: CurveSet, names: tuple[str, ...], seed: int) -> np.ndarray:
    """The same for any `among` that is not empty; a row's own cell, where a split trains on it, counts as any other."""
    return _one_of(*nearest_of_cells(rows, among, names, own=True), seed)


def _one_of(distance: np.ndarray, place: np.ndarray, seed: int) -> np.ndarray:
    """(N,) of `place` (N, C): of a random one of the nearest cells."""
    rng = np.random.default_rng(seed)
    order = np.argsort(distance + 1e-9 * rng.random(distance.shape), axis=1)[:, :CELLS]
    near = np.take_along_axis(distance, order, axis=1)
    count = (near <= near[:, :1] + FURTHER).sum(axis=1)
    chosen = order[np.arange(len(order)), (rng.random(len(order)) * count).astype(int)]
    found: np.ndarray = place[np.arange(len(place)), chosen]
    return found
