"""downstream.md: what a regression gains from synthetic curves, as tables and in a few sentences a target and model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from batgen.evaluation.downstream import (
    BOTH,
    CONSTANT,
    GAUSSIAN_PROCESS,
    JITTERED,
    NO_CHOICE,
    REAL,
    SOURCES,
    SPEAKS,
    Joined,
    gain,
    joined,
    trials_of,
)

_CURVES = (
    "Measured: curves of the kept training and validation cells. Synthetic: drawn at conditions of those cells, two of them "
    "mixed. The regressor is a ridge or a forest, whichever is better where whole cells are left out. The generator was "
    "trained on these cells too, so that this choice is optimistic for synthetic curves; the test cells it never saw. Of one "
    "kept cell nothing can be left out: a ridge, not chosen."
)
_PULSES = (
    "Measured: pulse tests of the kept cells at the training SOCs. Synthetic: drawn at the tested SOCs and the SOHs of the "
    "kept cells. The regressor is a Gaussian process, which is told the SOC; nothing is chosen. A trial is a fold of a repeat."
)
_WORDS = {"soh": "SOH", "eol": "end of life"}


def to_markdown(rows: Sequence[dict[str, Any]], notes: Sequence[str]) -> str:
    """The whole page: per model and target what can be said and a table, a line a share; then how to read it."""
    parts = [f"# Downstream proof: {rows[0]['data']}", ""]
    for model, target in _groups(rows):
        own = [r for r in rows if (r["model"], r["target"]) == (model, target)]
        parts += [f"## {_WORDS[target]}, {model}", "", verdict(own), "", *_table(own), ""]
    pulses = any(r["regressor"] == GAUSSIAN_PROCESS for r in rows)
    repeats = len({r["repeat"] for r in rows})
    trials = len({(r["repeat"], r.get("fold", 0)) for r in rows})
    looked = sum(_looked([r for r in rows if (r["model"], r["target"]) == own]) for own in _groups(rows))
    over = f"{repeats} repeats" + (f" of {trials // repeats} folds" if trials > repeats else "")
    parts.append(
        f"Mean absolute error on held-out measured cells (mean of cells), mean of {over if trials > 1 else 'one repeat'}, and "
        "its 95 % interval by Student's t, which takes trials as independent. Gain: the error without synthetic curves less "
        "the error with them, paired over trials, above 0 where they help; its interval allows for cells that trials share "
        "(factor sqrt(1/trials + tested/kept cells); Nadeau & Bengio 2003). real+jittered: the measured curves and copies of "
        "them, as many as synthetic ones, with the noise by which a cell's neighbouring curves depart from each other; a gain "
        f"over real that is none over real+jittered may be mere regularisation. {looked} intervals of gains were looked at, "
        f"none corrected for their number: of such, 1 in 20 leaves out 0 by chance. The generator was trained on the measured "
        f"cells alone. {_PULSES if pulses else _CURVES} Repeats choose other cells of one dataset, so the intervals say "
        "nothing of other data."
    )
    parts += [f"- {note}" for note in notes]
    return "\n".join(parts) + "\n"


def _groups(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((str(r["model"]), str(r["target"])) for r in rows))


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """A few sentences on the rows of one model and target: where synthetic curves help, hurt, or cannot be told.

    A share where measured curves alone are no better than a constant shows nothing and is counted on neither side. Then
    whether they beat the jittered control, how many intervals were looked at, and how the regressor was chosen.
    """
    shares = sorted({float(r["share"]) for r in rows})
    if all(len(trials_of(rows, share, REAL)) < 2 for share in shares):
        return "One repeat says nothing about whether synthetic curves help: use repeats=3 or more."
    useless = no_better(rows)
    told = [share for share in shares if share not in useless]
    kinds = {share: _kind(gain(rows, share)) for share in told}
    named = {kind: [s for s in told if kinds[s] == kind] for kind in ("help", "hurt", "open")}
    said = []
    if named["help"]:
        said.append(f"Synthetic curves help with {_list(named['help'])} of the training cells")
    elif told:
        said.append("Synthetic curves do not help at any share" + (" that could show it" if useless else ""))
    if named["hurt"]:
        said.append(f"they make it worse with {_list(named['hurt'])}")
    if named["open"]:
        said.append(f"with {_list(named['open'])} the interval of the gain holds 0")
    if told:
        said.append(_control(rows, told))
    if useless:
        said.append(
            f"{'with' if told else 'With'} {_list(useless)} a regression on measured curves is no better than a constant, so "
            "nothing can be shown"
        )
    looked = _looked(rows)
    number = f"{looked} intervals were looked at, none corrected for their number." if looked > 1 else ""
    return " ".join(filter(None, ("; ".join(said) + ".", number, _chosen(rows))))


def no_better(rows: Sequence[dict[str, Any]]) -> list[float]:
    """Shares at which a regression on measured curves alone is no better than their mean, of one model and target."""
    mean = {(j.share, j.source): j.value for j in joined(rows)}
    return [s for s, source in mean if source == REAL and mean[s, REAL] >= mean.get((s, CONSTANT), np.inf)]


def _kind(found: tuple[float, float, float]) -> str:
    _, low, high = found
    return "" if not np.isfinite(low) else "help" if low > 0 else "hurt" if high < 0 else "open"


def _control(rows: Sequence[dict[str, Any]], told: list[float]) -> str:
    """What the jittered control says at these shares."""
    kinds = {share: _kind(gain(rows, share, JITTERED, BOTH)) for share in told}
    if not any(kinds.values()):
        return "there is no jittered control, so that a gain may be mere regularisation"
    words = {"help": "better", "hurt": "worse", "open": "not to be told apart"}
    parts = [f"{words[kind]} with {_list(own)}" for kind in words if (own := [s for s in told if kinds[s] == kind])]
    return f"beside jittered copies of the measured curves they are {', '.join(parts)}"


def _looked(rows: Sequence[dict[str, Any]]) -> int:
    """Number of intervals of gains, over real and over real+jittered, of one model and target."""
    shares = {float(r["share"]) for r in rows}
    return sum(bool(_kind(gain(rows, share, before))) for share in shares for before in (REAL, JITTERED))


def _chosen(rows: Sequence[dict[str, Any]]) -> str:
    """How the regressor was chosen, and where it could not be."""
    if any(r["regressor"] == GAUSSIAN_PROCESS for r in rows):
        return ""
    alone = sorted({float(r["share"]) for r in rows if r.get("note") == NO_CHOICE and r["regressor"] in SPEAKS})
    said = "The regressor was chosen on cells that the generator knew, which is optimistic for synthetic curves."
    return said + (f" With {_list(alone)} there are repeats of one kept cell: {NO_CHOICE}." if alone else "")


def _list(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:g} %" for share in shares)


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    table, useless = joined(rows), no_better(rows)
    unit = rows[0]["unit"]
    scale, name = (100.0, "% of nominal") if unit == "1" else (1.0, unit)
    heads = ["share", "cells", *SOURCES, f"gain over real [{name}]", "gain over real+jittered"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for share in sorted({r["share"] for r in rows}):
        at = {j.source: j for j in table if j.share == share}
        mark = " †" if share in useless else ""
        numbers = [_number(at.get(source), scale) for source in SOURCES]
        gains = [_gain(gain(rows, share, before, BOTH), scale) for before in (REAL, JITTERED)]
        cells = next(iter(at.values())).cells
        lines.append(f"| {100 * share:g} %{mark} | {cells:.3g} | {' | '.join([*numbers, *gains])} |")
    if useless:
        lines += ["", "† real is no better than constant: nothing can be shown at this share."]
    return lines


def _gain(found: tuple[float, float, float], scale: float) -> str:
    mean, low, high = (scale * value for value in found)
    if not np.isfinite(mean):
        return ""
    return f"{mean:+.3g}" + (f" ({low:+.3g} to {high:+.3g})" if np.isfinite(low) else "")


def _number(found: Joined | None, scale: float) -> str:
    if found is None:
        return ""
    value = f"{scale * found.value:.3g}"
    return f"{value} ({scale * found.low:.3g} to {scale * found.high:.3g})" if np.isfinite(found.low) else value
