"""What a battery engineer reads off a curve: capacity, energy, times, resistance, temperatures, dQ/dV peaks; one number each.

Everything is computed from the curve alone, in the same way for measured and for generated ones, so that two sets can be
compared. A name ends in its unit; shares, soh and cycles have none. What a curve's signals do not tell is not in the
result, and NaN is a curve that has no such thing (no step of the current, no peak).
"""

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.data.eol import eol_cycle
from batgen.evaluation.capacity_peaks import capacity_peaks

#: Constant current: within this share of the highest. Constant voltage: within so many V of the highest.
_CONSTANT_CURRENT, _CONSTANT_V = 0.05, 0.015
#: A step of the current is at least this share of the largest current of its curve, over two intervals of the grid.
_STEP = 0.2
#: Beside a step the current changes by this share of it at most, over one interval.
_STEADY = 0.25
#: Curves with fewer points are not smoothed before their highest temperature is taken.
_SMOOTH_FROM = 32


def indicators(curves: CurveSet) -> dict[str, np.ndarray]:
    """Name -> (N,) float64 of N curves, by the kind of their axis.

    Charges and discharges: `charge_indicators`. Axis "cycle": `sequence_indicators`. Axis "pulse_step":
    open_circuit_voltage_V, the first point, and pulse_swing_V, highest less lowest.
    """
    if curves.axis_name == "cycle":
        return sequence_indicators(curves)
    if curves.axis_name == "pulse_step" and curves.has("voltage_V"):
        volts = curves.signal("voltage_V").astype(np.float64)
        return {"open_circuit_voltage_V": volts[:, 0], "pulse_swing_V": np.ptp(volts, axis=1)}
    return charge_indicators(curves)


def charge_indicators(curves: CurveSet) -> dict[str, np.ndarray]:
    """Indicators of charges and discharges, name -> (N,), those that the signals allow.

        capacity_Ah             |Q_end - Q_start| of charge_capacity_Ah or discharge_capacity_Ah, else of the integral of I dt
        soh                     capacity over nominal_capacity_Ah of the table; means health only of a whole (dis)charge
        energy_Wh               |integral V dQ|, trapezoid rule
        mean_voltage_V          mean over the points; over the charge, where the points are spaced by it
        dqdv_peak_voltage_V     and dqdv_peak_height_Ah/V, see `capacity_peaks`
        duration_s              last time less first
        cc_time_share           share of the time at 95 % or more of the highest current
        cv_time_share           share of the time within 15 mV of the highest voltage with less than 95 % of that current,
                                charges only
        ohmic_resistance_Ohm    dV / dI over the largest step of the current, `ohmic_resistance`
        peak_temperature_degC   highest of the means of three neighbouring points
        temperature_rise_degC   that less the first point

    Voltage may be the axis (Q over V). Source: textbook quantities; issue 6.
    """
    found: dict[str, np.ndarray] = {}
    voltage, charge, time = voltage_of(curves), charge_of(curves), _signal(curves, "time_s")
    current = _signal(curves, "current_A")
    if charge is not None:
        found["capacity_Ah"] = np.abs(charge[:, -1] - charge[:, 0])
        nominal = curves.column("nominal_capacity_Ah")
        if np.isfinite(nominal).any():
            found["soh"] = found["capacity_Ah"] / nominal
    if charge is not None and voltage is not None:
        found["energy_Wh"] = np.abs(np.trapezoid(voltage, charge, axis=1))
        found["dqdv_peak_voltage_V"], found["dqdv_peak_height_Ah/V"] = capacity_peaks(voltage, charge)
    if curves.has("voltage_V") and voltage is not None:
        found["mean_voltage_V"] = voltage.mean(axis=1)
    if time is not None:
        found["duration_s"] = time[:, -1] - time[:, 0]
    if time is not None and current is not None and voltage is not None:
        found["cc_time_share"], found["cv_time_share"] = phase_shares(voltage, current, time)
    if current is not None and curves.has("voltage_V") and voltage is not None:
        found["ohmic_resistance_Ohm"] = ohmic_resistance(voltage, current)
    degC = _signal(curves, "temperature_degC")
    if degC is not None:
        found["peak_temperature_degC"] = _peak(degC)
        found["temperature_rise_degC"] = found["peak_temperature_degC"] - degC[:, 0]
    return found


def sequence_indicators(curves: CurveSet) -> dict[str, np.ndarray]:
    """Indicators of capacity over cycles, name -> (N,): final_capacity_Ah, at the last cycle that the row has; lost_capacity_Ah,
    the first less that; and, where the table or the facts know eol_capacity_Ah, eol, the first sustained crossing of it in
    cycles of the axis (`batgen.data.eol`; NaN where it is not crossed). Points that are NaN are not there."""
    name = next((n for n in ("discharge_capacity_Ah", "charge_capacity_Ah") if curves.has(n)), None)
    if name is None:
        return {}
    capacity = curves.signal(name).astype(np.float64)
    known = np.isfinite(capacity)
    rows, any_known = np.arange(len(capacity)), known.any(axis=1)
    first = capacity[rows, known.argmax(axis=1)]
    last = capacity[rows, capacity.shape[1] - 1 - known[:, ::-1].argmax(axis=1)]
    found = {"final_capacity_Ah": np.where(any_known, last, np.nan)}
    found["lost_capacity_Ah"] = np.where(any_known, first - last, np.nan)
    limit = curves.column("eol_capacity_Ah")
    if not np.isfinite(limit).any():
        limit = np.full(len(curves), float(curves.facts.get("eol_capacity_Ah", np.nan)))
    if np.isfinite(limit).any():
        found["eol"] = np.array([eol_cycle(curves.axis, *pair) for pair in zip(capacity, limit, strict=True)])
    return found


def phase_shares(voltage_V: np.ndarray, current_A: np.ndarray, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, P) each -> cc_time_share, cv_time_share (N,), fractions of the time; a point stands for half of each interval
    beside it. The highest current is the 95 % quantile of |I| over the points. The CV share is NaN for discharges; both
    are where a value is not finite or no time passes."""
    step = np.clip(np.diff(time_s, axis=1), 0.0, None)
    weight = np.zeros(time_s.shape)
    weight[:, 1:] += step / 2
    weight[:, :-1] += step / 2
    bad = ~(np.isfinite(voltage_V) & np.isfinite(current_A) & np.isfinite(time_s)).all(axis=1)
    total = np.where(bad | (step.sum(axis=1) <= 0), np.nan, step.sum(axis=1))
    high = np.quantile(np.abs(current_A), 0.95, axis=1)[:, None] * (1 - _CONSTANT_CURRENT)
    constant = np.abs(current_A) >= high
    topped = (voltage_V >= voltage_V.max(axis=1)[:, None] - _CONSTANT_V) & ~constant
    charges = np.median(current_A, axis=1) > 0
    return (weight * constant).sum(axis=1) / total, np.where(charges, (weight * topped).sum(axis=1) / total, np.nan)


def ohmic_resistance(voltage_V: np.ndarray, current_A: np.ndarray) -> np.ndarray:
    """(N, P) each -> (N,) in Ohm: dV / dI over the largest step of the current, two intervals of the grid wide.

    Two, because resampling spreads a step over one point. A step changes the current by 20 % of the curve's largest one or
    more, and the current is steady beside it (each interval beside it changes it by a quarter of that at most): the decay
    of a constant-voltage phase is none. NaN where there is no step. What polarises within the two intervals is in it:
    compare curves on the same grid alone. Physical values are above 0.
    """
    change, drop = current_A[:, 2:] - current_A[:, :-2], voltage_V[:, 2:] - voltage_V[:, :-2]
    if not change.shape[1]:
        return np.full(len(voltage_V), np.nan)
    beside = np.pad(np.abs(np.diff(current_A, axis=1)), ((0, 0), (1, 1)))
    size = np.nan_to_num(np.abs(change))
    steady = np.maximum(beside[:, :-3], beside[:, 3:]) <= _STEADY * size
    size = np.where(steady, size, 0.0)
    rows, best = np.arange(len(size)), size.argmax(axis=1)
    largest = size[rows, best]
    step = (largest > 0) & (largest >= _STEP * np.abs(current_A).max(axis=1))
    return np.divide(drop[rows, best], change[rows, best], out=np.full(len(size), np.nan), where=step)


def voltage_of(curves: CurveSet) -> np.ndarray | None:
    """(N, P) in V: the signal, or the axis where curves are drawn over voltage."""
    if curves.axis_name == "voltage_V":
        return np.broadcast_to(np.asarray(curves.axis, dtype=np.float64), (len(curves), len(curves.axis)))
    return _signal(curves, "voltage_V")


def charge_of(curves: CurveSet) -> np.ndarray | None:
    """(N, P) in Ah: the capacity that is a signal, else the integral of I dt (trapezoid rule), else None."""
    for name in ("charge_capacity_Ah", "discharge_capacity_Ah"):
        if curves.has(name):
            return _signal(curves, name)
    current, time = _signal(curves, "current_A"), _signal(curves, "time_s")
    if current is None or time is None:
        return None
    step = 0.5 * (current[:, 1:] + current[:, :-1]) * np.diff(time, axis=1) / 3600.0
    return np.concatenate([np.zeros((len(step), 1)), np.cumsum(step, axis=1)], axis=1)


def _signal(curves: CurveSet, name: str) -> np.ndarray | None:
    return curves.signal(name).astype(np.float64) if curves.has(name) else None


def _peak(degC: np.ndarray) -> np.ndarray:
    if degC.shape[1] >= _SMOOTH_FROM:
        degC = (degC[:, 2:] + degC[:, 1:-1] + degC[:, :-2]) / 3
    highest: np.ndarray = degC.max(axis=1)
    return highest
