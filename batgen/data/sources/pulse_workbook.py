"""Reading one workbook of the published pulse set: which sheets, which columns.

`SOC ALL` holds all rows, `SOC5`, `SOC10`, ... the same rows by state of charge, `SOC TEST RANDOM` (some files) tests at
SOCs off the grid; other sheets (a stray `Sheet1`) are not looked at. Names drift between files, see `NAMES`. SOC comes
from the column SOC alone: SOE and SOCR beside it are other quantities, and SOE = SOC x SOH would give away the label.
"""

import re
import zipfile
import zlib
from pathlib import Path
from xml.etree.ElementTree import ParseError

import pandas as pd

from batgen.data.pulse_table import check_voltage_order, read_numbers, refuse_doubled
from batgen.data.pulse_units import to_fraction, to_seconds
from batgen.errors import DataError

#: Our name of a column, and what the files call it; the first that is there counts, capitals or not.
NAMES = {
    "chemistry": ("Mat",),
    "stage_id": ("ID", "Idx"),
    "soc": ("SOC",),
    "soh": ("SOH",),
    "nominal_capacity_Ah": ("Qn",),
    "pulse_width_s": ("Pt", "W"),
}
#: Capacity, where it is given, is compared with SOH.
CAPACITY = "Q"
_GRID_SHEET = re.compile(r"SOC(\d+(?:\.\d+)?)")


def read_workbook(path: Path) -> pd.DataFrame:
    """Rows of a workbook: the columns of `NAMES`, `capacity_Ah` where given, `test_set`, U1..Un; SOC a fraction.

    The index says sheet and row. Raises DataError for a file that is not a workbook, has no such sheets or columns,
    whose sheets SOC5... hold other rows than SOC ALL, or whose pulse width is not the one in its name.
    """
    sheets = _read_sheets(path)
    everything = next((name for name in sheets if _plain(name) == "SOCALL"), None)
    levels = {name: float(m[1]) for name in sheets if (m := _GRID_SHEET.fullmatch(_plain(name)))}
    random = [name for name in sheets if _plain(name) == "SOCTESTRANDOM"]
    chosen = [everything] if everything is not None else list(levels)
    grid = _join([_columns(sheets[name], f"{path}, sheet {name}") for name in chosen], path)
    if not len(grid):
        raise DataError(f"{path}: there is no row in {', '.join(map(repr, chosen))}. Fetch the file again.")
    tables = [_with_soc(grid, path, "grid")]
    if everything is not None:
        for name, level in levels.items():
            here, there = len(sheets[name]), int((tables[0]["soc"] * 100 - level).abs().lt(1e-6).sum())
            if here != there:
                raise DataError(
                    f"{path}: sheet {name!r} has {here} rows, but {everything!r} has {there} at {level:g} % SOC. Rows "
                    "were lost in one of them: fetch the file again, or make them agree."
                )
    for name in random:
        tables.append(_with_soc(_columns(sheets[name], f"{path}, sheet {name}"), path, "random_soc"))
    table = _join([t for t in tables if len(t)], path)
    table["pulse_width_s"] = to_seconds(read_numbers(table, "pulse_width_s", str(path)))
    named = re.search(r"_W_(\d+)$", path.stem)
    if named and not (table["pulse_width_s"] - int(named[1]) / 1000).abs().lt(1e-9).all():
        raise DataError(
            f"{path}: its pulses last {table['pulse_width_s'].iloc[0]:g} s, but the file name says {named[1]} ms. Is "
            "this another file under a wrong name?"
        )
    return table


def _plain(name: str) -> str:
    return re.sub(r"\s+", "", name).upper()


def _read_sheets(path: Path) -> dict[str, pd.DataFrame]:
    """The sheets that hold tests, without their empty rows, indexed "sheet NAME, row N" as a spreadsheet counts."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} in it is damaged")
        with pd.ExcelFile(path, engine="openpyxl") as book:
            names = [str(name) for name in book.sheet_names]
            wanted = [n for n in names if _plain(n) in ("SOCALL", "SOCTESTRANDOM") or _GRID_SHEET.fullmatch(_plain(n))]
            raw = {name: pd.read_excel(book, sheet_name=name, dtype=object) for name in wanted}
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, EOFError, ParseError, zlib.error) as error:
        raise DataError(f"{path}: not a readable .xlsx workbook ({error}). Fetch it again.") from error
    if not any(_plain(name) != "SOCTESTRANDOM" for name in wanted):
        raise DataError(
            f"{path}: no sheet SOC ALL, and none called SOC5, SOC10, ...; it has {', '.join(names)}. Rename the sheet "
            "with the tests, or read them with data=pulse_csv."
        )
    sheets = {}
    for name, sheet in raw.items():
        sheet.index = pd.Index([f"sheet {name}, row {k + 2}" for k in range(len(sheet))])
        sheets[name] = sheet.dropna(how="all")  # a level without tests is one empty row in the published files
    return sheets


def _columns(sheet: pd.DataFrame, where: str) -> pd.DataFrame:
    """A sheet with our names of its columns and U1..Un, the rest left out."""
    refuse_doubled(sheet.columns, where)
    voltages = check_voltage_order(sheet.columns, where)
    present = {str(c).strip().casefold(): c for c in reversed(sheet.columns)}
    columns = {}
    for ours, theirs in NAMES.items():
        found = [present[name.casefold()] for name in theirs if name.casefold() in present]
        if not found:
            raise DataError(
                f"{where}: no column {' or '.join(theirs)} ({ours}); it has {', '.join(map(str, sheet.columns))}. "
                "Rename the column that holds it, or read the tests with data=pulse_csv."
            )
        columns[ours] = sheet[found[0]]
    if CAPACITY.casefold() in present:
        columns["capacity_Ah"] = sheet[present[CAPACITY.casefold()]]
    return pd.DataFrame(columns | {name: sheet[name] for name in voltages}, index=sheet.index)


def _with_soc(table: pd.DataFrame, path: Path, test_set: str) -> pd.DataFrame:
    if not len(table):
        return table
    soc = to_fraction(read_numbers(table, "soc", str(path)), "soc", f"{path}, {test_set} rows")
    return table.assign(soc=soc, test_set=test_set)


def _join(tables: list[pd.DataFrame], path: Path) -> pd.DataFrame:
    first = list(tables[0].columns)
    for table in tables[1:]:
        if list(table.columns) != first:
            odd = sorted(set(first) ^ set(table.columns), key=lambda name: (len(name), name))
            raise DataError(
                f"{path}: its sheets differ in their columns ({', '.join(odd[:5])}; see {table.index[0]}). Give all of "
                "them the same ones."
            )
    return pd.concat(tables)
