"""What each condition does: the error when it is permuted over the error as it is."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, MEASURED, sheet, styled
from batgen.report.profile_labels import block_words
from batgen.report.profile_read import ProfilePart

_METRICS = {"peak_temperature_MAE": "peak temperature, MAE", "energy_score": "energy score"}


@styled
def draw_permutation(part: ProfilePart) -> Figure | None:
    """A panel a metric, a bar a block of conditions: the mean over folds, and each fold as a dot; grey where not learnt."""
    table = part.permutation
    if table is None or table.empty:
        return None
    metrics = [str(name) for name in table["metric"].unique()]
    # A fold whose test cells share one protocol permutes within it what others permute across.
    names = list(dict.fromkeys(table["block"]))
    blocks = sorted(
        dict.fromkeys(zip(table["block"], table["how"], strict=True)), key=lambda block: names.index(block[0])
    )
    figure, axes = sheet(1, len(metrics), 5.2, 0.42 * len(blocks) + 1.2, f"Effect of conditions: {part.title()}")
    for place, (ax, metric) in enumerate(zip(axes.flat, metrics, strict=True)):
        _panel(ax, table[table["metric"] == metric], blocks)
        ax.set_yticks(range(len(blocks)), [_label(*block) if not place else "" for block in blocks])
        ax.set_title(_METRICS.get(metric, metric.replace("_", " ")), loc="left", color="#444444")
        ax.set_xlabel("Error when permuted / error as it is")
    return figure


def _label(block: str, how: str) -> str:
    words = block_words(block)
    # Three conditions of a block would take half the figure.
    if len(words) > 24:
        words = words.replace(" + ", " +\n")
    return f"{words}\n({how.replace('_', ' ')})"


def _panel(ax: Axes, table: pd.DataFrame, blocks: list[tuple[str, str]]) -> None:
    for place, (block, how) in enumerate(blocks):
        rows = table[(table["block"] == block) & (table["how"] == how)]
        ratio = rows["value"].to_numpy(dtype=float) / rows["unpermuted"].to_numpy(dtype=float)
        ratio = ratio[np.isfinite(ratio)]
        constant = (rows["learnt"] == "constant").all()
        if constant or not len(ratio):
            ax.text(1.0, place, " constant in training" if len(rows) else "", va="center", fontsize=8, color="#444444")
            continue
        learnt = (rows["learnt"] == "yes").mean() > 0.5
        ax.barh(place, ratio.mean() - 1, left=1.0, height=0.6, color=MEAN if learnt else MEASURED)
        ax.plot(ratio, np.full(len(ratio), place), "o", ms=3.5, color="#222222", mec="white", mew=0.6)
        if not learnt:
            ax.text(max(ratio.max(), 1.0), place, "  not learnt", va="center", fontsize=8, color="#444444")
    ax.axvline(1.0, color="#222222", lw=0.8)
    ax.set_ylim(len(blocks) - 0.4, -0.6)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.95), max(high + 0.12 * (high - low), 1.2))
