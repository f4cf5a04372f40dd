"""Generated over measured curves (RCVAE paper, fig. 4), with what the prior draws around them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.evaluation.reconstruction import r2
from batgen.report.figures.style import (
    DRAWS,
    MEAN,
    MEASURED,
    RECONSTRUCTION,
    evenly,
    note_in_free_corner,
    sheet,
    styled,
)
from batgen.report.labels import grid_label, with_unit, words
from batgen.report.part import Part


def chosen_rows(part: Part, count: int) -> np.ndarray:
    """At most `count` test rows from short to long life, of different cells where there are enough.

    Only rows with prior draws, where there are any.
    """
    rows = part.generated_index if part.generated is not None else np.arange(len(part.real))
    nothing = np.zeros(len(part.real))
    eol, ecl = (np.nan_to_num(part.conditions.get(name, nothing)) for name in ("eol", "ecl"))
    rows = rows[np.lexsort((rows, ecl[rows], eol[rows]))]
    cells = np.unique(part.cell_id[rows])
    if len(cells) < count:
        return evenly(count, rows)
    order = dict.fromkeys(part.cell_id[rows])
    # Another age for each cell, so that a few panels show young and old cycles alike.
    some = evenly(count, np.array(list(order), dtype=object))
    picks = []
    for place, cell in enumerate(some):
        own = rows[part.cell_id[rows] == cell]
        picks.append(own[(place * len(own)) // len(some)])
    return np.array(picks)


@styled
def draw_overlay(part: Part, conditions: int = 3) -> Figure | None:
    """One row of panels a test condition, one column a signal: measured, conditional mean, reconstruction, draws.

    The ribbon spans 5 to 95 % of the prior draws; R2 in each panel is of that curve alone.
    """
    if not len(part.real):
        return None
    signals = part.signals()
    alone = len(signals) == 1
    rows = chosen_rows(part, 6 if alone else conditions)
    shape = (-(-len(rows) // 3), min(3, len(rows))) if alone else (len(rows), len(signals))
    figure, axes = sheet(*shape, 3.9 if alone else 2.9, 2.3, f"Generated over measured: {part.title()}", sharex=True)
    for panel, row in enumerate(rows):
        for column, (name, (index, unit)) in enumerate(signals.items()):
            ax = axes.flat[panel] if alone else axes[panel, column]
            _panel(ax, part, int(row), index)
            ax.set_ylabel(with_unit(words(name), unit))
            if alone or column == 0:
                ax.set_title(part.label(int(row)), loc="left", color="#444444")
    for ax in axes.flat[len(rows) :] if alone else ():
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel(grid_label(part.grid_name))
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _panel(ax: Axes, part: Part, row: int, index: int) -> None:
    grid, real = part.grid, part.real[row, index]
    draws = part.generated[part.generated_index == row, :, index] if part.generated is not None else np.empty((0,))
    if draws.size and not np.isnan(draws).all():
        low, high = np.nanquantile(draws[0], [0.05, 0.95], axis=0)
        count = draws.shape[1]
        ax.fill_between(grid, low, high, color=DRAWS, alpha=0.45, lw=0, label=f"{count} prior draws, 5–95 %")
    ax.plot(grid, real, color=MEASURED, lw=3.2, label="measured")
    shown = (
        (part.conditional_mean, MEAN, "-", "prior mean"),
        (part.reconstruction, RECONSTRUCTION, "--", "reconstruction"),
    )
    scores = []
    for curves, colour, line, name in shown:
        if curves is None:
            continue
        ax.plot(grid, curves[row, index], color=colour, lw=1.2, ls=line, label=name)
        scores.append((f"R² {r2(real[None, None], curves[row, index][None, None], [name])[name]:.4g}", colour))
    note_in_free_corner(ax, grid, real, scores)
