"""A leaderboard as markdown and as plain values: the honest and the paper's protocol side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from batgen.report.leaderboard_boards import Board, Entry, Failure, Heading, summarise, text

__all__ = ["Board", "Failure", "summarise", "to_markdown", "to_plain"]

_ARROWS = {"lower": "↓", "higher": "↑", "one": "→ 1", "half": "→ 0.5"}
_HOW = (
    "Each number is the mean over seeds ± their standard deviation. Bold: best of models and baselines. "
    "*measured neighbour*: the same metric of a measured curve of another, training cell under nearly the same conditions: what "
    "a generator that is as good as the data would score; it takes no part in the ranks. Rank: mean of the ranks in the "
    "columns below that a model has, 1 is best; what prints alike to three digits shares the mean of its ranks; in brackets the "
    "number of columns where some are missing. Coverage is ranked by its distance to its nominal value. Ranks say nothing of "
    "how far models are apart, and differences within the standard deviation are none. All metrics, signals and test sets: "
    "leaderboard.csv."
)


def to_markdown(
    boards: Sequence[Board], data: str, runs: Sequence[Mapping[str, Any]], beside: Mapping[str, str]
) -> str:
    """leaderboard.md: for each board its tables, then the runs with what was overridden and why some failed.

    runs: mappings with model, state, reason, folder and needs; beside: closed-form model -> where it was evaluated.
    """
    lines = [f"# Leaderboard: {data}", "", _HOW, ""]
    for board in boards:
        lines += [f"## {_plain(board.title[:1].upper() + board.title[1:])}", ""]
        if board.headings:
            lines += [_caption(board), ""]
        for group in dict.fromkeys(h.column.group for h in board.headings):
            lines += [f"*{group}*", "", *_table(board, group), ""]
        lines += [f"- {_plain(e.model)}: failed: {_plain(e.note)}" for e in board.entries if e.role == "failed"]
    return "\n".join([*lines, "## Runs", "", *_runs(runs, beside)]) + "\n"


def _caption(board: Board) -> str:
    sets = [f"{name} ({protocol})" for protocol, name in board.test_sets.items() if name not in ("", "test")]
    where = f" Test set: {', '.join(sets)}." if sets else ""
    where = " Mean over the cases of states of charge." if board.kind == "pulses" else where
    return f"Seeds {', '.join(map(str, board.seeds))}.{where}"


def _table(board: Board, group: str) -> list[str]:
    picked = [i for i, heading in enumerate(board.headings) if heading.column.group == group]
    heads = [f"rank, {protocol}" for protocol in board.protocols]
    heads += [f"{_head(board.headings[i])}, {protocol}" for i in picked for protocol in board.protocols]
    shown = [entry for entry in board.entries if entry.cells]
    rows = [[_named(entry), *_ranks(entry, board), *_cells(entry, board, picked)] for entry in shown]
    rows += [[f"*{board.floor.model}*", *[""] * len(board.protocols), *_cells(board.floor, board, picked)]]
    rows += [[_plain(e.model), "failed", *[""] * (len(heads) - 1)] for e in board.entries if e.role == "failed"]
    return [_line(["", *heads]), "|---" + "|---:" * len(heads) + "|", *map(_line, rows)]


def _head(heading: Heading) -> str:
    unit = f" [{heading.unit}]" if heading.unit else ""
    return f"{heading.title}{unit} {_ARROWS.get(heading.direction, '')}".strip()


def _named(entry: Entry) -> str:
    return f"**{_plain(entry.model)}**" if entry.role == "model" else _plain(entry.model)


def _ranks(entry: Entry, board: Board) -> list[str]:
    most = {p: max((e.ranks[p][1] for e in board.entries if e.ranks), default=0) for p in board.protocols}
    found = []
    for protocol in board.protocols:
        rank, of = entry.ranks[protocol]
        found.append("–" if math.isnan(rank) else f"{rank:.1f}" + (f" ({of})" if of < most[protocol] else ""))
    return found


def _cells(entry: Entry, board: Board, picked: Sequence[int]) -> list[str]:
    cells = [entry.cells[protocol][i] for i in picked for protocol in board.protocols]
    return [f"**{text(cell)}**" if cell.best else text(cell) for cell in cells]


def _runs(runs: Sequence[Mapping[str, Any]], beside: Mapping[str, str]) -> list[str]:
    lines = [_line(["model", "family", "state", "overrides of its own", "folder"]), "|---|---|---|---|---|"]
    for run in runs:
        state = f"failed: {run['reason']}" if run["state"] == "failed" else str(run["state"])
        needs = " ".join(run["needs"]) or "none"
        lines.append(_line([_plain(str(x)) for x in (run["model"], run["kind"], state, needs, run["folder"])]))
    if beside:
        told = "; ".join(f"{model} beside {where}" for model, where in beside.items())
        lines += ["", f"Closed-form models have no run of their own, they are evaluated as baselines: {told}."]
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(words: str) -> str:
    """Words that break no table: one line, no pipes, at most 200 characters."""
    line = " ".join(words.split()).replace("|", "/")
    return line if len(line) <= 200 else line[:199] + "…"


def to_plain(board: Board) -> dict[str, Any]:
    """The board for JSON: title, protocols, seeds, headings, and a mapping for each entry and the floor."""
    heads = [
        {
            "title": h.title,
            "unit": h.unit,
            "direction": h.direction,
            "family": h.column.family,
            "metric": h.column.metric,
        }
        for h in board.headings
    ]
    return {
        **asdict(board),
        "headings": heads,
        "entries": [_entry(entry) for entry in board.entries],
        "floor": _entry(board.floor),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    ranks = {p: {"rank": rank, "columns": of} for p, (rank, of) in entry.ranks.items()}
    return {**asdict(entry), "ranks": ranks, "shown": {p: [text(c) for c in cells] for p, cells in entry.cells.items()}}
