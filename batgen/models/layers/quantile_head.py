"""From features to quantiles that cannot cross."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from batgen.errors import ConfigError

#: Where the gaps between quantiles start: softplus(-3) = 0.05 of the spread of the targets.
_NARROW = -3.0


class QuantileHead(nn.Module):
    """Linear layer to (outputs, Q). `ordered`: the level nearest 0.5 comes from its own output, each level further out adds
    a positive gap, so a higher level is never below a lower one. Without, Q independent outputs, as published."""

    def __init__(self, inputs: int, outputs: int, levels: Sequence[float], ordered: bool):
        super().__init__()
        check_levels(levels)
        self.outputs, self.ordered = outputs, ordered
        self.count = len(levels)
        self.middle = min(range(self.count), key=lambda i: abs(levels[i] - 0.5))
        self.linear = nn.Linear(inputs, outputs * self.count)

    def forward(self, features: Tensor) -> Tensor:
        """features (..., inputs) -> quantiles (..., outputs, Q) in order of the levels."""
        raw: Tensor = self.linear(features).unflatten(-1, (self.outputs, self.count))
        if not self.ordered:
            return raw
        gaps = F.softplus(raw + _NARROW)
        middle = raw[..., self.middle : self.middle + 1]
        above = middle + gaps[..., self.middle + 1 :].cumsum(-1)
        below = middle - gaps[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, middle, above], -1)


def check_levels(levels: Sequence[float]) -> None:
    """Raise ConfigError unless the levels are increasing numbers between 0 and 1, with the median among or between them."""
    inside = all(0 < level < 1 for level in levels)
    if not levels or not inside or any(b <= a for a, b in zip(levels, list(levels)[1:], strict=False)):
        raise ConfigError(
            f"model.levels={list(levels)}: quantile levels must increase between 0 and 1, such as [0.1,0.5,0.9]."
        )
    if not levels[0] <= 0.5 <= levels[-1]:
        raise ConfigError(
            f"model.levels={list(levels)}: errors are those of the median, which must be among or between the levels. "
            "Add 0.5."
        )
