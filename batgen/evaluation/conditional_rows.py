"""The rows of the family "conditional": does a generator say what belongs to the condition it was asked for?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from batgen.evaluation.comparison import Comparison
from batgen.evaluation.conditional import crps
from batgen.evaluation.distances import energy_score
from batgen.evaluation.feature_map import FeatureMap
from batgen.evaluation.reestimation import fit_estimators
from batgen.evaluation.score_rows import per_row

#: Draws of a condition in the energy score, at most: its pairs grow with their square.
_DRAWS = 20
_CHUNK_ROWS = 64


def curve_scores(space: FeatureMap, real: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`energy_score` (N,) of whole curves in scales of their signals, from at most 20 draws; lower is better.

    real (N, S, P), draws (K, N, S, P), physical. In chunks of rows, which keeps memory small.
    """
    parts = [np.empty(0)]
    for start in range(0, len(real), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        parts.append(energy_score(space.vectors(real[rows]), space.vectors(draws[:_DRAWS, rows])))
    return np.concatenate(parts)


def conditional_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """CRPS per signal and energy_score of whole curves, with draws; condition_error per condition, with training curves.

    Floor of the scores: a measured training curve near in condition as the only draw. That is one draw of another cell,
    so draws from the true law score below it.
    """
    about = {**context, "family": "conditional"}
    rows = []
    if comparison.draws is not None and len(comparison.real):
        rows += score_rows(comparison, np.arange(len(comparison.real)), seed, about)
    return rows + _condition_rows(comparison, seed, about)


def score_rows(comparison: Comparison, places: np.ndarray, seed: int, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """CRPS per signal and energy_score of these rows of `real`; needs draws."""
    if comparison.draws is None:
        return []
    real, cells = comparison.real.values[places], comparison.real.cells[places]
    draws = comparison.draws[:, places]
    names = comparison.signals
    near = None if comparison.neighbour is None else comparison.neighbour.values[places]
    floors = None
    if near is not None:
        # Points that the neighbour was not measured at are no failure of it: they are left out of the floor.
        floors = crps(np.where(np.isnan(near), np.nan, real), near[None], names)
    rows = per_row("CRPS", crps(real, draws, names), floors, cells, seed, about)
    space = comparison.space
    if space is None:
        return rows
    floor = None if near is None else {"curve": curve_scores(space, real, near[None])}
    return rows + per_row("energy_score", {"curve": curve_scores(space, real, draws)}, floor, cells, seed, about)


def _condition_rows(comparison: Comparison, seed: int, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """MAE between the condition asked for and the one that the generated curve shows, in the unit of the condition.

    Lower is better; see `reestimation`. Floor: the same estimator on the held-out measured curves, at the conditions they
    were measured at. A condition that measured curves do not show has no row: there, nobody could tell.
    """
    train, space = comparison.train, comparison.space
    if train is None or not len(train) or space is None:
        return []
    asked = {name: train.column(name) for name in comparison.told}
    estimators = comparison.once("estimators", lambda: fit_estimators(space.vectors(train.values), asked, train.cells))
    made, real = space.vectors(comparison.generated.values), space.vectors(comparison.real.values)
    rows = []
    for name, estimator in estimators.items():
        error = np.abs(estimator.estimate(made) - comparison.generated.column(name))
        if np.isnan(error).all():
            continue
        floor = np.abs(estimator.estimate(real) - comparison.real.column(name))
        rows += per_row("condition_error", {name: error}, {name: floor}, comparison.generated.cells, seed, about)
    return rows
