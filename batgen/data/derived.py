"""What one cycle says about its cell beyond its capacities, from its raw time, voltage and current.

These are the per-cycle predictors of the ARCANA forecaster (discharge capacity, coulombic efficiency, voltage drop; its
fig. 3 and table 2) and the other columns of `batgen.data.cell.SUMMARY` that a cycler rarely writes down itself. A cycle
is a charge and the discharge that follows it; arrays are (n,), of one length, in s, V and A (charge +), in order of
time. A value that the record does not show is NaN, never 0.
"""

import numpy as np

Span = tuple[int, int]
_NAN = float("nan")


def coulombic_efficiency(discharge_Ah: float, charge_Ah: float) -> float:
    """Discharge capacity over the charge capacity of the same cycle, charge first, as a fraction. NaN without a charge."""
    return discharge_Ah / charge_Ah if charge_Ah > 0 else _NAN


def find_parts(charging: np.ndarray, discharging: np.ndarray) -> tuple[Span, Span]:
    """Half-open index ranges of the charge and of the discharge that follows it; (0, 0) for a part that is not there.

    `charging` and `discharging` (n,) say which samples are under such a current. The charge runs from the first to the
    last charging sample before the discharge starts, so it may contain rests; the discharge likewise to its own end.
    """
    down = np.flatnonzero(discharging)
    up = np.flatnonzero(charging[: down[0]] if down.size else charging)
    return _span(up), _span(down)


def _span(where: np.ndarray) -> Span:
    return (int(where[0]), int(where[-1]) + 1) if where.size else (0, 0)


def relaxation_drop_V(voltage_V: np.ndarray, charge: Span, discharge: Span) -> float:
    """Voltage of the last sample under charging current less that of the last sample of the rest after it.

    That rest ends where the discharge starts; its length is the experiment's and not the same in every source (a
    minute in CALCE, half an hour in TJU). NaN where a part is missing or no sample lies between the two.
    """
    if charge == (0, 0) or discharge == (0, 0) or discharge[0] <= charge[1]:
        return _NAN
    return float(voltage_V[charge[1] - 1] - voltage_V[discharge[0] - 1])


def load_step_resistance_Ohm(
    voltage_V: np.ndarray, current_A: np.ndarray, discharge: Span, smallest_step_A: float
) -> float:
    """|dV / dI| from the last sample of the rest to the first sample under load.

    A cycler that logs the mean current since its last sample reports almost none with the first sample of a discharge:
    the first whose current differs from that at rest by `smallest_step_A` counts. What the voltage loses between the two
    samples is polarisation too, so the slower the log, the higher the value: comparable within one source only.
    NaN when the record starts under load or has no such step.
    """
    before = discharge[0] - 1
    if before < 0:
        return _NAN
    loaded = np.flatnonzero(np.abs(current_A[discharge[0] : discharge[1]] - current_A[before]) >= smallest_step_A)
    if not loaded.size:
        return _NAN
    after = discharge[0] + int(loaded[0])
    return float(abs((voltage_V[after] - voltage_V[before]) / (current_A[after] - current_A[before])))


def time_under_s(time_s: np.ndarray, on: np.ndarray) -> float:
    """Time between neighbouring samples that are both `on` (n,), so without the rests. NaN where there are none.

    With the charging samples of a charge, this is its charge time.
    """
    both = on[1:] & on[:-1]
    return float(np.diff(time_s)[both].sum()) if both.any() else _NAN


def mean_current_A(time_s: np.ndarray, current_A: np.ndarray, on: np.ndarray) -> float:
    """Mean |current| of the samples that are `on` (n,), each weighted by half the time to its two neighbours.

    With the loaded samples of a discharge, and over the nominal capacity, this is the C-rate under load: the pauses of a
    pulsed discharge do not lower it. NaN where no sample is on.
    """
    if not on.any() or len(time_s) < 2:
        return _NAN
    dt = np.diff(time_s)
    weight = (np.r_[0.0, dt] + np.r_[dt, 0.0])[on]
    return float(np.average(np.abs(current_A[on]), weights=weight)) if weight.sum() > 0 else _NAN
