"""Slopes and means of profiles over windows given in seconds, inside the graph."""

import torch
from torch import Tensor


def window_ends(step_s: Tensor, mask: Tensor, window_s: float) -> tuple[Tensor, Tensor]:
    """First and last point (B, P), int64, of the window of `window_s` seconds around each point.

    step_s (B,) seconds between points, mask (B, P) 1.0 up to the end of a record. Near the ends of a record the window is
    moved inwards, so that all windows of a record are equally long; it is one step at least and never leaves the record.
    No gradient passes through the choice.
    """
    last = (mask.detach().sum(1).long() - 1).clamp_min(0)
    width = (window_s / step_s.detach().clamp_min(1e-6)).round().clamp(1, mask.shape[1]).long()
    width = torch.minimum(width, last)[:, None]
    first = torch.arange(mask.shape[1], device=mask.device)[None] - width // 2
    first = torch.minimum(first, last[:, None] - width).clamp_min(0)
    return first, first + width


def slope(values: Tensor, step_s: Tensor, ends: tuple[Tensor, Tensor]) -> Tensor:
    """(B, P) change of values (B, P) over each window per second."""
    first, last = ends
    return (values.gather(1, last) - values.gather(1, first)) / ((last - first).clamp_min(1) * step_s[:, None])


def window_mean(values: Tensor, ends: tuple[Tensor, Tensor]) -> Tensor:
    """(B, P) mean of values (B, P) over each window, by the trapezoidal rule."""
    first, last = ends
    total = values.cumsum(1)
    area = total.gather(1, last) - total.gather(1, first)
    area = area + (values.gather(1, first) - values.gather(1, last)) / 2
    return area / (last - first).clamp_min(1)


def row_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B,) mean of values (B, P) over the points that count."""
    return (values * mask).sum(1) / mask.sum(1).clamp_min(1.0)
