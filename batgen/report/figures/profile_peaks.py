"""Predicted against measured peak temperature of the model and of the best baseline."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, sheet, styled
from batgen.report.labels import number
from batgen.report.profile_read import PEAK, ProfilePart

#: More cells than these are not named: the legend would be larger than the panels.
_NAMED = 30
_MARKERS = ("o", "s", "^", "D")


@styled
def draw_peaks(part: ProfilePart) -> Figure | None:
    """A panel each for the model, with the 10-90 % of its draws as bars, and the best baseline; a colour a cell.

    Cells scored apart are hollow. The error in a panel's title is that of metrics.json, over the held-out cells.
    """
    own, table = part.own(), part.features[part.features["feature"] == PEAK]
    if own is None or table[table["method"] == own.name].empty:
        return None
    names = [own.name, *part.baselines()[:1]]
    figure, axes = sheet(1, len(names), 4.6, 4.9, f"Peak temperature: {part.title()}")
    shown = table[table["method"].isin(names)]
    values = shown[["measured", "predicted"]].to_numpy(dtype=float)
    margin = 0.04 * (np.nanmax(values) - np.nanmin(values)) + 0.1
    ends = (np.nanmin(values) - margin, np.nanmax(values) + margin)
    cells = sorted(shown["cell_id"].unique())
    for ax, name in zip(axes.flat, names, strict=True):
        _panel(ax, shown[shown["method"] == name], cells)
        ax.plot(ends, ends, color="#222222", lw=0.8, ls="--", zorder=0.5)
        ax.set(xlim=ends, ylim=ends, box_aspect=1, xlabel="Measured [°C]")
        error = part.metric(name, "MAE", PEAK)
        ax.set_title(name + ("" if np.isnan(error) else f": MAE {number(error)} °C"), loc="left", color="#444444")
    axes[0, 0].set_ylabel("Predicted [°C]")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if len(cells) <= _NAMED:
        figure.legend(handles, labels, loc="outside lower center", ncols=5 if len(names) > 1 else 3)
    return figure


def _panel(ax: Axes, table: pd.DataFrame, cells: list[str]) -> None:
    for place, cell in enumerate(cells):
        rows = table[table["cell_id"] == cell]
        colour, marker = CYCLE[place % len(CYCLE)], _MARKERS[place // len(CYCLE) % len(_MARKERS)]
        x, y = (rows[name].to_numpy(dtype=float) for name in ("measured", "predicted"))
        low, high = (rows[name].to_numpy(dtype=float) for name in ("low", "high"))
        if np.isfinite(low).any():
            ax.vlines(x, low, high, color=colour, lw=0.7, alpha=0.5)
        apart = len(rows) > 0 and rows["test_set"].iloc[0] != "cells"
        name = f"{cell} ({rows['test_set'].iloc[0]})" if apart else cell
        ax.plot(
            x, y, marker, ms=3.5, color=colour, mfc="white" if apart else colour, mew=0.7, alpha=0.8, ls="", label=name
        )
