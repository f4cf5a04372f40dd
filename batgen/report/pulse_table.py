"""Tables of the pulse family: for the terminal (rich) and as markdown. Reads metrics.json rows, nothing else."""

import math
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batgen.report.pulse_summary import Column, Grid, Line, PulseBlock, Row, summarise_pulses
from batgen.report.summary import Value

_HEAD_STYLES = {"model": "cyan", "paper": "magenta"}
_PUBLISHED = "publ.\nwithout\n→ with"
_PUBLISHED_ELSEWHERE = "publ.\n(paper\nsplit)"


def print_pulse_tables(rows: Iterable[Row], console: Console | None = None) -> None:
    """Print two tables a battery, protocol, calibration and prior: MAPE of SOH by case, and what stands beside it.

    The best of ours and the baselines is bold in each line; 110 columns suffice. Rows are those of metrics.json: see
    `summarise_pulses`.
    """
    console = console or Console()
    for block in summarise_pulses(rows):
        console.print(_table(block, block.error, block.title))
        if block.detail.columns:
            console.print(_table(block, block.detail, ""))
        console.print(block.caption + "\n", style="dim")


def pulse_markdown(rows: Iterable[Row]) -> str:
    """The same tables as markdown; a single seed's values carry their 95 % interval where the rows have one."""
    text = []
    for block in summarise_pulses(rows):
        text += [f"## {block.title}", "", f"{block.caption}. Bold: best of ours and the baselines.", ""]
        for grid in (block.error, block.detail):
            heads = [
                (f"{head} [{unit}]" if unit else head)
                .replace("-\n", "")
                .replace("\n", " ")
                .replace("publ.", "published")
                for head, unit, _ in _shown_columns(block, grid)
            ]
            if not heads:
                continue
            text += ["| " + " | ".join(["training SOC [%]", *heads]) + " |", "|---" + "|---:" * len(heads) + "|"]
            text += [_markdown_line(line, grid.columns) for line in grid.lines] + [""]
    return "\n".join(text)


def _shown_columns(block: PulseBlock, grid: Grid) -> list[tuple[str, str, str]]:
    """(head, unit, role); the published figures without and with generated rows share a column."""
    heads = {
        c.role: (_PUBLISHED_ELSEWHERE if block.published_elsewhere else _PUBLISHED, c.unit, c.role)
        for c in grid.columns
    }
    shown = [heads["paper"]] if "paper" in heads else []
    return shown + [(c.head, c.unit, c.role) for c in grid.columns if c.role != "paper"]


def _table(block: PulseBlock, grid: Grid, title: str) -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("training SOC [%]".replace("[", r"\["), overflow="fold")
    for head, unit, role in _shown_columns(block, grid):
        table.add_column(
            (f"{head}\n[{unit}]" if unit else head).replace("[", r"\["),
            justify="right",
            overflow="fold",
            header_style=_HEAD_STYLES.get(role, ""),
        )
    for place, line in enumerate(grid.lines):
        if place and not line.train_soc and grid.lines[place - 1].train_soc:
            table.add_section()
        table.add_row(_name(line), *_cells(line, grid.columns, block.published_elsewhere))
    return table


def _name(line: Line) -> Text:
    name = Text(line.name)
    return name.append(f"\n{line.train_soc}", style="dim") if line.train_soc else name


def _cells(line: Line, columns: list[Column], published_elsewhere: bool) -> list[Text]:
    published = [v for v, c in zip(line.values, columns, strict=True) if c.role == "paper"]
    cells = []
    if published:
        cells.append(Text("→".join(_number(v.mean, 1) for v in published), style="dim" if published_elsewhere else ""))
    for value, column in zip(line.values, columns, strict=True):
        if column.role != "paper":
            cell = Text(_number(value.mean), style="bold" if value.best else "")
            # The spread stands below its mean: beside it, ten columns would not fit a terminal.
            cells.append(
                cell.append(f"\n±{_number(value.spread)}", style="dim not bold") if _has_spread(value) else cell
            )
    return cells


def _number(value: float, places: int = 2) -> str:
    """Fixed places, so that columns compare at a glance; one fewer from 10 on, "–" for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:.{places if abs(value) < 10 else min(places, 1)}f}"


def _has_spread(value: Value) -> bool:
    return value.spread > 1e-9


def _markdown_line(line: Line, columns: list[Column]) -> str:
    published = [_number(v.mean, 1) for v, c in zip(line.values, columns, strict=True) if c.role == "paper"]
    cells = [" → ".join(published)] if published else []
    for value, column in zip(line.values, columns, strict=True):
        if column.role == "paper":
            continue
        text = _number(value.mean) + (f" ± {_number(value.spread)}" if _has_spread(value) else "")
        text = f"**{text}**" if value.best else text
        cells.append(text + ("" if math.isnan(value.low) else f" ({_number(value.low)} to {_number(value.high)})"))
    name = f"{line.name}: {line.train_soc}" if line.train_soc else line.name
    return "| " + " | ".join([name, *cells]) + " |"
