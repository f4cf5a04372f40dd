"""The rows of the family "memorisation", and the distances its figure draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import of_another_cell
from batgen.evaluation.feature_map import FeatureMap
from batgen.evaluation.memorisation import (
    is_copy,
    membership_auc,
    membership_interval,
    nearest,
    own_distance,
    ratio_interval,
    train_distance_ratio,
)
from batgen.evaluation.score_rows import of_set, per_row

#: Curves of a kind in the figure, at most.
_SHOWN = 1000
#: Held-out cells below which a bootstrap of the ratio is too narrow: with 2 it misses 1 for half of the exact generators.
_CELLS = 4


@dataclass(frozen=True)
class _Vectors:
    """Training (T, D), held-out (N, D) and generated (M, D) curves under one feature map, and the map."""

    space: FeatureMap
    train: np.ndarray
    real: np.ndarray
    made: np.ndarray


def _vectors(comparison: Comparison) -> _Vectors | None:
    train = comparison.train
    if train is None or min(len(train), len(comparison.real), len(comparison.generated)) < 2:
        return None
    space = comparison.space
    if space is None:
        return None
    sets = [space.vectors(one.values) for one in (train, comparison.real, comparison.generated)]
    return _Vectors(space, *sets)


def memorisation_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """train_distance_ratio, copy_share and membership_AUC of whole curves; no rows without training curves.

    The ratio needs curves drawn for held-out cells, two or more, since curves for other conditions can be nearer to the
    training ones by right; its floor is 1, what held-out measured curves score by definition, and its interval needs four
    cells. Copies are looked for among `every` training curve. The floor of
    their share: held-out measured curves. For the AUC see `_membership`.
    """
    vectors = _vectors(comparison)
    if vectors is None or comparison.train is None:
        return []
    about = {**context, "family": "memorisation"}
    to_train, real_to_train = nearest(vectors.made, vectors.train)[0], nearest(vectors.real, vectors.train)[0]
    every = comparison.every if comparison.every is not None else comparison.train
    known = vectors.space.vectors(every.values)
    copies = _copies(vectors.made, known)
    floor = comparison.once("copies", lambda: _copies(vectors.real, known))
    rows = _ratio(comparison, vectors, to_train, real_to_train, seed, about)
    rows += per_row("copy_share", {"curve": copies}, {"curve": floor}, comparison.generated.cells, seed, about)
    return rows + _membership(comparison, comparison.train, vectors, seed, about)


def _copies(queries: np.ndarray, train: np.ndarray) -> np.ndarray:
    """`is_copy` (N,) of curves, for all training curves (T, D); usual distances are taken of those that are nearest to one."""
    distance, at = nearest(queries, train)
    hit, place = np.unique(at, return_inverse=True)
    usual = nearest(train[hit], train, (hit, np.arange(len(train))))[0]
    return is_copy(distance, place, usual)


def memorisation_details(comparison: Comparison, seed: int) -> dict[str, np.ndarray]:
    """Distances in scales of the signals, (m,) each, at most 1000: `to_train` and `to_held_out` of the same generated
    curves, to the nearest training curve and the nearest held-out one of another cell (any cell where there is but one);
    `floor_to_train` of held-out measured curves. Empty without training curves."""
    vectors = _vectors(comparison)
    if vectors is None:
        return {}
    rng = np.random.default_rng(seed)
    made = np.sort(rng.permutation(len(vectors.made))[:_SHOWN])
    real = np.sort(rng.permutation(len(vectors.real))[:_SHOWN])
    cells = comparison.real.cells
    apart = (comparison.generated.cells[made], cells) if len(np.unique(cells)) > 1 else None
    return {
        "to_train": nearest(vectors.made[made], vectors.train)[0],
        "to_held_out": nearest(vectors.made[made], vectors.real, apart)[0],
        "floor_to_train": nearest(vectors.real[real], vectors.train)[0],
    }


def _ratio(
    comparison: Comparison,
    vectors: _Vectors,
    to_train: np.ndarray,
    real_to_train: np.ndarray,
    seed: int,
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    made_cells, cells = comparison.generated.cells, comparison.real.cells
    if len(np.unique(cells)) < 2 or not set(made_cells) <= set(cells):
        return []
    to_held_out = nearest(vectors.made, vectors.real, (made_cells, cells))[0]
    real_to_held_out = nearest(vectors.real, vectors.real, (cells, cells))[0]
    four = (to_train, to_held_out, real_to_train, real_to_held_out)
    interval = ratio_interval(four, made_cells, cells, seed) if len(np.unique(cells)) >= _CELLS else None
    return of_set("train_distance_ratio", "curve", train_distance_ratio(*four), interval, 1.0, len(to_train), about)


def _membership(
    comparison: Comparison, train: CurveSet, vectors: _Vectors, seed: int, about: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """With draws at training conditions: distance of each measured curve to the nearest draw at its own condition, as many
    draws for either side; floor: to a measured training curve of another cell, near in condition, which says how much
    more of a stranger a held-out cell is by itself. Without: distance to the nearest generated curve; floor: to measured
    curves of half of the held-out cells, asked of training rows and of the other half."""
    real = comparison.real
    if comparison.draws is not None and comparison.at_train is not None:
        count = min(len(comparison.draws), len(comparison.at_train))
        inside = _own(vectors.space, vectors.train, comparison.at_train[:count])
        outside = _own(vectors.space, vectors.real, comparison.draws[:count])
        floor = _stranger_floor(comparison, train, vectors, seed)
    else:
        inside, outside = nearest(vectors.train, vectors.made)[0], nearest(vectors.real, vectors.made)[0]
        floor = _half_floor(vectors, real.cells, seed)
        about = {**about, "note": "without draws for the training conditions"}
    interval = membership_interval(inside, outside, train.cells, real.cells, seed)
    value = membership_auc(inside, outside)
    return of_set("membership_AUC", "curve", value, interval, floor, len(inside) + len(outside), about)


def _own(space: FeatureMap, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`own_distance`, one draw at a time: all of them as float64 vectors would fill the memory."""
    found: np.ndarray = np.min([own_distance(rows, space.vectors(draw)[None]) for draw in draws], axis=0)
    return found


def _stranger_floor(comparison: Comparison, train: CurveSet, vectors: _Vectors, seed: int) -> float | None:
    found = []
    for curves, rows in ((train, vectors.train), (comparison.real, vectors.real)):
        place = of_another_cell(curves, train, comparison.told, seed)
        if place is None:
            return None
        found.append(np.linalg.norm(rows - vectors.train[place], axis=1))
    return membership_auc(found[0], found[1])


def _halves(cells: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a random half of the cells, and of the others."""
    names = np.random.default_rng(seed).permutation(np.unique(cells))
    first = np.isin(cells, names[: len(names) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def _half_floor(vectors: _Vectors, cells: np.ndarray, seed: int) -> float | None:
    if len(np.unique(cells)) < 2:
        return None
    a, b = _halves(cells, seed)
    return membership_auc(nearest(vectors.train, vectors.real[a])[0], nearest(vectors.real[b], vectors.real[a])[0])
