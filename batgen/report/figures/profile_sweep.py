"""One condition varied over and beyond its training range, the others fixed: what the model makes of it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from batgen.data.profile_set import Drawn
from batgen.report.figures.style import DRAWS, MEAN, MEASURED, ORDERED, RECONSTRUCTION, sheet, styled
from batgen.report.profile_labels import condition_label, condition_value, condition_words
from batgen.report.profile_read import TEMPERATURE, ProfilePart, Sweep, label, peaks

_NEIGHBOURS = 30


@styled
def draw_sweep(part: ProfilePart, sweep: Sweep) -> Figure | None:
    """Left the mean generated profile of each value over the nearest measured ones; right the peak temperature over the value.

    The nearest measured profiles are the 30 whose other conditions are closest to those held, each in its standard
    deviations. The training range is shaded; values outside it are dashed and hollow. Without temperature the last value
    of the first signal takes the place of the peak.
    """
    if not len(sweep.values):
        return None
    held = ", ".join(condition_value(name, float(v)) for name, v in sweep.fixed.items() if isinstance(v, int | float))
    title = f"Sweep over {condition_words(sweep.condition)}: {part.title()}"
    figure, axes = sheet(1, 2, 5.2, 3.9, title)
    table, drawn, order = _pool(part, sweep)
    _family(figure, axes[0, 0], part, sweep, drawn, order[:_NEIGHBOURS])
    _effect(axes[0, 1], part, sweep, table, drawn, order)
    figure.supxlabel(f"held: {held}" if held else "", fontsize=8, color="#444444")
    return figure


def _family(figure: Figure, ax: Axes, part: ProfilePart, sweep: Sweep, measured: Drawn, near: np.ndarray) -> None:
    signal = part.signals[0]
    index = part.index(signal)
    for row in near:
        mask = measured.mask[row]
        ax.plot(measured.time_s[row][mask] / 60, measured.curves[row, index][mask], color=MEASURED, lw=0.5, alpha=0.8)
    span = Normalize(sweep.values.min(), max(sweep.values.max(), sweep.values.min() + 1e-9))
    # The lightest part of the map is hard to see on white.
    colours = ScalarMappable(span, ListedColormap(colormaps[ORDERED](np.linspace(0, 0.88, 256))))
    own = sweep.drawn
    for k, value in enumerate(sweep.values):
        mean = Drawn(own.curves[k].mean(axis=0), own.duration_s[k].mean(), own.signals, own.step_s)
        mask, inside = mean.mask, bool(sweep.inside[k])
        look: dict[str, Any] = {"lw": 1.5, "ls": "-" if inside else (0, (3, 1.5))}
        ax.plot(mean.time_s[mask] / 60, mean.curves[index][mask], color=colours.to_rgba(value), **look)
    ax.plot([], [], color="#444444", lw=1.5, label="generated, mean of draws")
    if not sweep.inside.all():
        ax.plot([], [], color="#444444", lw=1.5, ls=(0, (3, 1.5)), label="beyond training")
    ax.plot([], [], color=MEASURED, lw=0.6, label="nearest measured")
    ax.set(xlabel="Time [min]", ylabel=label(signal))
    ax.legend(fontsize=7.5)
    figure.colorbar(colours, ax=ax, label=condition_label(sweep.condition), pad=0.02)


def _effect(ax: Axes, part: ProfilePart, sweep: Sweep, table: pd.DataFrame, measured: Drawn, order: np.ndarray) -> None:
    near, far = order[:_NEIGHBOURS], order[_NEIGHBOURS:]
    y = _quantity(part, measured)
    if sweep.condition in table:
        x = table[sweep.condition].to_numpy(dtype=float)
        ax.plot(x[far], y[far], "o", ms=2.2, alpha=0.35, color=MEASURED, label="measured")
        ax.plot(x[near], y[near], "o", ms=4.0, mec="#444444", mew=0.6, color=MEASURED, label="measured, nearest")
    ax.axvspan(sweep.low, sweep.high, color="#000000", alpha=0.06, lw=0, label="training range")
    own = _quantity(part, sweep.drawn)
    places = np.argsort(sweep.values)
    places = places[np.isfinite(own).any(axis=1)[places]]
    if not len(places):
        return
    own, x, inside = own[places], sweep.values[places], sweep.inside[places]
    mean, (low, high) = np.nanmean(own, axis=1), np.nanquantile(own, [0.1, 0.9], axis=1)
    ax.fill_between(x, low, high, color=DRAWS, alpha=0.4, lw=0, label="10–90 % of draws")
    ax.plot(x, np.where(inside, mean, np.nan), "o-", ms=4, lw=1.5, color=MEAN, label="generated")
    if not inside.all():
        # The dashed line reaches back to the last value inside, so that no gap is left.
        for side in (x <= x[inside].min(), x >= x[inside].max()) if inside.any() else (np.ones(len(x), dtype=bool),):
            ax.plot(x[side], mean[side], ls="--", lw=1.2, color=RECONSTRUCTION)
        ax.plot(x[~inside], mean[~inside], "o", ms=4, mfc="white", color=RECONSTRUCTION, label="beyond training")
    # Measured profiles of other protocols may be far off: what is generated has to be seen.
    shown = np.concatenate([low, high, y[near]])
    least_degC = 2.0 if TEMPERATURE in part.signals else 0.0
    margin = max(0.25 * (np.nanmax(shown) - np.nanmin(shown)), least_degC) or 1.0
    ylim = (np.nanmin(shown) - margin, np.nanmax(shown) + margin)
    ax.set(xlabel=condition_label(sweep.condition), ylabel=_quantity_label(part), ylim=ylim)
    ax.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)


def _quantity(part: ProfilePart, drawn: Drawn) -> np.ndarray:
    if TEMPERATURE in drawn.signals:
        return peaks(drawn, part.peak_after_s)
    # Behind the end of a profile its last value is held, so the last point is the last value.
    return drawn.curves[..., part.index(part.signals[0]), -1]


def _quantity_label(part: ProfilePart) -> str:
    return "Peak temperature [°C]" if TEMPERATURE in part.signals else f"Last {label(part.signals[0]).lower()}"


def _pool(part: ProfilePart, sweep: Sweep) -> tuple[pd.DataFrame, Drawn, np.ndarray]:
    """All measured profiles, test and kept training ones, each once, and their rows from the nearest to the farthest."""
    every = pd.concat([part.rows, part.train_rows], ignore_index=True)
    # Rows of one fold's test are training rows of the others; windows of a record differ in their start.
    keys = [name for name in ("cell_id", "ecl", "start_s") if name in part.rows and name in part.train_rows]
    rows = np.flatnonzero(~every.duplicated(keys).to_numpy())
    curves = np.concatenate([part.measured.curves, part.train.curves])[rows]
    duration_s = np.concatenate([part.measured.duration_s, part.train.duration_s])[rows]
    table = every.iloc[rows].reset_index(drop=True)
    gaps = [np.zeros(len(table))]
    for name, value in sweep.fixed.items():
        if name in table and isinstance(value, int | float):
            known = table[name].to_numpy(dtype=float)
            spread = float(np.nanstd(known))
            gaps.append(np.nan_to_num(known - value) / spread if spread > 0 else np.zeros(len(known)))
    away = np.argsort(np.square(gaps).sum(axis=0), kind="stable")
    return table, Drawn(curves, duration_s, part.measured.signals, part.measured.step_s), away
