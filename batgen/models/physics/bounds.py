"""Physics loss: temperatures, voltages and currents stay where cells of this kind can be."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import row_mean
from batgen.models.physics.calibration import ambient, temperature, tolerance

#: Highest surface temperature that data sheets of 18650 cells allow while discharging, degC.
_UPPER_DEGC = {"LFP": 60.0, "LCO": 60.0, "NCA": 60.0, "NMC": 60.0}
#: Signals with fixed limits, and the share of the training range added on either side where none are given.
_ELECTRIC = ("voltage_V", "current_A")
_SLACK = 0.05
_STRAY = 3e-3


class Bounds(nn.Module):
    """Mean, over points, of how far outside its bounds each signal is, in shares of the width of the bounds, summed.

    Temperature: from the colder of ambient and start temperature (so that -20 degC is fine at an ambient of -20 degC) less
    `margin_degC` and less the furthest that training records go below it, up to the highest of the training records plus
    `margin_degC`, to the limit of `chemistry` (LFP, LCO, NCA, NMC) where that is higher, or to `upper_degC` where given.
    Voltage and current: `voltage_V`, `current_A` as [low, high], else the training range with 5 % of its width
    on either side. A record passes where it is outside by no more than 0.3 % of the width on average: a stray reading.
    """

    name = "bounds"

    low: Tensor
    high: Tensor
    width: Tensor
    tolerance: Tensor

    def __init__(
        self,
        *,
        weight: float = 1.0,
        margin_degC: float = 3.0,
        upper_degC: float | None = None,
        chemistry: str | None = None,
        voltage_V: Sequence[float] | None = None,
        current_A: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if chemistry is not None and chemistry not in _UPPER_DEGC:
            raise ConfigError(
                f"model.physics.bounds.chemistry: {chemistry!r} is none of {', '.join(_UPPER_DEGC)}; "
                "give model.physics.bounds.upper_degC instead."
            )
        for key, limits in (("voltage_V", voltage_V), ("current_A", current_A)):
            if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
                raise ConfigError(f"model.physics.bounds.{key}={list(limits)} must be [low, high].")
        self.weight = weight
        self.margin_degC = margin_degC
        self.upper_degC = upper_degC
        self.chemistry = chemistry
        self.limits = {"voltage_V": voltage_V, "current_A": current_A}
        # One entry each for temperature (low: relative to the colder of ambient and start), voltage and current.
        for name in ("low", "high", "width"):
            self.register_buffer(name, torch.zeros(1 + len(_ELECTRIC)))
        self.register_buffer("tolerance", torch.zeros(()))

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Take the bounds from the training records. ConfigError where no signal has any, or temperature no ambient."""
        valid = view.mask > 0
        if "temperature_degC" in view.signals:
            value = temperature(view, self.name)
            upper = float(value[valid].max()) + self.margin_degC
            if self.chemistry is not None:
                upper = max(upper, _UPPER_DEGC[self.chemistry])
            below = float((value - self._coldest(view)[:, None])[valid].min())
            self._set(0, min(below, 0.0) - self.margin_degC, upper if self.upper_degC is None else self.upper_degC)
            self.width[0] = self.high[0] - self._coldest(view).mean() - self.low[0]
        elif not any(name in view.signals for name in _ELECTRIC):
            raise ConfigError(
                "model.physics.bounds needs one of temperature_degC, voltage_V, current_A in preprocessing.signals; "
                "set model.physics.bounds=null."
            )
        for i, name in enumerate(_ELECTRIC, start=1):
            if name in view.signals:
                value, given = view.signals[name][valid], self.limits[name]
                lowest, highest = float(value.min()), float(value.max())
                slack = max(_SLACK * (highest - lowest), 1e-3)
                self._set(i, *((lowest - slack, highest + slack) if given is None else given))
        self.tolerance.fill_(max(tolerance(self._penalty(view)), _STRAY))

    def _set(self, index: int, low: float, high: float) -> None:
        self.low[index], self.high[index], self.width[index] = low, high, high - low

    def _coldest(self, view: PhysicalView) -> Tensor:
        surroundings, start = ambient(view, self.name), view.start_temperature_degC
        return surroundings if start is None else torch.minimum(surroundings, start)

    def _penalty(self, view: PhysicalView) -> Tensor:
        """(B,) mean distance outside the bounds, in widths."""
        total = torch.zeros_like(view.step_s)
        for i, name in enumerate(("temperature_degC", *_ELECTRIC)):
            if name in view.signals:
                value, low = view.signals[name], self.low[i]
                low = self._coldest(view)[:, None] + low if i == 0 else low
                outside = (low - value).clamp_min(0.0) + (value - self.high[i]).clamp_min(0.0)
                total = total + row_mean(outside, view.mask) / self.width[i]
        return total

    def forward(self, view: PhysicalView) -> Tensor:
        """Scalar, shares of the width of the bounds."""
        return self._penalty(view).mean()

    def passes(self, view: PhysicalView) -> Tensor:
        """(B,) bool."""
        return self._penalty(view) <= self.tolerance
