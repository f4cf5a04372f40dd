"""Profiles in physical units: measured ones with all that is known of their records, and generated ones.

A profile is S signals at P points of one record (a charge or a discharge), or of a window of it, and a duration. Points
are spread evenly over the profile's own duration ("span" grid, `step_s` None), or lie `step_s` seconds apart from its start.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


def times(duration_s: np.ndarray, points: int, step_s: float | None) -> np.ndarray:
    """Seconds from the start of each profile, float64 (..., points), for durations (...)."""
    duration = np.asarray(duration_s, dtype=np.float64)
    if step_s is None:
        return duration[..., None] * np.linspace(0.0, 1.0, points)
    return np.broadcast_to(np.arange(points) * step_s, (*duration.shape, points))


def measured(duration_s: np.ndarray, points: int, step_s: float | None) -> np.ndarray:
    """Which points lie within the duration (half a step of grace), bool (..., points); all of them on the span grid."""
    duration = np.asarray(duration_s, dtype=np.float64)
    if step_s is None:
        return np.ones((*duration.shape, points), dtype=bool)
    return np.arange(points) * step_s <= duration[..., None] + step_s / 2


@dataclass(frozen=True)
class ProfileSet:
    """N measured profiles.

    table: one row each (RangeIndex): cell_id, ecl, eol, soc, soh, ambient_degC, start_temperature_degC, c_rate, c_rate_rms,
        c1, q1, c2, chemistry, nominal_capacity_Ah, start_s (where in its record it starts), duration_s, protocol, policy,
        soh_change, start_temperature_change_degC (NaN but in reference mode), given (what a reference is made of).
    curves: float32 (N, S, P); behind the end of a record (fixed steps only) its last value is held.
    duration_s: float64 (N,).
    base: float32 (N, S, P), known beforehand and subtracted before learning, zero where nothing is.
    base_duration_s: float64 (N,); what is learnt is the log of duration_s over it, 1.0 where nothing is known.
    """

    table: pd.DataFrame
    curves: np.ndarray
    duration_s: np.ndarray
    base: np.ndarray
    base_duration_s: np.ndarray
    signals: tuple[str, ...]
    step_s: float | None

    def __len__(self) -> int:
        return len(self.duration_s)

    @property
    def time_s(self) -> np.ndarray:
        """float64 (N, P): seconds from the start of the profile."""
        return times(self.duration_s, self.curves.shape[-1], self.step_s)

    @property
    def mask(self) -> np.ndarray:
        """bool (N, P): which points were measured."""
        return measured(self.duration_s, self.curves.shape[-1], self.step_s)

    def take(self, rows: np.ndarray) -> "ProfileSet":
        """These rows, in this order."""
        return ProfileSet(
            self.table.iloc[rows].reset_index(drop=True),
            self.curves[rows],
            self.duration_s[rows],
            self.base[rows],
            self.base_duration_s[rows],
            self.signals,
            self.step_s,
        )


@dataclass(frozen=True)
class Drawn:
    """Generated profiles: curves float32 (..., N, S, P) in physical units, duration_s float64 (..., N)."""

    curves: np.ndarray
    duration_s: np.ndarray
    signals: tuple[str, ...]
    step_s: float | None

    @property
    def time_s(self) -> np.ndarray:
        """float64 (..., N, P): seconds from the start of the profile."""
        return times(self.duration_s, self.curves.shape[-1], self.step_s)

    @property
    def mask(self) -> np.ndarray:
        """bool (..., N, P): which points lie within the profile's own duration."""
        return measured(self.duration_s, self.curves.shape[-1], self.step_s)

    def held(self) -> "Drawn":
        """The same with the last value held behind the end of each profile, as measured ones come: what a generator says there,
        no loss looked at."""
        if self.step_s is None:
            return self
        last = self.mask.sum(axis=-1, keepdims=True) - 1
        points = np.minimum(np.arange(self.curves.shape[-1]), last)[..., None, :]
        return Drawn(np.take_along_axis(self.curves, points, axis=-1), self.duration_s, self.signals, self.step_s)
