"""Linear layers of several models side by side."""

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """(M, B, inputs) -> (M, B, outputs): each of M members has its own weight (M, outputs, inputs) and bias (M, outputs).

    on: (M,) bool, which members have this layer at all; `bypassed` gives the others back what went in. None: all have it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, on: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.on = None if on is None else on[:, None, None]

    def forward(self, h: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return torch.baddbmm(self.bias.unsqueeze(1), h, self.weight.mT)
        # In this order the gradient of a weight comes out in the weight's own memory layout: AdamW need not copy it.
        made = torch.baddbmm(self.bias.unsqueeze(2), self.weight, h.mT).mT
        _, outputs, inputs = self.weight.shape
        return made.contiguous() if outputs > inputs else made  # as wide as x, it is compared with x: in x's layout

    def bypassed(self, h: Tensor, made: Tensor) -> Tensor:
        """`made` of h (M, B, size) for the members that have the layer, h for the others, whose weights get gradient 0."""
        return made if self.on is None else torch.where(self.on, made, h)
