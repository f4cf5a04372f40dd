"""Figures of ablations: the RCVAE paper's heatmaps (figs. 6, S3-S5), and dots for anything else."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batgen.report.figures.style import MEAN, ORDERED, sheet, styled
from batgen.report.headline import Headline
from batgen.report.labels import decimals, pretty_unit, small_unit

_BEST = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best"}
_SHIFT = {"honest": -0.14, "paper": 0.14}


@styled
def draw_heatmap(
    title: str, unit: str, cycles: Sequence[int], layers: Sequence[str], values: Mapping[str, np.ndarray]
) -> Figure:
    """One panel a metric: errors by cycles (rows) and removed layer (columns), in figures and as colours.

    values: metric -> (cycles, layers), in `unit`; NaN, left blank, where a run is missing. The colours end at three times
    the median: what lies beyond (no embedding) would take their range from all others.
    """
    small, factor = small_unit(unit)
    width = max(4.0, 0.36 * len(layers) + 1.6)
    height = max(1.5, 0.34 * len(cycles) + 1.1)
    figure, axes = sheet(len(values), 1, width, height, title)
    for ax, (metric, found) in zip(axes[:, 0], values.items(), strict=True):
        shown = found * factor
        known = shown[np.isfinite(shown)]
        ax.set_title(f"{metric} [{small}]" if small else metric, loc="left")
        ax.grid(visible=False)
        ax.set_xticks(
            range(len(layers)), [_short(layer) for layer in layers], rotation=60, ha="right", rotation_mode="anchor"
        )
        ax.set_yticks(range(len(cycles)), [str(c) for c in cycles])
        ax.set_ylabel("cycles")
        ax.tick_params(length=0)
        if not len(known):
            ax.set(xlim=(-0.5, len(layers) - 0.5), ylim=(len(cycles) - 0.5, -0.5))
            continue
        top = min(float(known.max()), 3 * float(np.median(known)))
        image = ax.imshow(shown, cmap=ORDERED, aspect="auto", vmin=float(known.min()), vmax=top)
        beyond = "max" if known.max() > top else "neither"
        figure.colorbar(image, ax=ax, fraction=0.02, pad=0.01, extend=beyond).outline.set_visible(False)
        places = min(decimals(float(np.median(known)), 3), 4)
        for (row, column), value in np.ndenumerate(shown):
            if math.isfinite(value):
                red, green, blue, _ = image.cmap(image.norm(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                text = f"{value:.{places}f}"
                ax.text(
                    column, row, text, ha="center", va="center", color="white" if dark else "black",
                    fontsize=min(7.5, 28 / len(text)),
                )  # fmt: skip
    return figure


@styled
def draw_settings(lines: Sequence[tuple[str, Sequence[Headline]]], title: str) -> Figure:
    """A panel for each number that the runs are known by, a line for each setting: mean, and one standard deviation over
    seeds as a whisker; filled for the honest protocol and hollow for the paper's."""
    kinds = list(dict.fromkeys((h.title, h.unit, h.direction) for _, found in lines for h in found))
    longest = max((len(label) for label, _ in lines), default=10)
    figure, axes = sheet(1, max(1, len(kinds)), 3.2 + 0.06 * longest, max(1.4, 0.26 * len(lines) + 0.8), title)
    for ax, kind in zip(axes[0], kinds, strict=False):
        unit, factor = small_unit(kind[1])
        for place, (_, found) in enumerate(lines):
            for headline in found:
                if (headline.title, headline.unit, headline.direction) == kind:
                    _dot(ax, headline, factor, place)
        ax.set_yticks(range(len(lines)), [label for label, _ in lines] if ax is axes[0][0] else [""] * len(lines))
        ax.set_ylim(len(lines) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(kind[0] + (f" [{pretty_unit(unit)}]" if unit not in ("", "1") else ""))
        ax.set_title(_BEST.get(kind[2], ""), loc="left", fontsize=7.5, color="#666666")
    protocols = list(dict.fromkeys(h.protocol for _, found in lines for h in found))
    if len(protocols) > 1:
        handles = [Line2D([], [], marker="o", ls="", ms=5, color=MEAN, mfc=_face(p), label=p) for p in protocols]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _dot(ax: Axes, headline: Headline, factor: float, place: int) -> None:
    y = place + _SHIFT.get(headline.protocol, 0.0)
    value, spread = headline.value * factor, headline.spread * factor
    if math.isfinite(spread):
        ax.plot([value - spread, value + spread], [y, y], color=MEAN, lw=1.2, zorder=2)
    if math.isfinite(value):
        ax.plot([value], [y], "o", ms=4.5, color=MEAN, mfc=_face(headline.protocol), zorder=3)


def _face(protocol: str) -> str:
    return "white" if protocol == "paper" else MEAN


def _short(layer: str) -> str:
    """As the paper's figures have it: Dec_1, Enc_2, Emb, None."""
    return layer.replace("Decoder", "Dec").replace("Encoder", "Enc").replace("Embedding", "Emb")
