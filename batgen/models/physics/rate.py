"""Physics loss: a temperature does not jump."""

import torch
from torch import Tensor, nn

from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import row_mean, slope, window_ends
from batgen.models.physics.calibration import quantile, temperature, tolerance


class Rate(nn.Module):
    """Mean of (|dT/dt| - limit)+ in degC/min.

    The limit is the `quantile` of |dT/dt| over all points of the training records, slopes taken over `window_s` seconds (one
    step at least). A record passes where its steepest slope is no steeper than `tolerance` allows.
    """

    name = "rate"

    limit: Tensor
    tolerance: Tensor

    def __init__(self, *, weight: float = 1.0, quantile: float = 0.999, window_s: float = 60.0) -> None:
        super().__init__()
        self.weight = weight
        self.quantile = quantile
        self.window_s = window_s
        self.register_buffer("limit", torch.zeros(()))
        self.register_buffer("tolerance", torch.zeros(()))

    def _steepness(self, view: PhysicalView) -> Tensor:
        ends = window_ends(view.step_s, view.mask, self.window_s)
        return 60.0 * slope(temperature(view, self.name), view.step_s, ends).abs() * view.mask

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Take the limits from the training records. ConfigError where there is no temperature."""
        steepness = self._steepness(view)
        self.limit.fill_(quantile(steepness[view.mask > 0], self.quantile))
        self.tolerance.fill_(tolerance(steepness.amax(1)))

    def forward(self, view: PhysicalView) -> Tensor:
        """Scalar, degC/min."""
        return row_mean((self._steepness(view) - self.limit).clamp_min(0.0), view.mask).mean()

    def passes(self, view: PhysicalView) -> Tensor:
        """(B,) bool."""
        return self._steepness(view).amax(1) <= self.tolerance
