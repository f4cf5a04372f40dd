"""A table of one row a cell and cycle, from a file of anybody's making: in our names and units, or one clear error.

csv and csv.gz (comma-separated), xlsx (its first sheet) and parquet. `columns` maps our names to those of the file,
`units` says where the file has another unit than our name (`percycle_units`). A row is named by its line in the file, the
header being line 1.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.percycle_units import check_units, convert, near
from batgen.data.pulse_table import refuse_doubled
from batgen.errors import ConfigError, DataError

ENDINGS = (".csv", ".csv.gz", ".xlsx", ".parquet")


def read_table(path: Path, columns: Mapping[str, str | None], units: Mapping[str, str]) -> pd.DataFrame:
    """The table with columns cell_id (str), cycle (int64, increasing within a cell) and the other mapped ones (float64).

    columns: our name -> the file's; null leaves a column out, and for cell_id says that the file is one cell, named
    after it. units: our name -> unit in the file. Cells are in the order of their first row, an empty field is NaN.
    Raises ConfigError for a map or unit that cannot work; DataError, naming file, cell and line, for the rest.
    """
    if not columns.get("cycle"):
        raise ConfigError("data.columns.cycle is not set. Name the column of the file that holds the cycle number.")
    check_units(units, columns)
    mapped = {ours: str(theirs) for ours, theirs in columns.items() if theirs is not None}
    raw = _load(path, mapped.get("cell_id"))
    refuse_doubled(raw.columns, str(path))
    raw = raw.set_axis([str(c) for c in raw.columns], axis=1)
    for ours, theirs in mapped.items():
        if theirs not in raw.columns:
            raise DataError(
                f"{path}: no column {theirs!r}, which data.columns.{ours} names; it has {', '.join(raw.columns)}."
                f"{near(theirs, raw.columns)}"
            )
    lines = np.arange(2, len(raw) + 2)
    filled = raw.notna().any(axis=1).to_numpy()  # blank lines are no rows
    raw, lines = raw[filled], lines[filled]
    if raw.empty:
        raise DataError(f"{path}: there is no row in it, only column names.")

    if "cell_id" in mapped:
        cell = raw[mapped["cell_id"]]
        unnamed = np.flatnonzero(cell.isna().to_numpy())
        if unnamed.size:
            raise DataError(f"{path}, line {lines[unnamed[0]]}: the cell is not named ({mapped['cell_id']} is empty).")
        cells = cell.astype(str).str.strip().to_numpy()
    else:
        cells = np.full(len(raw), path.name[: -len(_ending(path))])
    table = pd.DataFrame({"cell_id": pd.Series(cells, dtype="str")})
    for ours, theirs in mapped.items():
        if ours != "cell_id":
            table[ours] = convert(_numbers(raw[theirs], lines, ours, path), ours, units.get(ours)).to_numpy()
    table["cycle"] = _whole(table, lines, path)
    _check_order(table, lines, path)
    order = pd.factorize(table["cell_id"])[0]
    return table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def check_measured(table: pd.DataFrame, name: str, path: Path) -> None:
    """Raise DataError, naming the first, when a cell has no value at all in column `name`."""
    known = table.groupby("cell_id", sort=False)[name].count()
    empty = [str(cell) for cell, n in known.items() if n == 0]
    if empty:
        raise DataError(
            f"{path}: cell {empty[0]} has no {name} in any of its {int((table['cell_id'] == empty[0]).sum())} rows "
            f"({len(empty)} of {len(known)} cells). Fill it in, or take such cells out."
        )


def _ending(path: Path) -> str:
    found = [ending for ending in ENDINGS if path.name.lower().endswith(ending)]
    if not found:
        raise DataError(f"{path}: a table must end in {', '.join(ENDINGS)}. Save it as one of these.")
    return found[-1]


def _load(path: Path, cell_column: str | None) -> pd.DataFrame:
    """The raw table; cell names stay text ("007")."""
    ending = _ending(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist. Name a table that ends in {', '.join(ENDINGS)}.")
    text = {} if cell_column is None else {cell_column: str}
    try:
        if ending == ".parquet":
            return pd.read_parquet(path)
        if ending == ".xlsx":
            return pd.read_excel(path, dtype=text)
        return pd.read_csv(path, dtype=text, skip_blank_lines=False)
    except (OSError, EOFError, ValueError, KeyError, ImportError, zipfile.BadZipFile) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable {ending} table ({why}). Save it as comma-separated UTF-8.") from error


def _numbers(raw: pd.Series, lines: np.ndarray, ours: str, path: Path) -> pd.Series:
    """A column as float64, NaN where the field is empty."""
    values = pd.to_numeric(raw, errors="coerce").astype(float)
    text = np.flatnonzero(values.isna().to_numpy() & raw.notna().to_numpy())
    if text.size:
        raise DataError(
            f"{path}, line {lines[text[0]]}: {raw.name} is {raw.iloc[text[0]]!r}, not a number (data.columns.{ours}). "
            "Correct it, or leave the field empty."
        )
    endless = np.flatnonzero(np.isinf(values.to_numpy()))
    if endless.size:
        raise DataError(
            f"{path}, line {lines[endless[0]]}: {raw.name} is infinite (data.columns.{ours}). Leave the field empty."
        )
    return values


def _whole(table: pd.DataFrame, lines: np.ndarray, path: Path) -> np.ndarray:
    """Cycle numbers as int64; they are integers from 1 on."""
    values = table["cycle"].to_numpy()
    bad = np.flatnonzero(~((values >= 1) & (values == np.round(values))))  # NaN is bad, too
    if bad.size:
        k = bad[0]
        was = "is empty" if np.isnan(values[k]) else f"is {values[k]:g}"
        raise DataError(
            f"{path}, line {lines[k]}: the cycle of cell {table['cell_id'].iloc[k]} {was}; cycles are whole numbers from "
            "1 on. Correct it, or number the cycles anew."
        )
    return values.astype(np.int64)


def _check_order(table: pd.DataFrame, lines: np.ndarray, path: Path) -> None:
    """Cycles increase within a cell, whose rows need not stand together."""
    cells, cycle = table["cell_id"].to_numpy(), table["cycle"].to_numpy()
    twice = np.flatnonzero(table.duplicated(["cell_id", "cycle"]).to_numpy())
    if twice.size:
        k = twice[0]
        first = np.flatnonzero((cells == cells[k]) & (cycle == cycle[k]))[0]
        raise DataError(
            f"{path}: cell {cells[k]} has cycle {cycle[k]} in line {lines[first]} and in line {lines[k]}. Keep one row "
            "a cycle."
        )
    before = table.groupby("cell_id")["cycle"].shift().to_numpy()
    back = np.flatnonzero(cycle < before)
    if back.size:
        k = back[0]
        raise DataError(
            f"{path}, line {lines[k]}: cycle {cycle[k]} of cell {cells[k]} comes after cycle {before[k]:g}. Sort the "
            "rows of each cell by cycle."
        )
