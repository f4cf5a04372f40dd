"""Which given cycles a forecast attends to (ARCANA, figs. 3, 6, 7)."""

from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, sheet, styled
from batgen.report.sequence_read import SequencePart


@styled
def draw_attention(part: SequencePart, count: int = 4) -> Figure | None:
    """A column a cell: weight by given cycle and forecast cycle, below it the mean over the forecast. None without."""
    shown = [a for a in part.attention if a.weight.size][:count]
    if not shown:
        return None
    figure, axes = sheet(2, len(shown), 3.5 if len(shown) > 1 else 5.5, 2.3, f"Attention: {part.title()}")
    for place, attention in enumerate(shown):
        upper, lower = axes[:, place]
        image = upper.pcolormesh(
            attention.input_cycle, attention.cycle, attention.weight, cmap="viridis", shading="nearest", rasterized=True
        )
        figure.colorbar(image, ax=upper, pad=0.02, label="Weight" if place == len(shown) - 1 else "")
        upper.grid(visible=False)
        upper.set_title(attention.cell_id, loc="left", color="#444444")
        mean = attention.weight.mean(axis=0)
        lower.fill_between(attention.input_cycle, 0, mean, color=MEAN, alpha=0.3, lw=0)
        lower.plot(attention.input_cycle, mean, color=MEAN, lw=1.3)
        # Equal weights are what a model gives that attends to nothing in particular.
        lower.axhline(1 / len(attention.input_cycle), color="#444444", lw=0.8, ls="--")
        lower.set_ylim(0, 1.1 * max(mean.max(), 1 / len(attention.input_cycle)))
        lower.set_xlabel("Given cycle")
    axes[0, 0].set_ylabel("Forecast cycle")
    axes[1, 0].set_ylabel("Mean weight\n(dashed: all equal)")
    return figure
