"""Distribution of per-sample errors, signal by signal (RCVAE paper, fig. 5a-e)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batgen.evaluation.reconstruction import TOTAL, absolute_error, squared_error, with_total
from batgen.report.figures.style import DRAWS, MEAN, RECONSTRUCTION, sheet, styled
from batgen.report.labels import small_unit, with_unit, words
from batgen.report.part import Part


@styled
def draw_errors(part: Part) -> Figure | None:
    """Violins of the MAE (top) and RMSE (bottom) of each test sample: reconstruction, prior mean, one prior draw.

    Bars span the quartiles, the dot is the median. The axis ends above the 99th percentile: one outlier must not hide
    the rest.
    """
    kinds = _kinds(part)
    if not kinds or not len(part.real):
        return None
    signals = part.signals()
    names = [*signals, *([TOTAL] if len(signals) > 1 else [])]
    figure, axes = sheet(2, len(names), 2.4 if len(names) > 1 else 4.5, 2.4, f"Errors per test sample: {part.title()}")
    for line, (measure, error) in enumerate((("MAE", absolute_error), ("RMSE", squared_error))):
        per_kind = [with_total(error(real, curves, part.slices)) for _, _, real, curves in kinds]
        for column, name in enumerate(names):
            unit, factor = small_unit(signals[name][1]) if name in signals else ("", 1.0)
            values = [v[name] if measure == "MAE" else np.sqrt(v[name]) for v in per_kind]
            ax = axes[line, column]
            _violins(ax, [v[np.isfinite(v)] * factor for v in values], [colour for _, colour, _, _ in kinds])
            ax.set_ylabel(with_unit(measure, unit))
            ax.set_xticks(range(len(kinds)), [text for text, _, _, _ in kinds])
            if line == 0:
                ax.set_title("Total (mixed units)" if name == TOTAL else words(name), loc="left")
    return figure


def _kinds(part: Part) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """(label, colour, measured, generated) of every kind of generated curve in the file."""
    kinds = []
    if part.reconstruction is not None:
        kinds.append(("recon-\nstruction", RECONSTRUCTION, part.real, part.reconstruction))
    if part.conditional_mean is not None:
        kinds.append(("prior\nmean", MEAN, part.real, part.conditional_mean))
    if part.generated is not None and part.generated.size:
        kinds.append(("one\ndraw", DRAWS, part.real[part.generated_index], part.generated[:, 0]))
    return kinds


def _violins(ax: Axes, values: list[np.ndarray], colours: list[str]) -> None:
    for place, (value, colour) in enumerate(zip(values, colours, strict=True)):
        if not len(value):
            continue
        if len(value) >= 10 and np.ptp(value) > 0:
            body = ax.violinplot([value[value <= np.quantile(value, 0.995)]], [place], widths=0.8, showextrema=False)
            for patch in body["bodies"]:  # type: ignore[attr-defined]
                patch.set(facecolor=colour, alpha=0.5, edgecolor=colour)
        else:
            ax.plot(np.full(len(value), place), value, ".", color=colour, alpha=0.7)
        low, middle, high = np.quantile(value, [0.25, 0.5, 0.75])
        ax.vlines(place, low, high, color="#333333", lw=4)
        ax.plot(place, middle, "o", ms=4, color="white", mec="#333333", zorder=3)
    known = [np.quantile(value, 0.99) for value in values if len(value)]
    if known and max(known) > 0:
        ax.set_ylim(0, 1.1 * max(known))
    ax.set_xlim(-0.6, len(values) - 0.4)
    ax.grid(axis="x", visible=False)
