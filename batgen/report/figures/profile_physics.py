"""How many profiles pass each physics check: measured held-out ones, generated ones, and those of baselines."""

import numpy as np
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, MEAN, MEASURED, sheet, styled
from batgen.report.profile_labels import check_words, test_set_words
from batgen.report.profile_read import ProfilePart

_BASELINES = 2
#: Generated profiles may pass this many points less often than measured ones.
_POINTS = 2.0


@styled
def draw_physics(part: ProfilePart) -> Figure | None:
    """A group of bars a check, in %: measured, model, and the two best baselines; the target is a line. None without rates."""
    rows = [r for r in part.metrics if r["metric"] == "pass_rate" and r["value"] is not None]
    test_sets = {str(r["test_set"]) for r in rows if r["role"] == "model"}
    test_set = "cells" if "cells" in test_sets else min(test_sets, default="")
    rows = [r for r in rows if r["test_set"] == test_set]
    if not rows:
        return None
    rates = {(str(r["method"]), str(r["signal"])): 100 * float(r["value"]) for r in rows}
    roles = {str(r["method"]): str(r["role"]) for r in rows}
    best = [name for name in part.baselines() if roles.get(name) == "baseline"][:_BASELINES]
    best = best or [name for name, role in roles.items() if role == "baseline"][:_BASELINES]
    methods = [n for n, r in roles.items() if r == "measured"] + [n for n, r in roles.items() if r == "model"] + best
    checks = list(dict.fromkeys(check for _, check in rates))
    figure, axes = sheet(1, 1, max(6.0, 1.5 * len(checks)), 3.2, f"Physics checks: {part.title()}")
    ax = axes[0, 0]
    width = 0.8 / len(methods)
    colours = {"measured": MEASURED, "model": MEAN}
    for place, name in enumerate(methods):
        x = np.arange(len(checks)) - 0.4 + (place + 0.5) * width
        values = [rates.get((name, check), np.nan) for check in checks]
        colour = colours.get(roles[name]) or CYCLE[1 + best.index(name)]
        ax.bar(x, values, 0.92 * width, color=colour, label=name)
        for at, value in zip(x, values, strict=True):
            if np.isfinite(value):
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
                ax.text(at, value + 1.5, f"{value:.0f}", ha="center", fontsize=7.5, color="#444444", bbox=box, zorder=4)
    for place, check in enumerate(checks):
        known = [rates[n, check] for n, role in roles.items() if role == "measured" and (n, check) in rates]
        if known:
            label = f"measured − {_POINTS:g} points" if not place else None
            ax.plot(
                [place - 0.42, place + 0.42], [known[0] - _POINTS] * 2, color="#222222", lw=1.0, ls="--", label=label
            )
    ax.set_xticks(range(len(checks)), [check_words(check) for check in checks])
    ax.set(ylim=(0, 109), yticks=range(0, 101, 20), ylabel=f"Profiles of {test_set_words(test_set)}\nthat pass [%]")
    ax.grid(visible=False, axis="x")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
