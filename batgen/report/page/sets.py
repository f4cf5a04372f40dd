"""evaluation.h5 of all runs as the data of the plots: a set a test, models and baselines that share it side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from batgen.errors import DataError
from batgen.report.labels import grid_label, pretty_unit
from batgen.report.page.details import calibration, indicators, memorisation, sweeps
from batgen.report.page.metric_words import signal_name
from batgen.report.page.packing import evenly, packed, plain
from batgen.report.page.read import EvaluatedRun

#: Characters of shown curves on a page, about; rows that are shown of a test, and draws of each.
_BUDGET = 900_000
_ROWS, _LEAST, _DRAWS = 16, 4, 4
#: Characters a number of a curve takes.
_CHARACTERS = 2.7
#: What is said of a shown row, where it is known.
_NAMES = ("cell_id", "battery", "ecl", "cycle", "eol", "soh", "soc", "policy", "c_rate", "ambient_degC")


@dataclass(frozen=True)
class PageData:
    """sets: what page.js draws. attributes: those of each run's sets, run by run. notes: what could not be read."""

    sets: list[dict[str, Any]]
    attributes: list[list[Mapping[str, Any]]]
    notes: list[str]


def page_data(runs: Sequence[EvaluatedRun]) -> PageData:
    """Read every run's evaluation.h5. A run without one, or with a damaged one, has no plots and a note."""
    sets: list[dict[str, Any]] = []
    measured: list[np.ndarray] = []
    attributes: list[list[Mapping[str, Any]]] = []
    notes = []
    total = max(1, sum(1 for run in runs for _ in _places(run)))
    for run in runs:
        own: list[Mapping[str, Any]] = []
        path = run.folder / "evaluation.h5"
        try:
            with h5py.File(path, "r") as file:
                groups = file.get("sets", {})
                for key in sorted(groups, key=lambda k: (len(k), k)):
                    own.append(dict(groups[key].attrs))
                    _add(groups[key], run, sets, measured, total)
        except FileNotFoundError:
            notes.append(f"{run.name}: no evaluation.h5 in {run.folder}, so nothing is drawn of it.")
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise DataError(f"{path}: cannot be read ({error}). Evaluate the run again with again=true.") from None
        attributes.append(own)
    for one in sets:
        for model in one["models"] if len(one["models"]) > 1 else ():
            model.pop("draws", None)  # drawn of a single model alone
    return PageData(sets, attributes, notes)


def _places(run: EvaluatedRun) -> Iterator[str]:
    try:
        with h5py.File(run.folder / "evaluation.h5", "r") as file:
            yield from list(file["sets"]) if "sets" in file else []
    except OSError:
        return


def _add(
    group: h5py.Group, run: EvaluatedRun, sets: list[dict[str, Any]], measured: list[np.ndarray], total: int
) -> None:
    """The set joins one that another run has of the same measured curves, or begins one of its own."""
    about = {k: str(group.attrs[k]) for k in ("protocol", "split", "test_set", "data")}
    about |= {"kind": str(run.about.get("family", "curves")), "board": run.board}
    curves = group["shown/measured"][()]
    same = [
        s for s, own in zip(sets, measured, strict=True)
        if s["about"] == about and own.shape == curves.shape and np.array_equal(own, curves, equal_nan=True)
    ]  # fmt: skip
    if not same:
        sets.append(_begin(group, run.name, about, curves, total))
        measured.append(curves)
    target = same[0] if same else sets[-1]
    rows = np.array(target["places"])
    target["models"].append(_model(group, run.name, rows))
    known = {b["name"] for b in target["baselines"]}
    for name, found in group.get("shown/baselines", {}).items():
        if name not in known:
            target["baselines"].append({"name": name, "mean": packed(found[()][rows])})
    memorisation(group, run, target)
    calibration(group, run.name, target)
    indicators(group, run.name, target, total)
    target["sweeps"] += sweeps(group, run.name, total)


def _begin(group: h5py.Group, name: str, about: dict[str, str], curves: np.ndarray, total: int) -> dict[str, Any]:
    signals = json.loads(str(group.attrs["signals"]))
    lines = 1 + 3 + _DRAWS + len(group.get("shown/baselines", {}))
    fitting = int(_BUDGET / total / (_CHARACTERS * lines * curves.shape[1] * curves.shape[2]))
    places = evenly(min(_ROWS, max(_LEAST, fitting)), len(curves))
    records = json.loads(str(group["shown"].attrs.get("records", "[]")))
    return {
        "about": about,
        "label": f"{about['data']} {about['kind']}, {about['protocol']} protocol, {about['split']} split: {about['test_set']}"
        + (f" ({about['board']})" if about["board"] else ""),
        "places": [int(p) for p in places],
        "rows": [row_label(records[p], p) if p < len(records) else f"curve {p + 1}" for p in places],
        "signals": [_signal(s) for s in signals],
        "axis": plain(group["axis"][()], 6),
        "axis_label": grid_label(str(group.attrs["axis_name"])),
        "measured": packed(curves[places]),
        "models": [], "baselines": [], "memorisation": [], "calibration": [], "indicators": [], "sweeps": [],
    }  # fmt: skip


def _signal(signal: str) -> dict[str, str]:
    unit = signal.rpartition("_")[2]
    return {"name": signal, "label": signal_name(signal), "unit": pretty_unit(unit)}


def _model(group: h5py.Group, name: str, rows: np.ndarray) -> dict[str, Any]:
    """Mean, band and draws of a model; "loose" curves where they belong to no measured one."""
    found: dict[str, Any] = {"name": name}
    shown = group["shown"]
    for what in ("mean", "low", "high"):
        if what in shown:
            found[what] = packed(shown[what][()][rows])
    if "draws" in shown:
        found["draws"] = packed(shown["draws"][()][rows, :_DRAWS])
    if "loose" in shown:
        found["loose"] = packed(shown["loose"][()][:_ROWS])
    return found


def row_label(record: Mapping[str, Any], place: int) -> str:
    """ "sim_p01_c1, ecl 2, soh 0.967": the cell and conditions of a shown row."""
    said = []
    for name in _NAMES:
        if name in record:
            value = record[name]
            text = f"{value:.4g}" if isinstance(value, int | float) else str(value)
            said.append(text if name in {"cell_id", "battery"} else f"{signal_name(name)} {text}")
    return ", ".join(said[:6]) or f"curve {place + 1}"
