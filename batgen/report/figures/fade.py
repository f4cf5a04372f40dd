"""The data at a glance (RCVAE paper, fig. 2): capacity fade of all cells, voltage and temperature of one by cycle."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from batgen.report.figures.style import ORDERED, evenly, sheet, styled
from batgen.report.labels import grid_label, with_unit, words
from batgen.report.part import CurvesByCycle, Part


@styled
def draw_fade(part: Part, cycles: int = 40) -> Figure | None:
    """Discharge capacity over cycles coloured by life; voltage and temperature of one cell coloured by cycle."""
    curves = list(part.by_cycle.signals) if part.by_cycle is not None and len(part.by_cycle.cycle) else []
    panels = (1 if part.fade else 0) + len(curves)
    if not panels:
        return None
    figure, axes = sheet(1, panels, 4.3, 3.2, f"Cells of {part.data}")
    if part.fade:
        _fade(figure, axes[0, 0], part)
    for ax, name in zip(axes[0, panels - len(curves) :], curves, strict=True):
        assert part.by_cycle is not None
        _by_cycle(figure, ax, part, part.by_cycle, name, cycles)
    return figure


def _fade(figure: Figure, ax: Axes, part: Part) -> None:
    lives = np.array([cell.life for cell in part.fade])
    norm = Normalize(np.nanmin(lives), np.nanmax(lives)) if np.isfinite(lives).any() else Normalize(0, 1)
    colours = mpl.colormaps[ORDERED]
    for cell in sorted(part.fade, key=lambda c: -c.life):
        ax.plot(cell.cycle, cell.capacity_Ah, color=colours(norm(cell.life)), lw=1.0, alpha=0.9)
    capacity = np.concatenate([cell.capacity_Ah for cell in part.fade])
    capacity = capacity[np.isfinite(capacity)]
    if len(capacity):
        # A handful of bad records would squeeze all curves into a line.
        low, high = np.quantile(capacity, [0.001, 0.999])
        margin = 0.05 * (high - low or 1.0)
        ax.set_ylim(low - margin, high + margin)
    ax.set(xlabel="Cycle", ylabel=with_unit("Discharge capacity", "Ah"))
    ax.set_title(f"{len(part.fade)} cells", loc="left")
    figure.colorbar(mpl.cm.ScalarMappable(norm, ORDERED), ax=ax, label="Life [cycles]", pad=0.02)


def _by_cycle(figure: Figure, ax: Axes, part: Part, curves: CurvesByCycle, name: str, cycles: int) -> None:
    values = curves.signals[name]
    chosen = evenly(cycles, np.arange(len(curves.cycle)))
    norm = Normalize(curves.cycle.min(), max(curves.cycle.max(), curves.cycle.min() + 1))
    colours = mpl.colormaps[ORDERED]
    for row in chosen:
        if curves.grid_s is not None:
            x = (curves.grid_s if curves.grid_s.ndim == 1 else curves.grid_s[row]) / 60.0
        else:
            x = part.grid if len(part.grid) == values.shape[1] else np.arange(values.shape[1])
        ax.plot(x, values[row], color=colours(norm(curves.cycle[row])), lw=0.9)
    if curves.grid_s is not None:
        ax.set_xlabel("Time [min]")
    else:
        ax.set_xlabel(grid_label(part.grid_name) if len(part.grid) == values.shape[1] else "Point of the curve")
    ax.set_ylabel(with_unit(words(name), name.rpartition("_")[2]))
    ax.set_title(f"cell {curves.cell_id}, {len(chosen)} cycles" if curves.cell_id else "one cell", loc="left")
    figure.colorbar(mpl.cm.ScalarMappable(norm, ORDERED), ax=ax, label="Cycle", pad=0.02)
