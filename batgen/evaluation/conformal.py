"""Conformal calibration: intervals of quantile forecasts made as wide as validation cells say they must be.

Conformalised quantile regression (Romano, Patterson & Candes 2019) for cells: the cell is the exchangeable unit and
its cycles are not independent, so that each validation cell counts the same (Lee, Barber & Willett 2023, hierarchical
conformal prediction).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from batgen.errors import ConfigError
from batgen.evaluation.forecast import Forecast
from batgen.evaluation.point_scores import HORIZONS
from batgen.evaluation.quantile_scores import central_pairs, shared_levels

#: Added to each half-width before it is scaled, as a share of the mean half-width (both relative to the median): an
#: interval of no width at one cycle must be able to grow, and may not ask for an infinite factor.
_FLOOR = 0.05


class Conformal:
    """Scales the distance of each quantile from the median by a factor that depends on the cycles ahead.

    For a symmetric pair of levels (a, 1 - a) the score of a point is s = max((m - y) / (m - q_a), (y - m) /
    (q_(1-a) - m)): how many times as wide the interval had to be. The factor is the 1 - 2a quantile of the scores,
    with weight 1 / (K + 1) for each of K cells and for one unseen cell with an infinite score; where K is too small for
    that (below 4 cells at 80 %) the largest score, and `limited` names the pair. One factor a bin of cycles ahead;
    between the middles of bins it is linear in log(cycles ahead), so that intervals do not jump. The median stays, and
    quantiles stay in order: an outer one is never inside an inner one.

    horizons: bins of cycles ahead (first, last; None: no end), increasing. minimum_cells: a bin known of fewer
    validation cells than this has no factor of its own: those of its neighbours count.
    """

    def __init__(self, horizons: Sequence[tuple[int, int | None]] = HORIZONS, minimum_cells: int = 5) -> None:
        if minimum_cells < 1:
            raise ConfigError(f"minimum_cells={minimum_cells} must be at least 1.")
        self.horizons = list(horizons)
        self.minimum_cells = minimum_cells
        self.target = ""
        self.levels = np.empty(0)
        self.floor = 0.0
        self.log_ahead = np.empty(0)
        self.factors = np.empty((0, 0))
        self.limited: list[str] = []

    def fit(self, forecasts: Sequence[Forecast]) -> None:
        """Find the factors from validation forecasts of one target; a cell may be there with several cuts.

        Raises ValueError when targets or levels differ, there is no symmetric pair of levels, no truth is known, or
        intervals have no width anywhere (a deterministic forecast).
        """
        self.levels = shared_levels(forecasts)
        pairs = central_pairs(self.levels)
        self.target = forecasts[0].target
        other = next((f for f in forecasts if f.target != self.target), None)
        if other is not None:
            raise ValueError(f"forecasts of {self.target} and of {other.target}: calibrate each target on its own")
        if not pairs:
            raise ValueError(f"levels {self.levels.tolist()} have no pair that is symmetric about 0.5")
        known = [f for f in forecasts if f.known.any()]
        if not known:
            raise ValueError("no truth is known of any validation cell")
        cell = np.concatenate([np.full(f.known.sum(), f.cell_id, dtype=object) for f in known]).astype(str)
        ahead = np.concatenate([f.ahead[f.known] for f in known])
        self.floor = _FLOOR * float(np.mean([np.mean(_relative_width(f, pairs[0])) for f in known]))
        if self.floor <= 0:
            raise ValueError(f"the intervals of {self.target} have no width: there is nothing to scale")
        scores = np.concatenate([np.stack([self._scores(f, pair) for pair in pairs], axis=1) for f in known])
        self.limited = []
        middles, factors = [], []
        for chosen in self._bins(ahead, cell):
            middles.append(float(np.mean(np.log(ahead[chosen]))))
            row = []
            for column, (low, high) in enumerate(pairs):
                factor, limited = _cell_quantile(scores[chosen, column], cell[chosen], high - low)
                row.append(factor)
                if limited:
                    self.limited.append(f"{low:g}-{high:g}")
            factors.append(row)
        self.limited = sorted(set(self.limited))
        self.log_ahead, self.factors = np.array(middles), np.array(factors)

    def apply(self, forecast: Forecast) -> Forecast:
        """The forecast with scaled intervals. Raises ValueError before `fit`, or for another target or levels."""
        if not self.factors.size:
            raise ValueError("Conformal.apply before fit")
        if forecast.target != self.target or not np.array_equal(shared_levels([forecast]), self.levels):
            raise ValueError(
                f"calibrated on {self.target} at {self.levels.tolist()}, not on {forecast.target} at "
                f"{forecast.levels.tolist()}"
            )
        median = forecast.median
        quantiles = forecast.quantiles.copy()
        columns = {float(level): k for k, level in enumerate(self.levels)}
        for number, (low, high) in enumerate(central_pairs(self.levels)):
            factor = np.interp(np.log(forecast.ahead), self.log_ahead, self.factors[:, number])
            down, up = self._half_widths(forecast, (low, high))
            quantiles[:, columns[low]] = median - factor * down
            quantiles[:, columns[high]] = median + factor * up
        below, above = self.levels < 0.5, self.levels > 0.5
        # From the median outwards: factors of several pairs differ, and must not make their quantiles cross.
        inner = np.minimum(quantiles[:, below], median[:, None])[:, ::-1]
        quantiles[:, below] = np.minimum.accumulate(inner, axis=1)[:, ::-1]
        quantiles[:, above] = np.maximum.accumulate(np.maximum(quantiles[:, above], median[:, None]), axis=1)
        return replace(forecast, quantiles=quantiles)

    def state(self) -> dict[str, Any]:
        """Everything `fit` found, in plain containers; for `load`."""
        return {
            "target": self.target,
            "levels": self.levels.tolist(),
            "floor": self.floor,
            "log_ahead": self.log_ahead.tolist(),
            "factors": self.factors.tolist(),
            "limited": list(self.limited),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over a `state()`."""
        self.target, self.floor = str(state["target"]), float(state["floor"])
        self.levels = np.array(state["levels"], dtype=np.float64)
        self.log_ahead = np.array(state["log_ahead"], dtype=np.float64)
        self.factors = np.array(state["factors"], dtype=np.float64)
        self.limited = list(state["limited"])

    def _bins(self, ahead: np.ndarray, cell: np.ndarray) -> list[np.ndarray]:
        """Masks (points,) of the bins that have cells enough. Without any, all points are one bin."""
        bins = []
        for first, last in self.horizons:
            chosen = (ahead >= first) & (ahead <= (np.inf if last is None else last))
            if len(np.unique(cell[chosen])) >= self.minimum_cells:
                bins.append(chosen)
        return bins or [np.ones(len(ahead), dtype=bool)]

    def _scores(self, forecast: Forecast, pair: tuple[float, float]) -> np.ndarray:
        """(known,) how many times as wide the interval of a pair had to be to hold the truth."""
        down, up = (half[forecast.known] for half in self._half_widths(forecast, pair))
        error = (forecast.truth - forecast.median)[forecast.known]
        worst: np.ndarray = np.maximum(-error / down, error / up)
        return worst

    def _half_widths(self, forecast: Forecast, pair: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """(H,) each: the parts of the interval below and above the median, not less than the floor."""
        floor = self.floor * np.maximum(np.abs(forecast.median), np.finfo(np.float64).tiny)
        down = np.maximum(forecast.median - forecast.at(pair[0]), 0.0) + floor
        up = np.maximum(forecast.at(pair[1]) - forecast.median, 0.0) + floor
        return down, up


def _relative_width(forecast: Forecast, pair: tuple[float, float]) -> np.ndarray:
    """(H,) half of the interval's width over the size of the median; 0 where the median is 0."""
    half = np.abs(forecast.at(pair[1]) - forecast.at(pair[0])) / 2
    size = np.abs(forecast.median)
    return np.divide(half, size, out=np.zeros_like(half), where=size > 0)


def _cell_quantile(scores: np.ndarray, cell: np.ndarray, level: float) -> tuple[float, bool]:
    """The `level` quantile of scores (n,), each cell and an unseen one counting the same; whether it was out of reach."""
    _, index, counts = np.unique(cell, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = np.cumsum((1 / (counts[index] * (len(counts) + 1)))[order])
    place = int(np.searchsorted(weight, level - 1e-9))
    limited = place >= len(scores)
    return float(scores[order[-1 if limited else place]]), limited
