"""Baseline: the smooth surface over SOC and SOH with the covariance of what it leaves, and nothing learnt by gradient."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.draw import normal
from batgen.models.layers.surface import Surface
from batgen.models.layers.surface_fit import PRIORS


class PulseSurface(nn.Module):
    """x = mean(cond) + root(cond) @ noise; see `layers.surface`. What `cross_attention_cvae` starts from."""

    ACCEPTS = ("pulses",)
    REQUIRES = ("soc", "soh")

    def __init__(self, shape: DataShape) -> None:
        super().__init__()
        self.surface = Surface(shape.x_size, shape.cond_names)

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor, targets: Tensor | None = None) -> None:
        self.surface.fit(x, cond, cell)

    @property
    def has_density(self) -> bool:
        return True

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None, prior: str = "none") -> Tensor:
        """(n, B, F) draws given cond (B, C). prior: none | slope; ConfigError for any other."""
        mean, root = self._mean_and_root(cond, prior)
        noise = normal((n, *mean.shape), root, generator)
        return mean + torch.einsum("bfg,nbg->nbf", root, noise).to(mean)

    def moments(self, cond: Tensor, prior: str = "none") -> tuple[Tensor, Tensor]:
        """Mean (B, F) and covariance (B, F, F) of draws, float64."""
        mean, root = self._mean_and_root(cond, prior)
        return mean.double(), root @ root.mT

    def _mean_and_root(self, cond: Tensor, prior: str) -> tuple[Tensor, Tensor]:
        if prior not in PRIORS:
            raise ConfigError(f"prior={prior!r}: pulse_surface has {', '.join(PRIORS)}.")
        return self.surface.mean(cond, prior), self.surface.root(cond, prior)
