"""Physics loss of the published cGAN slides, kept for comparison."""

import torch
from torch import Tensor, nn

from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import row_mean
from batgen.models.physics.calibration import temperature, tolerance


class Slides(nn.Module):
    """The slides' loss: mean of clamp(-T, 0) plus the mean squared distance to an expected trend, in degC and degC^2.

    The trend is the mean profile of the training records, point by point. The first term is the published flaw: cells
    above 0 degC, all that the slides show, make it constantly zero, without any gradient, and a cell at -20 degC, which is
    valid, is punished. The second pulls all records towards one profile, whatever their conditions. A record passes where
    it loses no more than `tolerance` allows.
    """

    name = "slides"

    trend: Tensor
    tolerance: Tensor

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("trend", torch.zeros(0))
        self.register_buffer("tolerance", torch.zeros(()))

    def _penalty(self, view: PhysicalView) -> Tensor:
        value = temperature(view, self.name)
        return row_mean((-value).clamp_min(0.0) + (value - self.trend).square(), view.mask)

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Take the trend and the tolerance from the training records. ConfigError where there is no temperature."""
        value = temperature(view, self.name)
        self.trend = (value * view.mask).sum(0) / view.mask.sum(0).clamp_min(1.0)
        self.tolerance.fill_(tolerance(self._penalty(view)))

    def forward(self, view: PhysicalView) -> Tensor:
        """Scalar."""
        return self._penalty(view).mean()

    def passes(self, view: PhysicalView) -> Tensor:
        """(B,) bool."""
        return self._penalty(view) <= self.tolerance
