"""Names and units of what a file of curves may hold: a name says its unit, and a unit in the file must agree with it."""

import difflib
import re
from collections.abc import Iterable, Mapping

import numpy as np

from batgen.data.curve_set import CELL_COLUMNS, NUMERIC_COLUMNS, TEXT_COLUMNS
from batgen.data.percycle_units import UNITS
from batgen.errors import DataError

#: Our unit -> unit in a file -> (factor, offset): ours = file * factor + offset.
_FACTORS: dict[str, dict[str, tuple[float, float]]] = {
    **{unit: known for unit, known in UNITS.items() if unit != "fraction"},
    "A": {"A": (1.0, 0.0), "mA": (1e-3, 0.0)},
    "W": {"W": (1.0, 0.0), "mW": (1e-3, 0.0)},
    "Wh": {"Wh": (1.0, 0.0), "mWh": (1e-3, 0.0)},
    "1": {"1": (1.0, 0.0), "fraction": (1.0, 0.0), "percent": (1e-2, 0.0), "%": (1e-2, 0.0)},
    "cycles": {"cycles": (1.0, 0.0)},
    "C": {"C": (1.0, 0.0)},
}
#: Names of the field that carry no unit at their end.
_UNITS = {
    **dict.fromkeys(("soh", "SOH", "soc", "q1", "soh_change", "coulombic_efficiency"), "1"),
    **dict.fromkeys(("ecl", "eol"), "cycles"),
    **dict.fromkeys(("c1", "c2", "c_rate", "c_rate_rms"), "C"),
}
#: What a signal is commonly called in files that give no unit, and what it is called here.
_COMMON = {
    **dict.fromkeys(("v", "volt", "voltage", "terminal_voltage"), "voltage_V"),
    **dict.fromkeys(("i", "current"), "current_A"),
    **dict.fromkeys(("t", "temp", "temperature"), "temperature_degC"),
    **dict.fromkeys(("time", "seconds"), "time_s"),
    **dict.fromkeys(("capacity", "q", "qd", "discharge_capacity"), "discharge_capacity_Ah"),
    **dict.fromkeys(("qc", "charge_capacity"), "charge_capacity_Ah"),
}
#: The voltages of a pulse test, each in a column or data set of its own.
PULSE_VOLTAGE = re.compile(r"U([1-9]\d*)")
CONDITIONS = tuple(dict.fromkeys((*NUMERIC_COLUMNS, *CELL_COLUMNS)))


def unit_of(name: str) -> str | None:
    """The unit of a signal or condition by its name ("voltage_V" -> "V", "soh" -> "1"); None where it says none."""
    if name in _UNITS:
        return _UNITS[name]
    end = name.rpartition("_")[2]
    return end if end in _FACTORS and end not in ("1", "C", "cycles") and end != name else None


def is_signal(name: str) -> bool:
    """Whether a column of this name is a signal: it ends in a unit (or is a SOH or an efficiency), and is no condition."""
    return unit_of(name) is not None and name not in CONDITIONS


def check_signal(name: str, where: str) -> None:
    """Raise DataError for a signal whose name says no unit, with the name that it should have."""
    if is_signal(name):
        return
    better = _COMMON.get(name.lower())
    hint = f"call it {better}" if better else "end the name in V, A, degC, s, Ah, Wh, W or Ohm, such as voltage_V"
    what = "is a condition, not a signal" if name in CONDITIONS else "says no unit that is known here"
    raise DataError(f"{where}: the signal {name!r} {what}: {hint}.")


def check_condition(name: str, where: str) -> None:
    """Raise DataError for a condition that is not one of the field's terms."""
    known = (*CONDITIONS, *TEXT_COLUMNS)
    if name.lower() in _COMMON:
        check_signal(name, where)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"conditions are {', '.join(known)}."
        raise DataError(f"{where}: unknown condition {name!r}; {hint}")


def factor_of(name: str, declared: str | None, told: Mapping[str, str], where: str) -> tuple[float, float]:
    """(factor, offset) that takes values of `name` to the unit of its name.

    declared: unit that the file gives, None where it gives none. told: name -> unit that the caller says the values are
    in; it wins. Raises DataError where the declared unit is not that of the name and the caller does not say what holds, and
    for a unit that measures something else.
    """
    ours = unit_of(name)
    if ours is None:
        raise DataError(
            f"{where}: {name!r} says no unit that is known here. End the name in its unit, as in voltage_V."
        )
    unit = told.get(name, declared or ours)
    known = _FACTORS[ours]
    if unit not in known:
        raise DataError(
            f"{where}: {name} is in {unit!r} there, and in {ours} by its name. It may be in {', '.join(known)}: "
            "convert the values or rename it."
        )
    if name not in told and known[unit] != (1.0, 0.0):
        raise DataError(
            f"{where}: {name} is in {unit!r} by the file's attribute, and in {ours} by its name. Correct the attribute, "
            f"convert the values, or read it with units={{{name!r}: {unit!r}}}."
        )
    factor, offset = known[unit]
    return factor, 0.0 if "_change_" in name else offset  # a difference in kelvin is one in degrees


def check_told(told: Mapping[str, str], there: Iterable[str], where: str) -> None:
    """Raise DataError where the caller gives the unit of something that the file has not."""
    for name in set(told) - set(there):
        raise DataError(f"{where}: units names {name!r}, which is not there. It has {', '.join(sorted(there))}.")


def convert(values: np.ndarray, factor: tuple[float, float]) -> np.ndarray:
    """The values in our unit, of the same type; untouched (not even rounded) where the unit is ours already."""
    if factor == (1.0, 0.0):
        return values
    return (values.astype(np.float64) * factor[0] + factor[1]).astype(values.dtype)
