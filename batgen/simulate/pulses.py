"""Pulse tests in the published order U1..U21 (PulseBat; Tao et al., Nature Communications 15, 10154, 2024), simulated.

After a rest (U1), pulses of 5 s at +0.5C, -0.5C, +1C, -1C, +1.5C (+ is charge), each followed by 75 s of rest. A pulse
gives four voltages: begin and end of the pulse, begin and end of the rest; U21 is the end of the last rest. SOC counts
from empty and is relative to nominal capacity, not to what the aged cell holds.

LFP is the virtual cell of `cell_model` at its 1.1 Ah; NMC is PyBaMM's `Chen2020` (LG M50, NMC811; Chen et al., J.
Electrochem. Soc. 167, 080534, 2020) at its 5 Ah. How SOH maps to loss of lithium, loss of electrodes, resistance and
kinetics is invented, with scatter between cells; the factors on exchange current and diffusion were set by eye against
the size and shape of measured pulses. Isothermal, 25 degC. No LMO: PyBaMM has no such parameter set.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pybamm

from batgen.simulate import cell_model as m

PULSE_C_RATES = (0.5, -0.5, 1.0, -1.0, 1.5)
PULSE_S, REST_S = 5.0, 75.0
SOC_LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 11))
CELLS_PER_CHEMISTRY = 30
FEATURES = tuple(f"U{k}" for k in range(1, 22))
_START_S, _EDGE_S = 1.0, 0.01


def schedule() -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """Times (21,) at which U1..U21 are read, and the pulses as (start, end, C-rate)."""
    times, pulses, t = [_START_S / 2], [], _START_S
    for rate in PULSE_C_RATES:
        pulses.append((t, t + PULSE_S, rate))
        times += [t + _EDGE_S, t + PULSE_S - _EDGE_S, t + PULSE_S + _EDGE_S, t + PULSE_S + REST_S - _EDGE_S]
        t += PULSE_S + REST_S
    return np.array(times), pulses


@dataclass(frozen=True)
class _Chemistry:
    """What differs between the two: parameter set, window, resistance of the fresh cell (Ohm), factors on kinetics."""

    name: str
    parameters: str
    capacity_Ah: float
    window_V: tuple[float, float]
    resistance_Ohm: float
    exchange: float
    diffusion: float


CHEMISTRIES = (
    _Chemistry("LFP", "Prada2013", m.NOMINAL_CAPACITY_AH, (2.5, 3.6), 0.017, 1.8, 0.8),
    _Chemistry("NMC", "Chen2020", 5.0, (2.5, 4.2), 0.008, 4.0, 0.5),
)


class _Balance:
    """Open-circuit curves of one set in plain numpy, and the stoichiometries of a cell that has lost some of each."""

    def __init__(self, chemistry: _Chemistry, parameters: pybamm.ParameterValues) -> None:
        p = parameters
        area = p["Electrode height [m]"] * p["Electrode width [m]"]
        if chemistry.name == "LFP":
            self.q_n, self.q_p, self.lithium = m.Q_N_AH, m.Q_P_AH, m.LITHIUM_AH
            self.positive: Callable = m.lfp_ocp
        else:
            self.q_n, self.q_p = (
                p[f"Maximum concentration in {side} electrode [mol.m-3]"]
                * p[f"{side.capitalize()} electrode active material volume fraction"]
                * p[f"{side.capitalize()} electrode thickness [m]"]
                * area
                * 96485.33
                / 3600
                for side in ("negative", "positive")
            )
            self.positive = lambda y: self._table(p["Positive electrode OCP [V]"], y)
            self.lithium = self._fresh_lithium(p)
        self.negative: Callable = lambda x: self._table(p["Negative electrode OCP [V]"], x)
        self.window = chemistry.window_V

    @staticmethod
    def _table(curve: Callable, sto: np.ndarray) -> np.ndarray:
        flat = np.atleast_1d(np.asarray(sto, float))
        return np.asarray(curve(pybamm.Vector(flat)).evaluate()).reshape(flat.shape)

    def _fresh_lithium(self, p: pybamm.ParameterValues) -> float:
        x = p["Initial concentration in negative electrode [mol.m-3]"]
        y = p["Initial concentration in positive electrode [mol.m-3]"]
        return float(
            x / p["Maximum concentration in negative electrode [mol.m-3]"] * self.q_n
            + y / p["Maximum concentration in positive electrode [mol.m-3]"] * self.q_p
        )

    def x_at(self, voltage: float, lithium: np.ndarray, q_n: np.ndarray, q_p: np.ndarray) -> np.ndarray:
        low = np.maximum(1e-4, (lithium - q_p * (1 - 1e-4)) / q_n)
        high = np.minimum(1 - 1e-4, (lithium - q_p * 1e-4) / q_n)
        for _ in range(45):
            x = (low + high) / 2
            below = self.positive((lithium - x * q_n) / q_p) - self.negative(x) < voltage
            low, high = np.where(below, x, low), np.where(below, high, x)
        return (low + high) / 2

    def capacity(self, lithium: np.ndarray, q_n: np.ndarray, q_p: np.ndarray) -> np.ndarray:
        """Charge between the rest voltages of the window, Ah (n,)."""
        low, high = (self.x_at(v, lithium, q_n, q_p) for v in self.window)
        return (high - low) * q_n

    def aged(self, soh: np.ndarray, q_n: np.ndarray, q_p: np.ndarray) -> np.ndarray:
        """Lithium (Ah, n) that makes the window hold `soh` of what the fresh cell holds."""
        one = np.ones(1)
        target = soh * self.capacity(self.lithium * one, self.q_n * one, self.q_p * one)
        low, high = 0.4 * self.lithium * np.ones_like(soh), 1.05 * self.lithium * np.ones_like(soh)
        for _ in range(40):
            middle = (low + high) / 2
            less = self.capacity(middle, q_n, q_p) < target
            low, high = np.where(less, middle, low), np.where(less, high, middle)
        return (low + high) / 2


def _simulation(chemistry: _Chemistry, p: pybamm.ParameterValues) -> pybamm.Simulation:
    inp = pybamm.InputParameter
    base = {
        side: (
            p[f"{side} electrode exchange-current density [A.m-2]"],
            p[f"{side} particle diffusivity [m2.s-1]"],
            p[f"{side} electrode active material volume fraction"],
            p[f"Maximum concentration in {side.lower()} electrode [mol.m-3]"],
        )
        for side in ("Negative", "Positive")
    }
    _, pulses = schedule()

    def current(t: pybamm.Symbol) -> pybamm.Symbol:
        return sum(-rate * chemistry.capacity_Ah * ((t >= a) * (t < b)) for a, b, rate in pulses)

    update = {"Contact resistance [Ohm]": inp("R0"), "Current function [A]": current}
    for side, (exchange, diffusion, fraction, maximum) in base.items():
        s = side[0].lower()
        update[f"Initial concentration in {side.lower()} electrode [mol.m-3]"] = inp(f"sto_{s}") * maximum
        update[f"{side} electrode active material volume fraction"] = fraction * inp(f"keep_{s}")
        update[f"{side} electrode exchange-current density [A.m-2]"] = lambda ce, cs, cm, T, f=exchange: (
            inp("k_exchange") * f(ce, cs, cm, T)
        )
        update[f"{side} particle diffusivity [m2.s-1]"] = lambda sto, T, f=diffusion: (
            inp("k_diffusion") * (f(sto, T) if callable(f) else f)
        )
    p.update(update, check_already_exists=False)
    model = pybamm.lithium_ion.SPM({"contact resistance": "true"})
    model.events = []
    solver = pybamm.IDAKLUSolver(output_variables=["Voltage [V]"], rtol=1e-6, atol=1e-8)
    return pybamm.Simulation(model, parameter_values=p, solver=solver)


def solve_pulses(seed: int) -> pd.DataFrame:
    """chemistry, cell_id, soc, soh (fractions), nominal_capacity_Ah, U1..U21 (V); 2 chemistries x 30 cells x 10 SOC."""
    tables = [_solve(c, np.random.default_rng([seed, k])) for k, c in enumerate(CHEMISTRIES)]
    return pd.concat(tables, ignore_index=True)


def _solve(chemistry: _Chemistry, rng: np.random.Generator) -> pd.DataFrame:
    p = m.pulse_parameters() if chemistry.name == "LFP" else pybamm.ParameterValues(chemistry.parameters)
    balance = _Balance(chemistry, p)
    n = CELLS_PER_CHEMISTRY
    soh = np.sort(rng.uniform(0.6, 1.0, n))[::-1].round(4)
    lost = 1 - soh
    keep_n = 1 - 0.30 * lost * rng.normal(1, 0.3, n)
    keep_p = 1 - 0.25 * lost * rng.normal(1, 0.3, n)
    q_n, q_p = balance.q_n * keep_n, balance.q_p * keep_p
    lithium = balance.aged(soh, q_n, q_p)
    empty = balance.x_at(balance.window[0], lithium, q_n, q_p)
    cell_inputs = {
        "R0": chemistry.resistance_Ohm * (1 + 1.8 * lost) * np.exp(0.12 * rng.standard_normal(n)),
        "k_exchange": chemistry.exchange * (1 - 0.9 * lost) * np.exp(0.15 * rng.standard_normal(n)),
        "k_diffusion": chemistry.diffusion * (1 - 0.8 * lost) * np.exp(0.15 * rng.standard_normal(n)),
        "keep_n": keep_n,
        "keep_p": keep_p,
    }
    cell, level = (a.ravel() for a in np.meshgrid(np.arange(n), SOC_LEVELS, indexing="ij"))
    charge = (level + 0.002 * rng.standard_normal(level.size)) * chemistry.capacity_Ah  # SOC is set with a small error
    x = empty[cell] + charge / q_n[cell]
    columns = {k: v[cell] for k, v in cell_inputs.items()} | {"sto_n": x}
    columns["sto_p"] = (lithium[cell] - x * q_n[cell]) / q_p[cell]
    rows = [{k: float(v[i]) for k, v in columns.items()} for i in range(level.size)]

    times, pulses = schedule()
    breaks = np.unique([0.0, *(t for a, b, _ in pulses for t in (a, b)), times[-1] + 1])
    solved = _simulation(chemistry, p).solve(breaks, t_interp=np.array([*times, breaks[-1]]), inputs=rows)
    voltages = np.array([np.interp(times, s.t, s["Voltage [V]"].data) for s in solved])
    table = pd.DataFrame(
        {
            "chemistry": chemistry.name,
            "cell_id": [f"sim_{chemistry.name.lower()}_{c + 1:02d}" for c in cell],
            "soc": level,
            "soh": soh[cell],
            "nominal_capacity_Ah": chemistry.capacity_Ah,
        }
    )
    return pd.concat([table, pd.DataFrame(voltages, columns=list(FEATURES))], axis=1)
