"""How wide the forecast intervals are: by cycle, and as a distribution (ARCANA, fig. 4d, e)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, RECONSTRUCTION, sheet, styled
from batgen.report.labels import number, with_unit
from batgen.report.sequence_read import CONFORMAL, MODEL, Scene, SequencePart
from batgen.report.sequence_scores import mean_by_cell, round_edges

_METHODS = ((MODEL, "as trained", MEAN), (CONFORMAL, "conformal", RECONSTRUCTION))


@styled
def draw_intervals(part: SequencePart, scene: Scene) -> Figure | None:
    """A row a target: box plots (5, 25, 50, 75, 95 %) of the width by cycle, and its histogram with its mean.

    Only cycles that were measured count, as in the errors. None without an interval.
    """
    found = []
    for target in part.targets():
        rows = part.shown(scene, target).dropna(subset=["truth", "low", "high"])
        rows = rows.assign(width=rows["high"] - rows["low"])
        if len(rows):
            found.append((target, rows))
    if not found:
        return None
    title = f"{part.band()} intervals, {scene.words()}: {part.title()}"
    figure, axes = sheet(len(found), 2, 4.6, 2.9, title)
    for (boxes, histogram), (target, rows) in zip(axes, found, strict=True):
        edges = round_edges(rows["cycle"].min(), rows["cycle"].max())
        name = with_unit("Width", part.unit(target))
        top = max(float(np.quantile(rows["width"], 0.995)), 1e-9)
        methods = [(text, colour, rows[rows["method"] == method]) for method, text, colour in _METHODS]
        methods = [entry for entry in methods if len(entry[2])]
        for place, (_, colour, mine) in enumerate(methods):
            _boxes(boxes, mine, edges, colour, place, len(methods))
        boxes.set(ylabel=name, xlabel="Cycle", xlim=(edges[0], edges[-1]))
        boxes.set_ylim(0, 1.08 * boxes.dataLim.y1 or 1.0)
        boxes.set_title(part.label(target).partition(" [")[0], loc="left", color="#444444")
        for text, colour, mine in methods:
            mean = mean_by_cell(mine, mine["width"]).mean()
            label = f"{text}, mean {number(mean)} {part.unit(target)}"
            # Wider ones, a few in a thousand, are in the last bar.
            clipped = mine["width"].clip(upper=top)
            histogram.hist(clipped, np.linspace(0, top, 41), color=colour, alpha=0.45, label=label)
            histogram.axvline(mean, ymax=0.76, color=colour, lw=1.2, ls="--")
        histogram.set(xlabel=name, ylabel="Forecast cycles", xlim=(0, 1.05 * top))
        histogram.set_title("Sharpness: how wide intervals are", loc="left", color="#444444")
        # Room for the legend above the highest bar.
        histogram.set_ylim(0, 1.3 * histogram.get_ylim()[1])
        histogram.legend(fontsize=8, loc="upper left")
    return figure


def _boxes(ax: Axes, rows: pd.DataFrame, edges: np.ndarray, colour: str, place: int, methods: int) -> None:
    width = edges[1] - edges[0]
    for left in edges[:-1]:
        inside = rows["width"][(rows["cycle"] >= left) & (rows["cycle"] < left + width)]
        if inside.empty:
            continue
        low, first, middle, third, high = inside.quantile([0.05, 0.25, 0.5, 0.75, 0.95])
        x = left + width * (place + 0.5) / methods
        ax.vlines(x, low, high, color=colour, lw=1.0)
        ax.bar(
            x, third - first, 0.7 * width / methods, bottom=first, color=colour, alpha=0.45, edgecolor=colour, lw=0.8
        )
        ax.hlines(middle, x - 0.35 * width / methods, x + 0.35 * width / methods, color="#222222", lw=1.2)
