"""Sets of curves in the columns of the Battery Data Format (Battery Data Alliance; ontology 1.2.0): time series of one cell.

Preferred labels are written, machine-readable names are read too. A curve is a step and, where the cycles of a cell are
known and go up, the cycle of its `ecl`; else the curves are counted. "Test Time / s" runs on from curve to curve, "Step
Time / s" is each curve's own time. Positive current charges, there and here. What has no name in the format (conditions,
the row's number) keeps batgen's, in columns that readers of the format pass over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.curve_set import TEXT_COLUMNS, CurveSet
from batgen.data.exchange.names import CONDITIONS, is_signal
from batgen.data.exchange.order import cycle_numbers, ended, samples
from batgen.data.exchange.parts import assemble, check_size, header, known_columns
from batgen.data.exchange.table import grid, numbers, same, save_frame
from batgen.errors import DataError

#: Our name -> (preferred label, machine-readable name).
LABELS = {
    "voltage_V": ("Voltage / V", "voltage_volt"),
    "current_A": ("Current / A", "current_ampere"),
    "time_s": ("Step Time / s", "step_time_second"),
    "temperature_degC": ("Temperature T1 / degC", "temperature_t1_celsius"),
    "charge_capacity_Ah": ("Cycle Charging Capacity / Ah", "cycle_charging_capacity_ah"),
    "discharge_capacity_Ah": ("Cycle Discharging Capacity / Ah", "cycle_discharging_capacity_ah"),
    "ambient_degC": ("Ambient Temperature / degC", "ambient_temperature_celsius"),
    "test time": ("Test Time / s", "test_time_second"),
    "cycle": ("Cycle Count / 1", "cycle_count"),
    "step": ("Step Count / 1", "step_count"),
}
_NAMES = {label: name for name, labels in LABELS.items() for label in labels}
_REQUIRED = ("time_s", "voltage_V", "current_A")


def cannot_hold(curves: CurveSet) -> str | None:
    """What keeps these curves from being told in this format, in words; None where they can be."""
    missing = [name for name in _REQUIRED if not curves.has(name)]
    if missing:
        return f"needs time_s, voltage_V and current_A, and these curves have no {' and no '.join(missing)}"
    keep = np.arange(curves.values.shape[2]) < ended(curves)[:, None]
    for name in _REQUIRED:
        if not np.isfinite(curves.signal(name)[keep]).all():
            return f"allows no gaps, and {name} has some"
    if (np.diff(curves.signal("time_s"), axis=1)[keep[:, 1:]] < 0).any():
        return "allows no time that runs backwards, and time_s does so in a curve"
    return None


def write_bdf(path: Path, curves: CurveSet) -> None:
    """Write the curves of one cell, of which `cannot_hold` says nothing."""
    cycles, order = cycle_numbers(curves)
    written = curves.take(order)
    lengths = ended(written)
    keep = np.arange(written.values.shape[2]) < lengths[:, None]
    signal = {name: written.signal(name) for name in written.signals}
    own = signal["time_s"].astype(np.float64)
    span = own[np.arange(len(own)), lengths - 1] - own[:, 0]
    starts = np.r_[0.0, np.cumsum(span)[:-1]]
    columns: dict[str, Any] = {LABELS["test time"][0]: (own - own[:, :1] + starts[:, None])[keep]}
    columns |= {LABELS.get(name, (name,))[0]: signal[name][keep] for name in _signals(written)}
    columns[LABELS["cycle"][0]] = np.repeat(cycles[order], lengths)
    columns[LABELS["step"][0]] = np.repeat(np.arange(1, len(written) + 1), lengths)
    for name in known_columns(written):
        columns[LABELS.get(name, (name,))[0]] = np.repeat(written.table[name].to_numpy(), lengths)
    columns["sample"] = np.repeat(samples(curves)[order], lengths)
    head = header(curves) | {"axis": curves.axis.tolist(), "rows": int(lengths.sum())}
    save_frame(path, pd.DataFrame(columns), head, "%.9g")


def _signals(curves: CurveSet) -> list[str]:
    """The signals of the format first, in its order."""
    first = [name for name in ("voltage_V", "current_A", "time_s") if curves.has(name)]
    return [*first, *(name for name in curves.signals if name not in first)]


def is_bdf(frame: pd.DataFrame) -> bool:
    """Whether a table has the columns of this format."""
    return any(label in frame for name in ("voltage_V", "current_A", "test time") for label in LABELS[name])


def read_bdf(path: Path, frame: pd.DataFrame, head: dict[str, Any], told: Mapping[str, str]) -> CurveSet:
    """The curves of a frame that `table.load_frame` gave: those of a cycle each; columns of other quantities are left out.

    Of a file of another tool, `ecl` is the cycle count and the cell the file's name. Raises DataError for what
    `batgen.data.exchange` says.
    """
    where = str(path)
    frame = frame.rename(columns=_NAMES)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{where}: the column {LABELS.get(twice, (twice,))[0]!r} is there twice. Leave one out.")
    if len(frame) != head.get("rows", len(frame)):  # a curve may end early, so nothing else tells
        raise DataError(f"{where}: written with {head['rows']} rows, it has {len(frame)}: cut short. Copy it again.")
    missing = [LABELS[name][0] for name in ("test time", "voltage_V", "current_A") if name not in frame]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r}, which the Battery Data Format requires.")
    key = next((name for name in ("sample", "cycle") if name in frame), None)
    if key is None:
        raise DataError(f"{where}: no column {LABELS['cycle'][0]!r}, so it is not known where a curve ends. Add it.")
    if "sample" in frame and "axis" in head:
        frame = _filled(frame, len(head["axis"]))
    place = frame.groupby(key, sort=False).cumcount().to_numpy()
    order, n, points = grid(where, frame[key], place)
    shaped = {name: frame[name].to_numpy()[order].reshape(n, points) for name in map(str, frame.columns)}
    if "sample" not in shaped or "time_s" not in shaped:  # the steps of another tool may be parts of a curve
        time = numbers(where, "test time", shaped["test time"]).astype(np.float64)
        shaped["time_s"] = time - time[:, :1]
    names = head.get("signals") or [name for name in shaped if is_signal(name) and " / " not in name]
    signals = {name: numbers(where, name, shaped[name]) for name in names if name in shaped}
    if "sample" not in shaped:
        shaped |= {"ecl": shaped["cycle"], "cell_id": np.full((n, points), path.name.partition(".")[0], dtype=object)}
        if "ambient_degC" in shaped:  # measured at every point
            mean = numbers(where, "ambient_degC", shaped["ambient_degC"]).mean(axis=1, keepdims=True)
            shaped["ambient_degC"] = np.repeat(mean, points, axis=1)
    columns = {k: same(where, k, shaped[k]) for k in (*CONDITIONS, *TEXT_COLUMNS, "pair", "sample") if k in shaped}
    return check_size(assemble(where, signals, columns, head, told), head, where)


def _filled(frame: pd.DataFrame, points: int) -> pd.DataFrame:
    """With the rows behind the end of shorter curves, their signals NaN: they were left out when the file was written."""
    rows = frame.groupby("sample", sort=False)
    missing = points - rows.size()
    if not (missing > 0).any():
        return frame
    last = rows.tail(1).set_index("sample", drop=False)
    extra = last.loc[np.repeat(missing.index.to_numpy(), missing.clip(lower=0))].reset_index(drop=True)
    extra.loc[:, [n for n in extra if is_signal(str(n)) or n == "test time"]] = np.nan
    return pd.concat([frame, extra], ignore_index=True)
