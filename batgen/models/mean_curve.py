"""Baseline: the training set regardless of the conditions."""

import torch
from torch import Tensor, nn

from batgen.models.base import DataShape
from batgen.models.layers.draw import integers


class MeanCurve(nn.Module):
    """Samples are whole training curves drawn at random: their mean is the mean training curve, their spread is the
    spread of the data, so that the CRPS is that of the climatology and not that of a single line.
    """

    ACCEPTS = ("curves", "profiles")
    REQUIRES = ()

    curves: Tensor

    def __init__(self, shape: DataShape) -> None:
        super().__init__()
        self.register_buffer("curves", torch.empty(0, *shape.x_shape))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Keep the training curves x (N, *x_shape)."""
        self.curves = x.clone()

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled: independent draws, the conditions (B, C) give only the number of rows."""
        return self.curves[integers(len(self.curves), (n, len(cond)), self.curves, generator)]
