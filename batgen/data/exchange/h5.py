"""Sets of curves in HDF5: exact, compressed, every array with its unit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from batgen.data.curve_set import CELL_COLUMNS, TEXT_COLUMNS, CurveSet
from batgen.data.exchange.names import unit_of
from batgen.data.exchange.parts import SCHEMA, assemble, check_schema, check_size, header, known_columns, parse_header
from batgen.errors import DataError

#: Attributes of the file that are no facts.
_OWN = ("schema", "grid", "facts")


def write_h5(path: Path, curves: CurveSet) -> None:
    """Write `curves` to the file `path`, as `batgen.data.exchange` describes it."""
    with h5py.File(path, "w") as file:
        _write_facts(file, curves)
        file["axis"] = curves.axis
        file["axis"].attrs["name"] = curves.axis_name
        for name in curves.signals:
            made = file.create_dataset(
                f"curves/{name}", data=curves.signal(name).astype(np.float32), compression="gzip", compression_opts=4
            )
            made.attrs["unit"] = unit_of(name) or "1"
        for name in known_columns(curves):
            _write_column(file, name, curves.table[name].to_numpy())


def _write_facts(file: h5py.File, curves: CurveSet) -> None:
    head = header(curves)
    for name, value in head["facts"].items():  # for whoever looks at the file; `facts` is what is read back
        if value is not None:
            file.attrs[name] = value if isinstance(value, bool | int | float | str) else json.dumps(value)
    file.attrs.update({"schema": SCHEMA, "grid": curves.axis_name, "facts": json.dumps(head)})


def _write_column(file: h5py.File, name: str, values: np.ndarray) -> None:
    if name in TEXT_COLUMNS:
        place = name if name == "cell_id" else f"text/{name}"
        file.create_dataset(place, data=values.astype(str).astype(object), dtype=h5py.string_dtype())
    elif name == "pair":
        file["pair"] = values.astype(np.int64)
    else:
        made = file.create_dataset(
            f"cell/{name}" if name in CELL_COLUMNS else f"conditions/{name}", data=values.astype(np.float64)
        )
        made.attrs["unit"] = unit_of(name) or "1"
        if len(values) and np.isfinite(values[0]) and (values == values[0]).all():
            file.attrs[f"condition_{name}"] = float(values[0])


def read_h5(path: Path, told: Mapping[str, str]) -> CurveSet:
    """The curves of an HDF5 file; also of one that batgen wrote before there was a schema. Raises DataError."""
    try:
        with h5py.File(path, "r") as file:
            return _read(file, str(path), told)
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable HDF5 file ({why}): damaged or cut short. Copy it again.") from None


def _read(file: h5py.File, where: str, told: Mapping[str, str]) -> CurveSet:
    if "schema" in file.attrs:
        check_schema(_plain(file.attrs["schema"]), where)
    if not isinstance(file.get("curves"), h5py.Group) or not len(file["curves"]):
        raise DataError(
            f"{where}: no group `curves` with a data set a signal, such as curves/voltage_V (N, P). It has "
            f"{', '.join(file) or 'nothing'}."
        )
    signals, declared = _group(file["curves"], where)
    columns: dict[str, Any] = {}
    for group in ("conditions", "cell", "text"):
        if isinstance(file.get(group), h5py.Group):
            found, units = _group(file[group], where)
            columns |= found
            declared |= {name: unit for name, unit in units.items() if unit != "category"}
    columns |= {name: _values(file[name]) for name in ("cell_id", "pair") if name in file}
    head = _head(file, where)
    return check_size(assemble(where, signals, columns, head, told, declared), head, where)


def _group(group: h5py.Group, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    values, units = {}, {}
    for name, dataset in group.items():
        if not isinstance(dataset, h5py.Dataset) or not dataset.ndim:
            raise DataError(f"{where}: {group.name}/{name} must be an array, one row a curve.")
        text = h5py.check_string_dtype(dataset.dtype) is not None
        if not text and h5py.check_vlen_dtype(dataset.dtype) is not None:
            raise DataError(
                f"{where}: {group.name}/{name} is ragged (rows of different length). Write an array (N, P)."
            )
        if not text and dataset.dtype.kind not in "fiub":
            raise DataError(f"{where}: {group.name}/{name} holds {dataset.dtype}. Write numbers, or UTF-8 text.")
        if text and group.name == "/curves":
            raise DataError(f"{where}: {group.name}/{name} holds text. A signal is numbers (N, P).")
        values[name] = _values(dataset)
        if "unit" in dataset.attrs:
            units[name] = str(_plain(dataset.attrs["unit"]))
    return values, units


def _values(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr()[:], dtype=object)
    found: np.ndarray = dataset[:]
    return found


def _head(file: h5py.File, where: str) -> dict[str, Any]:
    head: dict[str, Any] = {}
    if "axis" in file:
        head["axis"] = _values(file["axis"])
        if "name" in file["axis"].attrs:
            head["axis_name"] = str(_plain(file["axis"].attrs["name"]))
    if any(name.startswith("U") for name in file["curves"]):
        head = {}  # a pulse test of before the schema: its axis was a single point
    if "facts" in file.attrs:
        head = parse_header(str(_plain(file.attrs["facts"])), where) | head
    else:
        there = {name: _plain(value) for name, value in file.attrs.items()}
        head["facts"] = {k: v for k, v in there.items() if k not in _OWN and not k.startswith("condition_")}
    return head


def _plain(value: Any) -> Any:
    value = value.decode() if isinstance(value, bytes) else value
    return value.item() if isinstance(value, np.generic) else value
