"""Random numbers from the caller's generator, wherever the model lives."""

import torch
from torch import Tensor


def normal(size: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal of `size` on the device of `like`, drawn where `generator` lives."""
    device = like.device if generator is None else generator.device
    return torch.randn(size, generator=generator, device=device, dtype=like.dtype).to(like.device)


def integers(high: int, size: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """int64 uniform over [0, high) of `size` on the device of `like`, drawn where `generator` lives."""
    device = like.device if generator is None else generator.device
    return torch.randint(high, size, generator=generator, device=device).to(like.device)


def permutation(count: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """(count,) int64: 0..count - 1 in random order, on the device of `like`, drawn where `generator` lives."""
    device = like.device if generator is None else generator.device
    return torch.randperm(count, generator=generator, device=device).to(like.device)
