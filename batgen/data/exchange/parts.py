"""From the pieces of a file to a checked CurveSet, and what every format notes beside the curves."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.curve_set import TEXT_COLUMNS, CurveSet
from batgen.data.exchange.checks import check_scales, check_values
from batgen.data.exchange.names import (
    CONDITIONS,
    PULSE_VOLTAGE,
    check_condition,
    check_signal,
    check_told,
    convert,
    factor_of,
)
from batgen.errors import DataError

SCHEMA = "batgen curves 1"
#: The cell of all curves of a file that names none.
UNNAMED = "unnamed"
#: Columns of a table that files carry, in this order.
_COLUMNS = ("cell_id", *CONDITIONS, *(name for name in TEXT_COLUMNS if name != "cell_id"), "pair")


def assemble(
    where: str,
    signals: Mapping[str, np.ndarray],
    columns: Mapping[str, Any],
    head: Mapping[str, Any],
    told: Mapping[str, str] | None = None,
    declared: Mapping[str, str] | None = None,
) -> CurveSet:
    """A CurveSet of `signals` (N, P), name -> values, and `columns` (N,), name -> values of conditions and text.

    where: the file, for messages. head: axis (P,), axis_name and facts, as far as the file says them. declared: units
    that the file gives; told: units that the caller gives (see `factor_of`). Raises DataError for whatever does not fit.
    """
    told, declared = told or {}, declared or {}
    signals, pulses = _pulses(signals)
    check_told(told, [*signals, *columns], where)
    shapes = {name: np.shape(values) for name, values in signals.items()}
    if not shapes:
        raise DataError(f"{where}: there is no signal in it. Give one, such as voltage_V.")
    if any(len(shape) != 2 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        raise DataError(
            f"{where}: ragged: every signal must have the same number of curves and of points (N, P), these have {shapes}."
        )
    for name in signals:
        check_signal(name, where)
    n, points = next(iter(shapes.values()))
    if not n or not points:
        raise DataError(f"{where}: there are no curves in it ({n} curves of {points} points).")
    arrays = [
        convert(np.asarray(values, dtype=np.float32), factor_of(name, declared.get(name), told, where))
        for name, values in signals.items()
    ]
    table = _table(where, columns, n, told, declared)
    axis = _numbers(where, "axis", head.get("axis", np.arange(1, points + 1) if pulses else np.arange(points)))
    if axis.shape != (points,) or not np.isfinite(axis).all():
        raise DataError(f"{where}: its axis has shape {axis.shape} and must be {points} finite numbers, one a point.")
    name = str(head.get("axis_name", "pulse_step" if pulses else "point"))
    facts = dict(head.get("facts", {}))
    if "synthetic" in facts:
        facts["synthetic"] = str(facts["synthetic"]).lower() not in ("false", "0", "no")  # in doubt it is
    curves = CurveSet(np.stack(arrays, axis=1), tuple(signals), axis, name, table, facts)
    if sorted(head.get("signals", [])) == sorted(signals):
        curves = curves.only(head["signals"])  # HDF5 sorts them by name
    check_values(curves, where)
    check_scales(curves, where)
    return curves


def _pulses(signals: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], bool]:
    """U1, U2 ... (N,) or (N, 1) each, as one voltage_V (N, number of pulse steps); anything else as it is."""
    numbers = sorted(int(found[1]) for name in signals if (found := PULSE_VOLTAGE.fullmatch(name)))
    if not numbers or numbers != list(range(1, len(signals) + 1)):
        return signals, False
    return {"voltage_V": np.stack([np.ravel(signals[f"U{number}"]) for number in numbers], axis=1)}, True


def _table(
    where: str, columns: Mapping[str, Any], n: int, told: Mapping[str, str], declared: Mapping[str, str]
) -> pd.DataFrame:
    made: dict[str, Any] = {"cell_id": np.full(n, UNNAMED, dtype=object)}
    kinds: dict[str, dict[str, np.ndarray]] = {}
    for name, values in columns.items():
        if len(values) != n:
            raise DataError(f"{where}: {name} has {len(values)} values for {n} curves. Give one a curve.")
        condition, sign, kind = name.partition("=")
        if sign:  # "chemistry=LFP": one of the columns that a category became
            kinds.setdefault(condition, {})[kind] = np.asarray(values, dtype=float)
        elif name in TEXT_COLUMNS:
            made[name] = np.asarray(values, dtype=object).astype(str).astype(object)
        elif name in ("pair", "sample"):
            made[name] = _numbers(where, name, values).astype(np.int64)
        else:
            check_condition(name, where)
            number = _numbers(where, name, values)
            made[name] = convert(number, factor_of(name, declared.get(name), told, where))
            if np.isinf(made[name]).any():
                raise DataError(
                    f"{where}: {name} is infinite in a row. Leave the value out (NaN) where it is not known."
                )
    for condition, share in kinds.items():
        check_condition(condition, where)
        names = np.array(list(share), dtype=object)
        made[condition] = names[np.argmax(np.stack(list(share.values())), axis=0)]
    return pd.DataFrame({name: made[name] for name in (*_COLUMNS, "sample") if name in made})


def _numbers(where: str, name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {name} must hold numbers. Its values are such as {values[0]!r}.") from None


def known_columns(curves: CurveSet) -> list[str]:
    """Columns of the table that files carry: the cell, conditions, what belongs to the cell, texts and `pair`."""
    return [name for name in _COLUMNS if name in curves.table]


def header(curves: CurveSet) -> dict[str, Any]:
    """What is said once a file: schema, number of curves (so that a shortened file is found out), order of the signals, name
    of the axis, and the facts."""
    return {
        "schema": SCHEMA,
        "curves": len(curves),
        "signals": list(curves.signals),
        "axis_name": curves.axis_name,
        "facts": plain(dict(curves.facts)),
    }


def plain(value: Any) -> Any:
    """As JSON can hold it: numpy numbers as numbers, NaN as null, anything unknown as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def parse_header(text: str | bytes, where: str) -> dict[str, Any]:
    """What `header` gave, from JSON; of files older than the schema, that JSON is the facts. Raises DataError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{where}: what it says of itself is not a JSON object, so it is damaged. Write it again.")
    if "schema" not in found:
        return {"facts": found}
    check_schema(found["schema"], where)
    kinds = {"facts": dict, "curves": int, "signals": list, "axis": list, "rows": int, "axis_name": str}
    wrong = [name for name, kind in kinds.items() if name in found and not isinstance(found[name], kind)]
    if wrong or not all(isinstance(name, str) for name in found.get("signals", [])):
        raise DataError(f"{where}: its {(wrong or ['signals'])[0]} is not what batgen writes: damaged. Write it again.")
    return found


def check_schema(schema: Any, where: str) -> None:
    """Raise DataError where a file says that it is something else."""
    if str(schema) != SCHEMA:
        raise DataError(f"{where}: its schema is {str(schema)!r}; {SCHEMA!r} is read here. Write it with this batgen.")


def check_size(curves: CurveSet, head: Mapping[str, Any], where: str) -> CurveSet:
    """The curves; DataError where the file says that it had more or fewer."""
    wanted = head.get("curves", len(curves))
    if len(curves) != wanted:
        raise DataError(
            f"{where}: it was written with {wanted} curves and has {len(curves)}: it is cut short. Copy it again."
        )
    return curves


def in_written_order(curves: CurveSet) -> CurveSet:
    """Curves by their `sample`, the row that they had in the set that was written; without that column as they are."""
    if "sample" not in curves.table:
        return curves
    ordered = curves.take(np.argsort(curves.table["sample"].to_numpy(), kind="stable"))
    table = ordered.table.drop(columns="sample")
    return CurveSet(ordered.values, ordered.signals, ordered.axis, ordered.axis_name, table, ordered.facts)
