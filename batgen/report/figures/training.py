"""Training curves from the metrics.csv of a part."""

import re

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from batgen.report.figures.style import MEAN, RECONSTRUCTION, sheet, styled

_NOT_CURVES = re.compile(r"^(epoch|step|seed|lr|time)|^lr-|seconds|_s$")
_PARTS = {"train": ("training", MEAN), "val": ("validation", RECONSTRUCTION)}
_PANELS = 6


@styled
def draw_training(table: pd.DataFrame | None, title: str = "Training") -> Figure | None:
    """A panel for each quantity of the table: `train_x` (or `train/x`) and `val_x` share one, the loss comes first.

    Log scale where a positive quantity spans more than a factor of 20. At most 6 panels. None with fewer than two
    epochs.
    """
    if table is None:
        return None
    table = table.apply(pd.to_numeric, errors="coerce")
    clock = next((name for name in ("epoch", "step") if name in table), None)
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in table.columns:
        if clock is None or _NOT_CURVES.search(name) or table[[clock, name]].dropna()[clock].nunique() < 2:
            continue
        part, quantity = _split(name)
        panels.setdefault(quantity, []).append((part, name))
    if clock is None or not panels:
        return None
    shown = sorted(panels, key=lambda quantity: quantity != "loss")[:_PANELS]
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure, axes = sheet(lines, columns, 5.5 if columns == 1 else 3.6, 2.6, f"Training: {title}")
    for ax, quantity in zip(axes.flat, shown, strict=False):
        for part, name in sorted(panels[quantity]):
            # Loggers write training and validation values of an epoch in different lines of the file.
            curve = table[[clock, name]].dropna().groupby(clock)[name].last()
            text, colour = _PARTS.get(part, ("", MEAN))
            ax.plot(curve.index, curve, color=colour, lw=1.5, label=text)
            if part == "val" and quantity == "loss" and np.isfinite(curve).any():
                best = f"best {curve.min():.3g}"
                ax.plot(curve.idxmin(), curve.min(), "o", ms=5, color=colour, mec="white", label=best)
        values = table[[name for _, name in panels[quantity]]].to_numpy().ravel()
        values = values[np.isfinite(values)]
        if len(values) and values.min() > 0 and values.max() > 20 * values.min():
            ax.set_yscale("log")
        ax.set_title(quantity, loc="left")
        if any(part for part, _ in panels[quantity]):
            ax.legend()
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    figure.supxlabel(clock.capitalize(), fontsize=9)
    return figure


def _split(name: str) -> tuple[str, str]:
    """("train", "loss") for "train/loss", ("val", "mae") for "val_mae_epoch", ("", "kl") for "kl"."""
    found = re.match(r"^(train|val)[_/.](.+?)(?:_epoch)?$", name)
    return (found[1], found[2]) if found else ("", name)
