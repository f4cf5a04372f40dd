"""The lumped thermal model of a cell: what a temperature does under a current, with four numbers."""

import numpy as np
import torch
from scipy.optimize import least_squares, lsq_linear
from torch import Tensor, nn

from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.slopes import slope, window_ends, window_mean

#: Records that the output-error fit looks at: four numbers need no more, and the cost is linear in them.
_MOST_RECORDS = 300
#: Weight of the ridge of the regression, in units of the standardised columns. Within one protocol I^2 and |I| are
#: collinear; the ridge shares the heat between them instead of letting them cancel.
_RIDGE = 1e-3
#: Smallest h, 1/s: a loss this slow is none, and h * offset can still be any constant heat.
_SLOWEST = 1e-7
#: Usual sizes of a, b, h and h * offset, and the step of the output-error fit in these.
_SCALE = np.array([5e-3, 5e-3, 5e-4, 5e-3])
_STEP = 1e-3


def _known(value: Tensor | None, name: str) -> Tensor:
    if value is None or not bool(torch.isfinite(value).all()):
        raise ValueError(f"the thermal model needs {name} of every record, and it is missing.")
    return value


class ThermalModel(nn.Module):
    """dT/dt = a I^2 + b |I| - h (T - T_ambient - offset), with a, h >= 0.

    I in C (current over nominal capacity), T in degC, rates in degC/s; 1 / h is the thermal time constant in seconds.
    a is Joule heat, b the reversible heat (of either sign), h the loss to the surroundings and offset how much warmer
    those are than the ambient that the records state. The lumped balance of Bernardi, Pawlikowski & Newman
    (J. Electrochem. Soc. 132, 1985), heat capacity divided out.

    window_s: seconds over which slopes are taken. NASA temperatures are read to 0.006 degC: 0.03 degC/min from one point to
    the next, 0.002 over 5 minutes, where the model's own residual is 0.19 degC/min (0.23 over one minute, 0.15 over ten).
    refine: after the regression of slopes, fit the simulated temperature to the measured one, its peak as much as all other
    points together. NASA cells held out one at a time, constant currents: peak error of the simulation 2.1 -> 1.6 degC and
    RMSE 1.8 -> 1.6 on discharge, 2.7 -> 1.5 and 2.2 -> 1.6 on charge; time constant 98 -> 38 and 24 -> 6 min. Without the
    weight on the peak the RMSE is 0.2 lower and the peak error 0.8 degC higher.
    """

    a: Tensor
    b: Tensor
    h: Tensor
    offset: Tensor

    def __init__(self, *, window_s: float = 300.0, refine: bool = True) -> None:
        super().__init__()
        self.window_s = window_s
        self.refine = refine
        for name in ("a", "b", "h", "offset"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def fit(self, view: PhysicalView) -> None:
        """Fit the four numbers on measured records. ValueError where temperature, ambient or start is not known."""
        if "temperature_degC" not in view.signals:
            raise ValueError("the thermal model needs the signal temperature_degC.")
        ambient = _known(view.ambient_degC, "ambient_degC")
        ends = window_ends(view.step_s, view.mask, self.window_s)
        temperature = view.signals["temperature_degC"]
        terms = (view.current_sq_C2, view.current_C, -(temperature - ambient[:, None]), torch.ones_like(temperature))
        valid = view.mask > 0
        columns = np.stack([window_mean(term, ends)[valid].double().cpu().numpy() for term in terms], axis=1)
        target = slope(temperature, view.step_s, ends)[valid].double().cpu().numpy()
        found = _regression(columns, target)
        if self.refine:
            found = self._output_error(view, found)
        self._set(found)

    def _set(self, found: np.ndarray) -> None:
        a, b, h, constant = (float(value) for value in found)
        h = max(h, _SLOWEST)
        offset = constant / h
        for name, value in (("a", a), ("b", b), ("h", h), ("offset", offset)):
            getattr(self, name).fill_(value)

    def _output_error(self, view: PhysicalView, start: np.ndarray) -> np.ndarray:
        """The numbers (a, b, h, h * offset) that bring the simulated temperature and its peak nearest to the measured."""
        _known(view.start_temperature_degC, "start_temperature_degC")
        keep = torch.linspace(0, len(view.mask) - 1, min(len(view.mask), _MOST_RECORDS)).round().long()
        view = _rows(view, keep.to(view.mask.device))
        measured = view.signals["temperature_degC"]
        weight = (view.mask / view.mask.sum(1, keepdim=True)).sqrt()
        behind = view.mask == 0
        peak = measured.masked_fill(behind, -torch.inf).amax(1)

        def error(scaled: np.ndarray) -> np.ndarray:
            self._set(scaled * _SCALE)
            simulated = self.simulate(view)
            off = ((simulated - measured) * weight).flatten()
            off_peak = simulated.masked_fill(behind, -torch.inf).amax(1) - peak
            return torch.cat([off, off_peak]).double().cpu().numpy()

        def slopes(scaled: np.ndarray) -> np.ndarray:
            here = error(scaled)
            return np.stack([(error(scaled + _STEP * unit) - here) / _STEP for unit in np.eye(4)], axis=1)

        low = np.array([0.0, -np.inf, _SLOWEST / _SCALE[2], -np.inf])
        begin = np.maximum(start / _SCALE, low)
        return least_squares(error, begin, slopes, bounds=(low, np.inf), ftol=1e-5, max_nfev=30).x * _SCALE

    def rate(self, view: PhysicalView) -> Tensor:
        """(B, P) dT/dt of the model at the temperatures of the view, degC/s."""
        ambient = _known(view.ambient_degC, "ambient_degC")
        excess = view.signals["temperature_degC"] - ambient[:, None] - self.offset
        return self.a * view.current_sq_C2 + self.b * view.current_C - self.h * excess

    def residual(self, view: PhysicalView) -> Tensor:
        """(B, P) slope of the view's temperature minus the model's, both over `window_s`, degC/min."""
        ends = window_ends(view.step_s, view.mask, self.window_s)
        measured = slope(view.signals["temperature_degC"], view.step_s, ends)
        return 60.0 * (measured - window_mean(self.rate(view), ends))

    def simulate(self, view: PhysicalView) -> Tensor:
        """(B, P) temperature from the start temperature on, degC; needs no measured temperature.

        Exact for currents that are constant between points (the mean of the two ends is taken).
        """
        ambient = _known(view.ambient_degC, "ambient_degC")
        begin = _known(view.start_temperature_degC, "start_temperature_degC")
        heat = self.a * view.current_sq_C2 + self.b * view.current_C + self.h * self.offset
        heat = (heat[:, 1:] + heat[:, :-1]) / 2
        exponent = (self.h * view.step_s)[:, None]
        # (1 - exp(-h dt)) / h, and its limit dt where nothing is lost.
        gain = torch.where(exponent > 1e-6, -torch.expm1(-exponent) / self.h.clamp_min(1e-12), view.step_s[:, None])
        rise = torch.cat([(begin - ambient)[:, None], heat * gain], dim=1)
        # y_j = u_j + r y_(j-1), for all j in log2(P) rounds: after each, y holds the sum over twice as many points.
        shift = 1
        while shift < rise.shape[1]:
            earlier = nn.functional.pad(rise[:, :-shift], (shift, 0))
            rise = rise + torch.exp(-exponent * shift) * earlier
            shift *= 2
        return ambient[:, None] + rise


def _regression(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(a, b, h, h * offset) by least squares, a, h >= 0, with a slight ridge on the first two."""
    scale = np.sqrt((columns**2).mean(0)).clip(1e-12)
    penalty = np.sqrt(_RIDGE * len(columns)) * np.eye(4)[:2]
    found = lsq_linear(
        np.concatenate([columns / scale, penalty]),
        np.concatenate([target, np.zeros(2)]),
        bounds=([0.0, -np.inf, 0.0, -np.inf], np.inf),
    )
    return found.x / scale


def _rows(view: PhysicalView, keep: Tensor) -> PhysicalView:
    def part(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[keep]

    return PhysicalView(
        {name: value[keep] for name, value in view.signals.items()},
        view.step_s[keep],
        view.mask[keep],
        view.current_C[keep],
        view.current_sq_C2[keep],
        part(view.ambient_degC),
        part(view.start_temperature_degC),
    )
