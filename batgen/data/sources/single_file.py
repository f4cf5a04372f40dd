"""What sources have in common that are one table of per-cycle numbers in one file: finding it, reading it, a summary."""

import zipfile
import zlib
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from batgen.data.cell import SUMMARY
from batgen.data.paths import source_folder
from batgen.errors import DataError

_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, ParseError)


def find_file(folder: str, file: str) -> Path:
    """`file` in `folder` (below BATGEN_DATA_DIR or absolute). Raises DataError, naming what was looked for."""
    path = source_folder(folder) / file
    if not path.is_file():
        raise DataError(f"{path} is missing. Put the file there, or set data.folder and data.file to where it is.")
    return path


def read_numbers(path: Path) -> pd.DataFrame:
    """The table of a csv (gzip or not) or an Excel workbook (its first sheet), every column float64.

    Raises DataError for a file that cannot be read, has no rows, or holds text: the column and its line are named.
    """
    try:
        table = pd.read_excel(path) if path.suffix == ".xlsx" else pd.read_csv(path)
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a readable table, perhaps cut short ({error}). Fetch the file again.") from error
    if table.empty:
        raise DataError(f"{path}: there is no row in it. Fetch the file again.")
    for name in table.columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        bad = numbers.isna() & table[name].notna() | np.isinf(numbers)
        if bad.any():
            line = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{path}, column {name!r}, line {line + 2}: {table[name].iloc[line]!r} is not a finite number. "
                "Fetch the file again, or leave the cell empty."
            )
        table[name] = numbers.astype(np.float64)
    return table


def require_columns(table: pd.DataFrame, names: list[str], path: Path, what: str) -> None:
    """Raise DataError unless the table has these columns; `what` says what the file should be."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}, so it is not {what}. Fetch the file again, or set data.file."
        )


def summary_of(cycle: ArrayLike, discharge_capacity_Ah: ArrayLike) -> pd.DataFrame:
    """A per-cycle summary (n rows) that knows cycle numbers and capacities (both (n,)); the rest of `SUMMARY` is NaN."""
    numbers = np.asarray(cycle, dtype=np.int64)
    summary = pd.DataFrame(np.nan, index=range(len(numbers)), columns=list(SUMMARY))
    summary["cycle"] = numbers
    summary["discharge_capacity_Ah"] = np.asarray(discharge_capacity_Ah, dtype=np.float64)
    return summary
