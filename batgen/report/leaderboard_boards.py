"""From the rows of many evaluations to the cells of a leaderboard: seeds joined, best marked, models ranked. No rendering."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from scipy.stats import rankdata

from batgen.report.labels import decimals, in_order, number, small_unit, symbol

Row = Mapping[str, Any]
#: The signal that stands for the curve, and the condition a user asks for first, as far as they are there.
MAIN_SIGNALS = ("voltage_V", "temperature_degC", "discharge_capacity_Ah")
PROFILE_SIGNALS = ("temperature_degC", "voltage_V")
MAIN_CONDITIONS = ("eol", "soh", "ambient_degC", "ecl", "soc")
FLOOR = "measured neighbour"
_NOMINAL = re.compile(r"coverage_(\d\d)")


@dataclass(frozen=True)
class Column:
    """A metric of the table. pick: "signal" (the main one), "curve" (whole curves), "condition" (the main one) or "checks"
    (mean over all). group: the table it stands in. drawn: whether it has a panel in the figure."""

    title: str
    family: str
    metric: str
    pick: str
    group: str
    drawn: bool = False


CLOSE, TRUST = "How close", "How far to trust it"
CHOSEN = (
    Column("RMSE", "fidelity", "RMSE", "signal", CLOSE, drawn=True),
    Column("CRPS", "conditional", "CRPS", "signal", CLOSE),
    Column("energy score", "conditional", "energy_score", "curve", CLOSE, drawn=True),
    Column("C2ST", "fidelity", "C2ST", "curve", CLOSE, drawn=True),
    Column("condition error", "conditional", "condition_error", "condition", CLOSE),
    Column("80 % coverage", "calibration", "coverage_80", "signal", TRUST, drawn=True),
    Column("precision", "diversity", "precision", "curve", TRUST),
    Column("recall", "diversity", "recall", "curve", TRUST),
    Column("membership AUC", "memorisation", "membership_AUC", "curve", TRUST),
    Column("physics passed", "physics", "pass_rate", "checks", TRUST),
)


@dataclass(frozen=True)
class Failure:
    """A model that was not trained or not evaluated, and why."""

    model: str
    kind: str
    board: str
    reason: str


@dataclass
class Cell:
    """A number: mean over seeds, their standard deviation (NaN with one seed), the interval of a single seed; NaN: none."""

    mean: float = math.nan
    spread: float = math.nan
    low: float = math.nan
    high: float = math.nan
    best: bool = False


@dataclass
class Heading:
    """A column as shown: title with its signal, unit after scaling, direction of the metric, and the column."""

    title: str
    unit: str
    direction: str
    column: Column


@dataclass
class Entry:
    """A model's line. cells[protocol][i] belongs to heading i; ranks[protocol]: mean rank and over how many metrics."""

    model: str
    role: str
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    ranks: dict[str, tuple[float, int]] = field(default_factory=dict)
    note: str = ""


@dataclass
class Board:
    """What is compared on the same measured curves: models, then baselines, each best rank first; `floor` beside them."""

    title: str
    kind: str
    protocols: list[str]
    seeds: list[int]
    test_sets: dict[str, str]
    headings: list[Heading]
    entries: list[Entry]
    floor: Entry


def summarise(rows: Iterable[Row], failures: Sequence[Failure] = ()) -> list[Board]:
    """A board for each (kind, board) of `rows`, in order of appearance.

    Rows are those of evaluation.json, each with its run, kind, board and method (a model or a baseline). Baselines of
    several runs of a board are the same and are taken from the first run.
    """
    parts: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        parts.setdefault((str(row["kind"]), str(row["board"])), []).append(row)
    for failure in failures:
        parts.setdefault((failure.kind, failure.board), [])
    return [
        _board(kind, title, part, [f for f in failures if (f.kind, f.board) == (kind, title)])
        for (kind, title), part in parts.items()
    ]


def _board(kind: str, title: str, rows: list[Row], failures: Sequence[Failure]) -> Board:
    owner: dict[str, str] = {}
    for row in rows:
        owner.setdefault(f"{row['role']} {row['method']}", str(row["run"]))
    rows = [r for r in rows if r["role"] in ("model", "baseline") and owner[f"{r['role']} {r['method']}"] == r["run"]]
    # honest first: it is what counts
    protocols = sorted({str(r["protocol"]) for r in rows})
    test_sets = {p: str(next(r for r in rows if r["protocol"] == p).get("test_set") or "") for p in protocols}
    # Cases of pulse tests are test sets that are averaged, as in their papers; elsewhere the first is the main one.
    rows = [r for r in rows if kind == "pulses" or str(r.get("test_set") or "") == test_sets[r["protocol"]]]
    found = [(column, _pick(column, kind, rows)) for column in CHOSEN]
    found = [(column, chosen) for column, chosen in found if chosen]
    headings = [_heading(column, chosen) for column, chosen in found]
    names = list(dict.fromkeys((str(r["role"]), str(r["method"])) for r in rows))
    entries = [Entry(model, role) for role, model in sorted(names, key=lambda name: name[0] != "model")]
    floor = Entry(FLOOR, "floor")
    for protocol in protocols:
        columns = [[r for r in chosen if r["protocol"] == protocol] for _, chosen in found]
        for entry in entries:
            mine = [[r for r in c if (r["role"], r["method"]) == (entry.role, entry.model)] for c in columns]
            entry.cells[protocol] = [_cell(chosen, "value") for chosen in mine]
        first = next((e.model for e in entries if e.role == "model"), None)
        of_first = [[r for r in c if r["role"] == "model" and r["method"] == first] for c in columns]
        floor.cells[protocol] = [_cell(chosen, "floor") for chosen in of_first]
        _rank(entries, protocol, headings)
    entries.sort(key=lambda e: (e.role != "model", [e.ranks[p][0] for p in protocols if e.ranks[p][1]] or [math.inf]))
    entries += [Entry(f.model, "failed", note=f.reason) for f in failures]
    seeds = sorted({int(r["seed"]) for r in rows})
    return Board(title, kind, protocols, seeds, test_sets, headings, entries, floor)


def _pick(column: Column, kind: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of a column: its family and metric, and the signal that stands for the others."""
    mine = [r for r in rows if (r["family"], r["metric"]) == (column.family, column.metric)]
    if column.pick == "checks":
        return mine
    there = in_order(str(r["signal"]) for r in mine)
    order = {
        "curve": ("curve",),
        "signal": PROFILE_SIGNALS if kind == "profiles" else MAIN_SIGNALS,
        "condition": MAIN_CONDITIONS,
    }[column.pick]
    signal = next((name for name in [*order, *there] if name in there), None)
    return [r for r in mine if r["signal"] == signal]


def _heading(column: Column, rows: Sequence[Row]) -> Heading:
    unit = str(rows[0]["unit"])
    shown = small_unit(unit)[0]
    of = symbol(str(rows[0]["signal"])) if column.pick in ("signal", "condition") else ""
    return Heading(f"{column.title} {of}".strip(), "" if shown == "1" else shown, str(rows[0]["direction"]), column)


def _cell(rows: Sequence[Row], key: str) -> Cell:
    """Mean over seeds of the mean of a seed's rows; with one seed and one row its interval. A value that is null was
    infinite, which JSON does not know: a generator that failed must not rank as one that was not asked."""
    if key == "value" and any(r.get(key) is None for r in rows):
        return Cell(math.inf)
    known = [r for r in rows if _number(r.get(key)) is not None]
    if not known:
        return Cell()
    scale = small_unit(str(known[0]["unit"]))[1]
    seeds: dict[Any, list[float]] = {}
    for row in known:
        seeds.setdefault(row["seed"], []).append(scale * float(row[key]))
    means = [fmean(values) for values in seeds.values()]
    cell = Cell(fmean(means), stdev(means) if len(means) > 1 else math.nan)
    if len(known) == 1 and key == "value":
        low, high = (_number(known[0].get(end)) for end in ("low", "high"))
        cell.low, cell.high = (math.nan if end is None else scale * end for end in (low, high))
    return cell


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def badness(heading: Heading, value: float) -> float:
    """How far a value is from the best one, the lower the better; NaN where nobody can say. Rounded to three digits, as
    shown: what prints alike is alike. A classifier that does worse than guessing (C2ST below 0.5) guesses."""
    nominal = _NOMINAL.fullmatch(heading.column.metric)
    rules: dict[str, Callable[[float], float]] = {
        "lower": lambda x: max(x, 0.5) if heading.column.metric == "C2ST" else x,
        "higher": lambda x: -x,
        "one": lambda x: abs(x - 1.0),
        "half": lambda x: abs(x - 0.5),
    }
    if nominal:
        bad = abs(value - int(nominal[1]) / 100)
    elif heading.direction in rules:
        bad = rules[heading.direction](value)
    else:
        return math.nan
    return bad if not math.isfinite(bad) else float(f"{bad:.3g}")


def _rank(entries: Sequence[Entry], protocol: str, headings: Sequence[Heading]) -> None:
    """Mark the best of each column and give each entry its mean rank over the columns it has; ties share their mean rank."""
    places: dict[str, list[float]] = {entry.role + entry.model: [] for entry in entries}
    for i, heading in enumerate(headings):
        bad = {e.role + e.model: badness(heading, e.cells[protocol][i].mean) for e in entries}
        bad = {name: value for name, value in bad.items() if not math.isnan(value)}
        if len(bad) < 2:
            continue
        for name, place in zip(bad, rankdata(list(bad.values()), method="average"), strict=True):
            places[name].append(float(place))
        for entry in entries:
            entry.cells[protocol][i].best = bad.get(entry.role + entry.model) == min(bad.values())
    for entry in entries:
        found = places[entry.role + entry.model]
        entry.ranks[protocol] = (fmean(found) if found else math.nan, len(found))


def text(cell: Cell) -> str:
    """A cell as shown: the mean, and the standard deviation over seeds where there are several."""
    if math.isinf(cell.mean):
        return "fails"
    shown = number(cell.mean)
    if math.isnan(cell.spread) or cell.spread == 0:
        return shown
    return f"{shown} ± {cell.spread:.{decimals(cell.mean)}f}"
