"""The load cells were cycled with: discharge rate over cycles (ARCANA, figs. 6a, 7a)."""

from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, evenly, sheet, styled
from batgen.report.sequence_read import SequencePart

_RATE = "discharge_c_rate"


@styled
def draw_covariates(part: SequencePart, count: int = 6) -> Figure | None:
    """Discharge rate by cycle of up to `count` cells, those with the most different rates first. None where not told."""
    table = part.observed[part.observed["target"] == _RATE].dropna(subset="value")
    if table.empty:
        return None
    cells = table.groupby(table["cell_id"].astype(str))["value"].agg(["std", "mean"]).fillna(0.0)
    # By mean, so that unlike loads are shown before the same one again.
    order = cells.sort_values(["std", "mean"], ascending=False).index.to_numpy()
    changing = cells["std"].reindex(order).to_numpy() > 1e-3
    chosen = evenly(count, order[changing] if changing.any() else order)
    columns = min(3, len(chosen))
    title = f"Discharge rate of {len(chosen)} of {len(cells)} cells: {part.title()}"
    # A panel each: equal schedules would hide one another.
    figure, axes = sheet(-(-len(chosen) // columns), columns, 3.6 if columns > 1 else 6.5, 2.2, title)
    for ax, cell in zip(axes.flat, chosen, strict=False):
        mine = table[table["cell_id"] == cell].sort_values("cycle")
        ax.plot(mine["cycle"], mine["value"], color=MEAN, lw=1.3, drawstyle="steps-mid")
        ax.set_ylim(0, 1.1 * mine["value"].max())
        ax.set_title(cell, loc="left", color="#444444")
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax in axes.flat[max(0, len(chosen) - columns) : len(chosen)]:
        ax.set_xlabel("Cycle")
    for ax in axes[:, 0]:
        ax.set_ylabel("Discharge rate [C]")
    return figure
