"""downstream.md: what a regression gains from synthetic curves, as tables and as one sentence a target and model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from batgen.evaluation.downstream import (
    BOTH,
    CONSTANT,
    GAUSSIAN_PROCESS,
    REAL,
    SOURCES,
    Joined,
    joined,
    paired_gain,
    repeats_of,
)

_CURVES = (
    "Measured: curves of the kept training and validation cells. Synthetic: drawn at conditions resampled from those cells. "
    "The regressor is a ridge or a forest, whichever is better where whole cells are left out."
)
_PULSES = (
    "Measured: pulse tests of the kept cells at the training SOCs. Synthetic: drawn at the tested SOCs and the SOHs of the "
    "kept cells. The regressor is a Gaussian process, which is told the SOC."
)
_WORDS = {"soh": "SOH", "eol": "end of life"}


def to_markdown(rows: Sequence[dict[str, Any]], notes: Sequence[str]) -> str:
    """The whole page: per model and target a sentence and a table, a line a share; then how to read it."""
    parts = [f"# Downstream proof: {rows[0]['data']}", ""]
    for model in dict.fromkeys(r["model"] for r in rows):
        for target in dict.fromkeys(r["target"] for r in rows):
            own = [r for r in rows if (r["model"], r["target"]) == (model, target)]
            if own:
                parts += [f"## {_WORDS[target]}, {model}", "", verdict(own), "", *_table(own), ""]
    repeats = len({r["repeat"] for r in rows})
    over = f"mean of {repeats} repeats and 95 % interval by Student's t" if repeats > 1 else "one repeat"
    pulses = any(r["regressor"] == GAUSSIAN_PROCESS for r in rows)
    parts.append(
        f"Mean absolute error on held-out measured cells (mean of cells), {over}; gain: error from measured curves less "
        "error with synthetic ones added, paired over repeats, above 0 where synthetic curves help. The generator was "
        f"trained on the measured cells alone. {_PULSES if pulses else _CURVES} Repeats choose other cells of one dataset, so "
        "the intervals say nothing of other data."
    )
    parts += [f"- {note}" for note in notes]
    return "\n".join(parts) + "\n"


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence on the rows of one model and target: at which shares synthetic curves help, hurt, or cannot be told."""
    if len({r["repeat"] for r in rows}) < 2:
        return "One repeat says nothing about whether synthetic curves help: use repeats=3 or more."
    named: dict[str, list[str]] = {"help": [], "hurt": [], "open": []}
    for share in sorted({r["share"] for r in rows}):
        mean, low, high = _gain(rows, share)
        if not np.isfinite(mean):
            continue
        kind = "help" if low > 0 else "hurt" if high < 0 else "open"
        named[kind].append(f"{100 * share:g} %")
    said = ["Synthetic curves do not help at any share"]
    if named["help"]:
        said = [f"Synthetic curves help with {', '.join(named['help'])} of the training cells"]
    if named["hurt"]:
        said.append(f"they make it worse with {', '.join(named['hurt'])}")
    if named["open"]:
        said.append(f"with {', '.join(named['open'])} the interval of the gain holds 0")
    means = {(j.share, j.source): j.value for j in joined(rows)}
    useless = [share for share, source in means if source == REAL and means[share, REAL] >= means[share, CONSTANT]]
    if useless:
        listed = ", ".join(f"{100 * share:g} %" for share in useless)
        said.append(f"with {listed} a regression on measured curves is no better than a constant either")
    return "; ".join(said) + "."


def _gain(rows: Sequence[dict[str, Any]], share: float) -> tuple[float, float, float]:
    real, both = repeats_of(rows, share, REAL), repeats_of(rows, share, BOTH)
    return paired_gain(real, both) if set(real) & set(both) else (np.nan, np.nan, np.nan)


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    table = joined(rows)
    unit = rows[0]["unit"]
    scale, name = (100.0, "% of nominal") if unit == "1" else (1.0, unit)
    lines = [
        f"| share | cells | {' | '.join(SOURCES)} | gain [{name}] |",
        "|---|---|" + "---|" * (len(SOURCES) + 1),
    ]
    for share in sorted({r["share"] for r in rows}):
        at = {j.source: j for j in table if j.share == share}
        cells = next(iter(at.values())).cells
        numbers = [_number(at.get(source), scale) for source in SOURCES]
        mean, low, high = (scale * value for value in _gain(rows, share))
        gain = f"{mean:+.3g}" + (f" ({low:+.3g} to {high:+.3g})" if np.isfinite(low) else "")
        lines.append(f"| {100 * share:g} % | {cells:.3g} | {' | '.join(numbers)} | {gain} |")
    return lines


def _number(found: Joined | None, scale: float) -> str:
    if found is None:
        return ""
    value = f"{scale * found.value:.3g}"
    return f"{value} ({scale * found.low:.3g} to {scale * found.high:.3g})" if np.isfinite(found.low) else value
