"""Tables of an evaluation: a line a metric, a column a method, the floor beside; in the terminal the metrics that say most."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Row = Mapping[str, Any]
#: What the terminal shows of a run: metrics of whole curves, of each signal, of each condition or target.
HEADLINES = (
    "CRPS",
    "energy_score",
    "energy_distance",
    "C2ST",
    "recall",
    "coverage_80",
    "condition_error",
    "TSTR_MAE",
    "copy_share",
    "membership_AUC",
)
#: A physics check is passed like measured curves pass it where its rate is no lower than this below theirs.
_LIKE_MEASURED = 0.02
ARROWS = {"lower": "↓", "higher": "↑", "one": "→1", "half": "→½"}


def to_markdown(rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """All metrics: a section a protocol and test set, a table a family."""
    parts = ["# Evaluation", ""]
    for (protocol, test_set), own in grouped(rows, "protocol", "test_set").items():
        first = own[0]
        parts += [f"## {protocol} protocol, {first.get('split', '')} split, {first.get('data', '')}: {test_set}", ""]
        for family, some in grouped(own, "family").items():
            methods = _methods(some)
            parts += [f"### {family[0]}", "", "| metric | " + " | ".join((*methods, "floor", "n")) + " |"]
            parts += ["|---" * (len(methods) + 3) + "|"]
            for line in _lines(some, methods):
                parts.append("| " + " | ".join(line) + " |")
            parts.append("")
    parts += [f"- {note}" for note in notes]
    text = "value [95 % interval over cells]; of several seeds mean ± standard deviation. "
    text += "floor: what measured curves of training cells score."
    return "\n".join([*parts, "", text, ""])


def print_headlines(rows: Sequence[Row], console: Console) -> None:
    """One table a protocol and test set with the metrics of HEADLINES and how many physics checks hold."""
    for (protocol, test_set), own in grouped(rows, "protocol", "test_set").items():
        wanted = [r for name in HEADLINES for r in own if r["metric"] == name and r.get("family") != "rare"]
        if not wanted:
            continue
        methods = _methods(wanted)
        title = f"{protocol} protocol, {own[0].get('split', '')} split, {own[0].get('data', '')}: {test_set}"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        table.add_column("metric", no_wrap=True)
        for name in (*methods, "floor"):
            table.add_column(name, justify="right", overflow="fold", min_width=8)
        for line in _lines(wanted, methods, short=True):
            table.add_row(escape(line[0]), *line[1:-1])  # "[s]" is a unit, no markup
        checks = [held_checks([r for r in own if r["metric"] == "pass_rate" and r["method"] == m]) for m in methods]
        table.add_row("physics checks that hold", *checks, "")
        console.print(table)


def held_checks(rows: Sequence[Row]) -> str:
    """ "14 of 17": checks that generated curves pass as often as measured ones do, mean over seeds."""
    held = 0
    groups = grouped(rows, "signal")
    for some in groups.values():
        rate = fmean(0.0 if r["value"] is None else r["value"] for r in some)
        floors = [r["floor"] for r in some if _finite(r.get("floor"))]
        held += rate >= (fmean(floors) if floors else 1.0) - _LIKE_MEASURED
    return f"{held} of {len(groups)}" if groups else ""


def _lines(rows: Sequence[Row], methods: Sequence[str], short: bool = False) -> list[list[str]]:
    """One a metric and signal: its name with unit and direction, a value a method, the floor, n."""
    lines = []
    for (metric, signal), some in grouped(rows, "metric", "signal").items():
        unit, arrow = some[0]["unit"], ARROWS.get(some[0]["direction"], "")
        name = f"{metric} {signal}" if signal != "curve" else str(metric)
        cells = [value_text([r for r in some if r["method"] == m], short) for m in methods]
        floors = [r["floor"] for r in some if r.get("floor") is not None]
        floor = number(fmean(floors)) if floors and all(map(_finite, floors)) else ""
        counts = {int(r["n"]) for r in some if r.get("n") is not None}
        unit = "" if unit == "1" else f" [{unit}]"
        lines.append([f"{name}{unit} {arrow}".rstrip(), *cells, floor, str(max(counts)) if counts else ""])
    return lines


def value_text(rows: Sequence[Row], short: bool = False) -> str:
    """mean ± standard deviation of several seeds, or the value of one with its interval."""
    if not rows:
        return ""
    values = [float("inf") if r["value"] is None else float(r["value"]) for r in rows]
    if not all(map(_finite, values)):
        return "fails"
    if len(values) > 1:
        return f"{number(fmean(values))} ± {number(stdev(values))}"
    low, high = rows[0].get("low"), rows[0].get("high")
    if short or low is None or high is None or not (_finite(low) and _finite(high)):
        return number(values[0])
    return f"{number(values[0])} [{number(low)}, {number(high)}]"


def number(value: float) -> str:
    """Three significant digits, no exponent for what people read at sight."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    return f"{value:.2e}" if size < -4 or size > 5 else f"{value:.{max(0, 2 - size)}f}"


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _methods(rows: Sequence[Row]) -> list[str]:
    """Models first, then baselines, in order of appearance."""
    names = dict.fromkeys((r["role"] != "model", r["method"]) for r in rows)
    return [str(name) for _, name in sorted(names, key=lambda pair: pair[0])]


def grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of these keys, in order of appearance."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(k) for k in keys), []).append(row)
    return found
