"""Where the tokens of a pulse look: attention weights on the conditions."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from batgen.report.figures.style import sheet, styled
from batgen.report.pulse_part import PulsePart

_COLUMNS = 4


@styled
def draw_pulse_attention(part: PulsePart) -> Figure | None:
    """A heat map a case: a row a voltage token, a column a condition, one colour scale. None without attention."""
    cases = {case: a for case, a in part.attention.items() if a.weight.size and np.isfinite(a.weight).any()}
    if not cases:
        return None
    columns = min(_COLUMNS, len(cases))
    highest = max(float(np.nanmax(a.weight)) for a in cases.values())
    scale = Normalize(0, highest)
    figure, axes = sheet(-(-len(cases) // columns), columns, 3.2, 4.2, f"Attention: {part.title()}")
    for ax, (case, attention) in zip(axes.flat, cases.items(), strict=False):
        ax.imshow(attention.weight, cmap="Blues", norm=scale, aspect="auto", interpolation="nearest")
        ax.set_xticks(range(len(attention.conditions)), attention.conditions)
        names = part.names if len(part.names) == len(attention.weight) else list(map(str, range(len(attention.weight))))
        step = max(1, len(names) // 21)
        ax.set_yticks(range(0, len(names), step), names[::step])
        ax.set_title(f"case {case}", loc="left", color="#444444")
        ax.grid(visible=False)
        if len(attention.conditions) <= 4 and len(names) <= 24:
            for (row, column), weight in np.ndenumerate(attention.weight):
                colour = "white" if weight > 0.6 * highest else "#333333"
                ax.text(column, row, f"{weight:.2f}", ha="center", va="center", fontsize=7, color=colour)
    for ax in axes.flat[len(cases) :]:
        ax.set_visible(False)
    figure.colorbar(ScalarMappable(scale, "Blues"), ax=axes, label="Attention weight, mean over test rows", shrink=0.7)
    return figure
