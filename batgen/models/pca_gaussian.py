"""Baseline: principal components regressed on the conditions, with a Gaussian residual."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise, quadratic
from batgen.models.layers.draw import normal
from batgen.models.layers.pca import principal_components
from batgen.models.layers.ridge import predict, ridge


class PcaGaussian(nn.Module):
    """x = mean + B (W q(c) + L e).

    B are `components` principal components of the training curves; W is their ridge regression on the standardised
    conditions, squares and products q(c); L L' is the covariance of the residual coefficients, e ~ N(0, 1).
    Without `noise` every draw is the regression alone, e = 0.
    """

    ACCEPTS = ("curves", "profiles")
    REQUIRES = ()

    centre: Tensor
    basis: Tensor
    weights: Tensor
    factor: Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        components: int = 20,
        alphas: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        noise: bool = True,
    ) -> None:
        super().__init__()
        if components < 1:
            raise ConfigError(f"model.components={components} must be at least 1.")
        self.title = "pca_gaussian" if noise else "pca_ridge"
        self.shape = shape
        self.components = components
        self.noise = noise
        self.alphas = tuple(alphas)
        self.standardise = Standardise(shape.cond_names)
        self.register_buffer("centre", torch.zeros(shape.x_size))
        self.register_buffer("basis", torch.empty(0, shape.x_size))
        self.register_buffer("weights", torch.empty(0, 0))
        self.register_buffer("factor", torch.empty(0, 0))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Solve for the components, the regression and the residual covariance of x (N, *x_shape)."""
        self.standardise.fit(cond)
        self.centre, self.basis = principal_components(x.flatten(1), self.components)
        scores = (x.flatten(1) - self.centre) @ self.basis.T
        features = quadratic(self.standardise(cond))
        self.weights = ridge(features, scores, cell, self.alphas)[0]
        residual = (scores - predict(features, self.weights)).double()
        covariance = residual.T @ residual / len(residual)
        # Cholesky refuses a component whose residual is exactly zero; an eigen-decomposition does not.
        variance, vectors = torch.linalg.eigh(covariance)
        self.factor = (vectors * variance.clamp_min(0).sqrt()).to(x.dtype)

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled."""
        scores = predict(quadratic(self.standardise(cond)), self.weights)
        scores = scores.repeat(n, 1, 1)
        if self.noise:
            scores = scores + normal((n, len(cond), len(self.factor)), self.factor, generator) @ self.factor.T
        return (self.centre + scores @ self.basis).unflatten(-1, self.shape.x_shape)
