"""Loss, KL and whatever else losses.csv tells, by epoch, of all members trained together."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from batgen.report.figures.style import DRAWS, MEAN, sheet, styled
from batgen.report.pulse_part import PulsePart

_PANELS = 6


@styled
def draw_pulse_training(part: PulsePart) -> Figure | None:
    """A panel a quantity: every member thin, their median broad. None without losses or with fewer than two epochs.

    At most 6 panels, the loss and KL first. Log scale where a positive quantity spans more than a factor of 20.
    """
    table = part.losses
    if table is None or "epoch" not in table or table["epoch"].nunique() < 2:
        return None
    numbers = table.drop(columns=["member", "epoch"], errors="ignore").apply(pd.to_numeric, errors="coerce")
    shown = [str(name) for name in numbers if numbers[name].notna().any()]
    shown = sorted(shown, key=lambda name: {"loss": 0, "kl_nats": 1}.get(name, 2))[:_PANELS]
    if not shown:
        return None
    member = table["member"] if "member" in table else pd.Series(0, index=table.index)
    columns = min(3, len(shown))
    title = f"Training, {member.nunique()} members at once: {part.title()}"
    figure, axes = sheet(-(-len(shown) // columns), columns, 4.4, 2.8, title)
    for ax, name in zip(axes.flat, shown, strict=False):
        curves = numbers[name].groupby([table["epoch"], member]).last().unstack()
        ax.plot(curves.index, curves.to_numpy(), color=DRAWS, lw=0.6, alpha=0.6)
        ax.plot(curves.index, curves.median(axis=1), color=MEAN, lw=1.8, label="median of members")
        values = curves.to_numpy()[np.isfinite(curves.to_numpy())]
        if len(values) and values.min() > 0 and values.max() > 20 * values.min():
            ax.set_yscale("log")
        ax.set_title("KL [nat]" if name == "kl_nats" else name, loc="left")
        ax.set_xlabel("epoch")
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    axes.flat[0].legend()
    return figure
