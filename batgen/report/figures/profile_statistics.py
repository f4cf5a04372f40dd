"""Do generated profiles have the statistics of measured ones: values, spectra, peaks and durations."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from scipy.signal import detrend
from scipy.signal.windows import hann

from batgen.data.profile_set import Drawn
from batgen.report.figures.style import MEAN, MEASURED, sheet, styled
from batgen.report.labels import number
from batgen.report.profile_read import TEMPERATURE, ProfilePart, label, peaks

_BINS = 40


@styled
def draw_statistics(part: ProfilePart) -> Figure | None:
    """A row a signal: its values at all points, and its mean spectrum; a last row: peak temperatures and durations.

    Measured test profiles beside all draws for the same profiles. None without draws.
    """
    own = part.own()
    if own is None or own.draws is None or not len(own.kept):
        return None
    cells = (part.rows["test_set"] == "cells").to_numpy()[own.kept]
    # Cells scored apart only where there are no others, as in the numbers above the panels.
    used = np.flatnonzero(cells) if cells.any() else np.arange(len(own.kept))
    rows, grid = own.kept[used], (part.measured.signals, part.measured.step_s)
    real = Drawn(part.measured.curves[rows], part.measured.duration_s[rows], *grid)
    drawn = Drawn(own.draws.curves[used], own.draws.duration_s[used], *grid)
    figure, axes = sheet(len(part.signals) + 1, 2, 4.8, 2.4, f"Statistics of held-out profiles: {part.title()}")
    for (left, right), signal in zip(axes, part.signals, strict=False):
        index = part.index(signal)
        values = [found.curves[..., index, :][found.mask] for found in (real, drawn)]
        _densities(left, values[0], values[1], own.name)
        left.set(xlabel=label(signal), ylabel="Density")
        _told(
            left, part, "marginal_distance", signal, "Wasserstein distance", label(signal).partition("[")[2].rstrip("]")
        )
        powers = [_power(found, index) for found in (real, drawn)]
        # A flat curve has no power at all: as in the distance, 80 dB below the mean measured one is the least.
        least = 1e-8 * powers[0].mean() + np.finfo(float).tiny
        for power, name, colour, width in zip(
            powers, ("measured", own.name), (MEASURED, MEAN), (3.0, 1.3), strict=True
        ):
            level = 10 * np.log10(np.maximum(power, least)).mean(axis=0)
            right.plot(np.arange(1, len(level) + 1), level, color=colour, lw=width, label=name)
        right.set(
            xlabel="Frequency [1 / duration]" if real.step_s is None else "Frequency [1 / length of the grid]",
            ylabel="Mean power [dB]",
            xscale="log",
        )
        right.xaxis.set_major_formatter(ScalarFormatter())
        right.set_xticks([n for n in (1, 2, 5, 10, 20, 50, 100) if n <= real.curves.shape[-1] / 2], minor=False)
        right.minorticks_off()
        _told(right, part, "spectral_distance", signal, "distance of spectra", "dB")
    left, right = axes[-1]
    if TEMPERATURE in part.signals:
        late = part.peak_after_s
        _densities(left, peaks(real, late), peaks(drawn, late).ravel(), own.name)
        left.set(xlabel="Peak temperature [°C]", ylabel="Density")
    else:
        left.set_visible(False)
    _densities(right, real.duration_s / 60, drawn.duration_s.ravel() / 60, own.name)
    right.set(xlabel="Duration [min]", ylabel="Density")
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _densities(ax: Axes, real: np.ndarray, generated: np.ndarray, name: str) -> None:
    real, generated = (values[np.isfinite(values)] for values in (real, generated))
    both = np.concatenate([real, generated])
    if not len(real) or not len(generated):
        return
    # Single strays would squeeze all others into one bin.
    low, high = np.quantile(both, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1).tolist()
    ax.hist(real, edges, density=True, color=MEASURED, alpha=0.7, label="measured")
    ax.hist(generated, edges, density=True, histtype="step", color=MEAN, lw=1.4, label=name)


def _power(drawn: Drawn, index: int) -> np.ndarray:
    """(N, P // 2) power of each profile less its straight line, times a Hann window, as `spectral_distance` has it."""
    points = drawn.curves.shape[-1]
    values = drawn.curves[..., index, :].reshape(-1, points).astype(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    power: np.ndarray = np.square(np.abs(np.fft.rfft(detrend(values) * hann(points, sym=False))[:, 1:]))
    return power


def _told(ax: Axes, part: ProfilePart, metric: str, signal: str, text: str, unit: str) -> None:
    own = part.own()
    value = part.metric(own.name, metric, signal) if own else np.nan
    if not np.isnan(value):
        ax.set_title(f"{text} {number(value)} {unit}", loc="left", color="#444444")
