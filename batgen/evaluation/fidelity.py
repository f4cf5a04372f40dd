"""Rows of the family "fidelity": are generated curves like measured ones, one by one and as a distribution?

Whole curves are compared as vectors of a `FeatureMap` (signal "curve"), in scales of the signals; it leaves out points that
some measured curve lacks. None of these metrics sees a generator that hands out its training curves: see memorisation.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.c2st import c2st_correct
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.conditional import conditional_mean
from batgen.evaluation.distances import marginal_distance, spectral_distance
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.mmd import bandwidth, unlike
from batgen.evaluation.pair_sums import pair_sums
from batgen.evaluation.reconstruction import absolute_error, r2, squared_error
from batgen.evaluation.score_rows import jackknife, of_set, per_row
from batgen.evaluation.sliced import sliced_wasserstein, sliced_wasserstein_interval
from batgen.evaluation.two_sample_groups import two_sample_groups

Rows = list[dict[str, Any]]
Interval = tuple[float, float]
#: Points of a signal from which the interval of a marginal distance is taken: neighbouring points say the same.
_INTERVAL_POINTS = 32


def fidelity_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> Rows:
    """Errors of the conditional mean, distances of marginals, spectra and whole curves, and the two-sample test.

    With draws: MAE and RMSE (unit of the signal), R2. From the first draw of each condition: marginal_distance (unit of the
    signal), spectral_distance (dB), and of the signal "curve" energy_distance, MMD (squared), sliced_wasserstein and C2ST. The
    floor of each is the same metric of a measured curve of another cell, near in condition, in place of the generated one.
    A metric for which there is too little gives no row.
    """
    about = {**context, "family": "fidelity"}
    rows = _errors(comparison, seed, about)
    if len(comparison.real) >= 2 and len(comparison.generated) >= 2:
        rows += _by_signal(comparison, about)
        rows += _whole_curves(comparison, seed, about)
    return rows


def _errors(comparison: Comparison, seed: int, about: Mapping[str, Any]) -> Rows:
    """Of the mean of the draws: K draws a condition are one forecast."""
    if comparison.draws is None or not len(comparison.real):
        return []
    real, names, cells = comparison.real.values, comparison.signals, comparison.real.cells
    mean, near = conditional_mean(comparison.draws), comparison.neighbour
    # A neighbour's record may be shorter: the floor is taken where both are measured.
    both = real if near is None else np.where(np.isnan(near.values), np.nan, real)
    rows: Rows = []
    for metric, error in (("MAE", absolute_error), ("RMSE", squared_error)):
        known = {n: v for n, v in error(real, mean, names).items() if not np.isnan(v).all()}
        floors = None if near is None else error(both, near.values, names)
        rows += per_row(metric, known, floors, cells, seed, about, root=metric == "RMSE")
    floor = {} if near is None else r2(both, near.values, names)
    for name, value in r2(real, mean, names).items():
        place = names.index(name)
        if np.isnan(value):
            if np.isfinite(mean[:, place]).all():
                continue
            value = float("-inf")
        ends = jackknife(_r2_of_rows(real[:, place], mean[:, place]), value, cells, cells)
        rows += of_set("R2", name, value, ends, floor.get(name), len(real), about)
    return rows


def _r2_of_rows(real: np.ndarray, made: np.ndarray) -> Callable[[np.ndarray, np.ndarray], float]:
    """R2 of some rows of (N, P), from sums over the points of each row."""
    known = ~np.isnan(real)
    x = np.where(known, real - np.nanmean(real), 0.0)
    error = np.where(known, np.square(real - made), 0.0).sum(axis=1)
    one, two, count = x.sum(axis=1), np.square(x).sum(axis=1), known.sum(axis=1)

    def of(rows: np.ndarray, _: np.ndarray) -> float:
        spread = two[rows].sum() - one[rows].sum() ** 2 / max(int(count[rows].sum()), 1)
        return float(1.0 - error[rows].sum() / spread) if spread > 0 else float("nan")

    return of


def _by_signal(comparison: Comparison, about: Mapping[str, Any]) -> Rows:
    """Marginal and spectral distances of each signal, at the points that every measured curve has."""
    feature_map = comparison.space
    if feature_map is None:
        return []
    sets = (comparison.real, comparison.generated, comparison.neighbour)
    rows: Rows = []
    for place, name in enumerate(comparison.signals):
        keep = feature_map.keep[place]
        x, y, near = (None if one is None else one.values[:, [place]][..., keep] for one in sets)
        for metric, distance, least in (
            ("marginal_distance", marginal_distance, 1),
            ("spectral_distance", spectral_distance, 4),
        ):
            if x is None or y is None or x.shape[-1] < least:
                continue
            value = distance(x, y, (name,))[name]
            floor = None
            if near is not None:
                floor = comparison.once(f"{metric} {name}", partial(_alone, distance, x, near, name))
            thin = -(-x.shape[-1] // _INTERVAL_POINTS) if metric == "marginal_distance" else 1
            of = _of_rows(distance, x[..., ::thin], y[..., ::thin], name)
            ends = jackknife(of, value, comparison.real.cells, comparison.generated.cells)
            ends = (max(0.0, ends[0]) if np.isfinite(ends[0]) else ends[0], ends[1])
            rows += of_set(metric, name, value, ends, floor, len(x), about)
    return rows


def _alone(distance: Callable[..., dict[str, float]], real: np.ndarray, made: np.ndarray, name: str) -> float:
    return distance(real, made, (name,))[name]


def _of_rows(
    distance: Callable[..., dict[str, float]], real: np.ndarray, made: np.ndarray, name: str
) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda a, b: distance(real[a], made[b], (name,))[name]


def _whole_curves(comparison: Comparison, seed: int, about: Mapping[str, Any]) -> Rows:
    feature_map = comparison.space
    if feature_map is None:
        return []
    real, near = feature_map.vectors(comparison.real.values), comparison.neighbour
    made = feature_map.vectors(comparison.generated.values)
    floor = None if near is None else feature_map.vectors(near.values)
    cells, cells_made = comparison.real.cells, comparison.generated.cells
    rows = _pairs(comparison, real, made, floor, seed, about)
    ends = sliced_wasserstein_interval(real, made, cells, cells_made, seed)
    value = sliced_wasserstein(real, made, seed)
    least = None
    if floor is not None:
        least = comparison.once("sliced_wasserstein", lambda: sliced_wasserstein(real, floor, seed))
    rows += of_set("sliced_wasserstein", "curve", value, ends, least, len(real), about)
    return rows + _two_sample(comparison, real, made, floor, seed, about)


def _pairs(
    comparison: Comparison,
    real: np.ndarray,
    made: np.ndarray,
    floor: np.ndarray | None,
    seed: int,
    about: Mapping[str, Any],
) -> Rows:
    """Energy distance and MMD, from the same distances of pairs."""
    of = (np.asarray, unlike(bandwidth(real)))
    metrics = ("energy_distance", "MMD")
    cells, cells_made = comparison.real.cells, comparison.generated.cells
    found: list[tuple[float, Interval]] = [(float("inf"), (float("inf"), float("inf")))] * 2
    if np.isfinite(made).all():
        sums = pair_sums(real, made, cells, cells_made, of)
        found = [(one.value(), _holding(one.value(), one.interval(seed))) for one in sums]
    least: list[float | None] = [None, None]
    if floor is not None:
        least = comparison.once("pairs", lambda: [one.value() for one in pair_sums(real, floor, of=of)])
    rows: Rows = []
    for metric, (value, ends), low in zip(metrics, found, least, strict=True):
        rows += of_set(metric, "curve", value, ends, low, len(real), about)
    return rows


def _holding(value: float, ends: Interval) -> Interval:
    """An interval that holds its own estimate: a percentile interval of very few cells may miss it by a hair."""
    low, high = ends
    return (min(low, value), max(high, value)) if np.isfinite(low) else ends


def _two_sample(
    comparison: Comparison,
    real: np.ndarray,
    made: np.ndarray,
    floor: np.ndarray | None,
    seed: int,
    about: Mapping[str, Any],
) -> Rows:
    """C2ST with its interval over cells, and that of measured neighbours, whose groups are their own cells."""

    def correct(other: np.ndarray, curves: CurveSet) -> tuple[np.ndarray, np.ndarray] | None:
        own, others = two_sample_groups(comparison, curves)
        if min(len(np.unique(own)), len(np.unique(others))) < 2:
            return None
        return c2st_correct(real, other, own, others, seed)

    found = correct(made, comparison.generated)
    if found is None:
        return []
    near = comparison.neighbour
    least = None
    if near is not None and floor is not None:
        least = comparison.once("C2ST", lambda: correct(floor, near))
    # Both sides weigh the same: over all rows the mean of these is the balanced accuracy.
    total = sum(len(side) for side in found)
    scaled = np.concatenate([side * total / (2 * len(side)) for side in found])
    ends = bootstrap_over_cells(scaled, np.r_[comparison.real.cells, comparison.generated.cells], seed)
    lowest = None if least is None else float(np.mean([side.mean() for side in least]))
    value = float(np.mean([side.mean() for side in found]))
    return of_set("C2ST", "curve", value, ends, lowest, len(real), about)
