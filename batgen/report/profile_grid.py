"""Grids of numbers from metrics.json rows: a line a method, a column a metric; seeds joined, best marked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from batgen.report.labels import pretty_unit, small_unit
from batgen.report.profile_labels import block_words
from batgen.report.profile_words import SAYS_SOMETHING
from batgen.report.summary import Value

Row = Mapping[str, Any]

#: Metrics that are shares of profiles and read better in %.
_AS_PERCENT = ("flat_share", "repeat_share", "out_of_range_share", "pass_rate", "TSTR_MAE")
_ROLES = ("model", "baseline")
#: A measured training record run the same way (of another cell where cells are held out), scored as if it had been generated.
NEIGHBOUR = "measured neighbour"


@dataclass
class Column:
    """Head (with line breaks), unit, the metric and signal of its rows, the winning direction and the factor shown."""

    head: str
    unit: str
    metric: str
    signal: str
    direction: str
    factor: float = 1.0


@dataclass
class Line:
    """One method: its name, role, and for each column a value and what it was by seed; `best` marks the best baseline."""

    name: str
    role: str
    values: list[Value]
    by_seed: list[dict[Any, float]] = field(default_factory=list)
    best: bool = False


@dataclass
class Grid:
    """Columns and the lines that compete in them; a title for all but the main one."""

    title: str
    columns: list[Column]
    lines: list[Line]


def grid(rows: list[Row], title: str, wanted: list[tuple[str, str, str, str]], ranked: bool = False) -> Grid:
    """A line a method and a column for each (metric, signal, head, direction) of `wanted` that any row has a value of.

    `ranked` sorts the baselines by the first column and marks the first of them. What a measured neighbour scores (the
    `floor` of the model's rows) is a last line.
    """
    columns = []
    for metric, signal, head, direction in wanted:
        # One unit a column: that of its first row.
        unit = next((str(r["unit"]) for r in rows if _is(r, metric, signal)), None)
        if unit is not None:
            shown, factor = _shown_unit(metric, unit)
            columns.append(Column(head, shown, metric, signal, direction, factor))
    lines = _lines(rows, columns)
    if ranked:
        lines.sort(key=lambda line: (place_of(line), line.role == "baseline" and _first(line)))
        next((x for x in lines if x.role == "baseline"), Line("", "", [])).best = True
    own = [row for row in rows if row["role"] == "model"]
    floors = [_value(own, column, "floor") for column in columns]
    if any(by_seed for _, by_seed in floors):
        lines.append(Line(NEIGHBOUR, "floor", [value for value, _ in floors], [by_seed for _, by_seed in floors]))
        for column, (value, _) in zip(columns, floors, strict=True):
            # Where measured profiles fare no better, to come near 0.5 is no merit.
            if column.metric == "C2ST" and not SAYS_SOMETHING[0] <= value.mean <= SAYS_SOMETHING[1]:
                column.direction = ""
    _mark(lines, columns)
    return Grid(title, columns, lines)


def _shown_unit(metric: str, unit: str) -> tuple[str, float]:
    if unit == "s":
        return "min", 1 / 60
    if metric in _AS_PERCENT and unit == "1":
        return "%", 100.0
    return small_unit("" if unit == "1" else pretty_unit(unit))


def effects(rows: list[Row]) -> Grid:
    """A line a block of conditions: its error when permuted over its error as it is; constant blocks have no number."""
    own = [r for r in rows if r["metric"] == "permuted_ratio" and r["role"] == "model"]
    lines = []
    for block in dict.fromkeys(str(r["signal"]) for r in own):
        column = Column("", "", "permuted_ratio", block, "")
        value, by_seed = _value([r for r in own if r["signal"] == block], column)
        # A run says of each seed whether the error rose by more than the noise of its draws; what most seeds say counts.
        said = [str(r["note"]).removeprefix("learnt: ") for r in own if r["signal"] == block and r.get("note")]
        constant = bool(said) and all(note == "constant" for note in said)
        learnt = 2 * said.count("yes") > len(said) if said else value.mean > 1
        role = "constant" if constant else "learnt" if learnt else "not learnt"
        lines.append(Line(block_words(block), role, [Value() if constant else value], [by_seed]))
    columns = [Column("error, permuted\nover as it is", "", "permuted_ratio", "", "")] if lines else []
    return Grid("what each condition does", columns, lines)


def _is(row: Row, metric: str, signal: str) -> bool:
    """Whether a row has a value of this metric: an unknown one is NaN when fresh and None when read from metrics.json."""
    return row["metric"] == metric and row["signal"] == signal and _known(row, "value")


def _known(row: Row, key: str) -> bool:
    return row.get(key) is not None and not math.isnan(row[key])


def _lines(rows: list[Row], columns: list[Column]) -> list[Line]:
    """Models, baselines, then measured references, as they come; those without any number are left out."""
    lines = []
    for role, method in dict.fromkeys((str(r["role"]), str(r["method"])) for r in rows):
        mine = [r for r in rows if (r["role"], r["method"]) == (role, method)]
        values = [_value(mine, column) for column in columns]
        line = Line(method, role, [value for value, _ in values], [by_seed for _, by_seed in values])
        if any(not math.isnan(value.mean) for value in line.values):
            lines.append(line)
    return sorted(lines, key=place_of)


def place_of(line: Line) -> int:
    """Models first, then baselines, then what was measured."""
    return _ROLES.index(line.role) if line.role in _ROLES else len(_ROLES)


def _first(line: Line) -> float:
    return math.inf if math.isnan(line.values[0].mean) else line.values[0].mean


def _value(rows: list[Row], column: Column, key: str = "value") -> tuple[Value, dict[Any, float]]:
    by_seed: dict[Any, list[float]] = {}
    told = [r for r in rows if _is(r, column.metric, column.signal) and _known(r, key)]
    for row in told:
        by_seed.setdefault(row.get("seed"), []).append(float(row[key]) * column.factor)
    numbers = {seed: fmean(found) for seed, found in by_seed.items()}
    if not numbers:
        return Value(), {}
    mean = fmean(numbers.values())
    if len(numbers) > 1:
        finite = all(map(math.isfinite, numbers.values()))
        return Value(mean, stdev(numbers.values()) if finite else math.nan), numbers
    if len(told) != 1 or key != "value" or told[0].get("low") is None or told[0].get("high") is None:
        return Value(mean), numbers
    return Value(mean, low=told[0]["low"] * column.factor, high=told[0]["high"] * column.factor), numbers


def _mark(lines: list[Line], columns: list[Column]) -> None:
    """The best of model and baselines in each column; measured references do not compete."""
    rivals = [line for line in lines if line.role in _ROLES]
    for place, column in enumerate(columns):
        values = [line.values[place] for line in rivals if not math.isnan(line.values[place].mean)]
        losses = [_loss(value.mean, column.direction) for value in values]
        for value, loss in zip(values, losses, strict=True):
            # Where all are alike none is best.
            value.best = bool(column.direction) and loss == min(losses) < max(losses)


def _loss(value: float, direction: str) -> float:
    if direction in ("one", "half"):
        return abs(value - (1.0 if direction == "one" else 0.5))
    return -value if direction == "higher" else value
