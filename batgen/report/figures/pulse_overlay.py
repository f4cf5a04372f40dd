"""Generated over measured pulse voltages, by SOC and SOH."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.report.figures.style import DRAWS, MEAN, MEASURED, evenly, note_in_free_corner, sheet, styled
from batgen.report.pulse_part import Generated, PulsePart, Setting, soc_levels

_SOHS = (0.1, 0.5, 0.9)


@styled
def draw_pulse_overlay(part: PulsePart, setting: Setting, socs: int = 3) -> Figure | None:
    """A row of panels a test SOC, a column a SOH (the 10, 50 and 90 % quantiles of the test rows nearest to it).

    The case with the fewest training SOCs is shown, the hardest one. The ribbon spans 5 to 95 % of the draws.
    """
    found = [rows for rows in part.generated if rows.setting == setting and len(rows.soc)]
    if not found:
        return None
    rows = min(found, key=lambda r: (len(part.train_soc(r.case)) or np.inf, r.case))
    levels = soc_levels(rows.soc)
    shown = evenly(socs, np.unique(levels))
    figure, axes = sheet(len(shown), len(_SOHS), 3.5, 2.3, _title(part, rows), sharex=True)
    for line, level in enumerate(shown):
        for ax in axes[line, 1:]:
            ax.sharey(axes[line, 0])
        here = np.flatnonzero(levels == level)
        for column, quantile in enumerate(_SOHS):
            wanted = np.quantile(rows.soh[here], quantile)
            row = int(here[np.argmin(np.abs(rows.soh[here] - wanted))])
            _panel(axes[line, column], part, rows, row)
        axes[line, 0].set_ylabel("Voltage [V]")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _title(part: PulsePart, rows: Generated) -> str:
    train = " ".join(f"{100 * soc:.4g}" for soc in part.train_soc(rows.case))
    trained = f" (trained at {train} % SOC)" if train else ""
    return f"Generated over measured, case {rows.case}{trained}: {part.title(rows.setting)}"


def _panel(ax: Axes, part: PulsePart, rows: Generated, row: int) -> None:
    place = np.arange(len(part.names))
    draws = rows.generated[:, row] if len(rows.generated) else np.full((1, len(place)), np.nan)
    if np.isfinite(draws).all():
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        ax.fill_between(place, low, high, color=DRAWS, alpha=0.45, lw=0, label=f"{len(draws)} draws, 5–95 %")
    ax.plot(place, rows.measured[row], "-o", color=MEASURED, lw=2.4, ms=4, label="measured")
    ax.plot(place, rows.generated_mean[row], "-o", color=MEAN, lw=1.0, ms=2.2, label="generated mean")
    error = 1e3 * np.abs(rows.measured[row] - rows.generated_mean[row]).mean()
    note_in_free_corner(ax, place.astype(float), rows.measured[row], [(f"MAE {error:.2g} mV", MEAN)])
    ax.set_xticks(ticks := place[:: max(1, len(place) // 7)], [part.names[k] for k in ticks])
    ax.set_title(
        f"SOC {100 * rows.soc[row]:.3g} %, SOH {rows.soh[row]:.3f}, {rows.cell_id[row]}", loc="left", color="#444444"
    )
