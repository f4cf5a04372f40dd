"""Whether adversarial training was healthy: losses, accuracy, gradients, collapse, and the step that was chosen."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, sheet, styled
from batgen.report.profile_read import ProfilePart

#: label of the axis, columns with their names, the level that is best, whether on a log scale
_PANELS: tuple[tuple[str, dict[str, str], float | None, bool], ...] = (
    (
        "Loss",
        {"generator_loss": "generator", "critic_loss": "critic", "gradient_penalty": "gradient penalty"},
        None,
        False,
    ),
    ("Accuracy of the\ndiscriminator", {"discriminator_accuracy": "accuracy"}, 0.5, False),
    ("Gradient norm", {"generator_grad_norm": "generator", "critic_grad_norm": "critic"}, None, True),
    ("Physics loss", {}, None, False),
    (
        "Distance to\nvalidation cells",
        {"val_energy_score": "energy score", "val_energy_distance": "energy distance"},
        None,
        False,
    ),
    (
        "Collapse, 1: none",
        {"val_variance_ratio": "variance ratio", "val_nearest_pair": "nearest pair"},
        1.0,
        False,
    ),
)
_FOLDS = 3
#: health_fold0_search.csv: the training that looked for the number of steps.
_SEARCH = "_search"


@styled
def draw_health(part: ProfilePart) -> Figure | None:
    """A column for each of the first 3 folds, a row for each quantity any of them logged; the chosen step is a line.

    A fold whose step was searched with validation cells and that was then trained anew on all cells shows the search,
    and the second training thin beside it.
    """
    folds = [stages for _, stages in sorted(_folds(part.health).items())][:_FOLDS]
    tables = [table for stages in folds for _, table in stages]
    shown = []
    for text, names, level, logarithmic in _PANELS:
        found = names or {
            c: c.removeprefix("physics_").replace("_", " ") for t in tables for c in map(str, t) if _is_physics(c)
        }
        found = {name: said for name, said in found.items() if any(name in t and t[name].notna().any() for t in tables)}
        if found:
            shown.append((text, found, level, logarithmic))
    if not shown:
        return None
    wide = 3.9 if len(folds) > 1 else 6.8
    figure, axes = sheet(len(shown), len(folds), wide, 1.55, f"Training: {part.title()}", sharex=True)
    for column, stages in enumerate(folds):
        fold, table = stages[0]
        chosen = table.loc[table["chosen"] == 1, "step"].to_numpy() if "chosen" in table else np.empty(0)
        for ax, (text, names, level, logarithmic) in zip(axes[:, column], shown, strict=True):
            _panel(ax, [table for _, table in stages], names, level, logarithmic, chosen)
            if not column:
                ax.set_ylabel(text)
        said = f", chosen step {chosen[0]:.0f}" if len(chosen) else ""
        again = "; thin: trained anew on all cells" if len(stages) > 1 else ""
        axes[0, column].set_title(f"{fold}{said}{again}", loc="left", color="#444444")
        axes[-1, column].set_xlabel("Step")
    for ax in axes[:, 0]:
        handles, labels = ax.get_legend_handles_labels()
        if len(labels) > 1:
            ax.legend(handles, labels, fontsize=7.5, ncols=2, labelspacing=0.2)
    figure.align_ylabels(list(axes[:, 0]))
    return figure


def _folds(health: dict[str, pd.DataFrame]) -> dict[str, list[tuple[str, pd.DataFrame]]]:
    """fold -> its trainings with two steps or more, named, the one with validation cells first."""
    found: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    for name, table in sorted(health.items(), key=lambda pair: not pair[0].endswith(_SEARCH)):
        fold = name.removesuffix(_SEARCH)
        if table["step"].nunique() > 1:
            found.setdefault(fold, []).append((fold, table))
    return found


def _is_physics(name: str) -> bool:
    return name.startswith("physics_")


def _panel(
    ax: Axes,
    tables: list[pd.DataFrame],
    names: dict[str, str],
    level: float | None,
    logarithmic: bool,
    chosen: np.ndarray,
) -> None:
    values = []
    for stage, table in enumerate(tables):
        for place, (name, text) in enumerate(names.items()):
            # Validation runs every so many steps: the line goes over those without.
            curve = table[["step", name]].dropna() if name in table else table.head(0)
            if curve.empty:
                continue
            look: dict[str, Any] = {"marker": "o", "ms": 3.0} if len(curve) < 40 and not stage else {}
            look |= {"lw": 0.6, "alpha": 0.6} if stage else {"lw": 1.1, "label": text}
            ax.plot(curve["step"], curve[name], color=CYCLE[place % len(CYCLE)], **look)
            values.append(curve[name].to_numpy(dtype=float))
    if level is not None:
        ax.axhline(level, color="#222222", lw=0.8, ls=":")
    for step in chosen:
        ax.axvline(step, color="#222222", lw=0.9, ls="--")
    every = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.empty(0)
    if logarithmic and len(every) and 0 < 20 * every.min() < every.max():
        ax.set_yscale("log")
