"""The few numbers figures of forecasts show beside what metrics.json holds: by cell, so that each cell counts the same."""

import math

import numpy as np
import pandas as pd

from batgen.report.sequence_read import CONFORMAL, MODEL

_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def mean_by_cell(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """cell_id -> mean of `values`, one a row of `rows`, NaN left out; cells without any are absent."""
    means = values.groupby(rows["cell_id"], observed=True).mean().dropna()
    return means.set_axis(means.index.astype(str))


def rmse_by_cell(rows: pd.DataFrame) -> pd.Series:
    """cell_id -> RMSE of `median` against `truth`, observed points only; cells without one are absent."""
    return mean_by_cell(rows, (rows["median"] - rows["truth"]) ** 2).pow(0.5)


def best_baselines(rows: pd.DataFrame, count: int) -> list[str]:
    """The `count` baselines with the lowest RMSE, mean over cells, best first; rows of all methods."""
    errors = {
        str(method): rmse_by_cell(mine).mean()
        for method, mine in rows.groupby("method", observed=True)
        if method not in (MODEL, CONFORMAL)
    }
    return sorted((m for m in errors if not math.isnan(errors[m])), key=lambda m: errors[m])[:count]


def round_edges(first: float, last: float, most: int = 12) -> np.ndarray:
    """Edges of at most `most` bins of one round width (1, 2, 5, 10 ...) that hold first..last."""
    width = next((w for w in _STEPS if math.ceil((last + 1) / w) - first // w <= most), _STEPS[-1])
    return np.arange(first // width * width, last + width + 1, width)


def first_reach(rows: pd.DataFrame, column: str, eol: pd.Series) -> pd.Series:
    """cell_id -> the first forecast cycle at which `column` is at or below the cell's `eol`; NaN: it never is."""
    below = rows[column].to_numpy() <= rows["cell_id"].map(eol).to_numpy(dtype=float)
    found = rows["cycle"].where(below).groupby(rows["cell_id"], observed=True).min()
    return found.set_axis(found.index.astype(str)).astype(float)


def observed_proportion(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """How much of the truth lies at or below each column (Q,): mean over cells of each cell's fraction."""
    rows = rows.dropna(subset=["truth", *columns])
    if rows.empty:
        return np.full(len(columns), np.nan)
    below = rows[columns].ge(rows["truth"], axis=0)
    return below.groupby(rows["cell_id"], observed=True).mean().mean().to_numpy()


def normal_proportion(rows: pd.DataFrame, low: float, high: float, expected: np.ndarray) -> np.ndarray:
    """Observed proportion (E,) of the truth below the `expected` (E,) quantiles of a normal distribution.

    Its mean is the median, its standard deviation the distance of the `low` and `high` quantiles over the one they
    have in a standard normal distribution (ARCANA, fig. 4c). Mean over cells of each cell's fraction.
    """
    from scipy.stats import norm  # slow to import

    rows = rows.dropna(subset=["truth", "low", "high"])
    if rows.empty:
        return np.full(len(expected), np.nan)
    std = (rows["high"] - rows["low"]) / (norm.ppf(high) - norm.ppf(low))
    # A width of zero is a step at the median; the tiny width has the same effect and divides.
    reached = norm.cdf((rows["truth"] - rows["median"]) / std.clip(lower=1e-12))
    by_cell = pd.Series(reached, index=rows.index).groupby(rows["cell_id"], observed=True)
    return np.mean([(p.to_numpy()[:, None] <= expected).mean(axis=0) for _, p in by_cell], axis=0)
