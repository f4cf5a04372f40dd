"""Profiles in physical units, inside the graph: what physics losses and the thermal model look at."""

from dataclasses import dataclass

import torch
from torch import Tensor

from batgen.errors import ConfigError
from batgen.models.base import DataShape

#: Log-durations further than this from what training saw (in its standard deviations) are taken as this: an untrained
#: generator must not ask for exp(100) seconds.
_FAR = 8.0


@dataclass
class PhysicalView:
    """Profiles of B records on P points, differentiable in what was generated.

    signals: name -> (B, P) in the unit of the name; step_s (B,) seconds between points; mask (B, P) 1.0 up to the end of
    the record and 0.0 behind it; current_C (B, P) |I| over nominal capacity and current_sq_C2 (B, P) its square: of the
    generated current where current is a signal, else of the conditions c_rate and c_rate_rms, constant along the
    record; ambient_degC and start_temperature_degC (B,), None where they are no conditions.
    """

    signals: dict[str, Tensor]
    step_s: Tensor
    mask: Tensor
    current_C: Tensor
    current_sq_C2: Tensor
    ambient_degC: Tensor | None
    start_temperature_degC: Tensor | None

    @property
    def time_s(self) -> Tensor:
        """(B, P)."""
        return self.step_s[:, None] * torch.arange(self.mask.shape[1], device=self.mask.device)


def physical_view(x: Tensor, cond: Tensor, base: Tensor, base_duration_s: Tensor, shape: DataShape) -> PhysicalView:
    """x (B, S + 1, P) scaled, cond (B, C), base (B, S, P), base_duration_s (B,) -> the same records in physical units.

    A condition that is not known gives no current (zeros) or None. The mask carries no gradient.
    """
    scales = shape.profile
    assert scales is not None, "profiles come with their scales"
    count, points = x.shape[0], x.shape[-1]
    centre, scale = (torch.tensor(v, dtype=x.dtype, device=x.device) for v in (scales.centre, scales.scale))
    values = x[:, :-1] * scale[:-1, None] + centre[:-1, None] + base
    signals = {name: values[:, i] for i, name in enumerate(shape.slices[:-1])}
    duration = base_duration_s * (x[:, -1].mean(1).clamp(-_FAR, _FAR) * scale[-1] + centre[-1]).exp()
    steps = torch.arange(points, device=x.device)
    if scales.step_s is None:
        step, mask = duration / (points - 1), torch.ones(count, points, dtype=x.dtype, device=x.device)
    else:
        step = torch.full_like(duration, scales.step_s)
        mask = ((steps - 0.5) * scales.step_s <= duration.detach()[:, None]).to(x.dtype)
    known = {name: cond[:, i] for i, name in enumerate(shape.cond_names)}
    if "current_A" in signals:
        rate = signals["current_A"].abs() / scales.nominal_capacity_Ah
        square = rate.square()
    else:
        flat = torch.zeros(count, dtype=x.dtype, device=x.device)
        rate = known.get("c_rate", flat)[:, None].expand(-1, points)
        square = known.get("c_rate_rms", known.get("c_rate", flat)).square()[:, None].expand(-1, points)
    return PhysicalView(
        signals, step, mask, rate, square, known.get("ambient_degC"), known.get("start_temperature_degC")
    )


def base_of(cond: Tensor, shape: DataShape) -> Tensor:
    """(B, S, P) what is subtracted from profiles with these conditions: the start temperature, or nothing.

    Raises ConfigError in reference mode, where that is another record's, or where the start temperature is no condition.
    """
    scales = shape.profile
    assert scales is not None, "profiles come with their scales"
    base = torch.zeros(len(cond), shape.x_shape[0] - 1, shape.x_shape[1], dtype=cond.dtype, device=cond.device)
    if scales.relative == "none":
        return base
    if scales.relative != "start":
        raise ConfigError(
            f"preprocessing.relative={scales.relative}: a thermal model starts from a temperature, not from another "
            "record. Use preprocessing.relative=start, or another model."
        )
    if "start_temperature_degC" not in shape.cond_names:
        raise ConfigError(
            "model: a thermal model needs the condition start_temperature_degC. Add it to preprocessing.conditions."
        )
    start = cond[:, shape.cond_names.index("start_temperature_degC")]
    base[:, shape.slices.index("temperature_degC")] = start[:, None]
    return base
