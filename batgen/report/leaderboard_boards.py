"""From the rows of many evaluations to the cells of a leaderboard: seeds joined, best marked, models ranked. No rendering."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from batgen.report.labels import decimals, number, small_unit
from batgen.report.leaderboard_columns import CHOSEN, CLOSE, TRUST, Column, Heading, Row, heading, pick
from batgen.report.leaderboard_ranks import badness, by_seed, counted, places

FLOOR = "measured neighbour"


@dataclass(frozen=True)
class Failure:
    """A model that was not trained or not evaluated, and why."""

    model: str
    kind: str
    board: str
    reason: str


@dataclass
class Cell:
    """A number: mean over seeds, their standard deviation (NaN with one seed), the interval of a single seed; NaN: none.
    counted: the value that ranks, in the unit of the metric, without what is better than measured."""

    mean: float = math.nan
    spread: float = math.nan
    low: float = math.nan
    high: float = math.nan
    counted: float = math.nan
    best: bool = False


@dataclass
class Entry:
    """A model's line. cells[protocol][i] belongs to heading i; ranks[protocol][group]: mean rank in the columns of a table,
    no group without ranks."""

    model: str
    role: str
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    ranks: dict[str, dict[str, float]] = field(default_factory=dict)
    note: str = ""

    def overall(self, protocol: str) -> float:
        """The mean of the ranks in the two tables; NaN without any."""
        found = self.ranks.get(protocol, {})
        return fmean(found.values()) if found else math.nan


@dataclass
class Board:
    """What is compared on the same measured curves: models, then baselines, each best rank first; `floor` beside them.
    curves, measured[protocol]: numbers of measured curves and of their cells, over seeds and test sets, ascending."""

    title: str
    kind: str
    protocols: list[str]
    seeds: list[int]
    test_sets: dict[str, str]
    curves: dict[str, list[int]]
    measured: dict[str, list[int]]
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
    found = [(column, chosen) for column in CHOSEN if (chosen := pick(column, kind, rows))]
    headings = [heading(column, chosen) for column, chosen in found]
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
    entries.sort(key=lambda e: (e.role != "model", [_last(e.overall(p)) for p in protocols]))
    entries += [Entry(f.model, "failed", note=f.reason) for f in failures]
    seeds = sorted({int(r["seed"]) for r in rows})
    curves, measured = ({p: _counts(found, p, key) for p in protocols} for key in ("n", "cells"))
    return Board(title, kind, protocols, seeds, test_sets, curves, measured, headings, entries, floor)


def _last(rank: float) -> float:
    return math.inf if math.isnan(rank) else rank


def _counts(found: Sequence[tuple[Column, list[Row]]], protocol: str, key: str) -> list[int]:
    """The numbers under `key` in the rows of the first column that has them: later ones may count pairs or checks."""
    for _, rows in found:
        there = {int(r[key]) for r in rows if r["protocol"] == protocol and r.get(key)}
        if there:
            return sorted(there)
    return []


def _cell(rows: Sequence[Row], key: str) -> Cell:
    """Mean over seeds of the mean of a seed's rows; with one seed and one row its interval. A value that is null was
    infinite, which JSON does not know: a generator that failed must not rank as one that was not asked."""
    if key == "value" and any(r.get(key) is None for r in rows):
        return Cell(math.inf, counted=math.inf)
    means = by_seed(rows, key)
    if not means:
        return Cell()
    scale = small_unit(str(rows[0]["unit"]))[1]
    scaled = [scale * value for value in means.values()]
    cell = Cell(fmean(scaled), stdev(scaled) if len(scaled) > 1 else math.nan)
    if key == "value":
        cell.counted = counted(rows)
        if len(rows) == 1:
            cell.low, cell.high = (scale * by_seed(rows, end).get(rows[0]["seed"], math.nan) for end in ("low", "high"))
    return cell


def _rank(entries: Sequence[Entry], protocol: str, headings: Sequence[Heading]) -> None:
    """Mark the best of each column and give each entry its mean rank in either table; columns with one vote share it.
    Entries without any number under a protocol were not judged there, and have no rank."""
    judged = [e for e in entries if not all(math.isnan(cell.mean) for cell in e.cells[protocol])]
    votes: dict[tuple[str, str], list[dict[str, float]]] = {}
    for i, head in enumerate(headings):
        metric = head.column.metric
        bad = {e.role + e.model: badness(metric, head.direction, e.cells[protocol][i].counted) for e in judged}
        if not (found := places(bad)):
            continue
        votes.setdefault((head.column.group, head.column.vote), []).append(found)
        best = min(value for value in bad.values() if not math.isnan(value))
        for entry in judged:
            entry.cells[protocol][i].best = math.isfinite(best) and bad[entry.role + entry.model] == best
    for entry in entries:
        entry.ranks[protocol] = {}
    for group in (CLOSE, TRUST):
        cast = [found for (place, _), found in votes.items() if place == group]
        for entry in judged if cast else []:
            name = entry.role + entry.model
            entry.ranks[protocol][group] = fmean(fmean(found[name] for found in vote) for vote in cast)


def text(cell: Cell) -> str:
    """A cell as shown: the mean, and the standard deviation over seeds where there are several."""
    if math.isinf(cell.mean):
        return "fails"
    shown = number(cell.mean)
    if math.isnan(cell.spread) or cell.spread == 0:
        return shown
    return f"{shown} ± {cell.spread:.{decimals(cell.mean)}f}"
