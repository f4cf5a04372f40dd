"""Optimisers, by the name a config gives them."""

from collections.abc import Iterable

import torch
from torch import nn


def adamw(
    parameters: Iterable[nn.Parameter],
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> torch.optim.Optimizer:
    """AdamW in its fused form: one kernel for all parameters, on CPU and GPU alike."""
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2), fused=True)


def adam(
    parameters: Iterable[nn.Parameter], lr: float = 1e-3, beta1: float = 0.0, beta2: float = 0.9
) -> torch.optim.Optimizer:
    """Adam as adversarial training wants it: little or no momentum (Gulrajani et al. 2017, algorithm 1).

    Not fused: a fused optimiser undoes the scaling of float16 gradients by itself, after they were clipped.
    """
    return torch.optim.Adam(parameters, lr=lr, betas=(beta1, beta2), foreach=True)
