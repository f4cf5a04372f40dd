"""Predicted against measured values, and their distributions (ARCANA, fig. 4a, b)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from batgen.report.figures.style import MEAN, sheet, styled
from batgen.report.labels import number
from batgen.report.sequence_read import MODEL, PERCENT, Scene, SequencePart

#: The most bins along an axis; fewer where cycles are few.
_BINS = 60
#: Most cycles in a bin above which late cycles of few cells would not show on a linear colour scale.
_LINEAR = 20


@styled
def draw_predicted(part: SequencePart, scene: Scene) -> Figure | None:
    """A row a target: measured cycles as a density of points about the diagonal, and both as histograms.

    Axes span 99.8 % of the measured values and of the medians; points beyond are on the edge.
    """
    found = [(target, part.shown(scene, target, MODEL).dropna(subset=["truth", "median"])) for target in part.targets()]
    found = [(target, rows) for target, rows in found if len(rows)]
    if not found:
        return None
    title = f"Predicted against measured, {scene.words()}: {part.title()}"
    figure, axes = sheet(len(found), 2, 4.0, 3.3, title)
    for (points, density), (target, rows) in zip(axes, found, strict=True):
        truth, median = rows["truth"].to_numpy(), rows["median"].to_numpy()
        both = np.r_[truth, median]
        low, high = np.quantile(both, [0.001, 0.999])
        margin = 0.03 * ((high - low) or abs(high) or 1.0)
        low, high = low - margin, high + margin
        truth, median = np.clip(truth, low, high), np.clip(median, low, high)
        _points(figure, points, truth, median, (low, high))
        points.set_title(_error(part, scene, target, rows["cell_id"].nunique()), loc="left", color="#444444")
        name = part.label(target)
        points.set(xlabel=f"Measured {_lower(name)}", ylabel=f"Predicted {_lower(name)}")
        _density(density, truth, median, (low, high))
        density.set_xlabel(name)
    return figure


def _error(part: SequencePart, scene: Scene, target: str, cells: int) -> str:
    """ "RMSE 2.1 % of nominal, mean over 43 cells", the RMSE that of metrics.json; without one, the number of cells."""
    name, factor = (PERCENT, 1.0) if part.in_percent(target) else (target, float(part.factors(target).iloc[0]))
    error = factor * part.metric(scene, MODEL, "RMSE", (name,))
    return f"{cells} cells" if np.isnan(error) else f"RMSE {number(error)} {part.unit(target)}, mean over {cells} cells"


def _points(figure: Figure, ax: Axes, truth: np.ndarray, median: np.ndarray, span: tuple[float, float]) -> None:
    grid = int(np.clip(4 * len(truth) ** 0.5, 20, _BINS))
    cells = ax.hexbin(truth, median, gridsize=grid, extent=(*span, *span), mincnt=1, cmap="viridis_r", lw=0.1)
    most = float(np.asarray(cells.get_array()).max())
    cells.set_norm(LogNorm(1, most) if most > _LINEAR else Normalize(1, max(most, 2)))
    ax.plot(span, span, color="#222222", lw=0.8, ls="--")
    ax.set(xlim=span, ylim=span, box_aspect=1)
    ticks = None if most > _LINEAR else MaxNLocator(5, integer=True)
    figure.colorbar(cells, ax=ax, label="Cycles", pad=0.02, ticks=ticks)


def _density(ax: Axes, truth: np.ndarray, median: np.ndarray, span: tuple[float, float]) -> None:
    edges = np.linspace(*span, int(np.clip(2 * len(truth) ** 0.5, 10, _BINS)) + 1).tolist()
    ax.hist(truth, edges, density=True, color="#888888", alpha=0.55, label="measured")
    ax.hist(median, edges, density=True, histtype="step", color=MEAN, lw=1.5, label="predicted")
    ax.set(xlim=span, ylabel="Density of cycles", yticks=[])
    ax.set_ylim(0, 1.2 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper left", ncols=2)


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]
