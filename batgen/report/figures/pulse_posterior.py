"""Posterior densities over SOH, with the true value marked."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import DRAWS, MEAN, RECONSTRUCTION, evenly, sheet, styled
from batgen.report.pulse_part import Posterior, PulsePart

_COLUMNS = 4


@styled
def draw_pulse_posterior(part: PulsePart) -> Figure | None:
    """A row of 4 panels a case, or all its rows for a single case; the central 90 % are filled. None without any."""
    cases = {case: p for case, p in part.posterior.items() if len(p.soh)}
    if not cases:
        return None
    count = 12 if len(cases) == 1 else _COLUMNS
    panels = [(case, p, int(r)) for case, p in cases.items() for r in evenly(count, np.arange(len(p.soh)))]
    columns = min(_COLUMNS, max(len(p.soh) for p in cases.values()))
    if len(cases) > 1:
        places = [(line, r) for line, p in enumerate(cases.values()) for r in range(min(count, len(p.soh)))]
    else:
        places = [divmod(k, columns) for k in range(len(panels))]
    figure, axes = sheet(places[-1][0] + 1, columns, 2.9, 1.9, f"Posterior of SOH, SOC known: {part.title()}")
    for (case, posterior, row), place in zip(panels, places, strict=True):
        ax = axes[place]
        _panel(ax, posterior, row)
        name = f"case {case}: " if place[1] == 0 else ""
        ax.set_title(f"{name}{posterior.label[row]}, SOC {100 * posterior.soc[row]:.3g} %", loc="left", color="#444444")
    for place in np.ndindex(axes.shape):
        axes[place].set_visible(place in places)
    for ax in axes[-1]:
        ax.set_xlabel("SOH")
    for ax in axes[:, 0]:
        ax.set_ylabel("Density")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _panel(ax: Axes, posterior: Posterior, row: int) -> None:
    grid, density = posterior.grid, posterior.density[row]
    mass = np.cumsum(density) / max(density.sum(), np.finfo(float).tiny)
    inside = (mass >= 0.05) & (mass <= 0.95)
    ax.fill_between(grid, density, where=inside, color=DRAWS, alpha=0.45, lw=0, label="central 90 %")
    ax.plot(grid, density, color=MEAN, lw=1.3, label="posterior")
    ax.axvline(posterior.soh[row], color=RECONSTRUCTION, lw=1.5, ls="--", label="true SOH")
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.grid(axis="y", visible=False)
