"""The raw records of the NASA PCoE cells, in whichever of three forms a cell is on disk.

`.mat` (MATLAB v5, the original), the cleaned CSV (one file a record, described by `metadata.csv`), and one CSV of
all discharges a cell. A record is one charge or one discharge; impedance records are not used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io

from batgen.errors import DataError

_COLUMNS = ("Time", "Voltage_measured", "Current_measured", "Temperature_measured")
#: A record of which more than this part is NaN is not a record with a few lost samples.
_MAX_LOST = 0.01
_TAIL = 3


@dataclass(frozen=True)
class Record:
    """One charge or discharge as recorded: seconds from its own start, volt, ampere (charge +), degC, all (n,) float64.

    `start` is seconds since 1970 (NaN if unknown), `capacity_Ah` what the authors computed of a discharge. `fault` says
    why the record cannot be used, `mended` what was done to it; both are empty for most.
    """

    name: str
    kind: str
    start: float
    ambient_degC: float
    capacity_Ah: float
    time: np.ndarray
    voltage: np.ndarray
    current: np.ndarray
    temperature: np.ndarray
    fault: str = ""
    mended: str = ""


def find_cells(folder: Path) -> dict[str, tuple[str, list[Path]]]:
    """{cell_id: (form, its files)} of every cell below `folder`, each once, in the richest form there is."""
    cells: dict[str, tuple[str, list[Path]]] = {}
    for path in sorted(folder.rglob("B????.mat")):
        cells.setdefault(path.stem, ("mat", [path]))
    metadata = find_metadata(folder)
    if metadata:
        table = _read_metadata(metadata)
        for cell_id, rows in table.groupby("battery_id"):
            paths = [_plain_or_gz(metadata.parent / "data" / name) for name in rows["filename"]]
            if here := [path for path in paths if path]:
                cells.setdefault(str(cell_id), ("csv", here))
        for path in sorted((folder / "discharge_concat_csv").glob("B????.csv*")):
            cells.setdefault(path.name[:5], ("discharges", [path]))
    return dict(sorted(cells.items()))


def find_metadata(folder: Path) -> Path | None:
    """The table of all records, which both CSV forms need."""
    return _plain_or_gz(folder / "cleaned_csv" / "metadata.csv")


def read_records(cell_id: str, form: str, files: list[Path], metadata: Path | None) -> list[Record]:
    """The records of a cell in the order of the test, those that cannot be used with their `fault`.

    Raises DataError, naming the file, when a file is damaged or has not the columns of this dataset.
    """
    read = {"mat": _read_mat, "csv": _read_csv, "discharges": _read_discharges}[form]
    return [_finite(record) for record in read(cell_id, files, metadata)]


def _read_mat(cell_id: str, files: list[Path], metadata: Path | None) -> Iterator[Record]:
    path = files[0]
    try:
        cycles = np.atleast_1d(scipy.io.loadmat(path, simplify_cells=True)[cell_id]["cycle"])
    except Exception as error:  # scipy raises whatever it stumbles over: zlib.error, ValueError, struct.error, KeyError
        raise DataError(
            f"{path} cannot be read as a NASA cell ({error!r}): it is truncated or another file; copy it again."
        ) from error
    for number, cycle in enumerate(cycles):
        if cycle["type"] in ("charge", "discharge"):
            yield _record(
                f"{path.name} record {number}", cycle["type"], cycle["time"], cycle["ambient_temperature"],
                cycle["data"].get("Capacity", np.nan), cycle["data"],
            )  # fmt: skip


def _read_csv(cell_id: str, files: list[Path], metadata: Path | None) -> Iterator[Record]:
    here = {path.name.removesuffix(".gz"): path for path in files}
    for row in _rows(cell_id, metadata).to_dict("records"):
        name, kind = str(row["filename"]), str(row["type"])
        if kind not in ("charge", "discharge"):
            continue
        data: Any = _read_table(here[name]) if name in here else dict.fromkeys(_COLUMNS, ())
        record = _record(name, kind, row["start_time"], row["ambient_temperature"], row["Capacity"], data)
        missing = "" if name in here else f"this {kind} is in metadata.csv, but its file is missing"
        yield replace(record, fault=missing)


def _read_discharges(cell_id: str, files: list[Path], metadata: Path | None) -> Iterator[Record]:
    rows = _rows(cell_id, metadata)
    rows = rows[rows["type"] == "discharge"]
    path, table = files[0], _read_table(files[0], "cycle_idx")
    parts = [part for _, part in table.groupby("cycle_idx", sort=True)]
    if len(parts) != len(rows):
        raise DataError(f"{path} has {len(parts)} discharges, metadata.csv {len(rows)} of {cell_id}: copy both again.")
    for number, (part, row) in enumerate(zip(parts, rows.itertuples(), strict=True), 1):
        name = f"{path.name} cycle_idx {number}"
        yield _record(name, "discharge", row.start_time, row.ambient_temperature, row.Capacity, part)


def _record(name: str, kind: str, start: Any, ambient: Any, capacity: Any, data: Any) -> Record:
    try:
        columns = [np.atleast_1d(np.asarray(data[column], dtype=float)) for column in _COLUMNS]
    except (KeyError, ValueError) as error:
        raise DataError(f"{name}: no column {error}; a NASA record has {', '.join(_COLUMNS)}.") from error
    n = min(map(len, columns))  # a file cut off in the middle of a row
    time, voltage, current, temperature = (column[:n] for column in columns)
    return Record(name, kind, _seconds(start), float(ambient), _number(capacity), time, voltage, current, temperature)


def _finite(record: Record) -> Record:
    """The record without its NaN samples; at fault when it ends in them, as a truncated one does, or has many."""
    columns = ("time", "voltage", "current", "temperature")
    lost = np.isnan(np.stack([getattr(record, column) for column in columns])).any(axis=0)
    if record.fault or not lost.any():
        return record
    names = ", ".join(column for column in columns if np.isnan(getattr(record, column)).any())
    if lost[-_TAIL:].any():
        return replace(record, fault=f"this {record.kind} is truncated: it ends in NaN ({names})")
    if lost.mean() > _MAX_LOST:
        return replace(record, fault=f"{lost.mean():.0%} of the samples of this {record.kind} are NaN ({names})")
    kept = {column: getattr(record, column)[~lost] for column in columns}
    return replace(record, mended=f"{int(lost.sum())} NaN samples dropped ({names})", **kept)


def _seconds(start: Any) -> float:
    """A MATLAB date vector, as numbers or as text such as '[2008. 4. 2. 13. 8. 17.921]', in seconds since 1970."""
    values = re.findall(r"[\d.]+(?:e[+-]?\d+)?", start) if isinstance(start, str) else np.ravel(start)
    if len(values) != 6:
        return float("nan")
    year, month, day, hour, minute, second = (float(value) for value in values)
    days = np.datetime64(f"{int(year):04d}-{int(month):02d}-{int(day):02d}", "D").astype(int)
    return float(days) * 86400 + hour * 3600 + minute * 60 + second


def _number(value: Any) -> float:
    """A capacity; some are empty arrays, some text, in which case it is NaN."""
    numbers = pd.to_numeric(pd.Series(np.ravel(value)), errors="coerce")
    return float(numbers.iloc[0]) if len(numbers) else float("nan")


def _read_metadata(path: Path) -> pd.DataFrame:
    table = _read_table(path, "battery_id", "type", "test_id", "filename", "Capacity")
    return table.sort_values(["battery_id", "test_id"], kind="stable")


def _rows(cell_id: str, metadata: Path | None) -> pd.DataFrame:
    if metadata is None:
        raise DataError(f"NASA cell {cell_id}: its CSV files need cleaned_csv/metadata.csv beside them.")
    table = _read_metadata(metadata)
    return table[table["battery_id"] == cell_id]


def _read_table(path: Path, *needed: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): it is damaged; copy it again.") from error
    for column in needed:
        if column not in table.columns:
            raise DataError(f"{path} has no column {column}: it is not of the NASA PCoE dataset.")
    return table


def _plain_or_gz(path: Path) -> Path | None:
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)
