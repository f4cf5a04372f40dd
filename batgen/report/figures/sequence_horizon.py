"""RMSE of capacity by cycles ahead: the model beside every baseline, and how many cells are left."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, MEAN, sheet, styled
from batgen.report.labels import with_unit
from batgen.report.sequence_read import MODEL, SequencePart
from batgen.report.sequence_scores import best_baselines, rmse_by_cell, round_edges

_DASHES = ("--", ":", "-.", (0, (6, 2)), (0, (1, 3)))
_COLOURS = CYCLE[1:]
_GREY = "#EAEAEA"
_COLUMNS = 2


@styled
def draw_horizon(part: SequencePart, target: str) -> Figure | None:
    """A panel a test set and cut: mean over cells of the RMSE in bins of cycles ahead; the grey steps count the cells.

    An axis ends above the largest of the model's values and of half the baselines'. None where nothing was measured.
    """
    scenes = [s for s in part.scenes() if part.shown(s, target, MODEL)["truth"].notna().any()]
    if not scenes:
        return None
    columns = min(_COLUMNS, len(scenes))
    title = f"Error of {part.label(target).partition(' [')[0].lower()} by cycles ahead: {part.title()}"
    figure, axes = sheet(-(-len(scenes) // columns), columns, 5.0 if columns > 1 else 6.5, 3.2, title)
    styles: dict[str, tuple[str, object]] = {}
    for ax, scene in zip(axes.flat, scenes, strict=False):
        rows = part.shown(scene, target).dropna(subset=["truth", "median"])
        for name in best_baselines(rows, len(rows)):
            styles.setdefault(name, (_COLOURS[len(styles) % len(_COLOURS)], _DASHES[len(styles) // len(_COLOURS) % 5]))
        _panel(ax, rows, styles)
        ax.set_title(scene.words(), loc="left", color="#444444")
        ax.set_xlabel("Cycles ahead")
    for ax in axes[:, 0]:
        ax.set_ylabel(with_unit("RMSE", part.unit(target)))
    for ax in axes.flat[len(scenes) :]:
        ax.set_visible(False)
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4 if columns > 1 else 3)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, styles: dict[str, tuple[str, object]]) -> None:
    edges = round_edges(1, rows["ahead"].max())
    centre = (edges[:-1] + edges[1:]) / 2
    curves = {}
    for method in (*styles, MODEL):
        mine = rows[rows["method"] == method]
        bins = np.digitize(mine["ahead"], edges) - 1
        curves[method] = np.array([rmse_by_cell(mine[bins == k]).mean() for k in range(len(centre))])
        if method != MODEL:
            colour, dash = styles[method]
            ax.plot(centre, curves[method], ls=dash, color=colour, lw=1.2, label=method.replace("_", " "))
    ax.plot(centre, curves[MODEL], "-o", color=MEAN, lw=2.0, ms=4, label="model")
    tops = [np.nanmax(curve) for name, curve in curves.items() if name != MODEL and np.isfinite(curve).any()]
    top = max(np.nanmax(curves[MODEL]), float(np.median(tops)) if tops else 0.0)
    ax.set(ylim=(0, 1.15 * top or 1.0), xlim=(edges[0], edges[-1]))
    own = rows[rows["method"] == MODEL]
    bins = np.digitize(own["ahead"], edges) - 1
    cells = [own["cell_id"][bins == k].nunique() for k in range(len(centre))]
    count = ax.twinx()
    count.stairs(cells, edges, fill=True, color=_GREY)
    ax.fill_between([], [], color=_GREY, label="cells measured (right axis)")
    count.set(ylim=(0, 4 * max(cells)), yticks=[0, max(cells)])
    count.grid(visible=False)
    count.tick_params(colors="#888888")
    ax.set_zorder(count.get_zorder() + 1)
    ax.patch.set_visible(False)
