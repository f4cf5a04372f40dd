"""Calibration of quantile forecasts: observed against expected proportions, the area between them, PIT values.

Every cell counts the same, however many of its cycles are known: proportions are means over cells of each cell's own.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from batgen.evaluation.forecast import Forecast, mean_of_cells, per_cell
from batgen.evaluation.quantile_scores import shared_levels

#: Expected proportions of the calibration curve under the normal assumption.
PROPORTIONS = np.linspace(0.0, 1.0, 101)
_Z90 = float(norm.ppf(0.9))


def quantile_curve(forecasts: Sequence[Forecast]) -> tuple[np.ndarray, np.ndarray]:
    """Levels (Q,) and the observed proportion (Q,) of truth at or below the quantile of each level."""
    levels = shared_levels(forecasts)
    return levels, np.array([_proportion(forecasts, column) for column in range(len(levels))])


def _proportion(forecasts: Sequence[Forecast], column: int) -> float:
    def one(f: Forecast) -> float:
        return float(np.mean(f.truth[f.known] <= f.quantiles[f.known, column])) if f.known.any() else float("nan")

    return mean_of_cells(per_cell(forecasts, one))


def miscalibration_area(forecasts: Sequence[Forecast]) -> float:
    """Integral over 0..1 of |observed proportion(level) - level|; no unit, 0 is best, 0.5 the worst possible.

    The proportion is linear between the levels, and 0 and 1 at levels 0 and 1, which no forecast states. Source: the
    miscalibration area of Kuleshov et al. 2018 and Chung et al. 2021, from the quantiles themselves.
    """
    levels, observed = quantile_curve(forecasts)
    return area_to_diagonal(np.r_[0.0, levels, 1.0], np.r_[0.0, observed, 1.0])


def normal_curve(forecasts: Sequence[Forecast]) -> tuple[np.ndarray, np.ndarray]:
    """The paper's calibration curve: expected proportions (101,) and observed ones under a normal assumption.

    Rahmanian et al., fig. 4c: mean and standard deviation are estimated from the 10th, 50th and 90th percentile: here
    the mean is the median and the deviation (q90 - q10) / (2 x 1.2816). Observed is the proportion of truth at or below
    the normal quantile of each expected proportion. Quantiles out of order count by their distance; with no distance the
    normal is a step at the median.
    """
    inside = PROPORTIONS[1:-1]

    def one(f: Forecast) -> np.ndarray:
        if not f.known.any():
            return np.full(len(inside), np.nan)
        error = (f.truth - f.median)[f.known]
        deviation = (np.abs(f.at(0.9) - f.at(0.1)) / (2 * _Z90))[f.known]
        step = np.where(error <= 0, -np.inf, np.inf)
        standard = np.where(deviation > 0, error / np.where(deviation > 0, deviation, 1.0), step)
        return np.searchsorted(np.sort(standard), norm.ppf(inside), side="right") / len(standard)

    curves = np.array([one(f) for f in forecasts])
    known = ~np.isnan(curves).all(axis=1)
    middle = curves[known].mean(axis=0) if known.any() else np.full(len(inside), np.nan)
    return PROPORTIONS, np.r_[0.0, middle, 1.0]


def miscalibration_area_normal(forecasts: Sequence[Forecast]) -> float:
    """Area between `normal_curve` and the diagonal: the paper's figure; no unit, 0 is best."""
    return area_to_diagonal(*normal_curve(forecasts))


def area_to_diagonal(expected: np.ndarray, observed: np.ndarray) -> float:
    """Integral of |observed - expected| along `expected` (n,), exact for lines between the points."""
    a, b = (observed - expected)[:-1], (observed - expected)[1:]
    total = np.abs(a) + np.abs(b)
    # Where a line crosses the diagonal it makes two triangles, not a trapezium.
    crossing = (a**2 + b**2) / np.where(total > 0, total, 1.0)
    return float(np.sum(np.diff(expected) * np.where(a * b >= 0, total, crossing) / 2))


def pit(forecast: Forecast) -> np.ndarray:
    """(known,) `pit_values` where the truth of a forecast is known."""
    return pit_values(forecast.truth[forecast.known], forecast.quantiles[forecast.known], forecast.levels)


def pit_values(truth: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Probability integral transform (n,): the forecast CDF at each truth (n,); uniform on 0..1 if calibrated.

    The CDF is linear between the quantiles (put in order first) and has exponential tails that continue its slope at the
    outermost ones: p1 exp(-(q1 - y) slope / p1) below, alike above, so that no truth gets exactly 0 or 1 unless the
    slope is infinite (two equal quantiles). Dawid 1984; tails are ours. Raises ValueError for a single level.
    """
    if len(levels) < 2:
        raise ValueError("PIT values need at least two levels")
    q = np.sort(quantiles, axis=1)
    value = np.zeros(len(truth))
    for k in range(len(levels) - 1):
        width = q[:, k + 1] - q[:, k]
        share = np.divide(truth - q[:, k], width, out=np.zeros_like(truth), where=width > 0)
        inside = (truth >= q[:, k]) & (truth <= q[:, k + 1])
        value = np.where(inside, levels[k] + np.clip(share, 0, 1) * (levels[k + 1] - levels[k]), value)
    below, above = q[:, 0] - truth, truth - q[:, -1]
    value = np.where(below > 0, _tail(below, q[:, 1] - q[:, 0], levels[1] - levels[0], levels[0]), value)
    upper = _tail(above, q[:, -1] - q[:, -2], levels[-1] - levels[-2], 1 - levels[-1])
    return np.where(above > 0, 1 - upper, value)


def _tail(distance: np.ndarray, width: np.ndarray, rise: float, mass: float) -> np.ndarray:
    """Probability beyond a point `distance` outside of the outermost quantile, of the `mass` out there."""
    scale = mass * width / rise
    steps = np.divide(distance, scale, out=np.full_like(distance, np.inf), where=scale > 0)
    return mass * np.exp(-np.maximum(steps, 0.0))


def quantile_paths(quantiles: np.ndarray, levels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Courses (K, H) at the `wanted` levels (K,) through quantiles (H, Q) of `levels` (Q,): draws of a quantile forecast.

    The inverse of the distribution function that `pit_values` describes: linear between the quantiles (put in order
    first), exponential tails beyond the outermost. A course keeps its level from first to last, as a cell that ages slower
    than expected goes on doing. Raises ValueError for a single level.
    """
    if len(levels) < 2:
        raise ValueError("courses need at least two levels")
    q = np.sort(np.asarray(quantiles, dtype=np.float64), axis=1)
    found = np.empty((len(wanted), len(q)))
    lower = levels[0] * (q[:, 1] - q[:, 0]) / (levels[1] - levels[0])
    upper = (1 - levels[-1]) * (q[:, -1] - q[:, -2]) / (levels[-1] - levels[-2])
    for row, level in enumerate(wanted):
        if level < levels[0]:
            found[row] = q[:, 0] + lower * np.log(level / levels[0])
        elif level > levels[-1]:
            found[row] = q[:, -1] - upper * np.log((1 - level) / (1 - levels[-1]))
        else:
            place = min(int(np.searchsorted(levels, level, side="right")) - 1, len(levels) - 2)
            share = (level - levels[place]) / (levels[place + 1] - levels[place])
            found[row] = (1 - share) * q[:, place] + share * q[:, place + 1]
    return found
