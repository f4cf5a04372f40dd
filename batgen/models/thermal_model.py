"""Baseline: the lumped thermal model alone."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Features, quadratic
from batgen.models.layers.physical import PhysicalView, base_of, physical_view
from batgen.models.layers.ridge import predict, ridge
from batgen.models.layers.thermal import ThermalModel


class ThermalProfile(nn.Module):
    """Temperature simulated from the start temperature, the ambient and a constant current; the log-duration and all other
    signals by ridge on the conditions, their squares and products. Deterministic: all draws are the same.

    alphas: penalties of the ridge, chosen from by leaving out cells.
    """

    ACCEPTS = ("profiles",)
    REQUIRES = ("ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms")

    weights: Tensor

    def __init__(self, shape: DataShape, *, alphas: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)) -> None:
        super().__init__()
        for name in self.REQUIRES:
            if name not in shape.cond_names:
                raise ConfigError(f"the thermal model needs the condition {name}. Add it to preprocessing.conditions.")
        if "temperature_degC" not in shape.slices:
            raise ConfigError("model=thermal_model needs temperature_degC among preprocessing.signals.")
        base_of(torch.zeros(1, len(shape.cond_names)), shape)  # refuses what cannot be
        self.shape = shape
        self.alphas = tuple(alphas)
        self.index = shape.slices.index("temperature_degC")
        self.others = [i for i in range(len(shape.slices) - 1) if i != self.index]
        self.thermal = ThermalModel()
        self.features = Features(shape.cond_names)
        self.register_buffer("weights", torch.empty(0, 0))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Fit the thermal model and the ridge on x (N, S + 1, P), cond (N, C), cell (N,)."""
        view = physical_view(x, cond, base_of(cond, self.shape), torch.ones_like(x[:, 0, 0]), self.shape)
        # Constant currents, as in `sample`, also where the data hold the measured one.
        self.thermal.fit(self._steady(view, cond))
        self.features.fit(cond)
        target = torch.cat([x[:, self.others].flatten(1), x[:, -1].mean(1, keepdim=True)], dim=1)
        self.weights = ridge(quadratic(self.features(cond)), target, cell, self.alphas)[0]

    def _column(self, cond: Tensor, name: str) -> Tensor:
        return cond[:, self.shape.cond_names.index(name)]

    def _steady(self, view: PhysicalView, cond: Tensor) -> PhysicalView:
        points = view.mask.shape[1]
        return replace(
            view,
            current_C=self._column(cond, "c_rate")[:, None].expand(-1, points),
            current_sq_C2=self._column(cond, "c_rate_rms").square()[:, None].expand(-1, points),
        )

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, S + 1, P), scaled; `generator` is not used."""
        found = predict(quadratic(self.features(cond)), self.weights)
        x = cond.new_zeros(len(cond), *self.shape.x_shape)
        x[:, self.others] = found[:, :-1].unflatten(1, (len(self.others), x.shape[-1]))
        x[:, -1] = found[:, -1:]
        base = base_of(cond, self.shape)
        view = physical_view(x, cond, base, torch.ones_like(x[:, 0, 0]), self.shape)
        temperature = self.thermal.simulate(self._steady(view, cond))
        # Behind the end of a record the last value is held, as preprocessing does.
        last = view.mask.sum(1, keepdim=True).long() - 1
        steps = torch.arange(x.shape[-1], device=x.device)[None]
        temperature = temperature.gather(1, torch.minimum(steps, last))
        scales = self.shape.profile
        assert scales is not None, "profiles come with their scales"
        known = base[:, self.index] + scales.centre[self.index]
        x[:, self.index] = (temperature - known) / scales.scale[self.index]
        return x.expand(n, *x.shape)
