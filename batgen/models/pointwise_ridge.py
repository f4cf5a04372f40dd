"""Baseline: a quadratic regression on the conditions at every point of the curve."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise, quadratic
from batgen.models.layers.draw import integers
from batgen.models.layers.ridge import predict, ridge


class PointwiseRidge(nn.Module):
    """Mean: ridge on standardised conditions, their squares and products, the penalty shared by all points and chosen
    from `alphas` by leaving out cells. Spread: whole residual curves of the training set, drawn at random.
    """

    ACCEPTS = ("curves",)
    REQUIRES = ()

    weights: Tensor
    residuals: Tensor

    def __init__(self, shape: DataShape, *, alphas: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)) -> None:
        super().__init__()
        self.shape = shape
        self.alphas = tuple(alphas)
        self.standardise = Standardise(shape.cond_names)
        self.register_buffer("weights", torch.empty(0, shape.x_size))
        self.register_buffer("residuals", torch.empty(0, shape.x_size))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Solve for the mean and keep the residual curves (N, P) of x (N, *x_shape)."""
        self.standardise.fit(cond)
        flat = x.flatten(1)
        features = quadratic(self.standardise(cond))
        self.weights = ridge(features, flat, cell, self.alphas)[0]
        self.residuals = flat - predict(features, self.weights)

    def mean(self, cond: Tensor) -> Tensor:
        """(B, P) conditional mean, scaled."""
        return predict(quadratic(self.standardise(cond)), self.weights)

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled: the conditional mean plus one training residual a draw."""
        pick = integers(len(self.residuals), (n, len(cond)), self.residuals, generator)
        return (self.mean(cond) + self.residuals[pick]).unflatten(-1, self.shape.x_shape)
