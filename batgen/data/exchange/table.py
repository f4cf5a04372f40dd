"""Sets of curves as a table, .csv or .parquet: a row a point, or a row a pulse test."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.curve_set import TEXT_COLUMNS, CurveSet
from batgen.data.exchange.names import PULSE_VOLTAGE, check_condition, is_signal
from batgen.data.exchange.parts import assemble, check_size, header, known_columns, parse_header
from batgen.errors import DataError

#: Facts that stand in every row of a CSV file, beside `synthetic`; the whole is in the first row of `facts`.
_SHOWN = ("model", "data", "checkpoint")


def write_table(path: Path, curves: CurveSet) -> None:
    """Write `curves` to `path`, as `batgen.data.exchange` describes it: seven digits in .csv, exact in .parquet."""
    n, _, points = curves.values.shape
    pulses = curves.axis_name == "pulse_step" and curves.signals == ("voltage_V",)
    rows = 1 if pulses else points
    columns: dict[str, Any] = {"sample": np.repeat(np.arange(n), rows)}
    if pulses:
        columns |= {f"U{k + 1}": curves.values[:, 0, k] for k in range(points)}
    else:
        columns |= {"point": np.tile(np.arange(points), n), f"axis_{curves.axis_name}": np.tile(curves.axis, n)}
        columns |= {name: curves.signal(name).ravel() for name in curves.signals}
    columns |= {name: np.repeat(curves.table[name].to_numpy(), rows) for name in known_columns(curves)}
    head = header(curves) | ({"axis": curves.axis.tolist()} if pulses else {})  # a row has no column for it
    save_frame(path, pd.DataFrame(columns), head, "%.7g")


def save_frame(path: Path, frame: pd.DataFrame, head: Mapping[str, Any], digits: str) -> None:
    """A frame with `head` (see `parts.header`): in the first row of a column `facts` of a .csv, in the metadata of a
    .parquet. What is synthetic says so in every row of both, with the model and its data."""
    facts = head["facts"]
    if "synthetic" in facts:
        frame["synthetic"] = bool(facts["synthetic"])
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        meta = {**(table.schema.metadata or {}), b"batgen": json.dumps(head).encode()}
        pq.write_table(table.replace_schema_metadata(meta), path)
        return
    for name in _SHOWN:
        if name in facts and name not in frame:
            frame[name] = facts[name]
    frame["facts"] = pd.Series([json.dumps(head)] + [None] * (len(frame) - 1), dtype=object)
    frame.to_csv(path, index=False, float_format=digits)


def load_frame(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The columns of a .csv or .parquet, and what it says of itself (`parts.header`, without `schema` where it says
    nothing). Raises DataError where it is not such a file, or damaged."""
    try:
        frame, note = _load_parquet(path) if path.suffix.lower() == ".parquet" else _load_csv(path)
    except (OSError, ValueError, KeyError, EOFError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: not a readable {path.suffix} table ({why}): damaged, cut short or of another kind. Copy it again, or "
            "save it as comma-separated UTF-8."
        ) from None
    if not len(frame):
        raise DataError(f"{path}: there are no rows in it. Give a row a point of a curve.")
    head = parse_header(note, str(path)) if note else {"facts": {}}
    facts = head.setdefault("facts", {})
    shown = [name for name in ("synthetic", *_SHOWN) if name in frame]
    if "checkpoint" in frame and not note and "protocol" in frame:
        shown.append("protocol")  # of files before the schema: how the model was tested, not how the cell was charged
    for name in shown:
        if frame[name].isna().any() or frame[name].nunique() != 1:
            raise DataError(f"{path}: {name} is not the same in every row. Keep generated and measured curves apart.")
        value = frame[name].iloc[0]
        facts.setdefault(name, value.item() if isinstance(value, np.generic) else value)
    return frame.drop(columns=[name for name in (*shown, "facts") if name in frame]), head


def _load_parquet(path: Path) -> tuple[pd.DataFrame, str]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    note = (table.schema.metadata or {}).get(b"batgen", b"").decode()
    return table.replace_schema_metadata(None).to_pandas(), note


def _load_csv(path: Path) -> tuple[pd.DataFrame, str]:
    text = dict.fromkeys((*TEXT_COLUMNS, "facts", *_SHOWN), str)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        frame = pd.read_csv(
            path,
            dtype=text,
            keep_default_na=False,
            na_values=["", "nan", "NaN"],
            skip_blank_lines=False,
            low_memory=False,
        )
    note = frame["facts"].iloc[0] if "facts" in frame and len(frame) else ""
    return frame, note if isinstance(note, str) else ""


def read_table(path: Path, frame: pd.DataFrame, head: dict[str, Any], told: Mapping[str, str]) -> CurveSet:
    """The curves of a frame that `load_frame` gave. Raises DataError where it is not one of curves."""
    where = str(path)
    if "sample" not in frame:
        raise DataError(f"{where}: no column `sample` that says which curve a row belongs to. It has {_listed(frame)}.")
    wide = "point" not in frame and any(PULSE_VOLTAGE.fullmatch(str(name)) for name in frame)
    if not wide and "point" not in frame:
        raise DataError(f"{where}: no column `point` that counts the points of a curve. It has {_listed(frame)}.")
    place = np.zeros(len(frame), dtype=np.int64) if wide else frame["point"].to_numpy()
    order, n, points = grid(where, frame["sample"], place)
    signals, columns = {}, {}
    for name in (str(name) for name in frame.columns if name not in ("sample", "point")):
        values = frame[name].to_numpy()[order].reshape(n, points)
        if name.startswith("axis_"):
            head = head | {"axis_name": name.removeprefix("axis_"), "axis": same(where, name, values.T)}
        elif (wide and PULSE_VOLTAGE.fullmatch(name)) or is_signal(name):
            signals[name] = numbers(where, name, values)
        else:
            if name not in ("pair", *TEXT_COLUMNS) and "=" not in name:
                check_condition(name, where)  # before its values are looked at: the name is what is wrong
            columns[name] = same(where, name, values)
    if not signals:
        raise DataError(f"{where}: no signal among its columns, such as voltage_V. It has {_listed(frame)}.")
    return check_size(assemble(where, signals, columns, head, told), head, where)


def _listed(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns))


def grid(where: str, sample: pd.Series, point: np.ndarray) -> tuple[np.ndarray, int, int]:
    """How rows lie in curves: the order of the rows by curve and point, number of curves and of points.

    sample (rows,): the curve a row is of; curves stay in the order in which they come. Raises DataError where curves
    have different points or a point is there twice.
    """
    if sample.isna().any() or pd.isna(point).any():
        raise DataError(f"{where}: a row has no sample or no point: the file is cut short, or the row empty.")
    if not np.issubdtype(np.asarray(point).dtype, np.number):
        raise DataError(f"{where}: the column `point` must count 0, 1, 2 ...; a value is {point[0]!r}.")
    codes, names = pd.factorize(sample)
    order = np.lexsort((point, codes))
    rows, places = codes[order], np.asarray(point)[order]
    twice = np.flatnonzero((rows[1:] == rows[:-1]) & (places[1:] == places[:-1]))
    if len(twice):
        raise DataError(
            f"{where}: sample {names[rows[twice[0]]]} has point {places[twice[0]]} more than once. Give every curve a "
            "sample of its own."
        )
    counts = np.bincount(codes)
    if len(set(counts)) > 1:
        odd = int(np.flatnonzero(counts != np.bincount(counts).argmax())[0])
        raise DataError(
            f"{where}: ragged: sample {names[odd]} has {counts[odd]} points and others {np.bincount(counts).argmax()}. Give "
            "all curves the same number of points (or the file is cut short)."
        )
    n = len(counts)
    if not (places.reshape(n, -1) == places[: counts[0]]).all():
        raise DataError(f"{where}: the column `point` does not count alike in every sample. Count 0, 1, 2 ... in each.")
    return order, n, int(counts[0])


def numbers(where: str, name: str, values: np.ndarray) -> np.ndarray:
    """The values as float32; DataError where one is text."""
    try:
        return values.astype(np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {name} must hold numbers. A value is text.") from None


def same(where: str, name: str, values: np.ndarray) -> np.ndarray:
    """(N,) of (N, P): what all points of a curve say alike. Raises DataError where they differ."""
    first = values[:, :1]
    differs = ~((values == first) | (pd.isna(values) & pd.isna(first))).all(axis=1)
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise DataError(
            f"{where}: {name} must be one value a curve and differs within curve {row}. Is it a signal? Then end its name "
            "in a unit that is known here (or the file is cut short)."
        )
    return first[:, 0]
