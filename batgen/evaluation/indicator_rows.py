"""Battery indicators of generated curves against those of the measured ones they were drawn for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.indicators import indicators
from batgen.evaluation.life_estimate import estimated_life
from batgen.evaluation.score_rows import jackknife, of_set, per_row

#: A capacity is that of a whole charge where capacity over nominal is this near to the measured soh, in the median.
_WHOLE = 0.05


def indicator_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the family "indicators": for each indicator (`indicators`) that measured curves have, in its unit, lower is better.

    indicator_MAE: mean over rows of |mean over draws of the indicator - that of the measured curve|; with draws alone.
        Interval: bootstrap over cells. A generated curve without the indicator (no step of the current where a measured
        one has it) counts with the range of the measured values; one with a value that is no number is infinitely wrong.
    indicator_distance: `indicator_distance` of the measured values to those of the generated set, which needs no pairs.
        Interval: jackknife over cells.
    Floor of both: the measured neighbours in place of the generated curves; the mean of draws may come nearer than one
    neighbour does. soh is left out where the curves are no whole charges. cycle_life is what `estimated_life`, trained on
    measured training curves, says of each curve, measured or generated, and rul = cycle_life - ecl of the row (the same MAE,
    another distance); the neighbours are among the rows it learnt from. Source: ours (issue 6).
    """
    about = {**context, "family": "indicators"}
    sides, cells = _sides(comparison), comparison.real.cells
    made = comparison.generated.cells
    rows = []
    for name, measured in sides.measured.items():
        near = None if sides.neighbour is None else sides.neighbour[name]
        if sides.draws:
            error = draws_error(measured, np.stack([one[name] for one in sides.draws]))
            floors = None if near is None else {name: indicator_error(measured, near)}
            rows += per_row("indicator_MAE", {name: error}, floors, cells, seed, about)
        other, n = sides.generated[name], int(np.isfinite(measured).sum())
        if n > 1 and len(other) > 1:
            value, interval = _distance(measured, other, cells, made)
            floor = None if near is None else indicator_distance(measured, near)
            rows += of_set("indicator_distance", name, value, interval, floor, n, about)
    return rows


def indicator_details(comparison: Comparison) -> dict[str, dict[str, np.ndarray]]:
    """What figures draw: name -> "measured" (N,), "generated" (N,), the mean of the draws, "low" and "high" (N,), their 10
    and 90 % quantiles; NaN where a curve has none. Empty without draws, where nobody knows what belongs to which."""
    sides = _sides(comparison)
    result = {}
    for name, measured in sides.measured.items() if sides.draws else ():
        draws = np.stack([one[name] for one in sides.draws])
        draws[~np.isfinite(draws)] = np.nan
        mean = _mean(draws)
        low, high = np.quantile(np.where(np.isnan(draws), mean, draws), [0.1, 0.9], axis=0)
        result[name] = {"measured": measured, "generated": mean, "low": low, "high": high}
    return result


def indicator_error(measured: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """|generated - measured| of each row: (N,), unit of the values, lower is better; NaN where nothing was measured.

    NaN in `generated` is a curve without the indicator: its error is the range of the measured values.
    """
    known = np.isfinite(measured)
    span = float(np.ptp(measured[known])) if known.any() else np.nan
    gap = np.abs(generated - np.where(known, measured, 0.0))
    return np.where(known, np.where(np.isnan(gap), span, gap), np.nan)


def draws_error(measured: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`indicator_error` (N,) of the mean of the draws (K, N) that have the indicator; the share of those that have none counts
    with the range of the measured values."""
    without = np.isnan(draws).mean(axis=0)
    error = indicator_error(measured, _mean(draws))
    worst = indicator_error(measured, np.full(len(measured), np.nan))
    found: np.ndarray = np.where(without > 0, (1 - without) * error + without * worst, error)
    return found


def indicator_distance(measured: np.ndarray, generated: np.ndarray) -> float:
    """Wasserstein-1 distance of two sets of values, (N,) and (M,), in their unit; 0 for equal sets, lower is better.

    NaN is a curve without the indicator: the share of them in `generated` beyond that in `measured` is moved by the range of
    the measured values. Infinite where a generated value is; NaN without a measured one. Positive for finite sets of one
    law: read it beside its floor. Source: Kantorovich; scipy.stats.
    """
    known, made = measured[np.isfinite(measured)], generated[~np.isnan(generated)]
    if not len(known):
        return float("nan")
    lost = len(known) / len(measured) - len(made) / max(len(generated), 1)
    penalty = max(lost, 0.0) * float(np.ptp(known))
    if not len(made):
        return penalty
    return float(wasserstein_distance(known, made)) + penalty if np.isfinite(made).all() else float("inf")


def _distance(
    measured: np.ndarray, generated: np.ndarray, cells: np.ndarray, made: np.ndarray
) -> tuple[float, tuple[float, float]]:
    value = indicator_distance(measured, generated)
    return value, jackknife(lambda i, j: indicator_distance(measured[i], generated[j]), value, cells, made)


@dataclass(frozen=True)
class _Sides:
    """Indicator -> (N,) of the measured curves, of each draw (empty without draws), of the generated set, of the neighbours.

    NaN: the curve has no such thing. Infinity: the curve holds a value that is no number."""

    measured: dict[str, np.ndarray]
    draws: list[dict[str, np.ndarray]]
    generated: dict[str, np.ndarray]
    neighbour: dict[str, np.ndarray] | None


def _sides(comparison: Comparison) -> _Sides:
    """The indicators that some measured curve has, on every side."""
    real, draws, near = comparison.real, comparison.draws, comparison.neighbour
    measured = {name: values for name, values in indicators(real).items() if np.isfinite(values).any()}
    if "soh" in measured and not _whole(real, measured["soh"]):
        del measured["soh"]
    sets = [real]
    sets += [comparison.generated] if draws is None else [real.with_values(one) for one in draws]
    sets += [] if near is None else [near]
    found = [_of(one, real, list(measured), paired=draws is not None and one is not near) for one in sets]
    _add_life(comparison, found, sets)
    made = found[1 : len(found) - (near is not None)]
    return _Sides(found[0], made if draws is not None else [], made[0], None if near is None else found[-1])


def _of(curves: CurveSet, real: CurveSet, names: list[str], paired: bool) -> dict[str, np.ndarray]:
    """Indicators of a set at the points at which the measured curves, if these are its pairs, were measured."""
    values, hidden = curves.values, np.isnan(real.values)
    if paired:
        values = np.where(hidden, np.float32(np.nan), values)
    # Not a number, at a point that the measured curve (without pairs: every measured curve) has: a failure.
    broken = (~np.isfinite(values) & ~(hidden if paired else hidden.any(axis=0))).any(axis=(1, 2))
    found = indicators(curves.with_values(np.where(np.isfinite(values), values, np.float32(np.nan))))
    return {name: np.where(broken, np.inf, found[name]) for name in names if name in found}


def _add_life(comparison: Comparison, found: list[dict[str, np.ndarray]], sets: list[CurveSet]) -> None:
    """Add cycle_life and rul to each of `found`, where the training curves can teach them."""
    train = comparison.train
    if train is None or not len(train) or "eol" in found[0]:
        return
    learnt = _of(train, comparison.real, list(found[0]), paired=False)
    lives = estimated_life(learnt, train.column("eol"), train.cells, found)
    if lives is None:
        return
    unpaired = 1 if comparison.draws is None else None  # the one set that is not row by row that of the measured curves
    ecl = [(one if place == unpaired else comparison.real).column("ecl") for place, one in enumerate(sets)]
    dated = all(np.isfinite(one).all() for one in ecl)
    for one, life, now in zip(found, lives, ecl, strict=True):
        broken = np.any([np.isinf(values) for values in one.values()], axis=0)
        one["cycle_life"] = np.where(broken, np.inf, life)
        if dated:
            one["rul"] = one["cycle_life"] - now


def _whole(real: CurveSet, soh: np.ndarray) -> bool:
    gap = np.abs(soh - real.column("soh"))
    return bool(np.isfinite(gap).any() and np.nanmedian(gap) <= _WHOLE)


def _mean(draws: np.ndarray) -> np.ndarray:
    """Mean over the draws (K, N) that have the indicator, NaN where none has."""
    known = ~np.isnan(draws)
    count = known.sum(axis=0)
    total = np.where(known, draws, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(draws.shape[1], np.nan), where=count > 0)
