"""One look for all figures: Okabe-Ito colours (safe for colour-blind readers), thin axes, no global state.

Figures are built from `matplotlib.figure.Figure` without pyplot, so no backend is chosen for the user's session.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from textwrap import fill
from typing import ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from batgen.files import replacing

#: Measured curves are broad and grey, so that a thin curve on top of them does not hide them.
MEASURED = "#A0A0A0"
MEAN = "#0072B2"
DRAWS = "#56B4E9"
RECONSTRUCTION = "#D55E00"
#: Colours for sets without an order.
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#B8A900")
#: Perceptually even map for sets with an order.
ORDERED = "viridis"

_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.titlesize": 11.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}

P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under this style and leave the caller's rcParams as they were."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return inner


def sheet(
    rows: int, columns: int, width: float, height: float, title: str, sharex: bool = False
) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes (an array of that shape), each about width x height inches."""
    figure = Figure(figsize=(width * columns, height * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    figure.suptitle(fill(title, int(10.5 * width * columns)), x=0.01, ha="left", fontweight="bold")
    return figure, axes


def note_in_free_corner(ax: Axes, x: np.ndarray, y: np.ndarray, lines: list[tuple[str, str]]) -> None:
    """Lines (text, colour) in the corner of the axes where the curve (x, y) leaves most room."""

    def unit(values: np.ndarray) -> np.ndarray:
        span = np.ptp(values)
        return (values - values.min()) / span if span > 0 else np.full(len(values), 0.5)

    known = np.isfinite(y)
    across, up = (unit(values[known]) for values in (x, y)) if known.any() else (np.empty(0), np.empty(0))
    corners = [(right, top) for top in (False, True) for right in (True, False)]
    inside = [(np.abs(across - right) < 0.33) & (np.abs(up - top) < 0.2) for right, top in corners]
    right, top = corners[int(np.argmin([np.count_nonzero(hit) for hit in inside]))]
    for place, (text, colour) in enumerate(lines):
        ax.text(
            0.97 if right else 0.04,
            0.95 - 0.11 * place if top else 0.05 + 0.11 * place,
            text,
            transform=ax.transAxes,
            ha="right" if right else "left",
            va="top" if top else "bottom",
            fontsize=8,
            color=colour,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
        )


@styled
def save(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, whole or not at all; the folder is made. Raises DataError where it cannot be written."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path


def evenly(count: int, available: np.ndarray) -> np.ndarray:
    """At most `count` entries of `available`, evenly spaced from its first to its last."""
    if len(available) <= count:
        return available
    return available[np.linspace(0, len(available) - 1, count).round().astype(int)]
