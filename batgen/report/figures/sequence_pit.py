"""PIT histograms: where in the forecast distribution the truth fell; flat if calibrated."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.evaluation.calibration import pit_values
from batgen.report.figures.style import MEAN, RECONSTRUCTION, sheet, styled
from batgen.report.sequence_read import CONFORMAL, MODEL, Scene, SequencePart

_METHODS = ((MODEL, "as trained", MEAN), (CONFORMAL, "conformal", RECONSTRUCTION))
_BINS = np.linspace(0.0, 1.0, 11).tolist()
_COLUMNS = 3


@styled
def draw_pit(part: SequencePart) -> Figure | None:
    """A panel a test set and cut, of the first target; every cell counts the same. None without an interval."""
    if part.low is None:
        return None
    target = part.targets()[0]
    scenes = [s for s in part.scenes() if part.shown(s, target, MODEL)[["truth", "low"]].notna().all(axis=1).any()]
    if not scenes:
        return None
    columns = min(_COLUMNS, len(scenes))
    figure, axes = sheet(-(-len(scenes) // columns), columns, 3.7, 2.6, f"PIT: {part.title()}")
    for ax, scene in zip(axes.flat, scenes, strict=False):
        _panel(ax, part, scene, target)
        ax.set_title(scene.words(), loc="left", color="#444444")
        ax.set_xlabel("Forecast probability of less than the truth")
    for ax in axes.flat[len(scenes) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("Density")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panel(ax: Axes, part: SequencePart, scene: Scene, target: str) -> None:
    columns, levels = [f"q{level:g}" for level in part.levels], np.array(part.levels)
    for method, name, colour in _METHODS:
        rows = part.shown(scene, target, method).dropna(subset=["truth", *columns])
        if rows.empty:
            continue
        values = pit_values(rows["truth"].to_numpy(float), rows[columns].to_numpy(float), levels)
        size = rows.groupby("cell_id", observed=True)["truth"].transform("size").to_numpy(float)
        ax.hist(values, _BINS, weights=1 / size, density=True, histtype="step", lw=1.4, color=colour, label=name)
    ax.axhline(1.0, color="#222222", lw=0.8, ls="--", label="calibrated")
    ax.set_xlim(0, 1)
