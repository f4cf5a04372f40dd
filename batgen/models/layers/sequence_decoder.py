"""A decoder that keeps its state: one LSTM step for each block of steps ahead, attention over the encoder after it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from batgen.models.layers.quantile_head import QuantileHead
from batgen.models.layers.sequence_attention import attention_of

State = tuple[Tensor, Tensor]


class Memory(NamedTuple):
    """What a decoder asks: keys and values of the encoder states as its attention wants them, and which are real (B, N)."""

    keys: Tensor
    values: Tensor
    real: Tensor


class StateDecoder(nn.Module):
    """LSTM whose step reads the covariates of a block of steps, the statics, and (with `feedback`) the values of the block
    before; its output asks the encoder states, and both make the quantiles of the block.

    The attention follows the LSTM (in the paper it precedes it), so that with the true values fed back all blocks are one
    call. inputs: size of what is read at a block, without the values fed back; memory: size of encoder states.
    """

    def __init__(
        self, inputs: int, memory: int, hidden: int, layers: int, attention: str, heads: int, dropout: float,
        head: QuantileHead, feedback: bool,
    ):  # fmt: skip
        super().__init__()
        self.feedback = feedback
        between = dropout if layers > 1 else 0.0
        size = inputs + (head.outputs if feedback else 0)
        self.empty = size == 0
        self.lstm = nn.LSTM(max(size, 1), hidden, layers, batch_first=True, dropout=between)
        self.attention = attention_of(attention, hidden, memory, hidden, heads)
        joined = hidden + self.attention.size
        self.mix = nn.Sequential(nn.Linear(joined, hidden), nn.LeakyReLU(), nn.Dropout(dropout))
        self.head = head

    def forward(self, read: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """read (B, M, size) -> quantiles (B, M, outputs, Q), the state after the last block, weights (B, M, N)."""
        out, state = self.lstm(read.new_zeros(*read.shape[:2], 1) if self.empty else read, state)
        context, weights = self.attention(out, memory.keys, memory.values, memory.real)
        return self.head(self.mix(torch.cat([out, context], -1))), state, weights

    def unroll(
        self, read: Tensor, first: Tensor, truth: Tensor, state: State, memory: Memory, teacher_forcing: float
    ) -> tuple[Tensor, Tensor]:
        """Quantiles (B, blocks, outputs, Q) and weights (B, blocks, N).

        read (B, blocks, inputs); first (B, 1, outputs): the values before the first block; truth (B, blocks, outputs): what
        is fed back with probability teacher_forcing, else the medians of the block before. One call of the LSTM where all
        that it reads is known beforehand, else block after block with the state kept.
        """
        if not self.feedback or teacher_forcing >= 1:
            fed = torch.cat([first, truth[:, :-1]], 1) if self.feedback else read[..., :0]
            out, _, weights = self(torch.cat([read, fed], -1), state, memory)
            return out, weights
        outs, all_weights, before = [], [], first
        for block in range(read.shape[1]):
            made, state, weight = self(torch.cat([read[:, block : block + 1], before], -1), state, memory)
            outs.append(made)
            all_weights.append(weight)
            before = made[..., self.head.middle]
            if teacher_forcing > 0:
                before = mixed(before, truth[:, block : block + 1], teacher_forcing)
        return torch.cat(outs, 1), torch.cat(all_weights, 1)


def mixed(made: Tensor, truth: Tensor, teacher_forcing: float) -> Tensor:
    """The truth for a random share of windows, what was made for the others."""
    forced = torch.rand(len(made), *[1] * (made.ndim - 1), device=made.device) < teacher_forcing
    return torch.where(forced, truth, made)
