"""Training curves: metrics.csv, losses.csv or health_<fold>.csv of each protocol and seed, whichever a model writes."""

import csv
import math
from pathlib import Path
from typing import Any

from batgen.report.page.packing import evenly, plain
from batgen.report.page.read import EvaluatedRun

_PATTERNS = ("metrics.csv", "losses.csv", "health_*.csv")
#: Columns that count training, in order of preference; points of a curve; lines of one quantity.
_STEPS = ("epoch", "step")
_POINTS, _LINES = 150, 30
#: Said once an epoch but no sign of how training goes.
_OTHER = {"member", "chosen", "length", "lr", "fold"}


def training_curves(run: EvaluatedRun) -> list[dict[str, Any]]:
    """{model, quantity, step, lines: [{name, protocol, x, y}]}, a quantity an entry.

    The quantity that stopped training comes first. Empty for a closed form.
    """
    found: dict[str, dict[str, Any]] = {}
    for part in run.parts:
        for path in _files(part):
            for member, step, columns in _read(path):
                for quantity, (x, y) in columns.items():
                    entry = found.setdefault(
                        quantity, {"model": run.name, "quantity": quantity, "step": step, "lines": []}
                    )
                    if len(entry["lines"]) < _LINES:
                        keep = evenly(_POINTS, len(x))
                        name = " ".join((part.name, member)).strip()
                        entry["lines"].append(
                            {"name": name, "protocol": part.name.split("-")[0], "x": plain([x[k] for k in keep], 7),
                             "y": plain([y[k] for k in keep])}
                        )  # fmt: skip
    parts = run.run.get("parts", {}).values()
    watched = [str(p["training"].get("monitor")) for p in parts if isinstance(p.get("training"), dict)]
    return sorted(found.values(), key=lambda entry: entry["quantity"] not in watched[:1])


def _files(part: Path) -> list[Path]:
    for pattern in _PATTERNS:
        if paths := sorted(p for p in part.glob(pattern) if not p.stem.endswith("_search")):
            return paths
    return []


def _read(path: Path) -> list[tuple[str, str, dict[str, tuple[list[float], list[float]]]]]:
    """(member, name of the step, quantity -> steps and values) of each member of the file; nothing of a damaged one."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    if not rows:
        return []
    step = next((s for s in _STEPS if s in rows[0]), None)
    if step is None:
        return []
    fold = path.stem.partition("_")[2] if path.stem.startswith("health_") else ""
    members: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        members.setdefault(row.get("member") or fold, []).append(row)
    found = []
    for member, own in members.items():
        columns = {}
        for name in own[0]:
            if name in _OTHER or name in _STEPS or name is None:
                continue
            pairs = [(_number(r.get(step)), _number(r.get(name))) for r in own]
            known = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
            if len(known) > 1:
                columns[name] = ([x for x, _ in known], [y for _, y in known])
        found.append((member, step, columns))
    return found


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
