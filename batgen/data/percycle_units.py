"""Units of a per-cycle table: from the unit of the file to the one that our column name ends with."""

import difflib
from collections.abc import Iterable, Mapping

import pandas as pd

from batgen.errors import ConfigError, DataError

#: Our unit (the end of a column name) -> unit in the file -> (factor, offset): ours = file * factor + offset.
UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "Ah": {"Ah": (1.0, 0.0), "mAh": (1e-3, 0.0)},
    "s": {"s": (1.0, 0.0), "min": (60.0, 0.0), "h": (3600.0, 0.0)},
    "V": {"V": (1.0, 0.0), "mV": (1e-3, 0.0)},
    "Ohm": {"Ohm": (1.0, 0.0), "mOhm": (1e-3, 0.0)},
    "degC": {"degC": (1.0, 0.0), "K": (1.0, -273.15), "degF": (5 / 9, -160 / 9)},
    "fraction": {"fraction": (1.0, 0.0), "percent": (1e-2, 0.0)},
}
#: A cell whose capacities are this many times the nominal, or more, is in mAh; so few, or fewer, is the other way round.
_THOUSAND = (200.0, 1 / 200.0)
#: A coulombic efficiency is a fraction; a median above this is in percent.
_FRACTION = 2.0


def family(name: str) -> str:
    """Our unit of a column: what its name ends with, "fraction" for a name without a unit."""
    end = name.rpartition("_")[2]
    return end if end in UNITS else "fraction"


def check_units(units: Mapping[str, str], columns: Mapping[str, str | None]) -> None:
    """Raise ConfigError for a unit of a column that is not mapped, that nobody knows, or that measures something else."""
    every = [unit for known in UNITS.values() for unit in known]
    for name, unit in units.items():
        if not columns.get(name):
            raise ConfigError(f"data.units.{name}: no such column in data.columns.{near(name, columns)}")
        if unit not in every:
            raise ConfigError(f"data.units.{name}={unit}: unknown; units are {', '.join(every)}.{near(unit, every)}")
        fits = UNITS[family(name)]
        if unit not in fits and name.rpartition("_")[2] not in UNITS:
            ours = next(known for known, theirs in UNITS.items() if unit in theirs)
            raise ConfigError(
                f"data.units.{name}={unit}: {name} names no unit, so it is a fraction at most. Call it by a name that "
                f"ends in its unit here, such as {name}_{ours}."
            )
        if unit not in fits:
            raise ConfigError(
                f"data.units.{name}={unit}: {name} is in {family(name)}; its file may have {', '.join(fits)}."
            )


def convert(values: pd.Series, name: str, unit: str | None) -> pd.Series:
    """A column in the unit that its name says, from `unit` (None: it is in that unit already)."""
    if unit is None:
        return values
    factor, offset = UNITS[family(name)][unit]
    return values * factor + offset


def check_scale(table: pd.DataFrame, nominal_Ah: Mapping[str, float], where: str) -> None:
    """Raise DataError where capacities can't be in Ah: all cells about 1000 times off nominal, or some of them.

    table: cell_id and discharge_capacity_Ah (and coulombic_efficiency, which must be a fraction), from the file `where`;
    nominal_Ah: of every cell.
    """
    typical = table.groupby("cell_id", sort=False)["discharge_capacity_Ah"].median()
    ratio = {cell: float(typical[cell]) / nominal_Ah[cell] for cell in map(str, typical.index)}
    large = [cell for cell, r in ratio.items() if r >= _THOUSAND[0]]
    small = [cell for cell, r in ratio.items() if r <= _THOUSAND[1]]
    odd = [*large, *small]
    if odd and len(odd) < len(ratio):
        fits = next(cell for cell in ratio if cell not in odd)
        raise DataError(
            f"{where}: mixed units: the capacity of cell {odd[0]} is typically {typical[odd[0]]:.4g} Ah and that of cell "
            f"{fits} {typical[fits]:.4g} Ah, nominal are {nominal_Ah[odd[0]]:g} and {nominal_Ah[fits]:g} Ah. Give all "
            "cells in one unit."
        )
    if large and small:
        raise DataError(
            f"{where}: mixed units: the capacity of cell {large[0]} is typically {typical[large[0]]:.4g} Ah and that of "
            f"cell {small[0]} {typical[small[0]]:.4g} Ah. Give all cells in one unit."
        )
    if odd:
        unit = "mAh" if large else "Ah"
        raise DataError(
            f"{where}: the capacity of cell {odd[0]} is typically {typical[odd[0]]:.4g} Ah where the nominal is "
            f"{nominal_Ah[odd[0]]:g} Ah, and so in all {len(odd)} cells. Set "
            f"data.units.discharge_capacity_Ah={unit}, or data.nominal_capacity_Ah in Ah."
        )
    if "coulombic_efficiency" in table and (middle := float(table["coulombic_efficiency"].median())) > _FRACTION:
        raise DataError(
            f"{where}: coulombic_efficiency is typically {middle:.4g}, which is no fraction. If it is in percent, set "
            "data.units.coulombic_efficiency=percent."
        )


def near(word: object, known: Iterable[object]) -> str:
    """A question to end a message with: what comes nearest to `word` among `known`; empty where nothing does."""
    found = difflib.get_close_matches(str(word), [str(k) for k in known], 1)
    return f" Did you mean {found[0]}?" if found else ""
