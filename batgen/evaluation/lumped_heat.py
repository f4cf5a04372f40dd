"""Heat does not come from nowhere: how far a temperature is from what its current makes of it."""

from dataclasses import dataclass

import numpy as np

from batgen.data.curve_set import CurveSet


@dataclass(frozen=True)
class LumpedHeat:
    """dT/dt = a I^2 + b |I| + c (T_ambient - T) + d, one law for all cells: Joule and reaction heat, cooling.

    weights (4,): a, b, c, d, fitted by least squares to the integral of the law along measured curves, so that no slope of a
    noisy reading is ever taken: T(t) - T(0) = a int I^2 dt + ... Each curve has a T(0) of its own. Without a current signal the
    columns c_rate and c_rate_rms stand for it, the same for all of the curve. Where ambient_degC is not known, T(0) is taken.
    Source: lumped energy balance, Bernardi et al. 1985 with the overpotential as a I + b; the integral form is ours.
    """

    weights: np.ndarray

    @classmethod
    def fit(cls, curves: CurveSet) -> "LumpedHeat | None":
        """From measured curves; None without temperature, time or current."""
        if not known(curves).any():
            return None
        rows = np.flatnonzero(known(curves))
        terms, rise = _terms(curves.take(rows))
        flat = terms.reshape(-1, terms.shape[-1])
        scale = np.maximum(np.sqrt(np.square(flat).mean(axis=0)), 1e-12)
        weights = np.linalg.lstsq(flat / scale, rise.ravel(), rcond=None)[0] / scale
        return cls(weights)

    def residual_degC(self, curves: CurveSet) -> np.ndarray:
        """(N,) root mean square over points of T - the temperature that the law gives, K; NaN where the law cannot be asked,
        inf where a signal is not finite. Points count by the record, not by time."""
        able, broken = _able(curves), ~_sound(curves)
        found = np.full(len(curves), np.nan)
        rows = np.flatnonzero(able & ~broken)
        if len(rows):
            terms, rise = _terms(curves.take(rows))
            found[rows] = np.sqrt(np.square(rise - terms @ self.weights).mean(axis=1))
        found[able & broken] = np.inf
        return found


def known(curves: CurveSet) -> np.ndarray:
    """(N,) bool: curves whose temperature, time and current are known and finite."""
    return _able(curves) & _sound(curves)


def _able(curves: CurveSet) -> np.ndarray:
    if not curves.has("temperature_degC", "time_s"):
        return np.zeros(len(curves), dtype=bool)
    if curves.has("current_A"):
        return np.ones(len(curves), dtype=bool)
    return np.isfinite(curves.column("c_rate")) & np.isfinite(curves.column("c_rate_rms"))


def _sound(curves: CurveSet) -> np.ndarray:
    names = [name for name in ("temperature_degC", "time_s", "current_A") if curves.has(name)]
    return np.isfinite(curves.only(names).values).all(axis=(1, 2))


def _terms(curves: CurveSet) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of the law's terms (N, P, 4), s times their units, and the temperature (N, P), less their means over points."""
    temperature = curves.signal("temperature_degC").astype(np.float64)
    time = curves.signal("time_s").astype(np.float64)
    if curves.has("current_A"):
        size = np.abs(curves.signal("current_A").astype(np.float64))
        square = np.square(size)
    else:
        size, square = (
            np.broadcast_to(one[:, None], time.shape)
            for one in (np.abs(curves.column("c_rate")), np.square(curves.column("c_rate_rms")))
        )
    ambient = curves.column("ambient_degC")[:, None]
    cooling = np.where(np.isfinite(ambient), ambient, temperature[:, :1]) - temperature
    rates = np.stack([square, size, cooling, np.ones_like(size)], axis=-1)
    step = np.diff(time, axis=1)[..., None]
    total = np.zeros_like(rates)
    total[:, 1:] = np.cumsum(0.5 * (rates[:, 1:] + rates[:, :-1]) * step, axis=1)
    return total - total.mean(axis=1, keepdims=True), temperature - temperature.mean(axis=1, keepdims=True)
