"""Rows of an evaluation: value, interval over cells, floor, number of rows and seed, the same for every metric."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import t

from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.reconstruction import mean_of_known
from batgen.evaluation.rows import metric_rows

#: Cells are left out one at a time, or in so many groups where there are more.
GROUPS = 20


def per_row(
    metric: str,
    values: Mapping[str, np.ndarray],
    floors: Mapping[str, np.ndarray] | None,
    cells: np.ndarray,
    seed: int,
    context: Mapping[str, Any],
    root: bool = False,
) -> list[dict[str, Any]]:
    """Rows of metrics that are means over curves: signal -> (N,), NaN where a curve has none. The interval is a bootstrap
    over `cells` (N,). `floors`: the same of measured neighbours. `root`: of the mean and its interval, for squared errors."""
    rows = []
    for name, value in values.items():
        with np.errstate(invalid="ignore"):
            low, high = bootstrap_over_cells(value, cells, seed)
        numbers = [mean_of_known(value), low, high]
        floor = mean_of_known(floors[name]) if floors is not None and name in floors else None
        if root:
            numbers = [float(np.sqrt(x)) for x in numbers]
            floor = None if floor is None else float(np.sqrt(floor))
        about = {**context, "n": int((~np.isnan(value)).sum()), "floor": floor}
        rows += metric_rows(metric, {name: numbers[0]}, about, {name: (numbers[1], numbers[2])})
    return rows


def of_set(
    metric: str,
    signal: str,
    value: float,
    interval: tuple[float, float] | None,
    floor: float | None,
    n: int,
    context: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The row of a metric of a whole set."""
    return metric_rows(
        metric, {signal: value}, {**context, "n": n, "floor": floor}, {signal: interval} if interval else None
    )


def jackknife(
    of: Callable[[np.ndarray, np.ndarray], float], value: float, cells_real: np.ndarray, cells_generated: np.ndarray
) -> tuple[float, float]:
    """95 % interval of a metric of two sets, value +/- t SE, by leaving out cells.

    `of(rows_real, rows_generated)` is the metric on these row numbers; `value` is it on all rows. Each group of cells is
    left out of both sides. SE^2 = (G - 1) / G sum (theta_g - mean theta)^2 over G groups, t with G - 1 degrees of freedom.
    Unlike a bootstrap of distances, whose resamples hold copies that make a set look too alike, it never excludes its
    own estimate. Source: Quenouille and Tukey; Efron & Stein 1981; delete-a-group as in Kott 2001. (NaN, NaN) with fewer
    than two cells.
    """
    names = np.unique(np.concatenate([cells_real, cells_generated]))
    groups = np.array_split(names, min(GROUPS, len(names)))
    if len(groups) < 2:
        return float("nan"), float("nan")
    found = []
    for group in groups:
        left = [np.flatnonzero(~np.isin(cells, group)) for cells in (cells_real, cells_generated)]
        if len(left[0]) and len(left[1]):
            found.append(of(*left))
    known = np.array([x for x in found if np.isfinite(x)])
    if len(known) < 2 or not np.isfinite(value):
        return float("nan"), float("nan")
    error = np.sqrt((len(known) - 1) / len(known) * np.square(known - known.mean()).sum())
    half = float(t.ppf(0.975, len(known) - 1) * error)
    return value - half, value + half
