"""Memorisation, calibration, indicators and sweeps of evaluation.h5, as the plots of the page need them."""

import json
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from batgen.report.labels import pretty_unit
from batgen.report.page.metric_words import signal_name
from batgen.report.page.packing import evenly, packed, plain
from batgen.report.page.read import EvaluatedRun

#: Points of a distribution; dots of a scatter; points of a swept curve.
_QUANTILES, _DOTS, _POINTS = 81, 120, 64
#: Above so many sets on the page, swept curves go without their bands, and scatters with a third of the dots.
_BANDS = 4


def memorisation(group: h5py.Group, run: EvaluatedRun, target: dict[str, Any]) -> None:
    """Adds {name, role, train, held}: quantiles of distances to the nearest training and held-out curve."""
    known = {entry["name"] for entry in target["memorisation"]}
    for name, found in group.get("memorisation", {}).items():
        role = "floor" if name == "floor" else "model" if name in run.names else "baseline"
        shown = run.names.get(name, name)
        if shown not in known and "to_train" in found:
            held = _quantiles(found["to_held_out"][()]) if "to_held_out" in found else []
            entry = {"name": shown, "role": role, "train": _quantiles(found["to_train"][()]), "held": held}
            target["memorisation"].append(entry)


def calibration(group: h5py.Group, name: str, target: dict[str, Any]) -> None:
    """Adds {model, signal, expected, observed}."""
    for signal, found in group.get("calibration", {}).items():
        expected, observed = (plain(found[what][()]) for what in ("expected", "observed"))
        entry = {"model": name, "signal": signal_name(signal), "expected": expected, "observed": observed}
        target["calibration"].append(entry)


def indicators(group: h5py.Group, name: str, target: dict[str, Any], total: int) -> None:
    """Adds {model, label, unit, measured, generated, low, high} of at most _DOTS curves that have the indicator,
    fewer where the page has `total` sets."""
    for indicator, found in _indicators(group.get("indicators", {})):
        columns = {what: found[what][()] for what in ("measured", "generated", "low", "high") if what in found}
        if not {"measured", "generated"} <= set(columns):
            continue
        keep = np.flatnonzero(np.isfinite(columns["measured"]) & np.isfinite(columns["generated"]))
        keep = keep[evenly(_DOTS if total <= _BANDS else _DOTS // 3, len(keep))] if len(keep) else keep
        unit = str(found.attrs.get("unit", ""))
        entry = {"model": name, "label": signal_name(indicator), "unit": "" if unit == "1" else pretty_unit(unit)}
        if len(keep):
            target["indicators"].append({**entry, **{k: plain(v[keep]) for k, v in columns.items()}})


def _indicators(group: Any, before: str = "") -> Iterator[tuple[str, h5py.Group]]:
    """Name and group of each: a name with a unit such as Ah/V lies one group deeper."""
    for name, found in group.items():
        if isinstance(found, h5py.Group):
            if "measured" in found:
                yield before + name, found
            else:
                yield from _indicators(found, f"{before}{name}/")


def sweeps(group: h5py.Group, name: str, total: int) -> list[dict[str, Any]]:
    """{model, label, unit, values, train_low, train_high, fixed, axis, mean, low, high} of each condition."""
    entries = []
    for condition, found in group.get("sweeps", {}).items():
        points = evenly(_POINTS, found["mean"].shape[-1])
        fixed = json.loads(str(found.attrs.get("fixed", "{}")))
        unit = str(found.attrs.get("unit", ""))
        entry: dict[str, Any] = {
            "model": name, "label": signal_name(condition), "unit": "" if unit == "1" else pretty_unit(unit),
            "values": plain(found["values"][()]), "fixed": ", ".join(f"{signal_name(k)} {_short(v)}" for k, v in fixed.items()),
            "train_low": _number(found.attrs.get("train_low")), "train_high": _number(found.attrs.get("train_high")),
            "axis": plain(group["axis"][()][points], 6),
        }  # fmt: skip
        for what in ("mean", "low", "high") if total <= _BANDS else ("mean",):
            entry[what] = packed(found[what][()][..., points])
        entries.append(entry)
    return entries


def _quantiles(values: np.ndarray) -> list[float | None]:
    known = values[np.isfinite(values)]
    return plain(np.quantile(known, np.linspace(0, 1, _QUANTILES))) if len(known) else []


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _number(value: Any) -> float | None:
    try:
        return plain([float(value)])[0]
    except (TypeError, ValueError):
        return None
