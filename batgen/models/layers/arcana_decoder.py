"""The published recurrence (Rahmanian et al.): a sliding window that is run through the LSTM anew for every cycle."""

import torch
from torch import Tensor, nn

from batgen.models.layers.quantile_head import QuantileHead
from batgen.models.layers.sequence_attention import attention_of
from batgen.models.layers.sequence_decoder import Memory, State, mixed


class WindowDecoder(nn.Module):
    """For each step: attention of the last hidden state over the encoder, its context joined to every row of the window of
    the latest values, the LSTM over the whole window, and the quantiles from its last row.

    Kept for parity: it costs as many LSTM steps per cycle as the window is long, and has no form without a loop.
    inputs: size of a row of the window; memory: size of encoder states.
    """

    def __init__(
        self, inputs: int, memory: int, hidden: int, layers: int, attention: str, heads: int, dropout: float,
        head: QuantileHead,
    ):  # fmt: skip
        super().__init__()
        self.attention = attention_of(attention, hidden, memory, hidden, heads)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(inputs + self.attention.size, hidden, layers, batch_first=True, dropout=between)
        self.mix = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(), nn.Dropout(dropout))
        self.head = head

    def forward(self, window: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """window (B, W, inputs) -> quantiles (B, 1, outputs, Q), the state after it, weights (B, 1, N)."""
        context, weights = self.attention(state[0][-1][:, None], memory.keys, memory.values, memory.real)
        out, state = self.lstm(torch.cat([window, context.expand(-1, window.shape[1], -1)], -1), state)
        return self.head(self.mix(out[:, -1:])), state, weights

    def unroll(
        self, window: Tensor, rows: Tensor, truth: Tensor, state: State, memory: Memory, teacher_forcing: float
    ) -> tuple[Tensor, Tensor]:
        """Quantiles (B, M, T, Q) and weights (B, M, N). rows (B, M, inputs - T): what follows the T values in the row of each
        step ahead; truth (B, M, T): what enters the window with probability teacher_forcing, else the medians made."""
        outs, all_weights = [], []
        for step in range(rows.shape[1]):
            made, state, weight = self(window, state, memory)
            outs.append(made)
            all_weights.append(weight)
            value = made[:, 0, :, self.head.middle]
            if teacher_forcing > 0:
                value = mixed(value, truth[:, step], teacher_forcing)
            window = torch.cat([window[:, 1:], torch.cat([value, rows[:, step]], -1)[:, None]], 1)
        return torch.cat(outs, 1), torch.cat(all_weights, 1)
