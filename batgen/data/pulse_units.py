"""Units of a pulse table are checked, not believed: percent or fraction, mV or V, ms or s, from the numbers."""

import numpy as np
import pandas as pd

from batgen.errors import DataError

#: A column of fractions is at most the first number throughout, one of percent at least the second. The exact 0 is both.
_FRACTION_PERCENT = {"soc": (1.0, 2.0), "soh": (1.2, 20.0)}
#: Pulses of the published set last 0.03 to 5 s, so a larger number is in ms.
_LONGEST_S = 10.0
#: No battery cell has so many volts.
_MANY_V = 100.0


def to_fraction(values: pd.Series, name: str, where: str, stated: str | None = None) -> pd.Series:
    """SOC or SOH (`name`: "soc" or "soh") as a fraction; the whole column decides whether it is in percent.

    `stated` is what the config says of it, "fraction" or "percent". Raises DataError when the two are mixed, or when
    the numbers are not what was stated.
    """
    top, bottom = _FRACTION_PERCENT[name]
    some = values[values != 0].abs()
    found = "fraction" if not len(some) or some.max() <= top else "percent" if some.min() >= bottom else None
    span = f"{name} runs from {values.min():g} to {values.max():g}"
    if found is None:
        raise DataError(
            f"{where}: {span}: fractions (up to {top:g}) and percent ({bottom:g} and more) are mixed. Give the whole "
            "column as fractions."
        )
    if stated not in (None, found) and len(some):
        raise DataError(f"{where}: {span}, which is {found}, but data.{name}_unit={stated}. Set it to {found}.")
    return values / 100 if found == "percent" else values


def to_volt(voltages: pd.DataFrame, where: str, stated: str) -> pd.DataFrame:
    """Voltages in V from the unit that the config states, "V" or "mV". Raises DataError when they're in the other."""
    typical = float(np.median(voltages.to_numpy()))
    found = "mV" if typical > _MANY_V else "V"
    if found != stated:
        raise DataError(
            f"{where}: the voltages are typically {typical:.4g}, which is {found}, but data.voltage_unit={stated}. "
            f"Set it to {found}."
        )
    return voltages / 1000 if found == "mV" else voltages


def to_seconds(widths: pd.Series) -> pd.Series:
    """Pulse widths in s; numbers of 10 and more are ms."""
    return widths.where(widths < _LONGEST_S, widths / 1000)
