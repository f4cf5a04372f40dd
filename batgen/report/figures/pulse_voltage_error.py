"""Error of the generated mean in mV, for each voltage at each test SOC."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from batgen.report.figures.style import ORDERED, sheet, styled
from batgen.report.pulse_part import Generated, PulsePart, Setting, soc_levels

_COLUMNS = 4


@styled
def draw_pulse_voltage_error(part: PulsePart, setting: Setting) -> Figure | None:
    """A heat map a case: MAE of the generated mean by voltage and test SOC; one colour scale, up to the 98th percentile."""
    found = [rows for rows in part.generated if rows.setting == setting and len(rows.soc)]
    maps = [_errors(rows) for rows in found]
    known = np.concatenate([errors[np.isfinite(errors)] for _, errors in maps]) if maps else np.empty(0)
    if not known.size:
        return None
    columns = min(_COLUMNS, len(found))
    highest = float(np.quantile(known, 0.98)) or 1.0
    title = f"Error of generated voltages: {part.title(setting)}"
    scale = Normalize(0, highest)
    figure, axes = sheet(-(-len(found) // columns), columns, 5.0 if columns == 1 else 3.4, 3.8, title)
    step = max(1, len(part.names) // 21)
    for ax, rows, (levels, errors) in zip(axes.flat, found, maps, strict=False):
        ax.imshow(errors, cmap=ORDERED, norm=scale, aspect="auto", interpolation="nearest")
        ax.set_xticks(range(len(levels)), [str(level) for level in levels])
        ax.set_yticks(range(0, len(part.names), step), part.names[::step], fontsize=7)
        train = " ".join(f"{100 * soc:.4g}" for soc in part.train_soc(rows.case))
        trained = f"\ntrained at {train} %" if train else ""
        ax.set_title(f"case {rows.case}, mean {np.nanmean(errors):.2g} mV{trained}", loc="left", color="#444444")
        ax.set_xlabel("test SOC [%]")
        ax.grid(visible=False)
    for ax in axes.flat[len(found) :]:
        ax.set_visible(False)
    extend = "max" if known.max() > highest else "neither"
    figure.colorbar(
        ScalarMappable(scale, ORDERED), ax=axes, label="MAE of the generated mean [mV]", extend=extend, shrink=0.8
    )
    return figure


def _errors(rows: Generated) -> tuple[np.ndarray, np.ndarray]:
    """Test SOCs (L,) in percent and the MAE (F, L) in mV."""
    levels = soc_levels(rows.soc)
    known = np.unique(levels)
    error = 1e3 * np.abs(rows.measured - rows.generated_mean)
    return known, np.stack([error[levels == level].mean(axis=0) for level in known], axis=1)
