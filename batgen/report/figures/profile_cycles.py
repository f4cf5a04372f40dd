"""Peak temperature over cycles: a panel a held-out cell, measured beside what the model and the best baseline expect."""

import numpy as np
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, DRAWS, MEAN, MEASURED, evenly, sheet, styled
from batgen.report.profile_read import PEAK, ProfilePart

_COLUMNS, _PANELS = 3, 12


@styled
def draw_cycles(part: ProfilePart) -> Figure | None:
    """Measured peaks as dots, the model's with the 10-90 % of its draws, and the best baseline. None without a model."""
    own, table = part.own(), part.features[part.features["feature"] == PEAK]
    if own is None or table[table["method"] == own.name].empty:
        return None
    cells = sorted(
        table["cell_id"].unique(), key=lambda c: ((table["cell_id"] == c) & (table["test_set"] == "cells")).sum() == 0
    )
    cells = list(evenly(_PANELS, np.array(cells, dtype=object)))
    columns = min(_COLUMNS, len(cells))
    title = f"Peak temperature over cycles: {part.title()}"
    figure, axes = sheet(-(-len(cells) // columns), columns, 3.9 if columns > 1 else 6.0, 2.2, title)
    best = part.baselines()[:1]
    for ax, cell in zip(axes.flat, cells, strict=False):
        here = table[table["cell_id"] == cell].sort_values("ecl", kind="stable")
        mine = here[here["method"] == own.name]
        if mine["low"].notna().any():
            band = {"color": DRAWS, "alpha": 0.4, "lw": 0}
            ax.fill_between(mine["ecl"], mine["low"], mine["high"], label="10–90 % of draws", **band)
        ax.plot(mine["ecl"], mine["measured"], "o", ms=2.8, color=MEASURED, label="measured")
        for name in best:
            line = here[here["method"] == name]
            ax.plot(line["ecl"], line["predicted"], color=CYCLE[1], lw=1.1, ls="--", label=name)
        ax.plot(mine["ecl"], mine["predicted"], color=MEAN, lw=1.4, label=own.name)
        apart = mine["test_set"].iloc[0] if len(mine) else "cells"
        ax.set_title(cell if apart == "cells" else f"{cell} ({apart})", loc="left", color="#444444")
    for ax in axes.flat[len(cells) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("Peak [°C]")
    for ax in axes.flat[max(0, len(cells) - columns) : len(cells)]:
        ax.set_xlabel("Cycle")
    entries = {text: handle for ax in axes.flat for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4 if columns > 1 else 2)
    return figure
