"""Outlier cycles, found by a rule that looks back only: what is masked up to a cycle never depends on a later one."""

import numpy as np

#: A median and a spread around it need this many values; before, everything is accepted.
_FEWEST = 3
#: Median absolute deviation to standard deviation, for normal noise.
_NORMAL = 1.4826


def mask(values: np.ndarray, window: int, limit: float, floor: float, patience: int) -> np.ndarray:
    """bool (T,): which of `values` (T,) are outliers. NaN is a cycle without a value: passed over, never masked.

    A value is masked when it is further than max(limit * 1.4826 * MAD, floor * |median|) from the median of the last
    `window` accepted values before it (the Hampel identifier, one-sided). A step that stays is no outlier: once
    `patience` masked values in a row agree with each other within that tolerance, or `window` in a row whether they
    agree or not, what follows is judged against these values. They themselves stay masked. `window` is 3 or more,
    `patience` 1 or more.
    """
    masked = np.zeros(len(values), dtype=bool)
    accepted: list[float] = []
    doubted: list[float] = []
    where = np.flatnonzero(np.isfinite(values))
    for at, value in zip(where.tolist(), np.asarray(values)[where].tolist(), strict=True):
        if len(accepted) >= _FEWEST:
            middle = _median(accepted)
            spread = _median([abs(v - middle) for v in accepted])
            tolerance = max(limit * _NORMAL * spread, floor * abs(middle))
            if abs(value - middle) > tolerance:
                masked[at] = True
                doubted.append(value)
                latest = doubted[-patience:]
                agree = len(latest) == patience and max(abs(v - _median(latest)) for v in latest) <= tolerance
                if agree or len(doubted) >= max(window, patience):
                    accepted, doubted = (latest if agree else doubted[-window:]), []
                continue
        accepted = [*accepted[1 - window :], value]
        doubted = []
    return masked


def _median(values: list[float]) -> float:
    """Of a few numbers: numpy's takes 20 times as long, and this is called twice a cycle."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])
