"""The published cross-attention CVAE of Tao et al. (Nature Communications 2024), as its code has it: the parity reference.

Its "cross-attention" runs over the 64 units of a hidden layer, each a token of width 1. Queries come from the voltages
(in the decoder, from the latent), keys and values from the conditions alone, and nothing is added back: what is attended
to does not carry the voltages, and the posterior collapses.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from batgen.models.base import DataShape, MaskedBatch


class WidthOneAttention(nn.Module):
    """One head of key width D over tokens of width 1: q (B, Q), kv (B, K) -> (B, Q). Keras' MultiHeadAttention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (_dense(1, width) for _ in range(3))
        self.out = _dense(width, 1)

    def forward(self, q: Tensor, kv: Tensor) -> Tensor:
        query, key, value = self.query(q[..., None]), self.key(kv[..., None]), self.value(kv[..., None])
        weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
        return self.out(weights @ value)[..., 0]


class PublishedCVAE(nn.Module):
    """Loss: F x mean squared error + KL, on voltages and conditions scaled to 0..1.

    The published code scales the conditions on training and test rows together; `targets` of `fit` are these test
    conditions (None, the honest way: training rows alone).
    """

    low: Tensor
    high: Tensor
    cond_low: Tensor
    cond_high: Tensor

    def __init__(self, shape: DataShape, latent: int, width: int) -> None:
        super().__init__()
        features, conditions = shape.x_size, len(shape.cond_names)
        self.latent = self.noise_size = latent
        self.embed = _dense(conditions, width)  # shared by encoder and decoder
        self.hidden, self.attend_in = _dense(features, width), WidthOneAttention(width)
        self.z_mean, self.z_logvar = _dense(width, latent), _dense(width, latent)
        self.unfold, self.attend_out = _dense(latent, width), WidthOneAttention(width)
        self.out = _dense(width, features)
        for name, size in (("low", features), ("high", features), ("cond_low", conditions), ("cond_high", conditions)):
            self.register_buffer(name, torch.zeros(size))

    @torch.no_grad()
    def fit(self, x: Tensor, cond: Tensor, cell: Tensor, targets: Tensor | None) -> None:
        known = cond if targets is None else torch.cat([cond, targets])
        for name, value in (
            ("low", x.amin(0)),
            ("high", x.amax(0)),
            ("cond_low", known.amin(0)),
            ("cond_high", known.amax(0)),
        ):
            getattr(self, name).copy_(value)

    def loss(self, batch: MaskedBatch, noise: Tensor) -> dict[str, Tensor]:
        share = batch.mask / batch.mask.sum()
        mean, logvar = self.encode(batch.x, batch.cond)
        decoded = self._decode(mean + (0.5 * logvar).exp() * noise, batch.cond)
        squared = ((decoded - self._unit(batch.x)).square().sum(1) * share).sum()
        kl = (0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1) * share).sum()
        return {"loss": squared + kl, "squared_error": squared, "kl_nats": kl}

    def encode(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        attended = self.attend_in(relu(self.hidden(self._unit(x))), self._embedded(cond))
        return self.z_mean(attended), self.z_logvar(attended)

    def decode(self, z: Tensor, cond: Tensor) -> Tensor:
        """Mean of x (B, F) given z (B, L)."""
        return self._decode(z, cond) * self._width() + self.low

    def draw(self, z: Tensor, cond: Tensor, prior: str, noise: Tensor) -> Tensor:
        """x (n, B, F); the published model has no noise of its own."""
        return torch.stack([self.decode(one, cond) for one in z])

    def _embedded(self, cond: Tensor) -> Tensor:
        return relu(self.embed((cond - self.cond_low) / (self.cond_high - self.cond_low).clamp_min(1e-9)))

    def _decode(self, z: Tensor, cond: Tensor) -> Tensor:
        return self.out(self.attend_out(relu(self.unfold(z)), self._embedded(cond))).sigmoid()

    def _unit(self, x: Tensor) -> Tensor:
        return (x - self.low) / self._width()

    def _width(self) -> Tensor:
        return (self.high - self.low).clamp_min(1e-9)


def _dense(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer as Keras starts it: Glorot uniform, no bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
