"""Quantile forecasts of per-cycle sequences: an attention LSTM encoder-decoder after ARCANA (Rahmanian et al.).

Ours keeps what the paper argues for (encoder with skip connection and layer normalisation, attention over the observed
cycles, known future conditions, pinball loss on several quantiles) and changes what made it forecast flat lines: residuals
against the last observed value, statics of the early cycles, quantiles that cannot cross, whole blocks of cycles a step,
and a decoder that keeps its state. `arcana_compat` reproduces the published recurrence.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.layers.arcana_decoder import WindowDecoder
from batgen.models.layers.quantile_head import QuantileHead
from batgen.models.layers.sequence_decoder import Memory, State, StateDecoder
from batgen.models.layers.sequence_encoder import SequenceEncoder
from batgen.models.sequence_base import SequenceBatch, SequenceShape


class Seq2SeqQuantile(nn.Module):
    """From a window of observed cycles to quantiles of the targets at every step ahead, in scaled space.

    hidden, layers, bidirectional: of the LSTMs (the decoder reads one way). attention: additive (eqs. 1-3) | multihead
    (eqs. 4-6, `heads`). window: the encoder reads the last so many steps (null: all); with arcana_compat, the length of the
    sliding window. levels: quantiles. ordered: they cannot cross. residual: targets are differences from the last observed
    value. feedback: the decoder reads the values of the block before (true ones under teacher forcing). block: steps made
    at once. static_noise, static_dropout: by group of statics, in training: standard deviation added, share of windows for
    which the group counts as unknown. target_weights: by target, 1 where absent. arcana_compat: the published recurrence.
    """

    ACCEPTS = ("sequences",)

    levels: Tensor
    target_weights: Tensor
    gains: Tensor

    def __init__(
        self,
        shape: SequenceShape,
        *,
        hidden: int = 32,
        layers: int = 1,
        bidirectional: bool = False,
        attention: str = "multihead",
        heads: int = 4,
        dropout: float = 0.1,
        window: int | None = None,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        ordered: bool = True,
        residual: bool = True,
        feedback: bool = True,
        block: int = 1,
        static_noise: Mapping[str, float] | None = None,
        static_dropout: Mapping[str, float] | None = None,
        target_weights: Mapping[str, float] | None = None,
        arcana_compat: bool = False,
    ):
        super().__init__()
        noise, dropped, weighted = _given(static_noise), _given(static_dropout), _given(target_weights)
        _check(shape, block, window, arcana_compat, weighted, noise, dropped)
        self.shape, self.residual, self.arcana = shape, residual, arcana_compat
        self.feedback = feedback or arcana_compat
        self.block, self.window = 1 if arcana_compat else block, window
        self.static_noise, self.static_dropout = noise, dropped
        targets, covariates = len(shape.targets), len(shape.covariates)
        self.register_buffer("levels", torch.tensor(list(levels), dtype=torch.float32))
        weights = [float(weighted.get(name, 1.0)) for name in shape.targets]
        self.register_buffer("target_weights", torch.tensor(weights))
        self.register_buffer("gains", torch.tensor(shape.gains or [1.0] * targets))
        self.encoder = SequenceEncoder(
            shape.past_size, hidden, layers, bidirectional, dropout, None if arcana_compat else window
        )
        statics = shape.static_size + len(shape.groups)
        self.statics = nn.Sequential(nn.Linear(statics, hidden), nn.Tanh(), nn.Dropout(dropout)) if statics else None
        embedded = hidden if statics else 0
        self.bridge = nn.Linear(self.encoder.size + embedded, 2 * layers * hidden)
        head = QuantileHead(hidden, self.block * targets, levels, ordered)
        size = (self.encoder.size, hidden, layers, attention, heads, dropout, head)
        if arcana_compat:
            self.decoder: nn.Module = WindowDecoder(shape.past_size + embedded, *size)
        else:
            self.decoder = StateDecoder(self.block * covariates + embedded, *size, feedback)
        self.layers, self.hidden = layers, hidden

    def loss(self, batch: SequenceBatch, teacher_forcing: float = 0.0, steps: int | None = None) -> dict[str, Tensor]:
        """Masked pinball loss (eqs. 9, 10), summed over levels, mean over the points of a window, then over windows, then
        over targets by their weights.

        teacher_forcing: probability that a block reads true values before it. steps: only the first so many.
        """
        if steps is not None:
            batch = batch._replace(
                future=batch.future[:, :steps], target=batch.target[:, :steps], weight=batch.weight[:, :steps]
            )
        quantiles, _ = self._decode(self._perturb(batch), teacher_forcing)
        by_target = pinball_by_target(quantiles, batch.target, batch.weight, self.levels)
        used = self.target_weights * (batch.weight.sum((0, 1)) > 0)
        return {"loss": (by_target * used).sum() / used.sum().clamp(min=1e-9)}

    def forecast(self, batch: SequenceBatch) -> Tensor:
        """Quantiles (B, M, T, Q), each block reading the medians of the block before."""
        return self._decode(batch, 0.0)[0]

    def attention(self, batch: SequenceBatch) -> Tensor:
        """Weights (B, M, N) of every step ahead over the steps that the encoder read; each row sums to 1."""
        return self._decode(batch, 0.0)[1].repeat_interleave(self.block, 1)[:, : batch.future.shape[1]]

    def sample(self, batch: SequenceBatch, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n trajectories (n, B, M, T): each keeps one level, drawn uniformly, at all steps. Between levels it is
        interpolated; beyond the outer ones it goes on with the slope of the outer pair, so tails are light."""
        quantiles = self.forecast(batch)
        drawn = torch.rand(n, len(quantiles), generator=generator, device="cpu").to(quantiles.device)
        index = torch.searchsorted(self.levels, drawn.contiguous()).clamp(1, max(len(self.levels) - 1, 1))
        if len(self.levels) == 1:
            return quantiles[None, ..., 0].expand(n, -1, -1, -1)
        low, high = self.levels[index - 1], self.levels[index]
        share = ((drawn - low) / (high - low))[..., None, None]
        at = index[:, :, None, None, None].expand(-1, -1, *quantiles.shape[1:3], 1)
        every = quantiles[None].expand(n, -1, -1, -1, -1)
        below, above = every.gather(-1, at - 1)[..., 0], every.gather(-1, at)[..., 0]
        return below + share * (above - below)

    def _decode(self, batch: SequenceBatch, teacher_forcing: float) -> tuple[Tensor, Tensor]:
        """Quantiles (B, M, T, Q) in the space of batch.target, attention (B, blocks, N)."""
        base = batch.last[:, None] if self.residual else torch.zeros_like(batch.last[:, None])
        targets = len(self.shape.targets)
        seen = batch.past[..., :targets] - base
        if self.residual and not self.arcana:  # its window goes on with forecasts, which have no gain
            seen = seen * self.gains
        past = torch.cat([seen, batch.past[..., targets:]], -1)
        real = torch.arange(past.shape[1], device=past.device) < batch.length[:, None]
        states, seen, final = self.encoder(past * real[..., None], batch.length)
        embedded = final.new_zeros(len(final), 0)
        if self.statics is not None:
            embedded = self.statics(torch.cat([batch.statics, batch.known], -1))
        state = torch.tanh(self.bridge(torch.cat([final, embedded], -1))).unflatten(-1, (2, self.layers, self.hidden))
        start = (state[:, 0].transpose(0, 1).contiguous(), state[:, 1].transpose(0, 1).contiguous())
        keys, values = self.decoder.attention.prepare(states)  # type: ignore[operator,union-attr]
        memory = Memory(keys, values, seen)
        truth = batch.target - base
        if self.arcana:
            found, weights = self._slide(batch, past, embedded, start, memory, truth, teacher_forcing)
        else:
            found, weights = self._by_blocks(batch, embedded, start, memory, truth, teacher_forcing)
        return found + base[..., None], weights

    def _by_blocks(
        self, batch: SequenceBatch, embedded: Tensor, state: State, memory: Memory, truth: Tensor, forcing: float
    ) -> tuple[Tensor, Tensor]:
        steps, size = truth.shape[1], self.block
        blocks = -(-steps // size)

        def in_blocks(x: Tensor) -> Tensor:  # what is behind the last step goes on as it ended
            return (
                torch.cat([x, x[:, -1:].expand(-1, blocks * size - steps, -1)], 1)
                .unflatten(1, (blocks, size))
                .flatten(2)
            )

        read = torch.cat([in_blocks(batch.future), embedded[:, None].expand(-1, blocks, -1)], -1)
        first = (torch.zeros_like(batch.last) if self.residual else batch.last).repeat(1, size)[:, None]
        out, weights = self.decoder.unroll(read, first, in_blocks(truth), state, memory, forcing)  # type: ignore[operator]
        return out.unflatten(2, (size, -1)).flatten(1, 2)[:, :steps], weights

    def _slide(
        self, batch: SequenceBatch, past: Tensor, embedded: Tensor, state: State, memory: Memory, truth: Tensor,
        forcing: float,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        width = self.window or past.shape[1]  # a shorter record repeats its first row, whoever else is in the batch
        index = (batch.length[:, None] - width + torch.arange(width, device=past.device)).clamp(min=0)
        window = past.gather(1, index[..., None].expand(-1, -1, past.shape[2]))
        window = torch.cat([window, embedded[:, None].expand(-1, width, -1)], -1)
        steps = truth.shape[1]
        inputs = past.new_zeros(len(past), steps, len(self.shape.inputs))  # not known ahead
        measured = past.new_ones(len(past), steps, len(self.shape.targets))
        rows = torch.cat([inputs, measured, batch.future, embedded[:, None].expand(-1, steps, -1)], -1)
        return self.decoder.unroll(window, rows, truth, state, memory, forcing)  # type: ignore[operator]

    def _perturb(self, batch: SequenceBatch) -> SequenceBatch:
        """In training, noise on statics and groups of them unknown: no forecast should hang on one of them alone."""
        if not self.training or not (self.static_noise or self.static_dropout):
            return batch
        statics, known, start = [], [], 0
        for number, (name, columns) in enumerate(self.shape.groups):
            values = batch.statics[:, start : start + len(columns)]
            start += len(columns)
            values = values + self.static_noise.get(name, 0.0) * torch.randn_like(values)
            kept = (torch.rand(len(values), 1, device=values.device) >= self.static_dropout.get(name, 0.0)).float()
            kept = kept * batch.known[:, number : number + 1]
            statics.append(values * kept)
            known.append(kept)
        return batch._replace(statics=torch.cat(statics, -1), known=torch.cat(known, -1)) if statics else batch


def pinball_by_target(quantiles: Tensor, target: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Masked pinball loss (T,) of quantiles (B, M, T, Q): eq. 9 summed over levels, mean over the weighted points of each
    window, mean over the windows that have any."""
    gap = target[..., None] - quantiles
    point = torch.maximum(levels * gap, (levels - 1) * gap).sum(-1)
    total = weight.sum(1)
    by_window = (point * weight).sum(1) / total.clamp(min=1e-9)
    windows = (total > 0).float()
    return (by_window * windows).sum(0) / windows.sum(0).clamp(min=1)


def _given(by_name: Mapping[str, float] | None) -> dict[str, float]:
    """Without the names whose value is null: so a config takes back what it inherits."""
    return {name: value for name, value in (by_name or {}).items() if value is not None}


def _check(
    shape: SequenceShape,
    block: int,
    window: int | None,
    arcana: bool,
    weights: Mapping[str, float],
    noise: Mapping[str, float],
    dropout: Mapping[str, float],
) -> None:
    if block < 1 or (window is not None and window < 1):
        raise ConfigError(f"model.block={block}, model.window={window}: both must be 1 or more (window may be null).")
    if arcana and window is None:
        raise ConfigError("model.arcana_compat=true slides a window: give model.window, such as model.window=10.")
    for key, given, names in (
        ("target_weights", weights, shape.targets),
        ("static_noise", noise, [g for g, _ in shape.groups]),
        ("static_dropout", dropout, [g for g, _ in shape.groups]),
    ):
        for name in given:
            if name not in names:
                raise ConfigError(
                    f"model.{key}.{name}: the preprocessing has no such name; it has {', '.join(names) or 'none'}."
                )
