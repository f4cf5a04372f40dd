"""Units are checked, not believed: Coulomb counting tells in which units current and time really are.

A capacity in Ah, whoever integrated it, must equal the integral of I dt. Its slope on the integral of the *raw* current
over the *raw* time, divided by 3600, is 1 for ampere and second, 0.001 for mA, 60 for minutes, 1.1 for the C-rate of a
1.1 Ah cell, 66 for C-rate and minutes (the raw MIT files), and so on. The slope decides; where two units share a slope,
the one that makes the magnitude of current and duration ordinary is taken; a slope of no known unit is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from batgen.errors import DataError

#: Relative tolerance of a slope. Sampling and integration cost about 1 %; C-rate and A of a 1.1 Ah cell differ by 10 %.
TOLERANCE = 0.04
#: Slopes closer than this cannot be told apart, and the magnitudes decide.
_TIE = 0.01
#: What a test of a cell can be: mean current in C and duration in hours.
_C_RATE_RANGE = (2e-3, 60.0)
_HOURS_RANGE = (5e-3, 500.0)

_TIME_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class UnitFix:
    """Factors that bring raw current to A and raw time to s, the finding in words, and the slope it was read from."""

    current_factor: float
    time_factor: float
    note: str
    slope: float


def coulomb_slope(time: ArrayLike, current: ArrayLike, capacity_Ah: ArrayLike) -> float:
    """Slope of a capacity (Ah) on the integral of raw I dt / 3600 within one record, by least squares through zero.

    `time`, `current` (n,); `capacity_Ah` (n,), counted from its first sample, or a scalar: the capacity of the whole
    record. NaN where there is nothing to regress on (fewer than 3 finite samples, no charge passed).
    """
    t, i, q = (np.asarray(a, dtype=float) for a in (time, current, capacity_Ah))
    keep = np.isfinite(t) & np.isfinite(i) & (np.isfinite(q) if q.ndim else True)
    t, i = t[keep], i[keep]
    if t.size < 3:
        return float("nan")
    x = np.concatenate([[0.0], np.cumsum(np.diff(t) * (i[1:] + i[:-1]) / 2)]) / 3600
    if q.ndim == 0:
        return float(q / x[-1]) if x[-1] and np.isfinite(q) else float("nan")
    y = q[keep] - q[keep][0]
    return float(x @ y / (x @ x)) if np.any(x) and np.any(y) else float("nan")


def check_current(
    time: ArrayLike | Sequence[ArrayLike],
    current: ArrayLike | Sequence[ArrayLike],
    capacity_Ah: ArrayLike | Sequence[ArrayLike],
    nominal_capacity_Ah: float,
    where: str,
) -> UnitFix:
    """Find the units of raw current and time from a measured capacity in Ah.

    Each argument is one record, or a list of records of which the median slope counts (so that a bad one does no harm):
    `time`, `current` (n,), `capacity_Ah` (n,) or a scalar per record. The current must be positive where
    the capacity grows: pass the negative current of a discharge with its discharge capacity. `where` names the cell.
    Raises DataError when no record can be used, the sign is wrong, or the slope fits no known unit.
    """
    times, currents, capacities = _records(time), _records(current), _records(capacity_Ah, scalars=True)
    if not len(times) == len(currents) == len(capacities):
        raise ValueError(f"{len(times)} times, {len(currents)} currents and {len(capacities)} capacities")
    slopes = np.array([coulomb_slope(*record) for record in zip(times, currents, capacities, strict=True)])
    used = np.isfinite(slopes)
    if not used.any():
        raise DataError(
            f"{where}: the units of current and time cannot be checked, because no record has both a current and a "
            "growing capacity; look whether the columns are what their names say."
        )
    slope = float(np.median(slopes[used]))
    if slope < 0:
        raise DataError(
            f"{where}: the capacity grows while the current is negative (Coulomb slope {slope:.4g}); "
            "the sign of the current column must be turned, batgen takes charge as positive."
        )
    c_rate_raw, duration_raw = _magnitudes(times, currents, used)
    found = _matches(slope, nominal_capacity_Ah, c_rate_raw, duration_raw)
    if not found:
        known = ", ".join(f"{s:.4g} ({name})" for s, name, *_ in _candidates(nominal_capacity_Ah))
        raise DataError(
            f"{where}: capacity over the integral of I dt has slope {slope:.4g}, which fits no known unit of current "
            f"and time for a {nominal_capacity_Ah:g} Ah cell; known slopes: {known}. "
            "Check the current, time and capacity columns and nominal_capacity_Ah."
        )
    name, current_factor, time_factor = found
    return UnitFix(current_factor, time_factor, f"{name} (slope {slope:.4g})", slope)


def _records(values: ArrayLike | Sequence[ArrayLike], scalars: bool = False) -> list[np.ndarray]:
    """One record or a list of them, as a list. A flat list of numbers is one record, of capacities one a record."""
    if isinstance(values, list | tuple) and len(values) and (scalars or np.ndim(values[0]) > 0):
        return [np.asarray(value, dtype=float) for value in values]
    return [np.asarray(values, dtype=float)]


def _candidates(nominal_Ah: float) -> list[tuple[float, str, float, float]]:
    """(slope, words, current factor, time factor) of every known pair of units, the ordinary one first."""
    current_units = {"A": 1.0, "mA": 1e-3, "C-rate": nominal_Ah}
    found = []
    for (i_name, i_factor), (t_name, t_factor) in product(current_units.items(), _TIME_UNITS.items()):
        words = f"current {i_name}" + ("" if i_name == "A" else " -> A")
        words += f", time {t_name}" + ("" if t_name == "s" else " -> s")
        found.append((i_factor * t_factor, words, i_factor, t_factor))
    return found


def _matches(
    slope: float, nominal_Ah: float, current_raw: float, duration_raw: float
) -> tuple[str, float, float] | None:
    """The known pair of units nearest to the slope; among ties, the one with the most ordinary C-rate."""
    fits = []
    for known, words, i_factor, t_factor in _candidates(nominal_Ah):
        error = abs(slope / known - 1)
        c_rate, hours = current_raw * i_factor / nominal_Ah, duration_raw * t_factor / 3600
        plausible = _C_RATE_RANGE[0] <= c_rate <= _C_RATE_RANGE[1] and _HOURS_RANGE[0] <= hours <= _HOURS_RANGE[1]
        if error <= TOLERANCE and plausible:
            fits.append((error, abs(np.log10(c_rate)), words, i_factor, t_factor))
    if not fits:
        return None
    nearest = min(error for error, *_ in fits)
    ties = [fit for fit in fits if fit[0] <= nearest + _TIE]
    # min keeps the first of equals: A before C-rate for a 1 Ah cell, where the two are the same number
    _, _, words, i_factor, t_factor = min(ties, key=lambda fit: round(fit[1], 2))
    return words, i_factor, t_factor


def _magnitudes(times: list[np.ndarray], currents: list[np.ndarray], used: np.ndarray) -> tuple[float, float]:
    """Raw current and duration typical of a record, rests aside: the charge-weighted mean current, and Q over it."""
    typical, duration = [], []
    for t, i, use in zip(times, currents, used, strict=True):
        if not use:
            continue
        keep = np.isfinite(t) & np.isfinite(i)
        step = np.diff(t[keep])
        mean = np.abs(i[keep][1:] + i[keep][:-1]) / 2
        charge = float(step @ mean)
        typical.append(float(step @ mean**2) / charge)
        duration.append(charge / typical[-1])
    return float(np.median(typical)), float(np.median(duration))
