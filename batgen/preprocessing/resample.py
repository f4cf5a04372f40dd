"""Ragged curves onto a common grid, all cycles of a cell in one interpolation."""

import numpy as np

GRIDS = ("record", "time", "charge")


def coordinate(grid: str, offsets: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Where each point of each cycle lies on the grid: 0 at the cycle's first point, 1 at its last, float64 (total,).

    grid: "record" counts points, "time" is time_s and "charge" charge_capacity_Ah, each over the cycle's own span.
    offsets: int (n + 1,), where the cycles begin and end in the columns. A coordinate that stands still or falls back
    (a rest, noise) is held at its running maximum, so that it can be interpolated over.
    """
    lengths = np.diff(offsets)
    if grid == "record":
        return (np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)) / np.repeat(
            np.maximum(lengths - 1, 1), lengths
        )
    raw = columns["time_s" if grid == "time" else "charge_capacity_Ah"].astype(np.float64)
    first, last = raw[offsets[:-1]], raw[offsets[1:] - 1]
    span = np.where(last > first, last - first, 1.0)
    unit = np.clip((raw - np.repeat(first, lengths)) / np.repeat(span, lengths), 0.0, 1.0)
    shelf = np.repeat(2.0 * np.arange(len(lengths)), lengths)  # each cycle on a shelf of its own: one running maximum
    return np.maximum.accumulate(unit + shelf) - shelf


def resample(
    grid: str, points: int, offsets: np.ndarray, columns: dict[str, np.ndarray], signals: tuple[str, ...]
) -> np.ndarray:
    """Signals of n cycles on `points` equal steps of the grid: float32 (n, len(signals), points).

    columns: name -> (total,), all cycles end to end. End points are kept exactly; in between the signal is linear.
    """
    n, lengths = len(offsets) - 1, np.diff(offsets)
    shelf = 2.0 * np.arange(n)
    known = coordinate(grid, offsets, columns) + np.repeat(shelf, lengths)
    wanted = (shelf[:, None] + np.linspace(0.0, 1.0, points)).ravel()
    out = np.empty((n, len(signals), points), np.float32)
    for i, name in enumerate(signals):
        out[:, i] = np.interp(wanted, known, columns[name]).reshape(n, points)
    return out


def unusable(
    offsets: np.ndarray, columns: dict[str, np.ndarray], signals: tuple[str, ...], min_points: int
) -> dict[int, str]:
    """Cycles that must not be resampled, with the reason: too short, or a NaN in a signal that is asked for."""
    lengths = np.diff(offsets)
    reasons = {int(i): f"only {lengths[i]} points (needs {min_points})" for i in np.flatnonzero(lengths < min_points)}
    starts = offsets[:-1][lengths > 0]
    alive = np.flatnonzero(lengths > 0)
    for name in signals:
        if len(starts):
            bad = np.add.reduceat(~np.isfinite(columns[name]), starts)
            for i, count in zip(alive[bad > 0], bad[bad > 0], strict=True):
                reasons.setdefault(int(i), f"{name} is NaN at {count} of {lengths[i]} points")
    return reasons
