"""Attention of decoder states over encoder states, padding left out (Rahmanian et al., eqs. 1-6)."""

import math

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError


class AdditiveAttention(nn.Module):
    """e_ts = v . tanh(W1 h_t + W2 h_s) (eq. 1), softmax over s (eq. 2), context sum of alpha_ts h_s (eq. 3)."""

    def __init__(self, queries: int, keys: int, width: int):
        super().__init__()
        self.query, self.key = nn.Linear(queries, width), nn.Linear(keys, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)
        self.size = keys

    def prepare(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What is the same at every decoded step: projected keys and values, of states (B, N, keys)."""
        return self.key(states), states

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """query (B, M, queries), real (B, N) bool -> context (B, M, size), weights (B, M, N)."""
        energy = self.score(torch.tanh(self.query(query)[:, :, None] + keys[:, None])).squeeze(-1)
        weights = energy.masked_fill(~real[:, None], -torch.inf).softmax(-1)
        return weights @ values, weights


class MultiHeadAttention(nn.Module):
    """Scaled dot products in `heads` subspaces (eqs. 5, 6), joined by W0 (eq. 4). Weights are their mean over heads."""

    def __init__(self, queries: int, keys: int, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ConfigError(f"model.heads={heads} does not divide model.hidden={width}. Choose a divisor.")
        self.heads, self.size = heads, width
        self.query, self.key = nn.Linear(queries, width), nn.Linear(keys, width)
        self.value, self.join = nn.Linear(keys, width), nn.Linear(width, width)

    def prepare(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.key(states)), self._split(self.value(states))

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        asked = self._split(self.query(query))
        energy = asked @ keys.transpose(-1, -2) / math.sqrt(asked.shape[-1])
        weights = energy.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)
        joined = (weights @ values).transpose(1, 2).reshape(query.shape[0], query.shape[1], self.size)
        return self.join(joined), weights.mean(1)

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, heads, L, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attention_of(kind: str, queries: int, keys: int, width: int, heads: int) -> AdditiveAttention | MultiHeadAttention:
    """The attention that `model.attention` names. Raises ConfigError for another word."""
    if kind == "additive":
        return AdditiveAttention(queries, keys, width)
    if kind == "multihead":
        return MultiHeadAttention(queries, keys, width, heads)
    raise ConfigError(f"model.attention={kind}: it is additive or multihead.")
