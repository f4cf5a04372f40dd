"""Physics checks with the tolerances that measured curves give them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation import curve_physics, curve_shape
from batgen.evaluation.lumped_heat import LumpedHeat

Statistic = Callable[[CurveSet], np.ndarray]
#: A check lets this share of the measured reference curves pass, and others up to this factor beyond it, since cells differ:
#: little in what the charge counter says, more in how well they are cooled and how steep their curves are.
_PASSING, _SLACK, _SLACK_HEAT, _SLACK_SHAPE = 0.99, 1.2, 1.5, 3.0
#: Smallest tolerances, in the unit of the statistic: what no instrument would call a violation. None where zero is meant.
_LEAST = {
    "coulomb_balance": 1e-3,
    "coulomb_local": 1e-3,
    "monotone_charge": 1e-3,
    "voltage_window": 1e-2,
    "current_limit": 2e-2,
    "current_policy": 2e-2,
    "cc_cv_grammar": 2e-2,
    "ohmic_step": 2e-3,
    "pulse_step": 2e-3,
    "temperature_range": 3.0,
}
#: A signal is held constant by the experiment where its range is below this share of its size: then it cannot be flat.
_CONSTANT = 0.02
#: Share of the reference curves that must step the same way for the sign of a pulse to be known.
_UNANIMOUS = 0.995


@dataclass(frozen=True)
class Check:
    """A statistic (N,) of curves and the tolerance up to which one passes."""

    name: str
    statistic: Statistic
    tolerance: float

    def passes(self, curves: CurveSet, measured: bool = False) -> np.ndarray:
        """(N,) 1.0 where a curve passes, 0.0 where not, NaN where the check does not apply. A measured curve with points that
        were not read is not judged; a generated one fails."""
        found = self.statistic(curves)
        with np.errstate(invalid="ignore"):
            passed = np.where(np.isnan(found), np.nan, (found <= self.tolerance).astype(np.float64))
        return np.where(np.isinf(found), np.nan, passed) if measured else passed


def checks_for(reference: CurveSet) -> list[Check]:
    """The checks that apply to curves such as these measured ones.

    Tolerance: 1.2 times the 99 % quantile of the statistic over the reference curves; 1.5 times for the heat balance and 3 times
    for flatness, rate and smoothness, in which cells differ more. Left out: checks that apply to none of the reference
    curves, and a heat balance that explains so little that it would let half of them pass with a flat temperature (NASA
    charges, which begin with the warmth of the discharge before).
    """
    found = []
    for name, statistic in _statistics(reference).items():
        values = statistic(reference)
        values = values[np.isfinite(values)]
        if len(values):
            tolerance = max(_slack(name) * float(np.quantile(values, _PASSING)), _LEAST.get(name, 0.0))
            check = Check(name, statistic, tolerance)
            if name != "thermal_balance" or np.nanmean(check.passes(_flattened(reference))) < 0.5:
                found.append(check)
    return found


def _flattened(curves: CurveSet) -> CurveSet:
    """The same curves, which stay at their first temperature."""
    values = curves.values.copy()
    place = curves.signals.index("temperature_degC")
    values[:, place] = values[:, place, :1]
    return curves.with_values(values)


def _slack(name: str) -> float:
    if name == "not_flat" or name.startswith(("rate_", "smoothness_")):
        return _SLACK_SHAPE
    if name == "finite":  # a share that cannot be exceeded by more than all
        return 1.0
    return _SLACK_HEAT if name == "thermal_balance" else _SLACK


def _statistics(reference: CurveSet) -> dict[str, Statistic]:
    low_V, high_V = _limits(reference, "voltage_V")
    largest_A = max(np.abs(_limits(reference, "current_A"))) if reference.has("current_A") else np.nan
    found: dict[str, Statistic] = {
        "finite": curve_shape.missing_share,
        "time_steps": curve_physics.time_stands,
        "coulomb_balance": curve_physics.coulomb_balance,
        "coulomb_local": curve_physics.coulomb_local,
        "monotone_charge": curve_physics.charge_falls,
        "voltage_window": partial(curve_physics.outside_window, low_V=low_V, high_V=high_V),
        "current_limit": partial(curve_physics.above_limit, highest_A=largest_A),
        "current_policy": partial(curve_physics.policy_error, low_V=low_V, high_V=high_V),
        "cc_cv_grammar": partial(curve_physics.current_rises_again, low_V=low_V, high_V=high_V),
        "ohmic_step": partial(curve_physics.against_current, low_V=low_V, high_V=high_V),
    }
    if reference.axis_name == "pulse_step" and reference.has("voltage_V"):
        found["pulse_step"] = partial(curve_shape.against_pulse, signs=_pulse_signs(reference))
    if reference.has("temperature_degC"):
        found["temperature_range"] = _temperature_range(reference)
        heat = LumpedHeat.fit(reference)
        if heat is not None:
            found["thermal_balance"] = heat.residual_degC
    return found | _shapes(reference)


def _shapes(reference: CurveSet) -> dict[str, Statistic]:
    """Flatness of all signals, steepest slope and roughness of each; not of time, nor of a charge that a current explains."""
    explained = ("time_s",) + (("charge_capacity_Ah", "discharge_capacity_Ah") if reference.has("current_A") else ())
    found: dict[str, Statistic] = {}
    varied = {}
    for name in (n for n in reference.signals if n not in explained):
        width = curve_shape.ranges(reference, name)
        width = width[np.isfinite(width)]
        size = np.nanmean(np.abs(reference.signal(name)))
        if len(width) and np.median(width) > _CONSTANT * size:
            varied[name] = float(np.median(width))
        found[f"rate_{name}"] = partial(curve_shape.steepest, name=name)
        found[f"smoothness_{name}"] = partial(curve_shape.roughness, name=name)
    return {"not_flat": partial(curve_shape.flatness, usual=varied), **found} if varied else found


def _temperature_range(reference: CurveSet) -> Statistic:
    """Outside the range of the reference curves: of the difference from the ambient, where that is known for all of them."""
    beside = "ambient_degC" if np.isfinite(reference.column("ambient_degC")).all() else None
    values = reference.signal("temperature_degC").astype(np.float64)
    if beside is not None:
        values = values - reference.column(beside)[:, None]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return partial(curve_shape.outside_range, name="temperature_degC", low=low, high=high, beside=beside)


def _pulse_signs(reference: CurveSet) -> np.ndarray:
    """(P - 1,) sign of each step of the voltage that nearly all measured pulse tests share, 0 where they do not."""
    up = np.nanmean(np.sign(np.diff(reference.signal("voltage_V"), axis=1)), axis=0)
    signs: np.ndarray = np.where(np.abs(up) >= 2 * _UNANIMOUS - 1, np.sign(up), 0.0)
    return signs


def _limits(curves: CurveSet, name: str) -> tuple[float, float]:
    if not curves.has(name) or not np.isfinite(curves.signal(name)).any():
        return float("nan"), float("nan")
    return float(np.nanmin(curves.signal(name))), float(np.nanmax(curves.signal(name)))
