"""Physics loss: heat does not come from nowhere."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import row_mean
from batgen.models.layers.thermal import ThermalModel
from batgen.models.physics.calibration import ambient, quantile, temperature, tolerance


class ThermalBalance(nn.Module):
    """Mean of (|r| - limit)+ in degC/min, r the residual of the thermal model fitted on the training records.

    The limit is the `quantile` of |r| over all points of the training records. A record passes where its mean |r| is no
    larger than `tolerance` allows. window_s: seconds over which slopes are taken, see `ThermalModel`.

    The current of a charge tapers: with current_A as a signal at least 96 % of the charges of each NASA cell held out pass;
    with the mean current of the conditions alone 33 % of B0005 do, and 96 % or more of each other cell.
    """

    name = "thermal_balance"

    limit: Tensor
    tolerance: Tensor

    def __init__(self, *, weight: float = 1.0, quantile: float = 0.95, window_s: float = 300.0) -> None:
        super().__init__()
        self.weight = weight
        self.quantile = quantile
        # The residual is one of slopes, so the regression of slopes is what it is measured against.
        self.thermal = ThermalModel(window_s=window_s, refine=False)
        self.register_buffer("limit", torch.zeros(()))
        self.register_buffer("tolerance", torch.zeros(()))

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Fit the thermal model and the limits. ConfigError where temperature, ambient or current is not known."""
        temperature(view, self.name)
        ambient(view, self.name)
        if not bool((view.current_C * view.mask).any()):
            raise ConfigError(
                f"model.physics.{self.name} needs a current: add c_rate and c_rate_rms to preprocessing.conditions, "
                f"or set model.physics.{self.name}=null."
            )
        self.thermal.fit(view)
        residual = self.thermal.residual(view).abs()
        self.limit.fill_(quantile(residual[view.mask > 0], self.quantile))
        self.tolerance.fill_(tolerance(row_mean(residual, view.mask)))

    def forward(self, view: PhysicalView) -> Tensor:
        """Scalar, degC/min."""
        return row_mean((self.thermal.residual(view).abs() - self.limit).clamp_min(0.0), view.mask).mean()

    def passes(self, view: PhysicalView) -> Tensor:
        """(B,) bool."""
        return row_mean(self.thermal.residual(view).abs(), view.mask) <= self.tolerance
