"""The metrics table: for the terminal (rich) and as markdown (`metrics.md`). Reads metrics.json rows, nothing else."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batgen.report.labels import decimals, number
from batgen.report.summary import SHORT, TITLES, Block, Line, Value, summarise

_STYLES = {"model": "cyan", "paper": "magenta", "floor": "green"}


def print_tables(rows: Iterable[Mapping[str, Any]], console: Console | None = None) -> None:
    """Print one table per protocol and split, and one of latent diagnostics where there are any; 100 columns suffice.

    The best of model and baselines is bold in each column of each group. Rows are those of metrics.json.
    """
    console = console or Console()
    for block in summarise(rows, SHORT):
        console.print(_metrics_table(block))
        console.print(block.caption + "\n", style="dim")
        if block.latent:
            console.print(_latent_table(block))


def to_markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The same tables as markdown, with RMSE and R2 beside, and the 95 % interval over cells of single-seed values."""
    text = []
    for block in summarise(list(rows), tuple(TITLES)):
        text += [f"## {block.title[:1].upper()}{block.title[1:]}", "", f"{block.caption}. Bold: best of its group.", ""]
        heads = [f"{name} [{unit}]" if unit else name for name, unit in block.columns]
        text += _markdown_head(["", *heads])
        for group in block.groups:
            text.append("| " + " | ".join([f"*{group.title}*", *[""] * len(heads)]) + " |")
            text += [_markdown_line(line) for line in group.lines]
        text.append("")
        if block.latent:
            text += ["Latent:", ""]
            text += _markdown_head(["", *[f"{name} [{unit}]" if unit else name for name, unit in block.latent_columns]])
            text += [_markdown_line(line) for line in block.latent] + [""]
        if block.notes:
            text += [f"- {note}" for note in block.notes] + [""]
    return "\n".join(text)


def _metrics_table(block: Block) -> Table:
    table = Table(
        title=block.title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    table.add_column("", no_wrap=True)
    for name, unit in block.columns:
        table.add_column(f"{name}\n{f'[{unit}]' if unit else ''}".replace("[", r"\["), justify="right", no_wrap=True)
    for group in block.groups:
        table.add_row(Text(group.title, style="bold italic"))
        for line in group.lines:
            table.add_row(Text(" " + line.model, style=_STYLES.get(line.role, "")), *map(_cell, line.values))
        table.add_section()
    return table


def _latent_table(block: Block) -> Table:
    table = Table(title="latent", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("")
    for name, unit in block.latent_columns:
        head = name.replace(", ", ",\n") + (f" [{unit}]" if unit else "")
        table.add_column(head.replace("[", r"\["), justify="right")
    for line in block.latent:
        table.add_row(Text(" " + line.model, style=_STYLES.get(line.role, "")), *map(_cell, line.values))
    return table


def _cell(value: Value) -> Text:
    return Text(_number(value, "±"), style="bold" if value.best else "")


def _number(value: Value, join: str) -> str:
    if math.isnan(value.spread) or value.spread == 0:
        return number(value.mean)
    return f"{number(value.mean)}{join}{value.spread:.{decimals(value.mean)}f}"


def _markdown_head(heads: list[str]) -> list[str]:
    return ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]


def _markdown_line(line: Line) -> str:
    cells = []
    for value in line.values:
        text = _number(value, " ± ")
        text = f"**{text}**" if value.best else text
        if not math.isnan(value.low):
            text += f" ({number(value.low)} to {number(value.high)})"
        cells.append(text)
    return "| " + " | ".join([line.model, *cells]) + " |"
