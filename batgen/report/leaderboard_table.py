"""A leaderboard as markdown and as plain values: the honest and the paper's protocol side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from batgen.report.leaderboard_boards import Board, Entry, Failure, summarise, text
from batgen.report.leaderboard_columns import Heading

__all__ = ["Board", "Failure", "summarise", "to_markdown", "to_plain"]

_ARROWS = {"lower": "↓", "higher": "↑", "one": "→ 1", "half": "→ 0.5"}
_HOW = (
    "Each number is the mean over seeds ± their standard deviation. Bold: best of models and baselines, all that share "
    "it. *measured neighbour*: the same metric of one measured curve of another, training cell under nearly the same "
    "conditions (condition error and physics: of the tested curves themselves); it takes no part in the ranks. In metrics of "
    "several draws it stands for one draw of another cell: draws from the true law of cells would score about 1/√2 of it in "
    "RMSE and 1/2 of it in CRPS and energy score. Rank: the mean of the places in the columns of a table, 1 is best, where "
    "RMSE, CRPS and energy score are one vote together. Lines are ordered by the rank in both, the mean of the two tables'. "
    "A number that others have and a model has not (–) is the last place: one that gives a single curve for a condition has no "
    "80 % coverage. To be better than measured is no merit: density, coverage, physics, condition error and membership AUC count "
    "up to the measured value; what is alike to three digits shares its place. The 80 % coverage counts by its distance "
    "to 0.8. Ranks do not know about spread: differences within the standard deviation are none. All metrics, signals and "
    "test sets: leaderboard.csv."
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
    sizes = {protocol: _size(board.curves[protocol], board.measured[protocol]) for protocol in board.protocols}
    if len(set(sizes.values())) == 1:
        sizes = {"": next(iter(sizes.values()))}
    told = "; ".join(f"{protocol}: {size}".removeprefix(": ") for protocol, size in sizes.items() if size)
    return f"Seeds {', '.join(map(str, board.seeds))}.{where}" + (f" Measured: {told}." if told else "")


def _size(curves: Sequence[int], cells: Sequence[int]) -> str:
    """ "118 curves of 3 cells"; from least to most where seeds or test sets differ; cells where they are known."""
    if not curves:
        return ""
    size = _counted(curves, "curve") + (f" of {_counted(cells, 'cell')}" if cells else "")
    return size + (" (one cell: no interval)" if list(cells) == [1] else "")


def _counted(numbers: Sequence[int], noun: str) -> str:
    span = f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return f"{span} {noun}{'' if span == '1' else 's'}"


def _table(board: Board, group: str) -> list[str]:
    picked = [i for i, heading in enumerate(board.headings) if heading.column.group == group]
    ranks = [
        f"{name}, {protocol}" for name in ("rank", "rank in both")[: _tables(board)] for protocol in board.protocols
    ]
    heads = ranks + [f"{_head(board.headings[i])}, {protocol}" for i in picked for protocol in board.protocols]
    shown = [entry for entry in board.entries if entry.cells]
    rows = [[_named(entry), *_ranks(entry, board, group), *_cells(entry, board, picked)] for entry in shown]
    rows += [[f"*{board.floor.model}*", *[""] * len(ranks), *_cells(board.floor, board, picked)]]
    rows += [[_plain(e.model), "failed", *[""] * (len(heads) - 1)] for e in board.entries if e.role == "failed"]
    return [_line(["", *heads]), "|---" + "|---:" * len(heads) + "|", *map(_line, rows)]


def _head(heading: Heading) -> str:
    unit = f" [{heading.unit}]" if heading.unit else ""
    return f"{heading.title}{unit} {_ARROWS.get(heading.direction, '')}".strip()


def _named(entry: Entry) -> str:
    return f"**{_plain(entry.model)}**" if entry.role == "model" else _plain(entry.model)


def _ranks(entry: Entry, board: Board, group: str) -> list[str]:
    found = [entry.ranks[protocol].get(group, math.nan) for protocol in board.protocols]
    if _tables(board) > 1:
        found += [entry.overall(protocol) for protocol in board.protocols]
    return ["–" if math.isnan(rank) else f"{rank:.1f}" for rank in found]


def _tables(board: Board) -> int:
    return len({heading.column.group for heading in board.headings})


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
    ranks = {p: {"rank": entry.overall(p), "tables": dict(found)} for p, found in entry.ranks.items()}
    return {**asdict(entry), "ranks": ranks, "shown": {p: [text(c) for c in cells] for p, cells in entry.cells.items()}}
