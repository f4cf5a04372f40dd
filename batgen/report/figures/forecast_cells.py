"""Forecasts of a user's own cells: what was observed, the fan of quantiles after it, and what the table knows beyond."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.evaluation.forecast import Forecast
from batgen.evaluation.rows import unit_of
from batgen.report.figures.style import DRAWS, MEAN, MEASURED, RECONSTRUCTION, evenly, sheet, styled
from batgen.report.labels import with_unit, words

_COLUMNS = 3


@styled
def draw_forecasts(forecasts: Sequence[Forecast], count: int = 12) -> Figure:
    """A panel a cell, at most `count` of them, for forecasts of one target. Pairs of levels are nested bands."""
    chosen = [forecasts[i] for i in evenly(count, np.arange(len(forecasts)))]
    columns = min(_COLUMNS, len(chosen))
    name = words(chosen[0].target)
    more = f" ({len(chosen)} of {len(forecasts)} cells)" if len(chosen) < len(forecasts) else ""
    figure, axes = sheet(
        -(-len(chosen) // columns), columns, 3.9 if columns > 1 else 6.0, 2.7, f"{name}, forecast{more}"
    )
    for ax, forecast in zip(axes.flat, chosen, strict=False):
        _panel(ax, forecast)
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(with_unit(name, unit_of(chosen[0].target)))
    for ax in axes.flat[max(0, len(chosen) - columns) : len(chosen)]:
        ax.set_xlabel("Cycle")
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4 if columns > 1 else 2)
    return figure


def _panel(ax: Axes, f: Forecast) -> None:
    known = f.known
    marker = "o" if len(f.observed) + known.sum() < 100 else ""
    ax.plot(
        f.cycle[known], f.truth[known], color=MEASURED, lw=3, alpha=0.8, marker=marker, ms=3.5, label="in the table"
    )
    for place in range(len(f.levels) // 2):
        low, high = f.levels[place], f.levels[-1 - place]
        ax.fill_between(
            f.cycle, f.quantiles[:, place], f.quantiles[:, -1 - place], color=DRAWS, alpha=0.25, lw=0,
            label=f"forecast, {100 * low:.0f}-{100 * high:.0f} %",
        )  # fmt: skip
    ax.plot(f.observed_cycle, f.observed, color="#222222", lw=1.6, marker=marker, ms=3.5, label="observed")
    ax.plot(f.cycle, f.median, color=MEAN, lw=1.5, label="forecast, median")
    ax.axvline(f.cut_cycle, color="#222222", lw=0.8, ls=":")
    if np.isfinite(f.eol_value):
        ax.axhline(f.eol_value, color=RECONSTRUCTION, lw=0.9, ls="-.", label="end of life")
    # the axis shows what was measured and the middle of the fan; outer quantiles may leave it
    shown = np.r_[f.observed, f.truth[known], f.median, f.eol_value]
    low, high = np.nanmin(shown), np.nanmax(shown)
    margin = 0.15 * ((high - low) or abs(high) or 1.0)
    ax.set(xlim=(0, 1.03 * f.cycle[-1]), ylim=(low - margin, high + margin))
    ax.set_title(f"{f.cell_id}, observed to cycle {f.cut_cycle}", loc="left", color="#444444")
