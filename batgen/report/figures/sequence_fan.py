"""Forecast fans: what was given, what was forecast with its interval, and what then happened (ARCANA, fig. 3)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, DRAWS, MEAN, MEASURED, RECONSTRUCTION, evenly, sheet, styled
from batgen.report.sequence_read import CAPACITY, Scene, SequencePart
from batgen.report.sequence_scores import best_baselines

_BASELINES = (CYCLE[1], CYCLE[2])
_COLUMNS = 3
_FEW = 100


@styled
def draw_fan(part: SequencePart, scene: Scene, target: str, count: int = 6) -> Figure | None:
    """A panel a cell, `count` of them from the shortest to the longest life, with the two baselines of lowest RMSE.

    The interval is the conformal one where there is one. Outliers that were masked are crosses. An axis ends a quarter
    of its life after the cell's record does, and below where measured values end: fans go on for long.
    """
    rows = part.shown(scene, target)
    own = rows[rows["method"] == part.own_method(scene, target)]
    if own.empty:
        return None
    here = part.cells.loc[own["cell_id"].astype(str).unique()]
    life = here["eol_cycle"].fillna(here["last_cycle"]).sort_values(kind="stable")
    chosen = evenly(count, life.index.to_numpy())
    baselines = best_baselines(rows, len(_BASELINES))
    columns = min(_COLUMNS, len(chosen))
    title = f"Forecasts, {scene.words()}: {part.title()}"
    figure, axes = sheet(-(-len(chosen) // columns), columns, 3.9 if columns > 1 else 6.0, 2.7, title)
    for ax, cell in zip(axes.flat, chosen, strict=False):
        mine = rows[rows["cell_id"] == cell]
        _panel(ax, part, target, str(cell), mine, own[own["cell_id"] == cell], baselines)
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(part.label(target))
    for ax in axes.flat[max(0, len(chosen) - columns) : len(chosen)]:
        ax.set_xlabel("Cycle")
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4 if columns > 1 else 2)
    return figure


def _panel(
    ax: Axes, part: SequencePart, target: str, cell: str, rows: pd.DataFrame, own: pd.DataFrame, baselines: list[str]
) -> None:
    about, factor = part.cells.loc[cell], part.factors(target)[cell]
    seen = part.observed[(part.observed["cell_id"] == cell) & (part.observed["target"] == target)]
    good, cut = seen["masked"] == 0, own["cut_cycle"].iloc[0]
    given = seen[good & (seen["cycle"] <= cut)]
    truth = own.dropna(subset="truth")
    last = float(max(about["last_cycle"], truth["cycle"].max() if len(truth) else cut))
    end = min(1.25 * last, float(own["cycle"].max()))
    own = own[own["cycle"] <= end]
    # Lines alone would not show a single point, nor where records with gaps were measured.
    few: dict[str, Any] = {"marker": "o", "ms": 3.5} if len(given) + len(truth) < _FEW else {}
    ax.plot(truth["cycle"], truth["truth"], color=MEASURED, lw=3.0, alpha=0.8, label="measured", **few)
    ax.plot(given["cycle"], given["value"] * factor, color="#222222", lw=1.6, label="given to the model", **few)
    ax.axvline(cut, color="#222222", lw=0.8, ls=":")
    if part.low is not None:
        ax.fill_between(
            own["cycle"], own["low"], own["high"], color=DRAWS, alpha=0.4, lw=0, label=f"forecast, {part.band()}"
        )
    for name, colour in zip(baselines, _BASELINES, strict=False):
        line = rows[(rows["method"] == name) & (rows["cycle"] <= end)]
        ax.plot(line["cycle"], line["median"], color=colour, lw=1.1, ls="--", label=name.replace("_", " "))
    ax.plot(own["cycle"], own["median"], color=MEAN, lw=1.5, label="forecast, median")
    levels = np.r_[truth["truth"], given["value"] * factor, own["median"][own["cycle"] <= last]]
    if target == CAPACITY and np.isfinite(about["eol_capacity_Ah"]):
        eol = about["eol_capacity_Ah"] * factor
        ax.axhline(eol, color=RECONSTRUCTION, lw=0.9, ls="-.", label="end of life")
        levels = np.r_[levels, eol]
    low, high = np.nanmin(levels), np.nanmax(levels)
    margin = 0.2 * ((high - low) or abs(high) or 1.0)
    ax.set(xlim=(0, end), ylim=(low - margin, high + margin))
    outlying = seen[~good & (seen["cycle"] <= end)]
    # Masked values may be anywhere; those outside the axes are put on its edge, not left out.
    edge = np.clip(outlying["value"] * factor, low - 0.93 * margin, high + 0.93 * margin)
    if len(outlying):
        ax.plot(outlying["cycle"], edge, "x", ms=3.5, mew=0.7, color=CYCLE[3], alpha=0.6, label="masked outliers")
    known = f"end of life at {about['eol_cycle']:.0f}" if np.isfinite(about["eol_cycle"]) else "end of life not reached"
    ax.set_title(f"{cell}, {known if target == CAPACITY else f'{last:.0f} cycles'}", loc="left", color="#444444")
