"""Rows of many models at once: the batches and the noise that each of them would see alone, padded to one tensor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from batgen.models.base import Batch
from batgen.models.layers.draw import normal
from batgen.training.datamodule import BLOCK, RESIDENT_BYTES, epoch_batches, epoch_seed

#: Numbers that validation draws at once: what a processor's cache holds, and what a GPU is busy with.
_DRAWN = {"cpu": 2**22, "cuda": 2**27}


class Pool:
    """The rows of all members in one tensor, each data set once: its training rows, behind them its validation rows.

    On the device, but where that would be too much (`resident`, as in `CurveData`): then in host memory, and batches travel.
    """

    def __init__(self, data: Sequence[dict[str, Batch]], device: torch.device, resident: bool | None) -> None:
        self.device = device
        self._starts: dict[int, int] = {}
        parts: list[Tensor] = []
        total = 0
        for one in data:
            if id(one) not in self._starts:
                self._starts[id(one)] = total
                parts += [one["train"].x, one["val"].x]
                total += len(one["train"].x) + len(one["val"].x)
        self.x = torch.cat(parts)
        resident = self.x.nbytes <= RESIDENT_BYTES if resident is None else resident
        if resident:
            self.x = self.x.to(device)

    def start(self, rows: dict[str, Batch]) -> int:
        """Where the rows of this data set begin."""
        return self._starts[id(rows)]

    def take(self, index: Tensor) -> Tensor:
        """(*index.shape, *x_shape) on the device."""
        found = self.x.index_select(0, index.flatten().to(self.x.device))
        return found.to(self.device, non_blocking=True).unflatten(0, index.shape)


@dataclass(frozen=True)
class RowsOf:
    """The rows of one member: the first `train` of its data set are learnt from, `val` from number `val_start` on are
    validated with (none: 0). placed (N, ...): what its model makes of the conditions of all of them."""

    data: dict[str, Batch]
    placed: Tensor
    seed: int
    train: int
    val_start: int
    val: int


class Minibatch(NamedTuple):
    """x (k, B, *x_shape), placed (k, B, ...), noise (k, B, latent), weight (k, B): 1 / rows, 0 for rows that fill up."""

    x: Tensor
    placed: Tensor
    noise: Tensor
    weight: Tensor


class StackRows:
    """What the members of a stack learn from, in the order of the stack.

    A member's batches and noise are those of `GenerativeModule`, from the same seeds, drawn where the model is trained (on
    a GPU from the GPU's generator): a member sees what it would see alone.
    """

    def __init__(self, members: Sequence[RowsOf], pool: Pool, batch_size: int, latent: int, draws: int) -> None:
        self.members, self.pool, self.batch_size, self._latent = members, pool, batch_size, latent
        device = pool.device
        self._start = torch.tensor([pool.start(m.data) for m in members], device=device)
        self._placed = _padded([m.placed for m in members]).to(device)
        self._member = torch.arange(len(members), device=device)[:, None]
        self._streams = [torch.Generator(device) for _ in members]
        self._val = self._validation_noise(max(draws, 2)) if any(m.val for m in members) else None

    def _gathered(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """x and placed of rows `index` (k, B) of the first k members' own data."""
        count = len(index)
        return self.pool.take(index + self._start[:count, None]), self._placed[self._member[:count], index]

    def steps(self, epochs: Sequence[int]) -> Iterator[Minibatch]:
        """The minibatches of an epoch, whose number (from 0) is each member's own. Members whose batches are done are left
        out: k is smaller then."""
        seeds = [epoch_seed(m.seed, epoch) for m, epoch in zip(self.members, epochs, strict=True)]
        plans = [epoch_batches(m.train, self.batch_size, s) for m, s in zip(self.members, seeds, strict=True)]
        index, weight = _padded_plans(plans, self.batch_size, self.pool.x.dtype)
        index, weight = index.to(self.pool.device), weight.to(self.pool.device)
        for number in range(len(plans[0])):
            active = sum(number < len(plan) for plan in plans)
            counts = [len(plan[number]) for plan in plans[:active]]
            if number % BLOCK == 0:
                for stream, seed in zip(self._streams[:active], seeds, strict=False):
                    stream.manual_seed(seed + 7919 * (number // BLOCK))
            x, placed = self._gathered(index[:active, number, : max(counts)])
            noise = [normal((n, self._latent), x, g) for n, g in zip(counts, self._streams, strict=False)]
            joined = torch.stack(noise) if min(counts) == max(counts) else _padded(noise)
            yield Minibatch(x, placed, joined, weight[:active, number, : max(counts)])

    def _validation_noise(self, draws: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Indices (M, V), weights (M, V), noise (M, V, latent) and latents to draw from (M, V, draws, latent): those that
        `GenerativeModule` draws anew from the same seed for each chunk of each validation."""
        like = torch.empty(0, dtype=self.pool.x.dtype, device=self.pool.device)
        noise, latents, index, weight = [], [], [], []
        for member, stream in zip(self.members, self._streams, strict=True):
            first, second = [like.new_empty(0, self._latent)], [like.new_empty(0, draws, self._latent)]
            for chunk in torch.arange(member.val).split(1024) if member.val else ():
                stream.manual_seed(member.seed)
                first.append(normal((len(chunk), self._latent), like, stream))
                second.append(normal((draws, len(chunk), self._latent), like, stream).transpose(0, 1))
            noise.append(torch.cat(first))
            latents.append(torch.cat(second))
            index.append(torch.arange(member.val_start, member.val_start + member.val, device=like.device))
            weight.append(like.new_full((member.val,), 1.0 / max(1, member.val)))
        return _padded(index), _padded(weight), _padded(noise), _padded(latents)

    @torch.no_grad()
    def validation_scores(self, model: Any) -> dict[str, Tensor]:
        """The scores of `batgen.training.module.validation_scores`, one a member: (M,); 0 for one without such rows."""
        assert self._val is not None
        index, weight, noise, latents = self._val
        size = self.pool.x[0].numel() * latents.shape[2] * len(index)
        sums: dict[str, Tensor] = {}
        for chunk in torch.arange(index.shape[1]).split(max(1, _DRAWN[index.device.type] // size)):
            part = slice(int(chunk[0]), int(chunk[-1]) + 1)
            x, placed = self._gathered(index[:, part])
            for name, rows in _row_scores(model, x, model.told(placed), noise[:, part], latents[:, part]).items():
                value = (rows * weight[:, part]).sum(1)
                sums[name] = sums[name] + value if name in sums else value
        return sums


def _row_scores(model: Any, x: Tensor, vector: Tensor, noise: Tensor, latents: Tensor) -> dict[str, Tensor]:
    """loss, mae and crps of each row, (M, B); see `batgen.training.module.validation_scores`."""
    inner = tuple(range(2, x.dim()))
    posterior = model.encode(x, vector)
    mae = (model.decode(posterior[0], vector) - x).abs().mean(inner)
    draws = latents.shape[2]
    drawn = model.decode(latents.flatten(1, 2), vector.repeat_interleave(draws, 1)).unflatten(1, (-1, draws))
    spread = (drawn - drawn.roll(1, 2)).abs().mean((2, *(i + 1 for i in inner)))
    error = (drawn - x.unsqueeze(2)).abs().mean((2, *(i + 1 for i in inner)))
    return {"loss": model.row_losses(x, vector, posterior, noise)["loss"], "mae": mae, "crps": error - 0.5 * spread}


def _padded(values: Sequence[Tensor]) -> Tensor:
    """(len(values), longest, ...), filled up with zeros."""
    return nn.utils.rnn.pad_sequence(list(values), batch_first=True)


def _padded_plans(plans: Sequence[Sequence[Tensor]], size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Row numbers and weights of all minibatches, (members, steps, size), filled up with row 0 at weight 0."""
    steps = max(len(plan) for plan in plans)
    index = torch.zeros(len(plans), steps * size, dtype=torch.int64)
    weight = torch.zeros(len(plans), steps, size, dtype=dtype)
    for place, plan in enumerate(plans):
        rows = torch.cat(list(plan))
        index[place, : len(rows)] = rows
        weight[place, : len(plan)] = 1.0 / size
        last = len(plan[-1])
        weight[place, len(plan) - 1] = 0.0
        weight[place, len(plan) - 1, :last] = 1.0 / last
    return index.view(-1, steps, size), weight
