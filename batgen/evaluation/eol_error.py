"""The end of life that a forecast implies, against the measured one, in cycles."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from batgen.evaluation.forecast import Forecast, per_cell


class EolScores(NamedTuple):
    """Over the cells whose end of life is known and lies after the cut (n of them); NaN where there is none.

    median_error, mean_error: |forecast - true| in cycles, lower is better; never_reached: fraction of forecasts whose
    median never reaches the threshold, 0 is best; coverage: fraction of cells whose interval holds the true cycle, to
    be compared with its nominal level; errors (n,): signed, forecast - true.
    """

    median_error: float
    mean_error: float
    never_reached: float
    coverage: float
    n: int
    errors: np.ndarray


def crossing(forecast: Forecast, level: float = 0.5) -> tuple[float, bool]:
    """First forecast cycle at which the quantile of `level` is at or below the threshold, and whether there is one.

    Where there is none, the last forecast cycle stands in. Raises ValueError for a target without a threshold.
    """
    if np.isnan(forecast.eol_value):
        raise ValueError(f"{forecast.target} has no threshold at which a cell ends: no end of life")
    below = np.flatnonzero(forecast.at(level) <= forecast.eol_value)
    return float(forecast.cycle[below[0] if below.size else -1]), bool(below.size)


def eol_interval(forecast: Forecast, low: float = 0.1, high: float = 0.9) -> tuple[float, float]:
    """The cycles at which the `low` and the `high` quantile curve reach the threshold; inf for one that never does.

    Capacities fall, so that the low quantile of the capacity gives the early end. The interval has the level high - low
    if the quantile curves are those of whole trajectories; for pointwise quantiles it holds where trajectories fall
    monotonically, since P(EOL <= t) is then P(capacity(t) <= threshold).
    """
    early, late = (crossing(forecast, level) for level in (low, high))
    return (early[0] if early[1] else float("inf")), (late[0] if late[1] else float("inf"))


def eol_scores(forecasts: Sequence[Forecast], low: float = 0.1, high: float = 0.9) -> EolScores:
    """Errors of the crossing of the median, and how often the interval of the outer quantiles holds the true cycle.

    A forecast that never reaches the threshold counts as its last cycle: its error is at least that large, and it is
    counted in `never_reached`. An interval open at its late end holds every cycle after its early one; one that never
    begins holds none. Source: ours (issue 4). Coverage is NaN where the levels do not span `low` to `high`.
    """
    scored = [f for f in forecasts if f.truth_eol_cycle > f.cut_cycle]
    nan = float("nan")
    if not scored:
        return EolScores(nan, nan, nan, nan, 0, np.empty(0))
    errors = per_cell(scored, lambda f: crossing(f)[0] - f.truth_eol_cycle)
    missed = per_cell(scored, lambda f: float(not crossing(f)[1]))
    coverage = nan
    if all(f.levels[0] <= low + 1e-9 and f.levels[-1] >= high - 1e-9 for f in scored):
        coverage = float(per_cell(scored, lambda f: float(_holds(f, low, high))).mean())
    size = np.abs(errors)
    return EolScores(float(np.median(size)), float(size.mean()), float(missed.mean()), coverage, len(scored), errors)


def _holds(forecast: Forecast, low: float, high: float) -> bool:
    early, late = eol_interval(forecast, low, high)
    return early <= forecast.truth_eol_cycle <= late
