"""Rows of the family "diversity": do generated curves differ as measured ones do, within a condition and between them?

A collapsed generator shows as variance_ratio near 0 (all draws of a condition alike), between_condition_ratio near 0 (one
curve for all conditions) and low recall and coverage (kinds of curves that are never drawn).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import nearest_rows
from batgen.evaluation.diversity import spread_and_skill, variance_ratio
from batgen.evaluation.manifold import Manifold, manifold
from batgen.evaluation.score_rows import jackknife, of_set
from batgen.evaluation.spread import between
from batgen.evaluation.two_sample_groups import two_sample_groups

Rows = list[dict[str, Any]]
#: Measured neighbours of each row from which the spread between conditions is taken, and as many for its floor.
_AGAIN = 4
#: Where measured cells at one condition share less of their scatter than this, there is no spread between conditions to match.
_SHARED = 0.2


def diversity_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> Rows:
    """precision, recall, density and coverage of whole curves ("curve"), of the first draw of each condition; with draws,
    variance_ratio (two draws or more) and between_condition_ratio (training curves needed) of each signal.

    Intervals leave out cells. The floor is the same with a measured curve of another cell, near in condition, in place of
    the generated one; variance_ratio has none, for nobody measures one condition K times. A metric for which there is too
    little gives no row, nor does a between_condition_ratio where the condition does next to nothing to measured curves.
    """
    about = {**context, "family": "diversity"}
    return (
        _manifold_rows(comparison, seed, about) + _variance_rows(comparison, about) + _between_rows(comparison, about)
    )


def _manifold_rows(comparison: Comparison, seed: int, about: Mapping[str, Any]) -> Rows:
    feature_map = comparison.space
    real, made, near = comparison.real, comparison.generated, comparison.neighbour
    if feature_map is None or not len(made):
        return []
    rng = np.random.default_rng(seed)
    count = min(len(real), len(made))
    some_real, some_made = (np.sort(rng.permutation(len(side))[:count]) for side in (real, made))
    if len(real) == len(made):
        some_real = some_made = np.arange(count)
    groups, groups_made = two_sample_groups(comparison, made)
    both = manifold(
        feature_map.vectors(real.values[some_real]),
        feature_map.vectors(made.values[some_made]),
        groups[some_real],
        groups_made[some_made],
        groups_made[some_made],
    )
    every = np.arange(count)
    values = both.scores(every, every)
    floor: dict[str, float] = {}
    if near is not None and values:
        # A neighbour hangs together with rows of the training cell it was measured on, and stands for a row of `real`.
        _, own = two_sample_groups(comparison, near)
        vectors = feature_map.vectors(real.values), feature_map.vectors(near.values)
        floor = manifold(*vectors, groups, own, groups).scores(np.arange(len(real)), np.arange(len(real)))
    cells, cells_made = real.cells[some_real], made.cells[some_made]
    rows: Rows = []
    left_out = _Kept(both)
    for name, value in values.items():
        ends = jackknife(left_out.of(name), value, cells, cells_made)
        top = np.inf if name == "density" else 1.0
        ends = (float(np.clip(ends[0], 0.0, top)), float(np.clip(ends[1], 0.0, top)))
        rows += of_set(name, "curve", value, ends, floor.get(name), count, about)
    return rows


class _Kept:
    """Scores of some rows, once for the four metrics: leaving out cells asks for the same rows again."""

    def __init__(self, both: Manifold) -> None:
        self.both = both
        self.found: dict[bytes, dict[str, float]] = {}

    def of(self, name: str) -> Callable[[np.ndarray, np.ndarray], float]:
        def score(rows_real: np.ndarray, rows_made: np.ndarray) -> float:
            key = rows_real.tobytes() + b"|" + rows_made.tobytes()
            if key not in self.found:
                self.found[key] = self.both.scores(rows_real, rows_made)
            return self.found[key].get(name, float("nan"))

        return score


def _variance_rows(comparison: Comparison, about: Mapping[str, Any]) -> Rows:
    draws, real = comparison.draws, comparison.real
    if draws is None or len(draws) < 2 or not len(real):
        return []
    spread, skill = spread_and_skill(real.values, draws, comparison.signals)
    rows: Rows = []
    for name, value in variance_ratio(spread, skill, len(draws)).items():
        if np.isnan(value):
            continue

        def of(kept: np.ndarray, _: np.ndarray, name: str = name) -> float:
            return variance_ratio({name: spread[name][kept]}, {name: skill[name][kept]}, len(draws))[name]

        low, high = jackknife(of, value, real.cells, real.cells)
        known = int((~np.isnan(skill[name])).sum())
        rows += of_set("variance_ratio", name, value, (float(np.fmax(low, 0.0)), high), None, known, about)
    return rows


def _between_rows(comparison: Comparison, about: Mapping[str, Any]) -> Rows:
    draws, real, train = comparison.draws, comparison.real, comparison.train
    if draws is None or train is None or not len(train) or len(real) < 3:
        return []
    found = [nearest_rows(real, train, comparison.told, comparison.seed + 1 + k) for k in range(2 * _AGAIN)]
    again = np.stack([train.values[rows] for rows in found])
    made = between(real.values, draws, again[:_AGAIN], comparison.signals)
    measured = between(real.values, again[_AGAIN:], again[:_AGAIN], comparison.signals)
    every, cells = np.arange(len(real)), real.cells
    rows: Rows = []
    for name, one in made.items():
        value = one.ratio(every)
        if np.isnan(value) or not one.shared() > _SHARED:
            continue
        low, high = jackknife(lambda kept, _, one=one: one.ratio(kept), value, cells, cells)  # type: ignore[misc]
        floor = measured[name].ratio(every)
        ends = (float(np.fmax(low, 0.0)) if np.isfinite(low) else low, high)
        rows += of_set("between_condition_ratio", name, value, ends, floor, len(real), about)
    return rows
