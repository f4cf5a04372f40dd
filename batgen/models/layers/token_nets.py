"""Cross-attention between pulse steps and conditions, on real tokens.

A query is one step of the pulse test (what current flowed, begin or end, pulse or rest); keys and values are one token
per condition (SOC, SOH, battery type) and, in the decoder, per latent. Blocks are pre-norm with a residual path and a
feed-forward part (Xiong et al. 2020), unlike the published model, whose values come from the condition alone.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class CrossAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), q (B, Q, D) over kv (B, K, D) -> (B, Q, D). attend False: to all alike."""

    def __init__(self, width: int, heads: int, attend: bool) -> None:
        super().__init__()
        self.heads, self.attend = heads, attend
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def weights(self, q: Tensor, kv: Tensor) -> tuple[Tensor, Tensor]:
        """Attention (B, heads, Q, K), and the values (B, heads, K, D / heads)."""
        query = self._split(self.query(q))
        key, value = (self._split(part) for part in self.key_value(kv).chunk(2, -1))
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        return (scores if self.attend else torch.zeros_like(scores)).softmax(-1), value

    def forward(self, q: Tensor, kv: Tensor) -> Tensor:
        attention, value = self.weights(q, kv)
        return self.out((attention @ value).transpose(-3, -2).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int, attend: bool) -> None:
        super().__init__()
        self.norm_q, self.norm_kv, self.norm_f = (nn.LayerNorm(width) for _ in range(3))
        self.attention = CrossAttention(width, heads, attend)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, kv: Tensor) -> Tensor:
        x = x + self.attention(self.norm_q(x), self.norm_kv(kv))
        return x + self.down(silu(self.up(self.norm_f(x))))


class ScalarTokens(nn.Module):
    """(B, K) numbers -> (B, K, D): each number times its own direction, plus what says which number it is."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(count, width) / math.sqrt(width))
        self.name = nn.Parameter(torch.randn(count, width) / math.sqrt(width))

    def forward(self, values: Tensor) -> Tensor:
        return values[..., None] * self.direction + self.name


class TokenPair(nn.Module):
    """Encoder and decoder over tokens. `steps` (F, T) describes the steps; `rotation` (B, F, F) turns principal whitened
    coordinates w into those of the steps (w @ rotation.T), so that a token speaks of its own voltage."""

    steps: Tensor

    def __init__(
        self, steps: Tensor, latent: int, conditions: int, width: int, heads: int, blocks: int, attend: bool = True
    ) -> None:
        super().__init__()
        self.register_buffer("steps", steps)
        self.describe = nn.Linear(steps.shape[1], width)
        self.voltage = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.conditions = ScalarTokens(conditions, width)
        self.latents = ScalarTokens(latent, width)
        self.encoder = nn.ModuleList(Block(width, heads, attend) for _ in range(max(1, blocks - 1)))
        self.decoder = nn.ModuleList(Block(width, heads, attend) for _ in range(blocks))
        self.posterior, self.out = nn.Linear(width, 2 * latent), nn.Linear(width, 1)
        for layer in (self.posterior, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def encode(self, w: Tensor, c: Tensor, rotation: Tensor) -> Tensor:
        """w (B, F), c (B, C) -> (B, 2 L)."""
        own = torch.einsum("bg,bfg->bf", w, rotation)
        x, kv = self.describe(self.steps) + own[..., None] * self.voltage, self.conditions(c)
        for block in self.encoder:
            x = block(x, kv)
        return self.posterior(x.mean(-2))

    def decode(self, z: Tensor, c: Tensor, rotation: Tensor) -> Tensor:
        """z (B, L), c (B, C) -> (B, F)."""
        x = self.describe(self.steps).expand(len(z), -1, -1)
        kv = self._keys(z, c)
        for block in self.decoder:
            x = block(x, kv)
        return torch.einsum("bf,bfg->bg", self.out(x)[..., 0], rotation)

    def attention(self, z: Tensor, c: Tensor) -> Tensor:
        """(B, F, C + L): attention of the decoder's last block, mean over heads."""
        x, kv = self.describe(self.steps).expand(len(z), -1, -1), self._keys(z, c)
        for block in self.decoder[:-1]:
            x = block(x, kv)
        last = self.decoder[-1]
        return last.attention.weights(last.norm_q(x), last.norm_kv(kv))[0].mean(1)  # type: ignore[union-attr,operator]

    def _keys(self, z: Tensor, c: Tensor) -> Tensor:
        return torch.cat([self.conditions(c), self.latents(z)], -2)
