"""Curves as small images, generated above measured (RCVAE paper, fig. 5, S1, S2)."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from batgen.report.figures.overlay import chosen_rows
from batgen.report.figures.style import sheet, styled
from batgen.report.labels import words
from batgen.report.part import Part

_RGB = ("voltage_V", "current_A", "temperature_degC")


@styled
def draw_capacity_images(part: Part, count: int = 8) -> Figure | None:
    """Grayscale images of the charge capacity (or of the only signal there is); see `_images`."""
    signals = part.signals()
    name = "charge_capacity_Ah" if "charge_capacity_Ah" in signals else next(iter(signals))
    if name != "charge_capacity_Ah" and len(signals) > 1:
        return None
    return _images(part, [signals[name][0]], count, f"{words(name)} as grayscale images")


@styled
def draw_rgb_images(part: Part, count: int = 8) -> Figure | None:
    """Voltage, current and temperature as red, green and blue; None without all three."""
    signals = part.signals()
    if not set(_RGB) <= set(signals):
        return None
    return _images(part, [signals[name][0] for name in _RGB], count, "Voltage, current, temperature as R, G, B")


def _images(part: Part, channels: list[int], count: int, title: str) -> Figure | None:
    """P points of a sample as H x W pixels, row by row, scaled by the minimum and maximum of all measured test samples.

    Generated: the reconstruction under the paper's protocol, one prior draw otherwise (the mean if nothing was drawn).
    """
    if not len(part.real):
        return None
    rows = chosen_rows(part, count)
    if part.reconstruction is not None and (part.protocol == "paper" or part.conditional_mean is None):
        generated, kind = part.reconstruction[rows], "reconstructed"
    elif part.generated is not None and part.generated.size:
        place = {int(row): index for index, row in enumerate(part.generated_index)}
        generated, kind = part.generated[[place[int(row)] for row in rows], 0], "one prior draw"
    elif part.conditional_mean is not None:
        generated, kind = part.conditional_mean[rows], "prior mean"
    else:
        return None
    measured = part.real[:, channels]
    low, high = (f.reduce(measured, axis=(0, 2), keepdims=True) for f in (np.fmin, np.fmax))  # these pass over NaN
    figure, axes = sheet(2, count, 1.35, 1.5, f"{title}: {part.title()}")
    for ax in axes[:, len(rows) :].flat:
        ax.set_visible(False)
    look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest", "aspect": "auto"}
    for line, (source, text) in enumerate(((generated, kind), (part.real[rows], "measured"))):
        scaled = (source[:, channels] - low) / np.where(high > low, high - low, 1.0)
        for column, pixels in enumerate(_pixels(np.clip(scaled, 0.0, 1.0))):
            ax = axes[line, column]
            ax.imshow(pixels[..., 0] if len(channels) == 1 else pixels, **look)
            ax.set(xticks=[], yticks=[], box_aspect=1)
            ax.spines[:].set_visible(False)
            if column == 0:
                ax.set_ylabel(text)
            if line == 1:
                ax.set_xlabel(part.label(int(rows[column])).replace(", ", "\n"), loc="left", fontsize=8)
    return figure


def _pixels(scaled: np.ndarray) -> np.ndarray:
    """(n, C, P) to (n, H, W, C), H the largest divisor of P up to its root (400 = 20 x 20), drawn as a square.

    Where that would be a thin strip, W = ceil(sqrt(P)) and the pixels beyond the last point are white; NaN points too.
    """
    n, channels, points = scaled.shape
    root = int(np.sqrt(points))
    height = max(h for h in range(1, root + 1) if points % h == 0)
    if 4 * height * height < points:
        height = -(-points // (root + 1))
    width = -(-points // height)
    padded = np.ones((n, channels, height * width))
    padded[..., :points] = np.nan_to_num(scaled, nan=1.0)
    return np.moveaxis(padded.reshape(n, channels, height, width), 1, -1)
