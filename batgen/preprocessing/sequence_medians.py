"""Medians along a cell's life, with missing cycles passed over. Only `centred_median` looks ahead: it is for targets."""

import numpy as np
import pandas as pd


def causal_median(values: np.ndarray, width: int) -> np.ndarray:
    """(T,) median of the finite values in (t - width, t]; NaN where there is none."""
    if width == 1:
        return values
    rolled: np.ndarray = pd.Series(values).rolling(width, min_periods=1).median().to_numpy()
    return rolled


def centred_median(values: np.ndarray, width: int) -> np.ndarray:
    """(T,) median of the finite values in (t - width/2, t + width/2]; NaN where there is none."""
    ahead = width // 2
    return causal_median(np.concatenate([values, np.full(ahead, np.nan)]), width)[ahead:]


def recent_median(values: np.ndarray, count: int) -> np.ndarray:
    """(T,) median of the last `count` finite values at or before t, however far back; NaN before the first."""
    finite = np.isfinite(values)
    medians = np.r_[np.nan, pd.Series(values[finite]).rolling(count, min_periods=1).median().to_numpy()]
    held: np.ndarray = medians[np.cumsum(finite)]
    return held


def held(values: np.ndarray) -> np.ndarray:
    """Missing values (NaN) along the last axis replaced by the last finite one before; NaN stays before the first."""
    finite = np.isfinite(values)
    at = np.maximum.accumulate(np.where(finite, np.arange(values.shape[-1]), 0), axis=-1)
    return np.take_along_axis(values, at, axis=-1)


def held_both_ways(values: np.ndarray) -> np.ndarray:
    """(T,) as `held`; before the first finite value that one is taken."""
    finite = np.flatnonzero(np.isfinite(values))
    filled = held(values)
    if finite.size:
        filled[: finite[0]] = values[finite[0]]
    return filled
