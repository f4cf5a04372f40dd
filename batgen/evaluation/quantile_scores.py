"""Scores of quantile forecasts: pinball loss, CRPS, coverage, sharpness, crossing. Per cell, observed part only."""

from collections.abc import Sequence

import numpy as np

from batgen.evaluation.forecast import Forecast, per_cell


def pinball(true: np.ndarray, quantile: np.ndarray, level: float) -> np.ndarray:
    """max(level (y - f), (level - 1) (y - f)) of each point, unit of the target (Rahmanian et al., eq. 9)."""
    error = true - quantile
    loss: np.ndarray = np.maximum(level * error, (level - 1) * error)
    return loss


def pinball_losses(forecasts: Sequence[Forecast]) -> dict[float, np.ndarray]:
    """level -> (cells,) mean pinball loss of each cell, unit of the target, lower is better.

    The levels are those of the first forecast; ValueError when another one has others.
    """
    levels = shared_levels(forecasts)

    def at(column: int) -> np.ndarray:
        def one(f: Forecast) -> float:
            return _mean(pinball(f.truth[f.known], f.quantiles[f.known, column], float(levels[column])))

        return per_cell(forecasts, one)

    return {float(level): at(column) for column, level in enumerate(levels)}


def crps(forecasts: Sequence[Forecast]) -> np.ndarray:
    """(cells,) continuous ranked probability score, 2 x mean pinball loss over the levels; target's unit, lower is better.

    CRPS = 2 x the integral of the pinball loss over all levels (Laio & Tamea 2007; Gneiting & Ranjan 2011). The mean over
    equally spaced levels is the midpoint rule for it; for few levels, such as 0.1, 0.5, 0.9, it is an approximation,
    comparable between forecasts with the same levels only. A forecast with one value for all of some symmetric levels
    scores its absolute error.
    """
    return np.asarray(2 * np.mean(list(pinball_losses(forecasts).values()), axis=0))


def coverage(forecasts: Sequence[Forecast], low: float, high: float) -> np.ndarray:
    """(cells,) fraction of points within the quantiles of levels `low` and `high`, ends included; high - low is right."""

    def one(f: Forecast) -> float:
        truth = f.truth[f.known]
        return _mean((truth >= f.at(low)[f.known]) & (truth <= f.at(high)[f.known]))

    return per_cell(forecasts, one)


def central_pairs(levels: np.ndarray) -> list[tuple[float, float]]:
    """Pairs of levels that are symmetric about 0.5, widest first: (0.05, 0.95), (0.1, 0.9) ..."""
    every = [float(level) for level in levels]
    pairs = [(a, b) for a in every for b in every if a < 0.5 < b and np.isclose(a + b, 1, rtol=0, atol=1e-9)]
    return sorted(pairs)


def sharpness(forecasts: Sequence[Forecast], low: float = 0.1, high: float = 0.9) -> np.ndarray:
    """(cells,) mean width between the quantiles `low` and `high`, observed part; target's unit, lower is better.

    Only at equal calibration: an interval can be narrow and wrong (Gneiting et al. 2007).
    """
    return per_cell(forecasts, lambda f: _mean((f.at(high) - f.at(low))[f.known]))


def crossing_rate(forecasts: Sequence[Forecast]) -> np.ndarray:
    """(cells,) fraction of (forecast cycle, pair of adjacent levels) whose lower level is above the higher; 0 is right.

    Over all forecast cycles, observed or not. NaN for a single level.
    """
    return per_cell(forecasts, lambda f: _mean(np.diff(f.quantiles, axis=1) < 0))


def is_deterministic(forecast: Forecast) -> bool:
    """Whether all levels have one value everywhere: a baseline that gives a line and no interval."""
    return bool((np.ptp(forecast.quantiles, axis=1) == 0).all())


def shared_levels(forecasts: Sequence[Forecast]) -> np.ndarray:
    """(Q,) the levels that all forecasts have. Raises ValueError when they differ, or there is no forecast."""
    if not forecasts:
        raise ValueError("no forecasts to score")
    levels = forecasts[0].levels
    for forecast in forecasts:
        if forecast.levels.shape != levels.shape or not np.allclose(forecast.levels, levels, rtol=0, atol=1e-9):
            raise ValueError(f"{forecast.cell_id} has levels {forecast.levels.tolist()}, others {levels.tolist()}")
    return levels


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if values.size else float("nan")
