"""The encoder of a sequence-to-sequence forecaster (Rahmanian et al., "The encoder-decoder framework")."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class SequenceEncoder(nn.Module):
    """LSTM over packed sequences, so that padding changes nothing; a skip connection adds the projected input to its
    output, then layer normalisation.

    window: only the last so many real steps are read (null: all).
    """

    def __init__(self, inputs: int, hidden: int, layers: int, bidirectional: bool, dropout: float, window: int | None):
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True, bidirectional=bidirectional, dropout=between)
        self.size = hidden * (2 if bidirectional else 1)
        self.skip = nn.Linear(inputs, self.size)
        self.norm = nn.LayerNorm(self.size)
        self.window = window

    def forward(self, past: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """past (B, N, F), length (B,) -> states (B, N', size), real (B, N') bool, final state (B, size)."""
        if self.window is not None:
            past, length = _tail(past, length, self.window)
        packed = pack_padded_sequence(past, length.cpu(), batch_first=True, enforce_sorted=False)
        out, (state, _) = self.lstm(packed)
        states, _ = pad_packed_sequence(out, batch_first=True, total_length=past.shape[1])
        real = torch.arange(past.shape[1], device=past.device) < length[:, None]
        states = self.norm(states + self.skip(past)) * real[..., None]
        directions = 2 if self.lstm.bidirectional else 1
        final = state[-directions:].transpose(0, 1).reshape(len(past), self.size)
        return states, real, final


def _tail(past: Tensor, length: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The last `window` real steps of every sequence, moved to the front."""
    kept = length.clamp(max=window)
    index = (length - kept)[:, None] + torch.arange(min(window, past.shape[1]), device=past.device)
    index = index.clamp(max=past.shape[1] - 1)
    tail = past.gather(1, index[..., None].expand(-1, -1, past.shape[2]))
    real = torch.arange(tail.shape[1], device=past.device) < kept[:, None]
    return tail * real[..., None], kept
