"""Errors of the median forecast, observed part only: of each cell, and by how many cycles ahead."""

from collections.abc import Callable, Sequence

import numpy as np

from batgen.evaluation.forecast import Forecast, per_cell

#: Cycles ahead of the last observed one, both ends included; None has no end.
HORIZONS: tuple[tuple[int, int | None], ...] = ((1, 100), (101, 300), (301, 1000), (1001, None))


def rmse(true: np.ndarray, forecast: np.ndarray) -> float:
    """sqrt(mean (y - f)^2), unit of the target, lower is better (Rahmanian et al., ARCANA, eq. 12)."""
    return float(np.sqrt(np.mean(np.square(forecast - true))))


def mape(true: np.ndarray, forecast: np.ndarray) -> float:
    """100 mean |(y - f) / y|, in %, lower is better (eq. 13). Points where y is 0 are left out; NaN if all are."""
    kept = true != 0
    return float(100 * np.mean(np.abs(forecast[kept] / true[kept] - 1))) if kept.any() else float("nan")


def medae(true: np.ndarray, forecast: np.ndarray) -> float:
    """median |y - f|, unit of the target, lower is better (eq. 14)."""
    return float(np.median(np.abs(forecast - true)))


def mae(true: np.ndarray, forecast: np.ndarray) -> float:
    """mean |y - f|, unit of the target, lower is better (eq. 15)."""
    return float(np.mean(np.abs(forecast - true)))


#: metric -> function of (true (n,), forecast (n,)), without NaN.
POINT_ERRORS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "RMSE": rmse,
    "MAE": mae,
    "MAPE": mape,
    "medAE": medae,
}


def point_errors(forecasts: Sequence[Forecast], metric: str, horizon: tuple[int, int | None] = (1, None)) -> np.ndarray:
    """(cells,) one of POINT_ERRORS of each cell, over cycles `horizon` ahead of its cut; NaN where none is observed.

    The figure of a set is their mean over cells. All cycles of all cells pooled would give another one, in which
    long-lived cells count more.
    """
    error = POINT_ERRORS[metric]
    first, last = horizon

    def one(forecast: Forecast) -> float:
        at = forecast.known & (forecast.ahead >= first)
        if last is not None:
            at &= forecast.ahead <= last
        return error(forecast.truth[at], forecast.median[at]) if at.any() else float("nan")

    return per_cell(forecasts, one)


def horizon_name(horizon: tuple[int, int | None]) -> str:
    """How a horizon is written in the rows: "101-300", "1001+", "all"."""
    first, last = horizon
    if last is None:
        return "all" if first <= 1 else f"{first}+"
    return f"{first}-{last}"
