"""The forecast end of life against the cycles observed so far: how the interval closes as a test goes on."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import DRAWS, MEAN, MEASURED, RECONSTRUCTION, evenly, sheet, styled

_COLUMNS = 3


@styled
def draw_follow(table: pd.DataFrame, stops: Mapping[str, int | None], count: int = 12) -> Figure:
    """A panel a cell, at most `count` of them.

    table: cell_id, observed, eol_low, eol_median, eol_high, eol_measured, learnt, one row a forecast. A bound that is not
    reached goes to the edge of the axes. stops: the cycle at which the test of a cell could have stopped. Forecasts from
    more cycles than training ever saw (not learnt) are on grey.
    """
    cells = evenly(count, table["cell_id"].unique())
    columns = min(_COLUMNS, len(cells))
    title = "End of life, as forecast from more and more cycles"
    figure, axes = sheet(-(-len(cells) // columns), columns, 3.9 if columns > 1 else 6.0, 2.9, title)
    for ax, cell in zip(axes.flat, cells, strict=False):
        _panel(ax, table[table["cell_id"] == cell], stops.get(str(cell)))
        ax.set_title(str(cell), loc="left", color="#444444")
    for ax in axes.flat[len(cells) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("End of life [cycles]")
    for ax in axes.flat[max(0, len(cells) - columns) : len(cells)]:
        ax.set_xlabel("Observed cycles")
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3 if columns > 1 else 2)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, stop: int | None) -> None:
    x = rows["observed"].to_numpy()
    known = np.r_[rows["eol_median"], rows["eol_low"], rows["eol_high"], rows["eol_measured"], x]
    top = 1.08 * np.nanmax(known)
    marker = "o" if len(x) < 40 else ""
    low, high = rows["eol_low"].fillna(top), rows["eol_high"].fillna(top)
    ax.fill_between(x, low, high, color=DRAWS, alpha=0.4, lw=0, label="forecast interval")
    ax.plot(x, rows["eol_median"], color=MEAN, lw=1.5, marker=marker, ms=3, label="forecast, median")
    ax.plot(x, x, color=MEASURED, lw=0.8, label="observed so far")
    measured = rows["eol_measured"].iloc[0]
    if np.isfinite(measured):
        ax.axhline(measured, color=RECONSTRUCTION, lw=0.9, ls="-.", label="measured")
    if stop is not None:
        ax.axvline(stop, color="#222222", lw=1.0, ls="--", label="the test could stop")
    learnt = rows["learnt"].to_numpy(bool)
    if not learnt.all():
        start = x[learnt][-1] if learnt.any() else x[0]
        ax.axvspan(start, x[-1], color="#000000", alpha=0.06, lw=0, label="longer than training saw")
    ax.set(ylim=(0, top))
