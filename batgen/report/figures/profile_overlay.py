"""Generated over measured profiles, a panel a held-out cell and protocol."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import MEASURED, ORDERED, evenly, sheet, styled
from batgen.report.profile_read import Method, ProfilePart, label

_COLUMNS, _PANELS = 3, 12
#: Profiles shown in colour in a panel, grey ones behind them, and draws of each.
_SHOWN, _BEHIND, _DRAWS = 3, 25, 12
#: The lightest part of the map is hard to see on white.
_DARKEST, _LIGHTEST = 0.0, 0.8


@styled
def draw_overlay(part: ProfilePart, signal: str) -> Figure | None:
    """Young, middle-aged and old profiles in colour, measured (broad) and drawn (thin); all others of the cell in grey.

    Profiles without draws have the method's mean instead. At most 12 panels. None without a model.
    """
    own = part.own()
    if own is None or not len(part.rows):
        return None
    groups = _groups(part.rows)
    columns = min(_COLUMNS, len(groups))
    title = f"Generated over measured: {part.title()}"
    figure, axes = sheet(-(-len(groups) // columns), columns, 3.9 if columns > 1 else 6.0, 2.6, title)
    for ax, group in zip(axes.flat, groups, strict=False):
        _panel(ax, part, own, part.index(signal), group)
    for ax in axes.flat[len(groups) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(label(signal))
    for ax in axes.flat[max(0, len(groups) - columns) : len(groups)]:
        ax.set_xlabel("Time [min]")
    black = {"color": "#444444"}
    entries = [
        axes.flat[0].plot([], [], lw=2.4, **black)[0],
        axes.flat[0].plot([], [], lw=0.8, ls="-" if own.draws is not None else "--", **black)[0],
        axes.flat[0].plot([], [], lw=0.8, color=MEASURED)[0],
    ]
    names = [
        "measured",
        f"{own.name}, draws" if own.draws is not None else f"{own.name}, mean",
        "measured, other cycles",
    ]
    figure.legend(entries, names, loc="outside lower center", ncols=3)
    return figure


def _groups(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """At most 12 (cell, protocol), by name, those scored apart last; further protocols of a cell only where there is room."""
    every = [group for _, group in rows.groupby(["test_set", "cell_id", "protocol"], sort=False)]
    every.sort(key=len, reverse=True)
    first: dict[str, pd.DataFrame] = {}
    for group in every:
        first.setdefault(group["cell_id"].iloc[0], group)
    names = evenly(_PANELS, np.array(sorted(first), dtype=object))
    chosen = [first[name] for name in names]
    chosen += [g for g in every if not any(g is c for c in first.values())][: _PANELS - len(chosen)]
    return sorted(chosen, key=lambda g: (g["test_set"].iloc[0] != "cells", g["cell_id"].iloc[0], g["protocol"].iloc[0]))


def _panel(ax: Axes, part: ProfilePart, own: Method, index: int, group: pd.DataFrame) -> None:
    rows = group.index.to_numpy()[np.argsort(group["ecl"].to_numpy(), kind="stable")]
    drawn = rows[np.isin(rows, own.kept)] if own.draws is not None else rows
    measured = part.measured
    for row in evenly(_BEHIND, rows):
        _line(
            ax, measured.time_s[row], measured.curves[row, index], measured.mask[row], color=MEASURED, lw=0.5, alpha=0.5
        )
    chosen = evenly(_SHOWN, drawn)
    for place, row in enumerate(chosen):
        share = place / max(len(chosen) - 1, 1)
        colour = colormaps[ORDERED](_DARKEST + share * (_LIGHTEST - _DARKEST))
        if own.draws is not None:
            at = int(np.flatnonzero(own.kept == row)[0])
            for k in range(min(_DRAWS, own.draws.curves.shape[1])):
                time_s, mask = own.draws.time_s[at, k], own.draws.mask[at, k]
                _line(ax, time_s, own.draws.curves[at, k, index], mask, color=colour, lw=0.5, alpha=0.7)
        else:
            _line(
                ax, own.mean.time_s[row], own.mean.curves[row, index], own.mean.mask[row], color=colour, lw=0.8, ls="--"
            )
        name = f"cycle {part.rows['ecl'][row]:.0f}"
        _line(
            ax, measured.time_s[row], measured.curves[row, index], measured.mask[row], color=colour, lw=2.4, label=name
        )
    first = group.iloc[0]
    apart = "" if first["test_set"] == "cells" else f" ({first['test_set']})"
    ax.set_title(f"{first['cell_id']}{apart}, {first['protocol'].replace('degC', '°C')}", loc="left", color="#444444")
    if len(chosen):
        ax.legend(fontsize=7.5, handlelength=1.2, labelspacing=0.2)


def _line(ax: Axes, time_s: np.ndarray, values: np.ndarray, mask: np.ndarray, **look: object) -> None:
    ax.plot(time_s[mask] / 60, values[mask], **look)  # type: ignore[arg-type]
