"""Physics loss: a temperature is smooth."""

import torch
from torch import Tensor, nn

from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import row_mean
from batgen.models.physics.calibration import quantile, temperature, tolerance


class Smoothness(nn.Module):
    """Mean of (|second difference| - limit)+ in degC/min^2, points against their two neighbours.

    The limit is the `quantile` over all points of the training records, reading noise and the kink where a current starts
    included, so that measured curves score nearly zero. A record passes where its mean |second difference| is no larger
    than `tolerance` allows.
    """

    name = "smoothness"

    limit: Tensor
    tolerance: Tensor

    def __init__(self, *, weight: float = 1.0, quantile: float = 0.99) -> None:
        super().__init__()
        self.weight = weight
        self.quantile = quantile
        self.register_buffer("limit", torch.zeros(()))
        self.register_buffer("tolerance", torch.zeros(()))

    def _bend(self, view: PhysicalView) -> tuple[Tensor, Tensor]:
        """|second difference| (B, P - 2) in degC/min^2, and which of them count."""
        value = temperature(view, self.name)
        step_min = view.step_s[:, None] / 60.0
        return (value[:, 2:] - 2 * value[:, 1:-1] + value[:, :-2]).abs() / step_min.square(), view.mask[:, 2:]

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Take the limits from the training records. ConfigError where there is no temperature."""
        bend, mask = self._bend(view)
        self.limit.fill_(quantile(bend[mask > 0], self.quantile))
        self.tolerance.fill_(tolerance(row_mean(bend, mask)))

    def forward(self, view: PhysicalView) -> Tensor:
        """Scalar, degC/min^2."""
        bend, mask = self._bend(view)
        return row_mean((bend - self.limit).clamp_min(0.0), mask).mean()

    def passes(self, view: PhysicalView) -> Tensor:
        """(B,) bool."""
        return row_mean(*self._bend(view)) <= self.tolerance
