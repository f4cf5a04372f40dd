"""One figure for a leaderboard: where each model stands in a few metrics, honest beside paper, measured curves as a line."""

import math
from collections.abc import Sequence
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batgen.report.figures.style import MEAN, styled
from batgen.report.labels import with_unit
from batgen.report.leaderboard_boards import Board, Cell, Entry
from batgen.report.leaderboard_columns import Heading

_BASELINE, _FLOOR = "#7F7F7F", "#009E73"
_SHIFT = {"honest": -0.14, "paper": 0.14}
_BEST = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best", "half": "0.5 is best"}
#: A model further out than so many times the median of its column would squeeze all others: it is drawn at the edge.
_FAR = 4.0


@styled
def draw_leaderboard(boards: Sequence[Board], data: str) -> Figure:
    """A row of panels for each board: a dot for each model (blue) and baseline (grey), filled for the honest protocol and
    hollow for the paper's, whiskers of one standard deviation over seeds (with one seed its 95 % interval), and a line
    for the measured neighbour, a single curve: in errors good draws lie left of it. What lies far out is drawn at the
    edge as a triangle."""
    shown = [(board, _drawn(board)) for board in boards if _drawn(board)]
    columns = max((len(picked) for _, picked in shown), default=1)
    lines = [max(2, len(_entries(board))) for board, _ in shown] or [2]
    height = [0.24 * n + 1.0 for n in lines]
    figure = Figure(figsize=(2.0 + 2.6 * columns, sum(height) + 0.9), layout="constrained")
    figure.suptitle(f"Leaderboard: {data}", x=0.01, ha="left", fontweight="bold")
    if not shown:
        return figure
    parts = figure.subfigures(len(shown), 1, height_ratios=height, squeeze=False)[:, 0]
    for part, (board, picked) in zip(parts, shown, strict=True):
        part.suptitle(board.title[:1].upper() + board.title[1:], x=0.01, ha="left", fontsize=9.5)
        axes = part.subplots(1, columns, squeeze=False, sharey=True)[0]
        for ax, i in zip(axes, picked, strict=False):
            _panel(ax, board, i)
        for ax in axes[len(picked) :]:
            ax.set_visible(False)
    figure.legend(handles=_handles(boards), loc="outside lower center", ncols=5 if columns > 2 else 2)
    return figure


def _drawn(board: Board) -> list[int]:
    return [i for i, heading in enumerate(board.headings) if heading.column.drawn]


def _entries(board: Board) -> list[Entry]:
    return [entry for entry in board.entries if entry.cells]


def _panel(ax: Axes, board: Board, i: int) -> None:
    entries = _entries(board)
    limit = _limit([e.cells[p][i].mean for e in entries for p in board.protocols], board.floor, board.protocols, i)
    for protocol in board.protocols:
        floor = board.floor.cells[protocol][i].mean
        if floor <= limit:
            ax.axvline(floor, color=_FLOOR, lw=1.2, ls="-" if protocol == "honest" else ":", zorder=1)
        for place, entry in enumerate(entries):
            _dot(ax, entry.cells[protocol][i], place + _SHIFT.get(protocol, 0.0), protocol, entry.role, limit)
    if math.isfinite(limit):
        ax.set_xlim(right=1.02 * limit)
    ax.set_yticks(range(len(entries)), [shorten(e.model, 26) for e in entries])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(entries) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(with_unit(board.headings[i].title, board.headings[i].unit))
    ax.set_title(_best(board.headings[i]), loc="left", fontsize=7.5, color="#666666")
    models = sum(e.role == "model" for e in entries)
    if 0 < models < len(entries):
        ax.axhline(models - 0.5, color="#BBBBBB", lw=0.8)


def _limit(values: Sequence[float], floor: Entry, protocols: Sequence[str], i: int) -> float:
    """Where the panel ends on the right: at the highest value, or where the far-out ones would begin."""
    known = np.array([v for v in [*values, *(floor.cells[p][i].mean for p in protocols)] if math.isfinite(v)])
    far = _FAR * float(np.median(known)) if len(known) else math.inf
    return far if len(known) and far > 0 and known.max() > far else math.inf


def _dot(ax: Axes, cell: Cell, y: float, protocol: str, role: str, limit: float) -> None:
    if not math.isfinite(cell.mean):
        return
    colour = MEAN if role == "model" else _BASELINE
    face = colour if protocol == "honest" else "white"
    if cell.mean > limit:
        ax.plot([limit], [y], ">", ms=5, color=colour, mfc=face, clip_on=False, zorder=3)
        return
    one_seed = not math.isfinite(cell.spread)
    ends = (cell.low, cell.high) if one_seed else (cell.mean - cell.spread, cell.mean + cell.spread)
    if all(map(math.isfinite, ends)):
        ax.plot(np.minimum(ends, limit), [y, y], color=colour, lw=1.2, zorder=2)
    ax.plot([cell.mean], [y], "o", ms=4.5, color=colour, mfc=face, zorder=3)


def _best(heading: Heading) -> str:
    if heading.column.metric.startswith("coverage_"):
        return f"0.{heading.column.metric.rpartition('_')[2].rstrip('0')} is best"
    return _BEST.get(heading.direction, "")


def _handles(boards: Sequence[Board]) -> list[Line2D]:
    def dot(colour: str, face: str, label: str) -> Line2D:
        return Line2D([], [], marker="o", ls="", ms=5, color=colour, mfc=face, label=label)

    protocols = {p for board in boards for p in board.protocols}
    found = [dot(MEAN, MEAN, "model"), dot(_BASELINE, _BASELINE, "baseline")]
    if protocols == {"honest", "paper"}:
        found += [dot("#444444", "#444444", "honest"), dot("#444444", "white", "paper")]
    return [*found, Line2D([], [], color=_FLOOR, lw=1.2, label="measured neighbour (one curve)")]
