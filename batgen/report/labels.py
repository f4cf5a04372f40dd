"""How names that carry their unit ("voltage_V") are written for people."""

import math
from collections.abc import Iterable

#: signal -> (words, symbol). Anything else is spelled from its name.
_SIGNALS = {
    "voltage_V": ("Voltage", "V"),
    "current_A": ("Current", "I"),
    "temperature_degC": ("Temperature", "T"),
    "time_s": ("Time", "t"),
    "charge_capacity_Ah": ("Charge capacity", "Qc"),
    "discharge_capacity_Ah": ("Discharge capacity", "Qd"),
}
#: Grids that are fractions of a cycle's own span; others are named after a signal.
_GRIDS = {
    "record": "Record / number of records",
    "time": "Time / duration",
    "charge": "Charge throughput / total",
}
_UNITS = {"degC": "°C", "Ohm": "Ω", "mixed": ""}
#: unit -> (smaller unit, factor): errors read better in it.
_SMALL = {"V": ("mV", 1e3), "A": ("mA", 1e3), "Ah": ("mAh", 1e3)}


def in_order(signals: Iterable[str]) -> list[str]:
    """Signals once each in the order people expect, V, I, T, t, Qc, Qd; others after them as they come."""
    rank = {name: place for place, name in enumerate(_SIGNALS)}
    return sorted(dict.fromkeys(signals), key=lambda name: rank.get(name, len(rank)))


def words(signal: str) -> str:
    """The word for a signal: "Voltage" for "voltage_V"; unknown names lose their unit and underscores."""
    return _SIGNALS[signal][0] if signal in _SIGNALS else _plain(signal)


def symbol(signal: str) -> str:
    """The symbol of a signal: "V" for "voltage_V", "Qc" for "charge_capacity_Ah"."""
    return _SIGNALS[signal][1] if signal in _SIGNALS else _plain(signal)


def pretty_unit(unit: str) -> str:
    """A unit as people write it: "°C" for "degC", nothing for mixed units."""
    return _UNITS.get(unit, unit)


def small_unit(unit: str) -> tuple[str, float]:
    """The unit errors are shown in, and the factor to it: "V" -> ("mV", 1000.0), "degC" -> ("°C", 1.0)."""
    return _SMALL.get(unit, (pretty_unit(unit), 1.0))


def with_unit(text: str, unit: str) -> str:
    """The text with its unit, "Voltage [V]"; alone where there is no unit."""
    return f"{text} [{pretty_unit(unit)}]" if pretty_unit(unit) else text


def grid_label(grid_name: str) -> str:
    """Axis label of the abscissa of `samples.h5`."""
    if grid_name in _GRIDS:
        return _GRIDS[grid_name]
    if grid_name in _SIGNALS:
        return with_unit(words(grid_name), grid_name.rpartition("_")[2])
    return _plain(grid_name)


def number(value: float, digits: int = 3) -> str:
    """`digits` significant digits without an exponent where that is readable; "–" for NaN, "0" below 1e-9."""
    if math.isnan(value):
        return "–"
    if abs(value) < 1e-9 or (abs(value) < 1e6 and float(f"{value:.9g}").is_integer()):
        return f"{value:.0f}"
    if math.isinf(value) or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}g}"
    return f"{value:.{decimals(value, digits)}f}"


def decimals(value: float, digits: int = 3) -> int:
    """Decimal places that show `digits` significant digits of `value`."""
    if not value or not math.isfinite(value):
        return digits - 1
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def _plain(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    known = unit in {"V", "A", "Ah", "degC", "s", "Ohm", "W", "Wh"}
    return (stem if stem and known else name).replace("_", " ")
