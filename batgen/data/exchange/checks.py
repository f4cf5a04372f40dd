"""What values a set of curves may have: where NaN is allowed, and whether units are what the names say."""

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.errors import DataError

#: A typical magnitude above this is in the unit beside it: thousandths of a volt, kelvin.
_TOO_LARGE = {"voltage_V": (100.0, "mV"), "temperature_degC": (200.0, "K")}
#: Fractions; a typical value above this is in percent.
_FRACTIONS = ("soh", "soc", "q1")
_FRACTION = 2.0


def check_values(curves: CurveSet, where: str) -> None:
    """Raise DataError for infinite values, a signal or a curve without a value, and NaN within a generated curve.

    NaN behind a curve's last value is its end. Within a curve it is a record that is missing, which only measured data have:
    there the facts must say synthetic=False.
    """
    for name in curves.signals:
        values = curves.signal(name)
        _refuse(np.isinf(values), f"{where}: {name} is infinite", "Leave such curves out, or mend the generator.")
        known = np.isfinite(values)
        if known.all():
            continue
        empty = np.flatnonzero(~known.any(axis=1))
        if len(empty) and curves.facts.get("synthetic") is not False:
            raise DataError(
                f"{where}: {name} has no value in curve {empty[0]}. Leave the signal out, or the curve (or, of measured "
                "data, say synthetic=false in the file)."
            )
        later = np.logical_or.accumulate(known[:, ::-1], axis=1)[:, ::-1]
        if curves.facts.get("synthetic") is not False:
            _refuse(
                ~known & later,
                f"{where}: {name} is NaN within a curve",
                "NaN may only follow a curve's last value. Of measured data with gaps, say synthetic=false in the file.",
            )


def _refuse(bad: np.ndarray, what: str, remedy: str) -> None:
    if bad.any():
        curve, point = np.argwhere(bad)[0]
        raise DataError(f"{what} (curve {curve}, point {point}; {int(bad.sum())} in all). {remedy}")


def check_scales(curves: CurveSet, where: str) -> None:
    """Raise DataError where typical values can't be in the unit of their name: volts, degrees, fractions, Ah.

    The median decides: single wild values are the generator's, and are judged elsewhere.
    """
    for name, (limit, unit) in _TOO_LARGE.items():
        if curves.has(name) and (typical := _typical(curves.signal(name))) > limit:
            raise _unit(where, name, typical, unit)
    for name in _FRACTIONS:
        if (typical := _typical(curves.column(name))) > _FRACTION:
            raise _unit(where, name, typical, "percent")
    nominal = _typical(curves.column("nominal_capacity_Ah"))
    for name in ("charge_capacity_Ah", "discharge_capacity_Ah"):
        if nominal > 0 and curves.has(name) and (typical := _typical(curves.signal(name))) > 100 * nominal:
            raise _unit(where, name, typical, "mAh")


def _typical(values: np.ndarray) -> float:
    known = np.abs(values[np.isfinite(values)])
    return float(np.median(known)) if known.size else float("nan")


def _unit(where: str, name: str, typical: float, unit: str) -> DataError:
    return DataError(
        f"{where}: {name} is typically {typical:.4g}: this is {unit}. Convert it, or read it with "
        f"units={{{name!r}: {unit!r}}}."
    )
