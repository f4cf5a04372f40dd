"""Observed against expected proportions, before and after conformal calibration (ARCANA, fig. 4c)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.evaluation.calibration import area_to_diagonal
from batgen.report.figures.style import MEAN, RECONSTRUCTION, sheet, styled
from batgen.report.sequence_read import CONFORMAL, MODEL, Scene, SequencePart
from batgen.report.sequence_scores import mean_by_cell, normal_proportion, observed_proportion

_METHODS = ((MODEL, "as trained", MEAN, "o"), (CONFORMAL, "conformal", RECONSTRUCTION, "s"))
_EXPECTED = np.linspace(0.0, 1.0, 101)
_COLUMNS = 3


@styled
def draw_calibration(part: SequencePart) -> Figure | None:
    """A panel a test set and cut, then one a further target: the quantiles as points, and the curve
    of the normal assumption with its area. Every cell counts the same. None without an interval.
    """
    low, high = part.low, part.high
    if low is None or high is None:
        return None
    scenes, targets = part.scenes(), part.targets()
    panels = [(scene, targets[0]) for scene in scenes] + [(scenes[0], target) for target in targets[1:]]
    panels = [(s, t) for s, t in panels if part.shown(s, t, MODEL)[["truth", "low"]].notna().all(axis=1).any()]
    if not panels:
        return None
    columns = min(_COLUMNS, len(panels))
    figure, axes = sheet(-(-len(panels) // columns), columns, 3.7, 3.9, f"Calibration: {part.title()}")
    for ax, (scene, target) in zip(axes.flat, panels, strict=False):
        _panel(ax, part, scene, target, low, high)
        # Names of targets are longer than the panel beside a scene's.
        ax.set_title(f"{part.label(target).partition(' [')[0]}\n{scene.words()}", loc="left", color="#444444")
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4 if columns > 1 else 1)
    return figure


def _panel(ax: Axes, part: SequencePart, scene: Scene, target: str, low: float, high: float) -> None:
    ax.plot([0, 1], [0, 1], color="#222222", lw=0.8, ls="--")
    notes = []
    for method, name, colour, marker in _METHODS:
        rows = part.shown(scene, target, method).dropna(subset=["truth", "low", "high"])
        if rows.empty:
            continue
        observed = observed_proportion(rows, [f"q{level:g}" for level in part.levels])
        normal = normal_proportion(rows, low, high, _EXPECTED)
        ax.fill_between(_EXPECTED, _EXPECTED, normal, color=colour, alpha=0.15, lw=0)
        ax.plot(_EXPECTED, normal, color=colour, lw=1.2, label=f"{name}, normal assumption")
        ax.plot(part.levels, observed, marker, ms=5, color=colour, mec="white", mew=0.6, label=f"{name}, quantiles")
        covered = 100 * mean_by_cell(rows, (rows["truth"] >= rows["low"]) & (rows["truth"] <= rows["high"])).mean()
        notes.append(
            (f"{name}: area {area_to_diagonal(_EXPECTED, normal):.3f},\n{part.band()} holds {covered:.0f} %", colour)
        )
    for place, (text, colour) in enumerate(notes):
        x, y, across, up = ((0.03, 0.97, "left", "top"), (0.98, 0.03, "right", "bottom"))[place]
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        ax.text(x, y, text, transform=ax.transAxes, ha=across, va=up, fontsize=8, color=colour, bbox=box)
    ax.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1, xlabel="Expected proportion", ylabel="Observed proportion")
