"""Sets of curves as files, for other tools and from them: HDF5, CSV, Parquet; Battery Data Format; BatteryML.

`write(path, curves)` and `read(path)`; what is read is what was written: signals, axis, conditions, cells, units, facts
(among them `synthetic`, which is also in every row of a table). HDF5, Parquet and JSON are exact to float32, CSV has seven
digits, CSV of the Battery Data Format nine.

The smallest file from another tool:
- .h5: a data set `curves/voltage_V` (N, P), or of other signals; nothing else. `cell_id` (N,) text, `conditions/<name>` (N,),
  `cell/<name>` (N,), `text/<name>` (N,), `axis` (P,) with an attribute `name`, `pair` (N,): row of the measured file that a
  curve was drawn for, and an attribute `unit` of any of them are taken where they are there. Attributes of the file are facts.
- .csv, .parquet: a row a point, with columns `sample` (which curve), `point` (0, 1, 2 ...) and the signals; conditions,
  `cell_id` and `pair` as columns with one value a curve, `axis_<name>` what the points are spaced by. Pulse tests: a row a
  test, with `sample` and U1, U2, ... (V).
Without cells, all curves count as of one, "unnamed". Give `synthetic` (attribute, or column) as true or false: without it,
curves may have NaN only behind their end.

Signals end in their unit: voltage_V, current_A (positive on charge), temperature_degC, time_s (of each curve its own),
charge_capacity_Ah, discharge_capacity_Ah and the like. Conditions are the terms of `batgen.data.curve_set`: ecl, eol (cycles),
soh, soc (fractions), ambient_degC, c_rate (C) ...; nominal_capacity_Ah and the voltage window belong to the cell.
The table's other columns are not written.

The Battery Data Format (`bdf`) needs time_s, voltage_V and current_A: it holds neither pulse tests nor the quasi-video, which
has no time. BatteryML (`batteryml`) needs voltage_V and current_A; without a time, its time_in_s is None. Both have one cell
a file: of several cells they become a folder, the path without its ending. `read` takes that folder.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.curve_set import CurveSet
from batgen.data.exchange import batteryml, bdf
from batgen.data.exchange.checks import check_values
from batgen.data.exchange.h5 import read_h5, write_h5
from batgen.data.exchange.names import check_signal
from batgen.data.exchange.parts import in_written_order
from batgen.data.exchange.table import load_frame, read_table, write_table
from batgen.errors import ConfigError, DataError
from batgen.files import replacing

#: Format -> the endings of its files.
FORMATS = {
    "batgen": (".h5", ".csv", ".parquet"),
    "bdf": (".csv", ".parquet", ".bdf"),
    "batteryml": (".pkl", ".json"),
}
_READ = (".h5", ".hdf5", ".csv", ".bdf", ".parquet", ".json")


def check_path(path: Path, form: str) -> None:
    """Raise ConfigError for a format that does not exist, or an ending that it does not have."""
    if form not in FORMATS:
        raise ConfigError(f"format={form}: choose among {', '.join(FORMATS)}.")
    if path.suffix.lower() not in FORMATS[form]:
        raise ConfigError(f"out={path}: the ending decides the format; use one of {', '.join(FORMATS[form])}.")


def write(path: Path, curves: CurveSet, form: str = "batgen") -> Path:
    """Write `curves` in one of FORMATS; returns the file, or the folder of several cells' files.

    Raises ConfigError for a format or ending that does not exist, DataError where the format cannot hold these curves, a value
    is not allowed, or the folder has files already.
    """
    check_path(path, form)
    if not len(curves):
        raise DataError(f"out={path}: there are no curves to write.")
    for name in curves.signals:
        check_signal(name, f"out={path}")
    check_values(curves, f"out={path}")
    asked = {"bdf": bdf.cannot_hold, "batteryml": batteryml.cannot_hold}
    if form in asked and (why := asked[form](curves)):
        raise DataError(f"out={path}: format={form} cannot hold this: it {why}. Write it with format=batgen.")
    cells = list(dict.fromkeys(curves.cells))
    if form == "batgen" or len(cells) == 1:
        _write(path, curves, form)
        return path
    folder = path.with_suffix("")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise DataError(
            f"{folder}: a folder for {len(cells)} cells, and there is something already. Choose another out=."
        )
    names = _file_names(cells, bool(curves.facts.get("synthetic")), path)
    for cell, name in zip(cells, names, strict=True):
        rows = np.flatnonzero(curves.cells == cell)
        part = curves.take(rows)
        _write(folder / name, replace(part, table=part.table.assign(sample=rows)), form)
    return folder


def _file_names(cells: list[str], synthetic: bool, path: Path) -> list[str]:
    """A file name a cell, of letters that every system knows."""
    ending = ".bdf" + path.suffix if path.suffix.lower() in (".csv", ".parquet") else path.suffix
    names = [re.sub(r"[^\w.+-]", "_", cell) or "cell" for cell in cells]
    if len(set(names)) < len(names):
        names = [f"{name}-{number}" for number, name in enumerate(names)]
    return [f"{'synthetic_' if synthetic else ''}{name}{ending}" for name in names]


def _write(path: Path, curves: CurveSet, form: str) -> None:
    with replacing(path) as temporary:
        if form == "bdf":
            bdf.write_bdf(temporary, curves)
        elif form == "batteryml":
            batteryml.write_batteryml(temporary, curves)
        else:
            (write_h5 if path.suffix.lower() == ".h5" else write_table)(temporary, curves)


def read(path: Path, units: Mapping[str, str] | None = None) -> CurveSet:
    """The curves of a file in any of FORMATS, or of a folder of the files of several cells.

    units: name -> unit that the file has it in, where that is not the unit of the name ({"voltage_V": "mV"}); it is converted.
    Raises DataError, with the remedy: a name without a unit, a unit that disagrees, ragged or repeated curves, NaN or
    infinite values where there may be none, another schema, a damaged file, a pickle.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if not files:
            raise DataError(f"{path}: an empty folder. Name a file of curves, or a folder of them.")
        parts = [curves for file in files for curves in _read(file, units or {})]
    else:
        parts = _read(path, units or {})
    return in_written_order(_join(parts, str(path)))


def _read(path: Path, told: Mapping[str, str]) -> list[CurveSet]:
    ending = path.suffix.lower()
    if ending in (".pkl", ".pickle"):
        raise DataError(
            f"{path}: pickles are not read, because reading one runs the code in it. Write the cell as JSON instead: "
            "json.dump(battery.to_dict(), file)."
        )
    if ending not in _READ:
        raise DataError(f"{path}: the ending says what it is; curves are read from {', '.join(_READ)}.")
    if not path.is_file():
        raise DataError(f"{path}: no such file. Name a file of curves, or a folder of them.")
    if ending == ".json":
        return batteryml.read_batteryml(path, told)
    if ending in (".h5", ".hdf5"):
        return [read_h5(path, told)]
    frame, head = load_frame(path)
    return [(bdf.read_bdf if bdf.is_bdf(frame) else read_table)(path, frame, head, told)]


def _join(parts: list[CurveSet], where: str) -> CurveSet:
    """One set of those of several cells."""
    first = parts[0]
    for other in parts[1:]:
        alike = other.signals == first.signals and other.axis.shape == first.axis.shape
        if not alike or other.facts.get("synthetic") != first.facts.get("synthetic"):
            raise DataError(
                f"{where}: its files do not belong together: their signals, number of points or `synthetic` differ. Keep such "
                "sets in folders of their own."
            )
    if len(parts) == 1:
        return first
    table = pd.concat([part.table for part in parts], ignore_index=True)
    values = np.concatenate([part.values for part in parts])
    return CurveSet(values, first.signals, first.axis, first.axis_name, table, first.facts)
