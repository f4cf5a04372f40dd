"""Ours: a latent and learnt noise around the closed-form surface, in its whitened space.

w = A z + decoder(z, c) + sigma(c) * noise, z ~ N(0, I), and x = mean + root @ w. A starts with half the variance of the
widest directions and the networks at zero: training begins at the exact posterior of the closed form, with a latent in
use. Conditions reach the networks with noise on them in training: a few dozen cells would otherwise be learnt by heart,
each by its own SOH.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from batgen.models.base import DataShape, MaskedBatch
from batgen.models.layers.film_nets import FilmPair
from batgen.models.layers.surface import Surface
from batgen.models.layers.token_nets import TokenPair

#: Share of the variance of a wide direction that the latent explains before training.
EXPLAINED = 0.5


class LatentSurface(nn.Module):
    """p(x | cond) for pulse voltages x (B, F). `heads` 0: fully connected networks in place of tokens."""

    def __init__(
        self, shape: DataShape, latent: int, width: int, heads: int, blocks: int, free_nats: float, jitter: float,
        attend: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        features, conditions = shape.x_size, len(shape.cond_names)
        self.latent, self.free_nats, self.jitter = min(latent, features), free_nats, jitter
        self.noise_size = self.latent + conditions
        self.surface = Surface(features, shape.cond_names)
        self.nets: TokenPair | FilmPair
        if heads:
            self.nets = TokenPair(torch.tensor(shape.tokens), self.latent, conditions, width, heads, blocks, attend)
        else:
            self.nets = FilmPair(features, self.latent, conditions, width)
        self.loading = nn.Parameter(math.sqrt(EXPLAINED) * torch.eye(self.latent, features))
        self.noise_in, self.noise_out = nn.Linear(conditions, width), nn.Linear(width, features)
        nn.init.zeros_(self.noise_out.weight)
        with torch.no_grad():  # what the latent does not explain
            self.noise_out.bias.zero_()[: self.latent] = 0.5 * math.log(1 - EXPLAINED)

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor, targets: Tensor | None) -> None:
        self.surface.fit(x, cond, cell)

    def loss(self, batch: MaskedBatch, noise: Tensor) -> dict[str, Tensor]:
        """Negative evidence lower bound in nat a row, over w, with `free_nats` of each latent for free (Kingma 2016)."""
        eps, shaken = noise[:, : self.latent], noise[:, self.latent :]
        c = self.surface.features(batch.cond) + self.jitter * shaken
        rotation = self.surface.rotation(batch.cond)
        w = self.surface.whiten(batch.x, batch.cond)
        mean, logvar = self._encode(w, c, rotation)
        decoded = self._decode(mean + (0.5 * logvar).exp() * eps, c, rotation)
        log_sigma = self._log_sigma(c)
        share = batch.mask / batch.mask.sum()
        fit = 0.5 * ((w - decoded) * (-log_sigma).exp()).square() + log_sigma
        nll = (fit.sum(1) * share).sum() + 0.5 * math.log(2 * math.pi) * w.shape[1]
        kl = (0.5 * (mean.square() + logvar.exp() - 1 - logvar) * share[:, None]).sum(0)
        return {"loss": nll + kl.clamp_min(self.free_nats).sum(), "nll_nats": nll, "kl_nats": kl.sum()}

    def encode(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, L) of q(z | x, cond)."""
        c, rotation = self.surface.features(cond), self.surface.rotation(cond)
        return self._encode(self.surface.whiten(x, cond), c, rotation)

    def decode(self, z: Tensor, cond: Tensor) -> Tensor:
        """Mean of x (B, F) given z (B, L): what `encode` and training see, without the wider spread of new cells."""
        rotation = self.surface.rotation(cond)
        w = self._decode(z, self.surface.features(cond), rotation)
        return self.surface.mean(cond) + _times(rotation @ self.surface.frame(cond), w)

    def draw(self, z: Tensor, cond: Tensor, prior: str, noise: Tensor) -> Tensor:
        """x (n, B, F) given z (n, B, L), with noise (n, B, F), standard normal."""
        sigma = self._log_sigma(self.surface.features(cond)).exp()
        mean, centre = self._centre(cond, prior)
        w = self._decode_all(z, cond) + sigma * noise - centre
        root = self.surface.root(cond, prior)
        return mean.to(w) + torch.einsum("bfg,nbg->nbf", root, w.to(root)).to(w)

    def moments(self, z: Tensor, cond: Tensor, prior: str) -> tuple[Tensor, Tensor]:
        """Mean (B, F) and covariance (B, F, F) of x, float64, with z (n, B, L) standing for the law of the latent."""
        mean, centre = self._centre(cond, prior)
        w = (self._decode_all(z, cond) - centre).double()
        middle = w.mean(0)
        noise = torch.diag_embed((2 * self._log_sigma(self.surface.features(cond))).exp().double())
        cov = torch.einsum("nbf,nbg->bfg", w - middle, w - middle) / len(z) + noise
        root = self.surface.root(cond, prior)
        return mean + _times(root, middle), root @ cov @ root.mT

    def _centre(self, cond: Tensor, prior: str) -> tuple[Tensor, Tensor]:
        """Mean (B, F) of x under z ~ N(0, I), float64, and of w. What the networks learnt of the mean is said in the frame
        of training; only what goes around it has the wider spread of new cells."""
        points = even_normal(self.latent).to(cond)[:, None].expand(-1, len(cond), -1)
        centre = self._decode_all(points, cond).mean(0)
        frame = (self.surface.rotation(cond) @ self.surface.frame(cond)).double()
        return self.surface.mean(cond, prior).double() + _times(frame, centre), centre

    def _decode_all(self, z: Tensor, cond: Tensor) -> Tensor:
        """w (n, B, F) without noise, given z (n, B, L)."""
        c, rotation = self.surface.features(cond), self.surface.rotation(cond)
        return torch.stack([self._decode(one, c, rotation) for one in z])

    def attention(self, cond: Tensor) -> Tensor:
        """(B, F, C + L) at z = 0."""
        assert isinstance(self.nets, TokenPair)
        return self.nets.attention(cond.new_zeros(len(cond), self.latent), self.surface.features(cond))

    def _encode(self, w: Tensor, c: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.nets.encode(w, c, rotation).chunk(2, -1)
        return mean + math.sqrt(EXPLAINED) * w[:, : self.latent], logvar + math.log(1 - EXPLAINED)

    def _decode(self, z: Tensor, c: Tensor, rotation: Tensor) -> Tensor:
        return z @ self.loading + self.nets.decode(z, c, rotation)

    def _log_sigma(self, c: Tensor) -> Tensor:
        return self.noise_out(silu(self.noise_in(c)))


def _times(root: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("bfg,bg->bf", root, w.to(root))


def even_normal(size: int) -> Tensor:
    """(2 size, size) points of exactly zero mean and unit covariance, always the same."""
    square = torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[
        0
    ]
    half = square * size**0.5
    return torch.cat([half, -half])
