"""Sensitivity of the forecast quantiles to what was given, by given cycle and summed (ARCANA, figs. 6-8)."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, evenly, sheet, styled
from batgen.report.sequence_explanation import Saliency
from batgen.report.sequence_read import SequencePart

_TINY = 1e-12


@styled
def draw_saliency(part: SequencePart, count: int = 3, lines: int = 12) -> Figure | None:
    """A row a target of a cell: the median's log-sensitivity by given cycle with a line a forecast cycle; its sum over
    given cycles by forecast cycle, all quantiles; and its share by input.

    Sensitivity is the absolute gradient, summed over inputs. The first `count` pairs of cell and target. None without.
    """
    found: dict[tuple[str, str], list[Saliency]] = {}
    for entry in part.saliency:
        if entry.value.size:
            found.setdefault((entry.cell_id, entry.target), []).append(entry)
    if not found:
        return None
    shown = list(found.items())[:count]
    figure, axes = sheet(len(shown), 3, 4.1, 2.8, f"Sensitivity: {part.title()}")
    for row, ((cell, target), entries) in zip(axes, shown, strict=True):
        entries = sorted(entries, key=lambda e: e.level)
        middle = min(entries, key=lambda e: abs(e.level - 0.5))
        by_cycle, summed, inputs = row
        total = np.abs(middle.value).sum(axis=2)
        scale = Normalize(middle.cycle.min(), max(middle.cycle.max(), middle.cycle.min() + 1))
        colours = ScalarMappable(scale, "viridis")
        for k in evenly(lines, np.arange(len(total))):
            by_cycle.plot(
                middle.input_cycle, np.log10(total[k] + _TINY), color=colours.to_rgba(middle.cycle[k]), lw=0.9
            )
        figure.colorbar(colours, ax=by_cycle, label="Forecast cycle", pad=0.02)
        by_cycle.set(xlabel="Given cycle", ylabel=f"log₁₀ sensitivity, {middle.level:g} quantile")
        by_cycle.set_title(f"{cell}, {part.label(target).partition(' [')[0].lower()}", loc="left", color="#444444")
        for place, entry in enumerate(entries):
            over = np.abs(entry.value).sum(axis=(1, 2))
            label = f"{entry.level:g} quantile"
            summed.plot(entry.cycle, np.log10(over + _TINY), color=CYCLE[place % len(CYCLE)], lw=1.4, label=label)
        summed.set(xlabel="Forecast cycle", ylabel="log₁₀ sensitivity, summed")
        summed.legend(fontsize=8)
        share = np.abs(middle.value).sum(axis=(0, 1))
        share = 100 * share / max(share.sum(), _TINY)
        # The inputs that matter; dozens of statics would not be readable.
        order = np.argsort(share)[::-1][:8][::-1]
        inputs.barh([middle.names[k].replace("_", " ") for k in order], share[order], color=CYCLE[0], alpha=0.7)
        inputs.set(xlabel="Share of sensitivity [%]", xlim=(0, 100))
        inputs.grid(axis="y", visible=False)
    return figure
