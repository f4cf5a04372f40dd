"""Whether generated cells age the way measured ones do: the charge of a curve over the cycles of each cell."""

from collections.abc import Sequence

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.curve_physics import charge_signal, direction

#: A cell tells a trend with so many cycles, over so wide a share of the cycles of all cells, correlated with the cycle this well.
_CYCLES, _WIDTH, _CLEAR = 3, 0.25, 0.7
#: A generated trend of the right sign counts from this share of the measured one: a constant with noise has none.
_TENTH = 0.1


def final_charge_Ah(curves: CurveSet) -> np.ndarray | None:
    """(N,) charge that passes along each curve, Ah: by its counter, else the integral of |I| dt; None where neither is there."""
    name = charge_signal(curves)
    if name is not None:
        ends = curves.signal(name)[:, [0, -1]].astype(np.float64)
        return ends[:, 1] - ends[:, 0]
    if curves.axis_name in ("cycle", "pulse_step") or not curves.has("current_A", "time_s"):
        return None
    current = direction(curves)[:, None] * curves.signal("current_A")
    found: np.ndarray = np.trapezoid(current, curves.signal("time_s").astype(np.float64), axis=1) / 3600.0
    return found


def trend_agreement(real: CurveSet, generated: Sequence[CurveSet]) -> tuple[np.ndarray, np.ndarray] | None:
    """Of each measured cell with a clear trend of its charge over ecl, whether the mean of the generated sets has it too.

    Agreement (C,), 1.0 or 0.0, and names (C,) of the cells; the mean is a share of cells, higher is better. Clear: 3 cycles or
    more, which span a quarter of the cycles of all cells or more, and a correlation of charge and cycle of 0.7 or more, either
    way. Agrees: the slope of the generated charge, by least squares, has the sign of the measured one and is a tenth of it or
    more. None where there is no charge, no ecl, or no such cell. Source: ours (issue 6).
    """
    measured, made = final_charge_Ah(real), [final_charge_Ah(one) for one in generated]
    there = [one for one in made if one is not None]
    if measured is None or not there or "ecl" not in real.table or "ecl" not in generated[0].table:
        return None
    mean, ecl, cells = np.mean(there, axis=0), generated[0].column("ecl"), generated[0].cells
    width = _WIDTH * float(np.ptp(real.column("ecl")))
    agreement, names = [], []
    for name in np.unique(real.cells):
        own, other = real.cells == name, cells == name
        slope = _slope(real.column("ecl")[own], measured[own], width, _CLEAR)
        if np.isfinite(slope) and other.any():
            agreement.append(float(_slope(ecl[other], mean[other], 0.0, 0.0) / slope >= _TENTH))
            names.append(name)
    return (np.array(agreement), np.array(names)) if names else None


def _slope(ecl: np.ndarray, charge: np.ndarray, width: float, clear: float) -> float:
    """Ah a cycle; NaN without enough cycles, width or correlation, or where charges are not finite."""
    if len(ecl) < _CYCLES or np.ptp(ecl) <= width or not np.isfinite(charge).all() or not np.isfinite(ecl).all():
        return float("nan")
    x, y = ecl - ecl.mean(), charge - charge.mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    if spread < 1e-12:
        return float("nan") if clear > 0 else 0.0
    return float(x @ y / (x @ x)) if abs(x @ y) / spread >= clear else float("nan")
