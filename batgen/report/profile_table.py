"""Tables of the profiles family: for the terminal (rich) and as markdown. Reads metrics.json rows, nothing else."""

import math
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batgen.report.profile_grid import Grid, Line, Row
from batgen.report.profile_labels import table_number
from batgen.report.profile_summary import summarise_profiles
from batgen.report.summary import Value

_LINE_STYLES = {"model": "cyan", "baseline": "", "learnt": ""}


def print_tables(rows: Iterable[Row], console: Console | None = None) -> None:
    """Print a table a protocol and test set, small ones beneath it, and what they say in words.

    The best of the model and the baselines is bold in each column; the baseline best in the first has a star. Rows are
    those of metrics.json: see `summarise_profiles`.
    """
    console = console or Console()
    for block in summarise_profiles(rows):
        console.print(Text(block.title, style="bold"))
        for grid in (block.main, *block.further):
            if grid.columns:
                console.print(_table(grid))
        for sentence in block.words:
            console.print(Text(sentence, style="yellow"))
        console.print(Text(block.caption + "\n", style="dim"))


def to_markdown(rows: Iterable[Row]) -> str:
    """The same tables as markdown; a single seed's values carry their 95 % interval where the rows have one."""
    text = []
    for block in summarise_profiles(rows):
        text += [f"## {block.title}", ""]
        for grid in (block.main, *block.further):
            if not grid.columns:
                continue
            heads = [f"{c.head} [{c.unit}]" if c.unit else c.head for c in grid.columns]
            heads = [head.replace("\n", " ") for head in heads]
            text += ["| " + " | ".join([grid.title or "method", *heads]) + " |", "|---" + "|---:" * len(heads) + "|"]
            text += [_markdown_line(line) for line in grid.lines] + [""]
        text += [*(f"- {sentence}" for sentence in block.words), ""] if block.words else []
        text += [f"{block.caption.replace('*', chr(92) + '*')}.", ""]
    return "\n".join(text)


def _table(grid: Grid) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(Text(grid.title), overflow="fold")
    for column in grid.columns:
        head = f"{column.head}\n[{column.unit}]" if column.unit else column.head
        table.add_column(Text(head), justify="right", overflow="fold")
    for place, line in enumerate(grid.lines):
        if place and line.role != grid.lines[place - 1].role:
            table.add_section()
        name = Text(_name(line), style=_LINE_STYLES.get(line.role, "dim"))
        table.add_row(name, *map(_cell, line.values))
    return table


def _name(line: Line) -> str:
    if line.role in ("constant", "not learnt"):
        return f"{line.name} ({line.role})"
    return f"{line.name} *" if line.best else line.name


def _cell(value: Value) -> Text:
    cell = Text(table_number(value.mean), style="bold" if value.best else "")
    # The spread stands below its mean: beside it, eight columns would not fit a terminal.
    return (
        cell.append(f"\n±{table_number(value.spread, value.mean)}", style="dim not bold")
        if value.spread > 1e-9
        else cell
    )


def _markdown_line(line: Line) -> str:
    cells = []
    for value in line.values:
        text = table_number(value.mean) + (
            f" ± {table_number(value.spread, value.mean)}" if value.spread > 1e-9 else ""
        )
        text = f"**{text}**" if value.best else text
        cells.append(
            text + ("" if math.isnan(value.low) else f" ({table_number(value.low)} to {table_number(value.high)})")
        )
    return "| " + " | ".join([_name(line).replace("*", "\\*"), *cells]) + " |"
