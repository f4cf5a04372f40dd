"""All jobs of a multirun in one table: read from their folders, finished or not. Nothing is trained or loaded."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from batgen.best import override_word
from batgen.collect_read import OF_THE_ROW, Sweep, read_sweep, trained
from batgen.errors import DataError
from batgen.evaluation.rows import unit_of
from batgen.files import replacing
from batgen.report.ablation_table import (
    AXES,
    Place,
    layers_in_order,
    paper_tables,
    place_of,
    reconstruction_errors,
    to_markdown,
    to_records,
)
from batgen.report.figures.ablation import draw_heatmap, draw_settings
from batgen.report.figures.style import save
from batgen.report.headline import Headline, headlines
from batgen.report.labels import in_order, number, with_unit, words

#: Columns of the table that come first, behind those of the axes; whatever else a row holds comes after them.
COLUMNS = ("protocol", "seed", "role", "method", "metric", "signal", "value", "low", "high", "unit", "direction", "n")
_LACKING = object()
_WHOLE = ("seed", "n", "K", "cycles")
_MOST_LINES = 80


def collect(folder: Path, out: Path, console: Console) -> pd.DataFrame:
    """Write the tables and figures of the multirun in `folder` to `out`; returns the table of all metrics.

    Raises DataError where `folder` is no multirun, or none of its jobs has left a number yet.
    """
    sweep = read_sweep(folder)
    rows = [row for job in sweep.jobs for row in job.rows]
    missing = [job for job in sweep.jobs if job.state != "finished"]
    if not rows:
        raise DataError(
            f"{folder}: none of its {len(sweep.jobs)} jobs has left a metrics.json yet. Run the sweep first."
        )
    table = tidy(rows, sweep.axes)
    lines = settings(sweep)
    written = [*_write_table(table, out), _write_text(out / "collected.md", _summary(sweep, lines))]
    places = [place for job in sweep.jobs if (place := place_of(job.values)) is not None]
    papers = []
    if set(sweep.axes) <= set(AXES) and reconstruction_errors(rows):
        papers = paper_tables(rows, places, trained(sweep, folder))
    for found in papers:
        written.append(_write_text(out / f"{found.name}.md", to_markdown(found)))
        written.append(_write_csv(pd.DataFrame(to_records(found)), out / f"{found.name}.csv"))
    if papers and "model.remove" in sweep.axes:
        written += _heatmaps(rows, places, out)
    elif len(lines) <= _MOST_LINES:
        figure = draw_settings(lines, f"{sweep.kind} {sweep.name}")
        written.append(save(figure, out / "settings.png"))
    console.print(
        f"{sweep.kind} {sweep.name}: {len(sweep.jobs) - len(missing)} of {len(sweep.jobs)} jobs", markup=False
    )
    for job in missing:
        console.print(f"  missing: {job.folder}: {job.state}", style="yellow", markup=False)
    console.print(f"{len(table)} rows. {out}: {', '.join(path.name for path in written)}", markup=False)
    return table


def tidy(rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> pd.DataFrame:
    """One line a row; columns: run, the axes, COLUMNS, and what else the rows hold. Each column has one type."""
    first = ["run", *axes, *(name for name in COLUMNS if name not in axes)]
    more = dict.fromkeys(key for row in rows for key in row if key not in first)
    table = pd.DataFrame(
        {name: _column(name, [row.get(name, _LACKING) for row in rows], name in axes) for name in [*first, *more]}
    )
    return table.astype({name: "Int64" for name in _WHOLE if name in table})


def _column(name: str, values: list[Any], axis: bool) -> list[Any]:
    """Values of one type: those of an axis that is no number as they are typed (null, encoder_4, [0,1]), lists as JSON.

    What a row lacks is empty: it is no null that was typed.
    """
    there = [value for value in values if value is not _LACKING]
    typed = axis and name not in OF_THE_ROW and not all(isinstance(value, int | float) for value in there)
    values = [None if value is _LACKING else _typed(value) if typed else value for value in values]
    return [json.dumps(value) if isinstance(value, list | dict) else value for value in values]


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else override_word("", value)[1:]


def settings(sweep: Sweep) -> list[tuple[str, list[Headline]]]:
    """For each combination of the axes, over all its seeds and protocols: its label and the numbers it is known by."""
    axes = [key for key in sweep.axes if key not in ("seed", "protocol")]
    last = [key.rpartition(".")[2] for key in axes]
    names = [short if last.count(short) == 1 else key for key, short in zip(axes, last, strict=True)]
    found: dict[str, list[dict[str, Any]]] = {}
    for job in sweep.jobs:
        own = [override_word(n, job.values[key]) for n, key in zip(names, axes, strict=True) if key in job.values]
        found.setdefault(" ".join(own) or job.folder, []).extend(job.rows)
    return [(label, headlines(rows)) for label, rows in found.items()]


def _summary(sweep: Sweep, lines: Sequence[tuple[str, Sequence[Headline]]]) -> str:
    heads = list(dict.fromkeys((h.protocol, h.title, h.unit) for _, found in lines for h in found))
    text = [f"# {sweep.kind} {sweep.name}", ""]
    names = [f"{with_unit(title, '' if unit == '1' else unit)}, {protocol} protocol" for protocol, title, unit in heads]
    text += ["| " + " | ".join(["", *names]) + " |", "|---|" + "---:|" * len(names)]
    for label, found in lines:
        of = {(h.protocol, h.title, h.unit): h for h in found}
        text.append("| " + " | ".join([label, *(_cell(of.get(head)) for head in heads)]) + " |")
    text += ["", "Mean over seeds, ± their standard deviation where there are several."]
    if missing := [job for job in sweep.jobs if job.state != "finished"]:
        text += ["", f"Missing, {len(missing)} of {len(sweep.jobs)} jobs:", ""]
        text += [f"- {job.folder}: {job.state}" for job in missing]
    return "\n".join([*text, ""])


def _cell(headline: Headline | None) -> str:
    if headline is None:
        return "–"
    spread = "" if headline.spread != headline.spread else f" ± {number(headline.spread, 2)}"
    return number(headline.value) + spread


def _heatmaps(rows: Sequence[Mapping[str, Any]], places: Sequence[Place], out: Path) -> list[Path]:
    """A figure for each signal and protocol: cycles by removed layer, in the order of the paper's tables."""
    found = reconstruction_errors(rows)
    everywhere = {*places, *(place for place, _, _ in found)}
    cycles = sorted({place[0] for place in everywhere})
    layers = layers_in_order(place[1] for place in everywhere)
    written = []
    for signal in in_order(signal for _, _, signal in found):
        for protocol, attribute in (("paper", "ours"), ("honest", "honest")):
            values = {metric: np.full((len(cycles), len(layers)), np.nan) for metric in ("MAE", "RMSE")}
            for (place, metric, of), errors in found.items():
                if of == signal:
                    values[metric][cycles.index(place[0]), layers.index(place[1])] = getattr(errors, attribute)
            if any(np.isfinite(v).any() for v in values.values()):
                title = f"{words(signal)}: error of reconstruction with one layer removed, {protocol} protocol"
                figure = draw_heatmap(title, unit_of(signal), cycles, layers, values)
                written.append(save(figure, out / f"heatmap_{signal}_{protocol}.png"))
    return written


def _write_table(table: pd.DataFrame, out: Path) -> list[Path]:
    with replacing(out / "table.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    return [out / "table.parquet", _write_csv(table, out / "table.csv")]


def _write_csv(table: pd.DataFrame, path: Path) -> Path:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def _write_text(path: Path, text: str) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
