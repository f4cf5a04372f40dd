"""The rows of the family "rare": how good a generator is where training curves are scarce."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import nearest_of_cells
from batgen.evaluation.conditional import conditional_mean
from batgen.evaluation.conditional_rows import score_rows
from batgen.evaluation.reconstruction import squared_error
from batgen.evaluation.score_rows import per_row

SHARE = 0.05
#: Rows that make a number, and held-out rows below which there is no rare end to speak of.
_LEAST, _ENOUGH = 5, 20
#: Training cells that have been near a condition before it counts as known.
_CELLS = 3


def rarity(curves: CurveSet, train: CurveSet, told: tuple[str, ...]) -> np.ndarray:
    """How far each condition is from what other cells were trained on: (N,), in standard deviations of the told conditions.

    Distance to the nearest training row of the k-th nearest other cell, k = 3, or a quarter of the cells where they
    are fewer than 12. By cells, not by rows: neighbouring cycles of one odd cell do not make its condition a common one.
    Source: ours. 0 where the told conditions do not vary.
    """
    distance, _ = nearest_of_cells(curves, train, told)
    ordered = np.sort(distance, axis=1)
    found: np.ndarray = ordered[:, max(1, min(_CELLS, ordered.shape[1] // 4)) - 1]
    return found


def rare_places(rarity_of_rows: np.ndarray) -> np.ndarray:
    """Row numbers of the rarest 5 %, at least 5, in order; empty with fewer than 20 rows or where all are equally rare."""
    known = np.isfinite(rarity_of_rows)
    if known.sum() < _ENOUGH or np.ptp(rarity_of_rows[known]) <= 0:
        return np.empty(0, dtype=np.int64)
    count = max(_LEAST, ceil(SHARE * known.sum()))
    order = np.argsort(np.where(known, -rarity_of_rows, np.inf), kind="stable")
    return np.sort(order[:count])


def rare_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """RMSE of the conditional mean and CRPS per signal, and energy_score, on the rarest held-out conditions.

    Directions, units and floors as on all rows, where the neighbour of a rare row is far as well. No rows without draws,
    training curves or told conditions that vary.
    """
    train, draws = comparison.train, comparison.draws
    if train is None or draws is None or not (len(train) and len(comparison.real)):
        return []
    places = rare_places(rarity(comparison.real, train, comparison.told))
    if not len(places):
        return []
    about = {**context, "family": "rare"}
    real, names = comparison.real.values[places], comparison.signals
    error = squared_error(real, conditional_mean(draws[:, places]), names)
    near = comparison.neighbour
    floor = None
    if near is not None:
        shared = np.where(np.isnan(near.values[places]), np.nan, real)
        floor = squared_error(shared, near.values[places], names)
    rows = per_row("RMSE", error, floor, comparison.real.cells[places], seed, about, root=True)
    return rows + score_rows(comparison, places, seed, about)
