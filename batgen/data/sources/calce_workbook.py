"""Raw Arbin workbooks of a CALCE cell: from sheets to cycles, joined where one file ends and the next one starts.

A workbook `CS2_35_8_30_10.xlsx` holds one stretch of the test; the date in its name (month, day, year) orders the files,
which the alphabet does not. Its sheets `Channel_1-008` hold the samples. Cycle_Index starts at 1 in each file and the
capacities add up from 0 over its cycles, so a cycle's own is a difference.
"""

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
import pandas as pd

from batgen.data.cell import Rejected
from batgen.errors import DataError

#: Our name of a column, and the workbook's.
COLUMNS = {
    "time": "Test_Time(s)",
    "cycle": "Cycle_Index",
    "current": "Current(A)",
    "voltage": "Voltage(V)",
    "charge": "Charge_Capacity(Ah)",
    "discharge": "Discharge_Capacity(Ah)",
    "resistance": "Internal_Resistance(Ohm)",
}
_NAME = re.compile(r"(?P<cell>.+)_(?P<month>\d{1,2})_(?P<day>\d{1,2})_(?P<year>\d{2})\.xlsx")


@dataclass(frozen=True)
class RawCycle:
    """One cycle as recorded, (n,) each: s, A (charge +), V, Ah from the start of the cycle, Ohm (the last one measured).

    `where` names file and cycle. `opens` says that it is the first of its file, so that what was done to the cell
    before is not known.
    """

    where: str
    opens: bool
    time: np.ndarray
    current: np.ndarray
    voltage: np.ndarray
    charge: np.ndarray
    discharge: np.ndarray
    resistance: np.ndarray


def in_order(files: list[Path]) -> list[Path]:
    """Workbooks by the date in their names. Raises DataError for a name without one."""
    return sorted(files, key=_date)


def _date(path: Path) -> tuple[int, int, int]:
    named = _NAME.fullmatch(path.name)
    if not named:
        raise DataError(
            f"{path}: a raw CALCE workbook is named CELL_month_day_year.xlsx, such as CS2_35_8_30_10.xlsx, and the date "
            "orders the files. Rename it, or take it out of the folder."
        )
    return int(named["year"]), int(named["month"]), int(named["day"])


def read_cycles(files: list[Path], on_A: float) -> tuple[list[RawCycle], list[Rejected]]:
    """All cycles of a cell in the order of the test, and what was joined or left out at the ends of files.

    A last cycle of a file without a discharge is the beginning of the next file's first one and joined with it; at
    the end of the test it is left out. `on_A`: from this current on the cell is loaded. Raises DataError, naming
    file and column, for a workbook that is damaged or not an Arbin export.
    """
    cycles: list[RawCycle] = []
    rejected: list[Rejected] = []
    for path in in_order(files):
        table = read_workbook(path)
        made = _split(table, path)
        if cycles and not _discharges(cycles[-1], on_A):
            begun = cycles.pop()
            rejected.append(Rejected(begun.where, f"no discharge before its file ends: joined with {made[0].where}"))
            made[0] = _join(begun, made[0])
        cycles += made
    if cycles and not _discharges(cycles[-1], on_A):
        rejected.append(Rejected(cycles.pop().where, "truncated: the test ends before its discharge"))
    return cycles, rejected


def read_workbook(path: Path) -> pd.DataFrame:
    """All samples of a workbook, columns of `COLUMNS` as float64, sheets of the channel one after the other."""
    again = "Fetch it again from https://calce.umd.edu/battery-data."
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            names = [str(name) for name in book.sheet_names if str(name).startswith("Channel")]
            sheets = [pd.read_excel(book, sheet_name=name, usecols=lambda c: c in COLUMNS.values()) for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, ParseError) as error:
        raise DataError(f"{path} cannot be read as an Excel workbook ({error}). {again}") from error
    if not sheets:
        raise DataError(f"{path} has no sheet Channel_...: it is not an Arbin export. {again}")
    table = pd.concat(sheets, ignore_index=True)
    for column in COLUMNS.values():
        if column not in table.columns:
            raise DataError(f"{path}, sheet {names[0]}, has no column {column}: it is not an Arbin export. {again}")
    values = table[list(COLUMNS.values())].apply(pd.to_numeric, errors="coerce").astype(float)
    values.columns = list(COLUMNS)
    if values.empty or values.isna().to_numpy().any():
        lost = "no row" if values.empty else f"gaps in {COLUMNS[values.columns[values.isna().any()][0]]}"
        raise DataError(f"{path}, sheet {names[0]}, has {lost}: it was altered. {again}")
    for name in ("time", "cycle"):
        if (back := np.flatnonzero(np.diff(values[name].to_numpy()) < 0)).size:
            raise DataError(f"{path}: {COLUMNS[name]} runs backwards after row {back[0] + 2} of its sheets. {again}")
    return values


def _split(table: pd.DataFrame, path: Path) -> list[RawCycle]:
    """The cycles of one workbook; capacities count from the end of the cycle before."""
    cycles: list[RawCycle] = []
    ended = {"charge": 0.0, "discharge": 0.0}
    for number, rows in table.groupby("cycle", sort=True):
        columns = {name: rows[name].to_numpy() for name in COLUMNS if name != "cycle"}
        own = {name: columns[name] - start for name, start in ended.items()}
        ended = {name: float(columns[name][-1]) for name in ended}
        cycles.append(RawCycle(f"{path.name} cycle {number:.0f}", not cycles, **{**columns, **own}))
    return cycles


def _discharges(cycle: RawCycle, on_A: float) -> bool:
    return bool((cycle.current < -on_A).any())


def _join(begun: RawCycle, rest: RawCycle) -> RawCycle:
    """One cycle of the two parts. The time between the files is unknown and counts as none."""
    shift = {"time": begun.time[-1] - rest.time[0], "charge": begun.charge[-1], "discharge": begun.discharge[-1]}
    columns = ("time", "current", "voltage", "charge", "discharge", "resistance")
    joined = {c: np.concatenate([getattr(begun, c), getattr(rest, c) + shift.get(c, 0.0)]) for c in columns}
    return RawCycle(f"{begun.where} and {rest.where}", begun.opens, **joined)
