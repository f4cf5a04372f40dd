"""Figures of a hyperparameter search, from its search.json: how it went, what mattered, which values were good."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from batgen.report.figures.style import DRAWS, MEAN, MEASURED, ORDERED, RECONSTRUCTION, sheet, styled

#: Values so much worse than the middle of the trials would squeeze the others: they are drawn at the edge.
_FAR = 3.0


@styled
def draw_history(search: Mapping[str, Any]) -> Figure | None:
    """Objective over trials, a panel each: complete trials as dots, pruned ones as crosses at what they reported last, where
    that was the objective, the best so far as a line; failed ones as marks below. With two objectives a third panel shows
    one against the other and the front. None without a complete trial."""
    names = search["objectives"]
    complete = [t for t in search["trials"] if t["state"] == "complete"]
    if not complete:
        return None
    plane = len(names) == 2
    columns = len(names) + plane
    width = 6.5 if columns == 1 else 4.2
    figure, axes = sheet(1, columns, width, 3.2, f"Search {search['name']}: {search['model']} on {search['data']}")
    for i, ax in enumerate(axes[0, : len(names)]):
        _history(ax, search, i)
    if plane:
        _plane(axes[0, -1], search)
    return figure


def _history(ax: Axes, search: Mapping[str, Any], i: int) -> None:
    sign = -1.0 if search["directions"][i] == "maximize" else 1.0
    points = {
        state: np.array([(t["number"], t["values"][i]) for t in search["trials"] if _has(t, state, i)]).reshape(-1, 2)
        for state in ("complete", "pruned")
    }
    low, high = _window(np.concatenate([p[:, 1] for p in points.values()]), points["complete"][:, 1], sign)
    for state, marker, colour in (("complete", "o", DRAWS), ("pruned", "x", MEASURED)):
        x, y = points[state].T
        inside = (y >= low) & (y <= high)
        if len(x):
            ax.plot(x[inside], y[inside], marker, ms=5, color=colour, label=f"{state} ({len(x)})", ls="")
        for where, edge, arrow in ((y > high, high, "^"), (y < low, low, "v")):
            if where.any():
                ax.plot(x[where], np.full(where.sum(), edge), arrow, ms=5, color=colour, mfc="white", clip_on=False)
    if any(((p[:, 1] > high) | (p[:, 1] < low)).any() for p in points.values()):
        ax.set_title("triangles: beyond the edge", loc="right", fontsize=7.5, color="#666666")
    x, y = points["complete"].T
    best = sign * np.minimum.accumulate(sign * y)
    last = max(t["number"] for t in search["trials"])
    ax.step([*x, last], [*best, best[-1]], where="post", color=MEAN, lw=1.6, label="best so far")
    at = int(np.argmin(sign * y))
    ax.plot(
        [x[at]], [y[at]], "o", ms=7, color=RECONSTRUCTION, mec="white", label=f"best: {y[at]:.4g} (trial {int(x[at])})"
    )
    failed = [t["number"] for t in search["trials"] if t["state"] == "fail"]
    if failed:
        ax.plot(failed, np.zeros(len(failed)), "|", ms=8, color="#444444", transform=ax.get_xaxis_transform(),
                clip_on=False, label=f"failed or interrupted ({len(failed)})")  # fmt: skip
    span = high - low
    ax.set_ylim(low - 0.05 * span, high + 0.05 * span)
    ax.set_xlabel("Trial")
    ax.set_ylabel(search["objectives"][i])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=8)


def _has(trial: Mapping[str, Any], state: str, i: int) -> bool:
    values = trial["values"]
    return trial["state"] == state and values is not None and len(values) > i and math.isfinite(values[i])


def _window(values: np.ndarray, complete: np.ndarray, sign: float) -> tuple[float, float]:
    """The values to show: all, or those that are no more than _FAR times as far from the best as the middle one is."""
    low, high = float(values.min()), float(values.max())
    best = float((sign * complete).min())
    far = best + _FAR * (float(np.median(sign * complete)) - best)
    if len(complete) >= 4 and far > best:
        low, high = (low, min(high, far)) if sign > 0 else (max(low, -far), high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _plane(ax: Axes, search: Mapping[str, Any]) -> None:
    complete = [t for t in search["trials"] if t["state"] == "complete"]
    front = sorted(t["values"] for t in complete if t["number"] in (search["front"] or []))
    ax.plot(*zip(*(t["values"] for t in complete), strict=True), "o", ms=5, color=DRAWS, ls="", label="complete")
    ax.plot(
        *zip(*front, strict=True), "o-", ms=6, lw=1.0, color=RECONSTRUCTION, mec="white", label=f"front ({len(front)})"
    )
    ax.set_xlabel(search["objectives"][0])
    ax.set_ylabel(search["objectives"][1])
    ax.legend()


@styled
def draw_importance(search: Mapping[str, Any]) -> Figure | None:
    """Share of the first objective's variance that each parameter explains, a bar each. None where it is not known."""
    shares = search["importance"]
    if not shares:
        return None
    keys = sorted(shares, key=lambda key: shares[key])
    title = f"What mattered for {search['objectives'][0]}: {search['name']}"
    figure, axes = sheet(1, 1, 6.5, 0.3 * len(keys) + 0.7, title)
    ax = axes[0, 0]
    ax.barh(range(len(keys)), [shares[key] for key in keys], color=MEAN, height=0.6)
    for i, key in enumerate(keys):
        ax.text(shares[key] + 0.01, i, f"{shares[key]:.2f}", va="center", fontsize=8, color="#444444")
    ax.set_yticks(range(len(keys)), keys)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlim(0, min(1.1, 1.15 * max(shares.values()) + 0.05))
    complete = sum(t["state"] == "complete" for t in search["trials"])
    ax.set_xlabel(f"Share of variance explained (fANOVA, {complete} complete trials)")
    return figure


@styled
def draw_parallel(search: Mapping[str, Any]) -> Figure | None:
    """Every complete trial as a line through the values of its parameters, coloured by the rank of its first objective, the
    best one thick. A line skips what a trial has not. None with fewer than two complete trials."""
    complete = [t for t in search["trials"] if t["state"] == "complete"]
    keys = [key for key in search["space"] if any(key in t["params"] for t in complete)]
    if len(complete) < 2 or not keys:
        return None
    sign = -1.0 if search["directions"][0] == "maximize" else 1.0
    complete.sort(key=lambda t: -sign * t["values"][0])  # the best lines lie on top
    scales = {
        key: _scale(search["space"][key], [t["params"][key] for t in complete if key in t["params"]]) for key in keys
    }
    figure, axes = sheet(1, 1, max(5.0, 1.35 * len(keys) + 1.2), 3.4, f"Parameters of trials: {search['name']}")
    ax = axes[0, 0]
    colours = colormaps[ORDERED].reversed()
    for rank, t in enumerate(complete):
        best = rank == len(complete) - 1
        y = [scales[key][0](t["params"][key]) if key in t["params"] else math.nan for key in keys]
        colour = RECONSTRUCTION if best else colours(rank / max(1, len(complete) - 1))
        ax.plot(range(len(keys)), y, color=colour, lw=2.4 if best else 1.0, alpha=1.0 if best else 0.75,
                marker="o", ms=3.5, zorder=3 if best else 2, label=f"best: trial {t['number']}" if best else None)  # fmt: skip
    for i, key in enumerate(keys):
        ax.axvline(i, color="#888888", lw=0.8, zorder=1)
        for place, text in scales[key][1]:
            ax.text(i - 0.04, place, text, fontsize=7, ha="right", va="center", color="#444444", zorder=4,
                    bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6})  # fmt: skip
    ax.set_xticks(range(len(keys)), [_stacked(key) for key in keys], fontsize=7.5)
    ax.set_yticks([])
    ax.set_xlim(-0.55, len(keys) - 0.7)
    ax.set_ylim(-0.06, 1.06)
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))
    ranks = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=ax, ticks=[0, 1], fraction=0.03, pad=0.02)
    ranks.ax.set_yticklabels(["worst", "best"])
    ranks.set_label(f"rank by {search['objectives'][0]}", fontsize=8)
    return figure


def _stacked(key: str) -> str:
    return key.replace(".", ".\n")


def _scale(parameter: Mapping[str, Any], values: Sequence[Any]) -> tuple[Any, list[tuple[float, str]]]:
    """Where a value lies on its axis, 0 to 1, and the labels there: evenly for choices, else over what was tried."""
    if parameter["choices"] is not None:
        choices = parameter["choices"]
        step = 1.0 / max(1, len(choices) - 1)
        texts = [
            (i * step if len(choices) > 1 else 0.5, "null" if c is None else str(c)) for i, c in enumerate(choices)
        ]
        return (lambda v: choices.index(v) * step if len(choices) > 1 else 0.5), texts
    warp = math.log if parameter["log"] else float
    low, high = warp(min(values)), warp(max(values))

    def place(v: float) -> float:
        return (warp(v) - low) / (high - low) if high > low else 0.5

    ends = sorted({min(values), max(values)})
    return place, [(place(v), f"{v:.3g}") for v in ends]
