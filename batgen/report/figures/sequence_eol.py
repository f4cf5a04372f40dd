"""Predicted against true end of life, with the interval between the crossings of the outer quantiles."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, MEASURED, RECONSTRUCTION, sheet, styled
from batgen.report.sequence_read import CAPACITY, MODEL, PERCENT, Scene, SequencePart
from batgen.report.sequence_scores import best_baselines, first_reach

_COLUMNS = 2
_ENDS = {"median": "median", "early": "low", "late": "high"}


@styled
def draw_eol(part: SequencePart) -> Figure | None:
    """A panel a test set and cut: the first cycle at which the median is at the end-of-life capacity, cell by cell.

    A forecast that never gets there is a triangle on the upper edge; the interval goes to the edge where its upper quantile
    never gets there. Cells whose record ends before their end of life are counted,
    not drawn. None without forecasts of capacity or without any known end of life.
    """
    if CAPACITY not in part.targets():
        return None
    scenes = [s for s in part.scenes() if _crossings(part, s, MODEL)["true"].notna().any()]
    if not scenes:
        return None
    columns = min(_COLUMNS, len(scenes))
    title = f"End of life: {part.title()}"
    figure, axes = sheet(-(-len(scenes) // columns), columns, 4.6 if columns > 1 else 5.6, 4.3, title)
    for ax, scene in zip(axes.flat, scenes, strict=False):
        _panel(ax, part, scene)
    for ax in axes.flat[len(scenes) :]:
        ax.set_visible(False)
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
    return figure


def _crossings(part: SequencePart, scene: Scene, method: str) -> pd.DataFrame:
    """By cell: true, median, early and late end of life (NaN: not reached)."""
    rows = part.shown(scene, CAPACITY, method)
    eol = part.cells["eol_capacity_Ah"] * part.factors(CAPACITY)
    cells = {name: first_reach(rows, column, eol) for name, column in _ENDS.items()}
    table = pd.DataFrame(cells)
    table["true"] = part.cells["eol_cycle"].reindex(table.index)
    return table


def _panel(ax: Axes, part: SequencePart, scene: Scene) -> None:
    everyone = _crossings(part, scene, part.own_method(scene, CAPACITY))
    table = everyone[everyone["true"].notna()]
    reached = table["median"].notna()
    best = best_baselines(part.shown(scene, CAPACITY), 1)
    if best:
        other = _crossings(part, scene, best[0])[lambda t: t["true"].notna() & t["median"].notna()]
        ax.plot(other["true"], other["median"], "o", ms=4, mfc="white", color=MEASURED, label="baseline of lowest RMSE")
    known = table[["true", "median", "early"]].to_numpy()
    span = (0.9 * np.nanmin(known), 1.1 * np.nanmax(known[:, :2]))
    if part.low is not None:
        early, late = table["early"].fillna(span[1]), table["late"].fillna(span[1])
        ax.vlines(
            table["true"], early, late, color=MEAN, lw=1.2, alpha=0.35, zorder=1, label=f"forecast, {part.band()}"
        )
    ax.plot(
        table["true"][reached], table["median"][reached], "o", ms=5, color=MEAN, mec="white", label="forecast, median"
    )
    never = table[~reached]
    if len(never):
        edge = np.full(len(never), span[0] + 0.985 * (span[1] - span[0]))
        ax.plot(
            never["true"], edge, "^", ms=6, color=RECONSTRUCTION, mec="white", label="never reached in the forecast"
        )
    ax.plot(span, span, color="#222222", lw=0.8, ls="--")
    ax.set(
        xlim=span, ylim=span, box_aspect=1, xlabel="True end of life [cycles]", ylabel="Predicted end of life [cycles]"
    )
    error = part.metric(scene, MODEL, "EOL_error_median", (CAPACITY, PERCENT))
    lines = [] if np.isnan(error) else [f"median error {error:.0f} cycles"]
    lines.append(f"never reached: {len(never)} of {len(table)}")
    if part.low is not None:
        held = (table["early"] <= table["true"]) & (table["late"].fillna(np.inf) >= table["true"])
        lines.append(f"interval holds {held.sum()} of {len(table)}")
    lines += [f"not drawn, record ends before: {len(everyone) - len(table)}"] if len(everyone) > len(table) else []
    lines += [f"baseline: {best[0].replace('_', ' ')}"] if best else []
    ax.set_title(scene.words(), loc="left", color="#444444")
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
    ax.text(0.03, 0.94, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=8, bbox=box)
