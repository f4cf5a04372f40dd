"""Pulse voltages at a SOC and SOH nobody measured: a conditional VAE with cross-attention (Tao et al. 2024), and ours."""

from typing import Any

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape, MaskedBatch
from batgen.models.layers.draw import normal
from batgen.models.layers.pulse_latent import LatentSurface, even_normal
from batgen.models.layers.pulse_published import PublishedCVAE

VARIANTS = ("tokens", "film", "paper")
PRIORS = ("none", "slope", "latent_scaling")


class CrossAttentionCVAE(nn.Module):
    """Three variants of one generator p(U | SOC, SOH, type).

    tokens: cross-attention of pulse steps over conditions and latents, around a smooth surface (`layers.pulse_latent`).
    film: the light sibling, fully connected networks with FiLM. paper: the published network (`layers.pulse_published`).

    Args:
        variant: tokens | film | paper.
        latent: size of z. width: of tokens or hidden layers. heads, blocks: of the attention (tokens).
        attention: false gives every pulse step all conditions alike, for comparison (tokens).
        free_nats: nat of each latent that the loss does not charge (tokens, film).
        jitter: standard deviation of the noise on standardised conditions in training (tokens, film).

    Beyond the training SOCs `prior` says what is assumed: "none" lets the model extrapolate, "slope" goes on in a straight
    line over SOC (tokens, film), "latent_scaling" is that of the published text: rows of the training set at the nearest
    SOH are encoded, z_mean scaled by mean(SOC wanted)/mean(SOC trained) and z_logvar by the ratio of variances, over the
    rows asked for in one call; by 1 where all of them lie between the training SOCs.

    Raises ConfigError for an unknown variant or prior, and for tokens where the data do not say what the voltages are.
    """

    ACCEPTS = ("pulses",)
    REQUIRES = ("soc", "soh")

    row_mean: Tensor
    row_logvar: Tensor
    row_cond: Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        variant: str = "tokens",
        latent: int = 8,
        width: int = 16,
        heads: int = 2,
        blocks: int = 2,
        free_nats: float = 0.05,
        jitter: float = 1.0,
        attention: bool = True,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ConfigError(f"model.variant={variant!r} is none of {', '.join(VARIANTS)}.")
        for key, value in (("latent", latent), ("width", width), ("heads", heads), ("blocks", blocks)):
            if value < 1:
                raise ConfigError(f"model.{key}={value} must be 1 or more.")
        if not attention and variant != "tokens":
            raise ConfigError(
                f"model.attention=false is for model.variant=tokens; {variant} has none that could be left out."
            )
        if variant == "tokens":
            if width % heads:
                raise ConfigError(f"model.width={width} must be a multiple of model.heads={heads}.")
            if not shape.tokens:
                raise ConfigError(
                    f"model.variant=tokens must know what each of the {shape.x_size} voltages is, and these data do not say "
                    "(the published pulse test describes 41 at most). Use model.variant=film."
                )
        self.variant, self.soc, self.soh = variant, shape.cond_names.index("soc"), shape.cond_names.index("soh")
        self.core: Any = (
            PublishedCVAE(shape, latent, width)
            if variant == "paper"
            else LatentSurface(
                shape, latent, width, heads if variant == "tokens" else 0, blocks, free_nats, jitter, attention
            )
        )
        self.features = shape.x_size
        #: Standard normal numbers that `loss` wants for each row.
        self.noise_size: int = self.core.noise_size
        for name, size in (("row_mean", self.core.latent), ("row_logvar", self.core.latent)):
            self.register_buffer(name, torch.zeros(0, size))
        self.register_buffer("row_cond", torch.zeros(0, len(shape.cond_names)))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor, targets: Tensor | None = None) -> None:
        """Once, before training. targets: conditions of the test rows, which the published code uses for scaling."""
        self.core.fit(x, cond, cell, targets)

    def loss(self, batch: MaskedBatch, noise: Tensor) -> dict[str, Tensor]:
        """noise (B, noise_size): standard normal numbers, drawn by the caller, so that models trained side by side each
        keep a stream of their own. Rows with mask 0 do not count."""
        found: dict[str, Tensor] = self.core.loss(batch, noise)
        return found

    @torch.no_grad()
    def remember(self, x: Tensor, cond: Tensor) -> None:
        """Keep where the training rows lie in latent space, for prior "latent_scaling". Once, after training."""
        self.row_mean, self.row_logvar = self.core.encode(x, cond)
        self.row_cond = cond.clone()

    def posterior(self, x: Tensor, cond: Tensor, cell: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, L) of q(z | x, cond)."""
        found: tuple[Tensor, Tensor] = self.core.encode(x, cond)
        return found

    @torch.no_grad()
    def reconstruct(
        self,
        x: Tensor,
        cond: Tensor,
        cell: Tensor | None = None,
        z: str = "mean",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """(B, F) decoded from the posterior's mean, or from a "sample" of it."""
        mean, logvar = self.core.encode(x, cond)
        if z == "sample":
            mean = mean + (0.5 * logvar).exp() * normal(tuple(mean.shape), mean, generator)
        decoded: Tensor = self.core.decode(mean, cond)
        return decoded

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None, prior: str = "none") -> Tensor:
        """(n, B, F) draws from the model given cond (B, C) alone."""
        centre, spread = self._latent_law(cond, prior)
        z = centre + spread * normal((n, *centre.shape), cond, generator)
        noise = normal((n, len(cond), self.features), cond, generator)
        drawn: Tensor = self.core.draw(z, cond, "none" if prior == "latent_scaling" else prior, noise)
        return drawn

    @property
    def has_density(self) -> bool:
        """Whether p(U | cond) has a width that an inversion can use: the published model has no noise."""
        return isinstance(self.core, LatentSurface)

    @torch.no_grad()
    def moments(self, cond: Tensor, prior: str = "none") -> tuple[Tensor, Tensor]:
        """Mean (B, F) and covariance (B, F, F) of draws in scaled space, float64, from 2 L fixed antithetic points of z.
        Only where `has_density`."""
        centre, spread = self._latent_law(cond, prior)
        z = centre + spread * even_normal(centre.shape[1]).to(centre)[:, None]
        found: tuple[Tensor, Tensor] = self.core.moments(z, cond, "none" if prior == "latent_scaling" else prior)
        return found

    @torch.no_grad()
    def attention(self, cond: Tensor) -> Tensor | None:
        """(F, C + L): mean attention of the pulse steps on conditions and latents; None where there are no tokens."""
        if self.variant != "tokens":
            return None
        found: Tensor = self.core.attention(cond).mean(0)
        return found

    def _latent_law(self, cond: Tensor, prior: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, L) of z for each row."""
        known_priors = PRIORS if self.has_density else ("none", "latent_scaling")
        if prior not in known_priors:
            raise ConfigError(f"prior={prior!r}: model.variant={self.variant} has {', '.join(known_priors)}.")
        if prior != "latent_scaling":
            return cond.new_zeros(len(cond), self.core.latent), cond.new_ones(len(cond), self.core.latent)
        others = [i for i in range(cond.shape[1]) if i not in (self.soc, self.soh)]
        known, wanted = self.row_cond[:, self.soc], cond[:, self.soc]
        apart = (cond[:, None, self.soh] - self.row_cond[:, self.soh]).abs()
        apart = apart + 1e3 * (cond[:, None, others] - self.row_cond[:, others]).abs().sum(-1)
        near = apart.argmin(1)
        inside = bool(((wanted >= known.min()) & (wanted <= known.max())).all())
        if inside:
            by_mean = by_variance = known.new_ones(())
        elif known.min() == known.max():
            raise ConfigError(
                f"prior=latent_scaling divides by the variance of the training SOCs, and all are {float(known[0]):g}. Use "
                "prior=none."
            )
        else:
            by_mean = wanted.mean() / known.mean()
            by_variance = wanted.var(correction=0) / known.var(correction=0)
        return self.row_mean[near] * by_mean, (0.5 * self.row_logvar[near] * by_variance).exp()
