"""Profiles over a thermal model: the network says only by how much the temperature departs from it."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.physical import base_of, physical_view
from batgen.models.layers.thermal import ThermalModel


class ThermalResidual(nn.Module):
    """x of the network -> x with the temperature of the thermal model added, under the current and duration that x says.

    The simulation is part of the graph: a generated current or duration that makes too much heat is corrected through it.
    Raises ConfigError where temperature, ambient, start temperature or every sign of the current is missing.
    """

    def __init__(self, shape: DataShape) -> None:
        super().__init__()
        if "temperature_degC" not in shape.slices:
            raise ConfigError("model.thermal=true needs the signal temperature_degC. Add it to preprocessing.signals.")
        needed = ["ambient_degC", "start_temperature_degC"] + ["c_rate", "c_rate_rms"] * (
            "current_A" not in shape.slices
        )
        for name in needed:
            if name not in shape.cond_names:
                raise ConfigError(f"model.thermal=true needs the condition {name}. Add it to preprocessing.conditions.")
        self.shape, self.place = shape, shape.slices.index("temperature_degC")
        self.thermal = ThermalModel()
        base_of(torch.zeros(1, len(shape.cond_names)), shape)  # refuses what cannot be

    def fit(self, x: Tensor, cond: Tensor) -> None:
        """Fit the thermal model to training profiles x (N, *x_shape) under conditions (N, C)."""
        ones = torch.ones(len(x), dtype=x.dtype, device=x.device)
        self.thermal.fit(physical_view(x, cond, base_of(cond, self.shape), ones, self.shape))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """(B, *x_shape) -> (B, *x_shape), differentiable in x."""
        # In float32 whatever the precision of the rest: exponentials over hours of seconds are too coarse in half.
        with torch.autocast(x.device.type, enabled=False):
            x, scales = x.float(), self.shape.profile
            assert scales is not None
            base = base_of(cond, self.shape)
            ones = torch.ones(len(x), dtype=x.dtype, device=x.device)
            degC = self.thermal.simulate(physical_view(x, cond, base, ones, self.shape))
            known = (degC - base[:, self.place] - scales.centre[self.place]) / scales.scale[self.place]
            channels = list(x.unbind(1))
            departure = channels[self.place]
            if scales.relative == "start":  # where the simulation begins too
                departure = departure - departure[:, :1]
            channels[self.place] = departure + known
            return torch.stack(channels, dim=1)
