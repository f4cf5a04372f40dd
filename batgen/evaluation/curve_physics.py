"""What charge, current, voltage and time of a curve must agree on: one number a curve, larger is worse.

Each statistic takes a CurveSet of N curves and gives float64 (N,): NaN where it does not apply to a curve, inf where a signal
that it needs is not finite. All are ours (issue 6), from conservation of charge and the way cells are cycled; how much of each
measured curves show is not said here but taken from them, see `physics_checks`.
"""

import numpy as np

from batgen.data.curve_set import CurveSet

#: Axes along which a capacity is not the charge that has passed since the start.
_NOT_WITHIN = ("cycle", "pulse_step")
#: Of nominal capacity: how far from the points where a policy changes its current its steps are looked at.
_MARGIN = 0.05
#: Throughput at which the second step of a two-step fast charge ends, of nominal capacity.
_SECOND_ENDS = 0.8
#: The voltage has reached its limit within this share of the cell's window, and a current that changes by this share of the
#: highest one within one point is a step.
_AT_LIMIT, _STEP = 0.005, 0.2
#: The start of a curve: this share of its points.
_START = 0.02


def charge_signal(curves: CurveSet) -> str | None:
    """The capacity that counts the charge along each curve, or None: of a charge, charge_capacity_Ah."""
    if curves.axis_name in _NOT_WITHIN:
        return None
    return next((name for name in ("charge_capacity_Ah", "discharge_capacity_Ah") if curves.has(name)), None)


def direction(curves: CurveSet) -> np.ndarray:
    """(N,) +1 of a charge, -1 of a discharge: the sign of the mean current, else what the set says of its part."""
    if curves.has("current_A"):
        return np.where(np.nan_to_num(curves.signal("current_A")).mean(axis=1, dtype=np.float64) < 0, -1.0, 1.0)
    discharge = curves.facts.get("part") == "discharge" or charge_signal(curves) == "discharge_capacity_Ah"
    return np.full(len(curves), -1.0 if discharge else 1.0)


def coulomb_balance(curves: CurveSet) -> np.ndarray:
    """|Q(end) - Q(start) - integral |I| dt| over the charge of the curve; a share. Trapezoidal rule."""
    counted, passed = _steps(curves)
    return _over(np.abs((counted - passed).sum(axis=1)), counted, passed)


def coulomb_local(curves: CurveSet) -> np.ndarray:
    """Largest |dQ - |I| dt| between neighbouring points over the charge of the curve; a share.

    Finds charge that appears in one place and is missing in another, which `coulomb_balance` sums away."""
    counted, passed = _steps(curves)
    return _over(np.abs(counted - passed).max(axis=1), counted, passed)


def charge_falls(curves: CurveSet) -> np.ndarray:
    """Largest fall of the charge counter below its highest value so far, over the range of the counter; a share."""
    name = charge_signal(curves)
    if name is None:
        return np.full(len(curves), np.nan)
    charge = curves.signal(name).astype(np.float64)
    fall = (np.maximum.accumulate(charge, axis=1) - charge).max(axis=1)
    return _finite(fall / np.maximum(np.ptp(charge, axis=1), 1e-9), charge)


def time_stands(curves: CurveSet) -> np.ndarray:
    """Share of the steps between neighbouring points in which time does not go on."""
    if not curves.has("time_s"):
        return np.full(len(curves), np.nan)
    time = curves.signal("time_s")
    return _finite((np.diff(time, axis=1) <= 0).mean(axis=1), time)


def outside_window(curves: CurveSet, low_V: float, high_V: float) -> np.ndarray:
    """Furthest that the voltage is outside the window of its cell, over the width of that window; a share.

    The window is that of the table's voltage_min_V and voltage_max_V, and (low_V, high_V) for cells without."""
    low, high = window(curves, low_V, high_V)
    if not curves.has("voltage_V"):
        return np.full(len(curves), np.nan)
    voltage = curves.signal("voltage_V").astype(np.float64)
    outside = np.maximum(low - voltage.min(axis=1), voltage.max(axis=1) - high).clip(min=0.0)
    return _finite(outside / np.maximum(high - low, 1e-6), voltage)


def window(curves: CurveSet, low_V: float, high_V: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) lowest and highest voltage allowed, V: of the cell where it is known, else the ones given."""
    low, high = curves.column("voltage_min_V"), curves.column("voltage_max_V")
    known = np.isfinite(low) & np.isfinite(high) & (high > low)
    return np.where(known, low, low_V), np.where(known, high, high_V)


def above_limit(curves: CurveSet, highest_A: float) -> np.ndarray:
    """How far the highest |current| exceeds its limit, over that limit; a share.

    The limit is max(c1, c2) x nominal capacity of a charge by a two-step policy, else `highest_A`."""
    if not curves.has("current_A"):
        return np.full(len(curves), np.nan)
    policy = np.fmax(curves.column("c1"), curves.column("c2")) * curves.column("nominal_capacity_Ah")
    limit = np.where(np.isfinite(policy) & (direction(curves) > 0), policy, highest_A)
    current = np.abs(curves.signal("current_A").astype(np.float64))
    return _finite((current.max(axis=1) / np.maximum(limit, 1e-6) - 1.0).clip(min=0.0), current)


def policy_error(curves: CurveSet, low_V: float, high_V: float) -> np.ndarray:
    """Median |I / (c nominal) - 1| in a step of a two-step charge, the worse of both steps; a share.

    The steps are taken 5 % of nominal capacity away from where they begin and end: c1 up to the throughput q1, c2 from there to
    80 %; and only where the voltage is below its highest (see `current_rises_again`), at which the current has to give way.
    Charges of which c1, q1, c2 and the nominal capacity are known. Inf where no point lies in either step."""
    found = np.full(len(curves), np.nan)
    if not curves.has("current_A", "charge_capacity_Ah") or charge_signal(curves) is None:
        return found
    nominal, q1 = curves.column("nominal_capacity_Ah"), curves.column("q1")
    share = curves.signal("charge_capacity_Ah") / nominal[:, None]
    current = curves.signal("current_A").astype(np.float64)
    free = ~_at_limit(curves, low_V, high_V) if curves.has("voltage_V") else np.ones(share.shape, dtype=bool)
    asked = np.isfinite(nominal) & np.isfinite(q1) & (direction(curves) > 0)
    for name, start, end in (("c1", np.zeros(len(curves)), q1), ("c2", q1, np.full(len(curves), _SECOND_ENDS))):
        rate = curves.column(name)
        asked &= np.isfinite(rate)
        inside = free & (share > (start + _MARGIN)[:, None]) & (share < (end - _MARGIN)[:, None])
        asked_A = np.where(rate > 0, rate * nominal, np.nan)[:, None]
        error = np.where(inside & np.isfinite(current / asked_A), np.abs(current / asked_A - 1.0), np.nan)
        some = np.isfinite(error).any(axis=1)
        found[some] = np.fmax(found[some], np.nanmedian(error[some], axis=1))
    return np.where(asked, _finite(np.where(np.isnan(found), np.inf, found), current, share), np.nan)


def current_rises_again(curves: CurveSet, low_V: float, high_V: float) -> np.ndarray:
    """Largest rise of the current above its lowest so far, once the voltage has come to its highest; a share of its highest.

    Constant current, then constant voltage with a falling one: the grammar of a charge. The voltage has come to its highest
    where it is within 0.5 % of the window of its cell (see `outside_window`) of the highest of the curve. Charges only."""
    if not curves.has("current_A", "voltage_V"):
        return np.full(len(curves), np.nan)
    current, voltage = (curves.signal(name).astype(np.float64) for name in ("current_A", "voltage_V"))
    reached = _at_limit(curves, low_V, high_V)
    held = np.where(np.logical_or.accumulate(reached, axis=1), current, np.inf)
    lowest = np.minimum.accumulate(held, axis=1)
    rise = np.where(np.isfinite(held), current - np.where(np.isfinite(lowest), lowest, current), 0.0).max(axis=1)
    rise = _finite(rise / np.maximum(current.max(axis=1), 1e-6), current, voltage)
    return np.where(direction(curves) > 0, rise, np.nan)


def against_current(curves: CurveSet, low_V: float, high_V: float) -> np.ndarray:
    """Furthest that the voltage moves against a step of the current, over the window of its cell; a share.

    Ohm's law with a resistance above 0: where the current steps up, so does the voltage. The steps are those between neighbouring
    points by 20 % of the highest |current| or more; and the start, where over the first 2 % of the points (two at least) the
    voltage has to go the way of the current, as it also does where the record begins under load."""
    if not curves.has("current_A", "voltage_V"):
        return np.full(len(curves), np.nan)
    current, voltage = (curves.signal(name).astype(np.float64) for name in ("current_A", "voltage_V"))
    low, high = window(curves, low_V, high_V)
    change = np.diff(current, axis=1)
    step = np.abs(change) >= _STEP * np.abs(current).max(axis=1, keepdims=True)
    inside = np.where(step, -np.sign(change) * np.diff(voltage, axis=1), 0.0).max(axis=1)
    first = max(2, round(_START * voltage.shape[1]))
    start = -direction(curves) * (voltage[:, min(first, voltage.shape[1] - 1)] - voltage[:, 0])
    found = np.maximum(np.maximum(inside, start), 0.0) / np.maximum(high - low, 1e-6)
    return _finite(found, current, voltage)


def _at_limit(curves: CurveSet, low_V: float, high_V: float) -> np.ndarray:
    """(N, P) bool: the voltage is the highest of its curve, within _AT_LIMIT of the window of its cell."""
    voltage = curves.signal("voltage_V").astype(np.float64)
    low, high = window(curves, low_V, high_V)
    reached: np.ndarray = voltage >= (voltage.max(axis=1) - _AT_LIMIT * (high - low))[:, None]
    return reached


def _steps(curves: CurveSet) -> tuple[np.ndarray, np.ndarray]:
    """Charge between neighbouring points (N, P - 1), Ah: as counted, and as the integral of |I| dt; NaN where not known."""
    name = charge_signal(curves)
    if name is None or not curves.has("current_A", "time_s"):
        nothing = np.full((len(curves), 1), np.nan)
        return nothing, nothing
    current = direction(curves)[:, None] * curves.signal("current_A")
    step_h = np.diff(curves.signal("time_s").astype(np.float64), axis=1) / 3600.0
    passed = 0.5 * (current[:, 1:] + current[:, :-1]) * step_h
    counted = np.diff(curves.signal(name).astype(np.float64), axis=1)
    broken = ~(np.isfinite(counted) & np.isfinite(passed)).all(axis=1, keepdims=True)
    return np.where(broken, np.inf, counted), np.where(broken, 0.0, passed)


def _over(difference: np.ndarray, counted: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """(N,) of the larger of both charges (Ah), and inf where one is not finite."""
    charge = np.maximum(np.abs(counted.sum(axis=1)), np.abs(passed.sum(axis=1)))
    with np.errstate(invalid="ignore"):
        share = difference / np.maximum(charge, 1e-9)
    return np.where(np.isinf(difference), np.inf, share)


def _finite(found: np.ndarray, *signals: np.ndarray) -> np.ndarray:
    """The statistic (N,), inf where one of the signals (N, P) has a point that is not finite."""
    fine = np.logical_and.reduce([np.isfinite(one).all(axis=1) for one in signals])
    return np.where(fine, found, np.inf)
