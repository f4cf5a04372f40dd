"""Losses of a sequence run by epoch, over the share of teacher forcing and the decoded length of the curriculum."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, MEAN, RECONSTRUCTION, sheet, styled
from batgen.report.sequence_read import SequencePart


@styled
def draw_losses(part: SequencePart) -> Figure | None:
    """Above the training and validation loss of every model (fold), below the first one's teacher forcing and length, where
    there is any of the one or the other changes.

    None without losses or with fewer than two epochs. Log scale where the loss spans more than a factor of 20.
    """
    table = part.losses
    if table is None or "epoch" not in table or table["epoch"].nunique() < 2:
        return None
    members = [mine for _, mine in table.groupby("member", sort=False)] if "member" in table else [table]
    scheduled = [n for n in ("teacher_forcing", "length") if n in table and members[0][n].notna().any()]
    if scheduled == ["length"] and members[0]["length"].nunique() == 1:
        scheduled = []
    title = f"Training: {part.title()}"
    figure, axes = sheet(2 if scheduled else 1, 1, 6.8, 2.6, title, sharex=True)
    ax = axes[0, 0]
    for place, mine in enumerate(members):
        _member(ax, mine, alone=len(members) == 1, first=place == 0)
    values = table[[n for n in ("train_loss", "val_loss") if n in table]].to_numpy().ravel()
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        ax.set_yscale("log")
    ax.set_ylabel("Loss")
    ax.legend()
    if scheduled:
        _schedule(axes[1, 0], members[0], scheduled)
    axes[-1, 0].set_xlabel("Epoch")
    return figure


def _member(ax: Axes, table: pd.DataFrame, alone: bool, first: bool) -> None:
    look: dict[str, Any] = {"lw": 1.5} if alone else {"lw": 0.9, "alpha": 0.7}
    for name, text, colour in (("train_loss", "training", MEAN), ("val_loss", "validation", RECONSTRUCTION)):
        # Validation may run every few epochs: the line goes over those without.
        curve = table.dropna(subset=[name]) if name in table else table.head(0)
        if curve.empty:
            continue
        ax.plot(curve["epoch"], curve[name], color=colour, label=text if first else None, **look)
        if name == "val_loss":
            place = int(np.argmin(curve[name].to_numpy(dtype=float)))
            epoch, best = curve["epoch"].iloc[place], curve[name].iloc[place]
            label = f"best {best:.3g}, epoch {epoch:.0f}" if alone else "best of each model" if first else None
            ax.plot(epoch, best, "o", ms=5, color=colour, mec="white", label=label)


def _schedule(left: Axes, table: pd.DataFrame, scheduled: list[str]) -> None:
    right = left.twinx()
    for axis, name, text, colour in (
        (left, "teacher_forcing", "Teacher forcing", CYCLE[2]),
        (right, "length", "Steps decoded", CYCLE[3]),
    ):
        if name not in scheduled:
            axis.set_yticks([])
            continue
        axis.plot(table["epoch"], table[name], color=colour, lw=1.5, drawstyle="steps-post")
        axis.set_ylabel(text, color=colour)
        axis.set_ylim(0, 1.08 * max(float(table[name].max()), 1e-9))
    right.grid(visible=False)
