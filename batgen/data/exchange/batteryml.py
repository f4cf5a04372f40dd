"""Sets of curves as the dictionaries of BatteryML (`BatteryData.to_dict()`): one file a cell, a list of cycles in it.

.pkl holds built-in types alone, so that BatteryML loads it (`BatteryData.load`; a folder of such files is its
`cell_data_path`); .json the same. Only .json is read back: unpickling runs whatever code a file holds. Cells of a
synthetic set are called synthetic_<cell>, so that no split takes them for the measured cell. A cycle is a curve;
its number is `ecl` where that is known and differs, else the curves are counted. Points behind a curve's end are left out.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from batgen.data.curve_set import CELL_COLUMNS, TEXT_COLUMNS, CurveSet
from batgen.data.exchange.names import CONDITIONS
from batgen.data.exchange.order import cycle_numbers, ended, samples
from batgen.data.exchange.parts import assemble, check_size, header, known_columns, parse_header, plain
from batgen.errors import DataError

#: Our signal -> the field of a cycle.
FIELDS = {
    "voltage_V": "voltage_in_V",
    "current_A": "current_in_A",
    "charge_capacity_Ah": "charge_capacity_in_Ah",
    "discharge_capacity_Ah": "discharge_capacity_in_Ah",
    "time_s": "time_in_s",
    "temperature_degC": "temperature_in_C",
}
#: Our column of the cell -> the field of a battery.
_CELL = {
    "nominal_capacity_Ah": "nominal_capacity_in_Ah",
    "voltage_min_V": "min_voltage_limit_in_V",
    "voltage_max_V": "max_voltage_limit_in_V",
}
_SYNTHETIC = "synthetic_"


def cannot_hold(curves: CurveSet) -> str | None:
    """What keeps these curves from being told in this format, in words; None where they can be. A time is not needed."""
    missing = [name for name in ("voltage_V", "current_A") if not curves.has(name)]
    if missing:
        return f"needs voltage_V and current_A, and these curves have no {' and no '.join(missing)}"
    if other := [name for name in curves.signals if name not in FIELDS]:
        return f"has no field for {', '.join(other)} (it has {', '.join(FIELDS)})"
    return None


def write_batteryml(path: Path, curves: CurveSet) -> None:
    """Write the curves of one cell, as the ending of `path` says."""
    battery = battery_of(curves, str(curves.cells[0]))
    if path.suffix.lower() == ".json":
        try:
            text = json.dumps(battery, allow_nan=False)
        except ValueError:  # gaps in measured curves: JSON has no NaN
            text = json.dumps(plain(battery), allow_nan=False)
        path.write_text(text, encoding="utf-8")
    else:
        path.write_bytes(pickle.dumps(battery, protocol=4))


def battery_of(curves: CurveSet, cell: str) -> dict[str, Any]:
    """The dictionary of a cell: built-in types alone."""
    head = header(curves) | {"axis": curves.axis.tolist(), "cell_id": cell}
    synthetic = bool(curves.facts.get("synthetic"))
    of_cell = {name: _one(curves.column(name)) for name in CELL_COLUMNS}
    chemistry = sorted(set(curves.table["chemistry"].astype(str))) if "chemistry" in curves.table else []
    origin = ", ".join(f"{k} {head['facts'][k]}" for k in ("generator", "model", "data") if head["facts"].get(k))
    return {
        "cell_id": cell if not synthetic or cell.startswith(_SYNTHETIC[:-1]) else f"{_SYNTHETIC}{cell}",
        "cycle_data": _cycles(curves),
        "form_factor": None,
        "anode_material": None,
        "cathode_material": chemistry[0] if len(chemistry) == 1 else None,
        "electrolyte_material": None,
        "nominal_capacity_in_Ah": of_cell["nominal_capacity_Ah"],
        "depth_of_charge": 1.0,
        "depth_of_discharge": 1.0,
        "already_spent_cycles": 0,
        "charge_protocol": [],
        "discharge_protocol": [],
        "max_voltage_limit_in_V": of_cell["voltage_max_V"],
        "min_voltage_limit_in_V": of_cell["voltage_min_V"],
        "max_current_limit_in_A": None,
        "min_current_limit_in_A": None,
        "reference": origin or None,
        "description": f"SYNTHETIC curves, not measured: {origin}" if synthetic else None,
        "synthetic": synthetic,
        "batgen": head,
    }


def _one(values: np.ndarray) -> float | None:
    """The value that all rows have; None where they differ or it is not known."""
    return float(values[0]) if len(values) and np.isfinite(values[0]) and (values == values[0]).all() else None


def _cycles(curves: CurveSet) -> list[dict[str, Any]]:
    numbers, order = cycle_numbers(curves)
    lengths, rank = ended(curves), samples(curves)
    names = [name for name in known_columns(curves) if name != "cell_id"]
    rows = curves.table[names].to_dict("records") if names else [{} for _ in range(len(curves))]
    cycles = []
    for row in order.tolist():
        cycle: dict[str, Any] = {"cycle_number": int(numbers[row]), **dict.fromkeys(FIELDS.values())}
        cycle["internal_resistance_in_ohm"] = None
        for place, name in enumerate(curves.signals):
            cycle[FIELDS[name]] = curves.values[row, place, : lengths[row]].astype(float).tolist()
        known = {str(k): plain(value) for k, value in rows[row].items()}
        cycles.append(
            cycle | {k: value for k, value in known.items() if value is not None} | {"sample": int(rank[row])}
        )
    return cycles


def read_batteryml(path: Path, told: Mapping[str, str]) -> list[CurveSet]:
    """The curves of each cell of a .json: one dictionary, or a list of them. Raises DataError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error}): damaged or cut short. Copy it again.") from None
    batteries = found if isinstance(found, list) else [found]
    if not batteries or not all(isinstance(b, dict) and isinstance(b.get("cycle_data"), list) for b in batteries):
        raise DataError(f"{path}: not a BatteryML battery: it needs cell_id and cycle_data, a list of cycles.")
    return [_curves(battery, f"{path}", told) for battery in batteries]


def _curves(battery: dict[str, Any], where: str, told: Mapping[str, str]) -> CurveSet:
    cycles = battery["cycle_data"]
    if not cycles or not all(isinstance(cycle, dict) for cycle in cycles):
        raise DataError(f"{where}: cycle_data must be a list of cycles, each with voltage_in_V and the like.")
    head = parse_header(json.dumps(battery["batgen"]), where) if "batgen" in battery else {}
    facts = dict(head.get("facts", {}))
    if "synthetic" in battery:
        facts["synthetic"] = battery["synthetic"]
    names = head.get("signals") or [ours for ours, field in FIELDS.items() if cycles[0].get(field)]
    points = len(head["axis"]) if "axis" in head else None
    signals = {name: _signal(cycles, FIELDS.get(name, name), points, where) for name in names}
    columns = {
        name: np.array([cycle.get(name) for cycle in cycles], dtype=object)
        for name in (*CONDITIONS, *TEXT_COLUMNS, "pair", "sample")
        if any(name in cycle for cycle in cycles)
    }
    if not head:
        columns["ecl"] = np.array([cycle.get("cycle_number") for cycle in cycles], dtype=object)
        columns |= {k: np.full(len(cycles), battery[f]) for k, f in _CELL.items() if battery.get(f) is not None}
    cell = head.get("cell_id", battery.get("cell_id"))
    columns["cell_id"] = np.full(len(cycles), str(cell), dtype=object)
    head = head | {"facts": facts}
    return check_size(assemble(where, signals, columns, head, told), head, where)


def _signal(cycles: list[dict[str, Any]], field: str, points: int | None, where: str) -> np.ndarray:
    """(cycles, points) of a field; behind the end of a shorter curve NaN where the file says how long curves are."""
    rows = []
    for cycle in cycles:
        try:
            rows.append(np.asarray(cycle.get(field) or [], dtype=np.float64))
        except (TypeError, ValueError):
            raise DataError(
                f"{where}: {field} of cycle {cycle.get('cycle_number')} is not a list of numbers."
            ) from None
    length = points or len(rows[0])
    for cycle, row in zip(cycles, rows, strict=True):
        if row.ndim != 1 or len(row) > length or (points is None and len(row) != length):
            raise DataError(
                f"{where}: ragged: {field} of cycle {cycle.get('cycle_number')} has {row.size} points and that of the first "
                f"{length}. Resample all cycles to one number of points."
            )
    made = np.full((len(rows), length), np.nan)
    for place, row in enumerate(rows):
        made[place, : len(row)] = row
    return made
