"""Error of a regression over the share of cells it was given: measured curves, with what was added, and synthetic ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from batgen.evaluation.downstream import BOTH, CONSTANT, JITTERED, REAL, SYNTHETIC, Joined, joined
from batgen.report.figures.style import sheet, styled

#: Colour, line and marker of each source.
_LOOK: dict[str, tuple[str, Any, str]] = {
    REAL: ("#222222", "-", "o"),
    JITTERED: ("#009E73", ":", "D"),
    BOTH: ("#0072B2", "-", "s"),
    SYNTHETIC: ("#E69F00", "-", "^"),
    CONSTANT: ("#A0A0A0", "--", ""),
}
_LABELS = {
    REAL: "measured",
    JITTERED: "measured + jittered copies",
    BOTH: "measured + synthetic",
    SYNTHETIC: "synthetic",
    CONSTANT: "constant",
}
_TITLES = {
    "soh": ("SOH", "MAE of SOH [% of nominal]", 100.0),
    "eol": ("End of life", "MAE of end of life [cycles]", 1.0),
}
#: Points of one share are set apart by this factor, so that their intervals do not cover each other.
_APART = 1.04


@styled
def draw_downstream(rows: Sequence[dict[str, Any]]) -> Figure:
    """A row a model, a panel a target, from rows of downstream.json: mean over trials and 95 % interval at each share."""
    models, targets = (list(dict.fromkeys(r[key] for r in rows)) for key in ("model", "target"))
    figure, axes = sheet(len(models), len(targets), 4.6, 3.1, f"Few cells with synthetic curves: {rows[0]['data']}")
    for row, model in enumerate(models):
        for column, target in enumerate(targets):
            ax, (name, label, scale) = axes[row, column], _TITLES[target]
            _panel(ax, joined([r for r in rows if (r["model"], r["target"]) == (model, target)]), scale)
            ax.set_title(f"{name}, {model}", loc="left", color="#444444")
            ax.set_ylabel(label)
            ax.set_xlabel("Share of the training cells (number)")
    entries = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=5 if len(targets) > 1 else 2)
    return figure


def _panel(ax: Axes, found: list[Joined], scale: float) -> None:
    for place, (source, (colour, line, marker)) in enumerate(_LOOK.items()):
        own = [j for j in found if j.source == source]
        if not own:
            continue
        share = np.array([j.share for j in own]) * (_APART ** (place - 1.5) if marker else 1.0)
        value, low, high = (scale * np.array([getattr(j, k) for j in own]) for k in ("value", "low", "high"))
        ax.plot(share, value, color=colour, ls=line, lw=1.6, marker=marker, ms=4.5, label=_LABELS[source])
        if marker:  # the constant's interval is that of the test cells, not of a method
            ends = np.nan_to_num(np.stack([value - np.maximum(low, 0.0), high - value]))
            ax.errorbar(share, value, yerr=ends, fmt="none", ecolor=colour, elinewidth=1.0, capsize=2.0, alpha=0.7)
    shares = {j.share: j.cells for j in found}
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(shares)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(list(shares), [f"{100 * s:g} %\n({c:g})" for s, c in shares.items()])
    ax.set_ylim(bottom=0.0)
