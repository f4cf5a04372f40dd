"""The words that models share with the rest: what a batch is, what shape the data has, how state is restored.

There is no base class. A model is a `torch.nn.Module` that offers

    fit(x, cond, cell)      once, before training: everything that comes from the training set as a whole (label table,
                            standardisation of conditions; for the closed-form baselines, the whole model)
    sample(cond, n, generator=None) -> (n, B, *x_shape)     draws from the model given conditions alone

and, where it is trained by gradient, `loss(batch) -> {"loss": ..., part: ...}`. Autoencoders also offer
`posterior(x, cond, cell)` and `reconstruct(x, cond, cell, z="mean")`. x is in scaled space, conditions in physical units.
One that names a `STACK` can be trained many at once (trainer=ensemble): see `rcvae_stack`.
Models of pulse tests, which are trained many at once, have `loss(masked_batch, noise)` and `noise_size`, and their `fit` and
`sample` take `targets` and `prior`: see `cross_attention_cvae`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ProfileScales:
    """How profiles in x become physical: value = x * scale + centre (+ what is known beforehand), one pair a signal and a last
    one for the log-duration.

    step_s: seconds between points, None where the points of a profile are spread over its own duration; relative: what is
    subtracted from the temperature ("none", "start", "reference"); part: "charge" or "discharge".
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    step_s: float | None
    nominal_capacity_Ah: float
    relative: str
    part: str


@dataclass(frozen=True)
class DataShape:
    """What a model must know of the data to build its layers.

    x_shape: shape of one sample, without the batch; slices: signal names in the order of physical slices;
    cond_names: columns of `cond`, in order ("eol", "ecl", "c1", ..., or "chemistry=LFP" for one-hot columns); tokens: what
    each element of x is, in numbers, where the preprocessing says so (pulse steps), else empty; profile: the scales of
    profiles, None for other data.
    """

    x_shape: tuple[int, ...]
    slices: tuple[str, ...]
    cond_names: tuple[str, ...]
    tokens: tuple[tuple[float, ...], ...] = ()
    profile: ProfileScales | None = None

    @property
    def x_size(self) -> int:
        return int(torch.Size(self.x_shape).numel())


class Batch(NamedTuple):
    """x (B, *x_shape) scaled; cond (B, C) physical units; cell (B,) int64, which cell each sample came from."""

    x: Tensor
    cond: Tensor
    cell: Tensor


class ProfileBatch(NamedTuple):
    """x (B, S + 1, P) scaled; cond (B, C) physical units; cell (B,) int64; base (B, S, P) in physical units and
    base_duration_s (B,): what is known beforehand and was subtracted (divided out of the duration)."""

    x: Tensor
    cond: Tensor
    cell: Tensor
    base: Tensor
    base_duration_s: Tensor


class MaskedBatch(NamedTuple):
    """x (B, *x_shape) scaled; cond (B, C) physical units; mask (B,) 1.0 for rows that count, 0.0 for those that fill up."""

    x: Tensor
    cond: Tensor
    mask: Tensor


def restore(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load `state`, giving buffers and parameters whose size `fit` determined the size they were saved with.

    A freshly built model knows its config but not, say, how many labels its training set had.
    """
    for name, value in state.items():
        path, _, leaf = name.rpartition(".")
        owner = model.get_submodule(path)
        old = getattr(owner, leaf, None)
        if isinstance(old, nn.Parameter) and old.shape != value.shape:
            setattr(owner, leaf, nn.Parameter(torch.empty_like(value)))
        elif leaf in owner._buffers and (old is None or old.shape != value.shape or old.dtype != value.dtype):
            owner._buffers[leaf] = torch.empty_like(value)
    model.load_state_dict(state, strict=True)
