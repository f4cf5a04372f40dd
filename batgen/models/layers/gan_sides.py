"""What GANs of profiles share: conditions as the networks see them, generated profiles, draws in chunks."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise
from batgen.models.layers.draw import normal

#: Rows that are generated at once: the states of an LSTM over 64 steps are 64 times as large as what it returns.
_CHUNK = 4096


class Conditioner(nn.Module):
    """(B, C) physical conditions -> (B, C) standardised; with noise of `jitter` standard deviations while training.

    A few cells differ in every condition: without noise a network learns cells by heart instead of what conditions do.
    One-hot columns stay as they are.
    """

    def __init__(self, shape: DataShape, jitter: float) -> None:
        super().__init__()
        if jitter < 0:
            raise ConfigError(f"model.jitter={jitter} must be 0 or more (in standard deviations of a condition).")
        self.jitter = jitter
        self.standardise = Standardise(shape.cond_names)
        self.numeric = [float("=" not in name) for name in shape.cond_names]

    def fit(self, cond: Tensor) -> None:
        self.standardise.fit(cond)

    def forward(self, cond: Tensor, noisy: bool = False) -> Tensor:
        z: Tensor = self.standardise(cond)
        if not noisy or not self.jitter:
            return z
        # a condition that is constant in training stays the zero that it is
        varies = z.new_tensor(self.numeric) * (self.standardise.inverse_std > 0)
        return z + self.jitter * varies * torch.randn_like(z)


def within(x: Tensor, shape: DataShape) -> Tensor:
    """x with zeros behind the end that its own duration says, where points are seconds apart; else x itself.

    What a critic must not look at: measured profiles are held there at their last value, generated ones are anything.
    """
    scales = shape.profile
    if scales is None or scales.step_s is None:
        return x
    mask = torch.arange(x.shape[-1], device=x.device) <= _end(x, shape)[:, None]
    return torch.cat([x[:, :-1] * mask[:, None].to(x.dtype), x[:, -1:]], dim=1)


def held(x: Tensor, shape: DataShape) -> Tensor:
    """x with its last value before the end that its own duration says held from there on, where points are seconds apart."""
    if shape.profile is None or shape.profile.step_s is None:
        return x
    steps = torch.minimum(torch.arange(x.shape[-1], device=x.device), _end(x, shape)[:, None])
    return x.gather(2, steps[:, None].expand_as(x))


def _end(x: Tensor, shape: DataShape) -> Tensor:
    """(B,) number of the last point within the duration (half a step of grace)."""
    scales = shape.profile
    assert scales is not None
    assert scales.step_s is not None
    duration = (x[:, -1, 0].detach() * scales.scale[-1] + scales.centre[-1]).exp()
    return (duration / scales.step_s + 0.5).floor().clamp(0, x.shape[-1] - 1).long()


def pair_score(one: Tensor, other: Tensor, real: Tensor) -> Tensor:
    """Energy score of two draws each for the B profiles `real` (B, *x_shape): mean of (|a - y| + |b - y| - |a - b|) / 2."""

    def distance(difference: Tensor) -> Tensor:
        return (difference.flatten(1).square().sum(1) + 1e-8).sqrt()  # the root of 0 has no gradient

    return 0.5 * (distance(one - real) + distance(other - real) - distance(one - other)).mean()


def pinned(x: Tensor, shape: DataShape) -> Tensor:
    """x with its temperature moved as a whole so that it begins at the start temperature, where that is known beforehand.

    What is left of a measured profile after its start is subtracted begins at 0 exactly; a network would only come near.
    """
    scales = shape.profile
    if scales is None or scales.relative == "none" or "temperature_degC" not in shape.slices:
        return x
    place = shape.slices.index("temperature_degC")
    zero = -scales.centre[place] / scales.scale[place]
    channels = list(x.unbind(1))
    channels[place] = channels[place] - channels[place][:, :1] + zero
    return torch.stack(channels, dim=1)


@torch.no_grad()
def draw_profiles(model: nn.Module, cond: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """(n, B, *x_shape) from `model.make(cond, noise, generator)`, in chunks; `model.noise` is the length of the noise.

    Behind its end a profile is held at its last value, as measured ones are.
    """
    repeated = cond.repeat(n, 1)
    noise = normal((len(repeated), model.noise), repeated, generator)  # type: ignore[arg-type]
    pairs = zip(repeated.split(_CHUNK), noise.split(_CHUNK), strict=True)
    made = [held(model.make(c, z, generator), model.shape) for c, z in pairs]  # type: ignore[operator, arg-type]
    return torch.cat(made).unflatten(0, (n, len(cond)))
