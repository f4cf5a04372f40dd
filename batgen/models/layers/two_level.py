"""The Gaussian start of the two-level decoder: how residual coefficients vary between cells and between cycles."""

from typing import NamedTuple

import torch
from torch import Tensor


class TwoLevel(NamedTuple):
    """residual_i = cell_scale_i * (cell_loading z) + cycle_scale * (cycle_loading w_i + noise e_i), z, w, e ~ N(0, 1).

    Loadings (Q, J) are turned so that the exact posteriors are diagonal: given one sample the factor on z has precision
    `cell_precision` (Jz,) and mean cell_gain (Jz, Q) @ (residual / cell_scale); w likewise once z is taken out.
    `noise` (Q,) is a standard deviation.
    """

    cell_loading: Tensor
    cell_gain: Tensor
    cell_precision: Tensor
    cycle_loading: Tensor
    cycle_gain: Tensor
    cycle_precision: Tensor
    noise: Tensor


def _leading(covariance: Tensor, scale: Tensor, rank: int) -> Tensor:
    """(Q, rank) factors of `covariance` along the directions that carry most of scale * covariance * scale."""
    variance, vectors = torch.linalg.eigh(scale[:, None] * covariance * scale)
    return (vectors * variance.clamp_min(0.0).sqrt()).flip(1)[:, :rank] / scale[:, None]


def _loading(covariance: Tensor, noise: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Leading factors of `covariance`, rotated to make x -> z diagonal under noise covariance; gain; precision."""
    variance, vectors = torch.linalg.eigh(covariance)
    loading = (vectors * variance.clamp_min(0.0).sqrt()).flip(1)[:, :rank]
    informed = loading.T @ torch.linalg.solve(noise, loading)
    precision, rotation = torch.linalg.eigh(0.5 * (informed + informed.T))
    precision, rotation = precision.flip(0).clamp_min(1e-6), rotation.flip(1)
    loading = loading @ rotation
    gain = torch.linalg.solve(noise, loading).T / precision[:, None]
    return loading, gain, precision


def two_level(
    residual: Tensor, cell: Tensor, cell_scale: Tensor, cycle_scale: Tensor, cell_rank: int, cycle_rank: int
) -> TwoLevel:
    """Moments of residual (N, Q), cell (N,), cell_scale (N, Q), cycle_scale (Q,), in closed form."""
    _, slot, count = cell.unique(return_inverse=True, return_counts=True)
    residual, cell_scale, cycle_scale = residual.double(), cell_scale.double(), cycle_scale.double()
    outputs = residual.shape[1]

    def mean_by_cell(value: Tensor) -> Tensor:
        return (
            torch.zeros(len(count), outputs, dtype=torch.float64, device=value.device).index_add(0, slot, value)
            / count[:, None]
        )

    means = mean_by_cell(residual)
    average = mean_by_cell(cell_scale).mean(0)
    within = (residual - means[slot]) / cycle_scale
    within_covariance = within.T @ within / max(1, len(within) - len(count))
    between = means / mean_by_cell(cell_scale)
    between_covariance = between.T @ between / len(count)

    floor = 1e-4 * torch.eye(outputs, dtype=torch.float64, device=residual.device)
    # Rank by energy of the curve, not by what is large relative to its own spread; what is cut off becomes noise.
    kept = _leading(within_covariance, cycle_scale, cycle_rank)
    shared = _leading(between_covariance, average, cell_rank)
    noise_variance = (within_covariance - kept @ kept.T).diagonal().clamp_min(1e-3)
    left_over = (between_covariance - shared @ shared.T).diagonal().clamp_min(0.0)
    noise_variance = noise_variance + left_over * (average / cycle_scale).square()
    cycle = _loading(kept @ kept.T, torch.diag(noise_variance), cycle_rank)
    ratio = cycle_scale / average
    seen_from_cell = ratio[:, None] * (kept @ kept.T + torch.diag(noise_variance)) * ratio + floor
    between_cells = _loading(shared @ shared.T, seen_from_cell, cell_rank)
    return TwoLevel(*(t.to(torch.float32) for t in (*between_cells, *cycle, noise_variance.sqrt())))
