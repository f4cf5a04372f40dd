"""What the points of one curve must look like: finite, not flat, no steeper and no rougher than measured ones.

As in `curve_physics`: one number a curve, float64 (N,), larger is worse, NaN where a statistic does not apply, inf where a curve
is not finite. Points behind the end of a record are NaN in measured curves and count as not there. Source of all: ours (issue 6).
"""

from collections.abc import Callable

import numpy as np

from batgen.data.curve_set import CurveSet

#: Points evenly in time that slopes and bends are taken between: readings of a fast log differ by noise alone.
EVEN = 64
_MIN = 60.0


def recorded(values: np.ndarray) -> np.ndarray:
    """(N,) whether a signal (N, P) is finite up to the end of its record, two points at least."""
    known = np.isfinite(values)
    ended = np.logical_and.accumulate(np.isnan(values)[:, ::-1], axis=1)[:, ::-1]
    fine: np.ndarray = (known | ended).all(axis=1) & (known.sum(axis=1) >= 2)
    return fine


def missing_share(curves: CurveSet) -> np.ndarray:
    """Share of the points that are NaN because a record has ended; inf where one is infinite, or NaN with others behind it."""
    fine = np.logical_and.reduce([recorded(curves.signal(name)) for name in curves.signals])
    return np.where(fine, np.isnan(curves.values).mean(axis=(1, 2)), np.inf)


def ranges(curves: CurveSet, name: str) -> np.ndarray:
    """(N,) highest less lowest value of a signal, in its unit."""
    values = curves.signal(name).astype(np.float64)
    fine = recorded(values)
    found = np.full(len(values), np.inf)
    found[fine] = np.nanmax(values[fine], axis=1) - np.nanmin(values[fine], axis=1)
    return found


def flatness(curves: CurveSet, usual: dict[str, float]) -> np.ndarray:
    """The largest, over the signals of `usual`, of its usual range over that in the curve; 1 is usual, inf is flat."""
    found = np.full(len(curves), np.nan)
    for name, width in usual.items():
        own = ranges(curves, name)
        found = np.fmax(found, np.where(np.isfinite(own), width / np.maximum(own, 1e-12), np.inf))
    return found


def outside_range(curves: CurveSet, name: str, low: float, high: float, beside: str | None) -> np.ndarray:
    """Furthest that a signal is outside [low, high], in its unit; of its difference from the column `beside` if one is named."""
    values = curves.signal(name).astype(np.float64)
    if beside is not None:
        values = values - curves.column(beside)[:, None]
    fine, found = recorded(values), np.full(len(values), np.inf)
    part = values[fine]
    found[fine] = np.maximum(low - np.nanmin(part, axis=1), np.nanmax(part, axis=1) - high).clip(min=0.0)
    return np.where(np.isnan(curves.column(beside)), np.nan, found) if beside is not None else found


def steepest(curves: CurveSet, name: str) -> np.ndarray:
    """Largest |dx/dt| of a signal, its unit/min, between EVEN points evenly in time; without a time, a step of the axis."""
    even, step_min = evenly(curves, name)
    slope = np.abs(np.diff(even, axis=1)) / step_min[:, None]
    return _where_recorded(curves, name, slope, np.nanmax)


def roughness(curves: CurveSet, name: str) -> np.ndarray:
    """Mean |second difference| of a signal, its unit, between EVEN points evenly in time, or of the axis where there is no time.

    One-sided: a curve that is too smooth passes."""
    even, _ = evenly(curves, name)
    return _where_recorded(curves, name, np.abs(np.diff(even, n=2, axis=1)), np.nanmean)


def evenly(curves: CurveSet, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A signal at EVEN points evenly in time (N, EVEN), and the minutes between them (N,); as it is, and 1, without a time.

    A time that goes back is held at its latest until it has caught up: what is read meanwhile becomes a jump."""
    values = curves.signal(name).astype(np.float64)
    if not curves.has("time_s"):
        return values, np.ones(len(values))
    time = np.maximum.accumulate(np.nan_to_num(curves.signal("time_s").astype(np.float64)), axis=1)
    span = np.maximum(time[:, -1] - time[:, 0], 1e-6)
    share = (time - time[:, :1]) / span[:, None]
    grid = np.linspace(0.0, 1.0, EVEN)
    even = np.stack([np.interp(grid, at, own) for at, own in zip(share, values, strict=True)])
    return even, span / (EVEN - 1) / _MIN


def against_pulse(curves: CurveSet, signs: np.ndarray) -> np.ndarray:
    """Furthest that the voltage steps against the sign of its pulse, V: signs (P - 1,) are -1, 0 (either way) or 1."""
    steps = np.diff(curves.signal("voltage_V").astype(np.float64), axis=1)
    return np.where(np.isfinite(steps).all(axis=1), (-signs * steps).max(axis=1).clip(min=0.0), np.inf)


def _where_recorded(curves: CurveSet, name: str, found: np.ndarray, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    fine = recorded(curves.signal(name)) & np.isfinite(found).any(axis=1)
    out = np.full(len(found), np.inf)
    out[fine] = reduce(found[fine], axis=1)
    return out
