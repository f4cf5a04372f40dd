"""The virtual cell: single particle model with lumped heat, one compiled model per phase, every parameter an input.

Electrodes are PyBaMM's `Prada2013` (the A123 26650 LFP/graphite cell; Prada et al., J. Electrochem. Soc. 160, A616,
2013), its area scaled from 2.3 to 1.1 Ah. That set has no thermal data, and some of the rest is calibrated:

- the slope of the LFP plateau is raised from 0.02 to 0.15 V over the stoichiometry range. With the published slope
  every 4C discharge is non-monotone in voltage (self-heating lifts the flat plateau), so that Qd(V) does not exist.
  0.15 V is the smallest of four tried values that cures it at 30 degC: a calibration, without a source. It does not
  hold at 20 degC, so no cell is tested there;
- diffusion in graphite, exchange currents, ohmic resistance, cooling and heat capacity were set by eye so that voltages
  and temperatures of fast charge and 4C discharge lie near those of an 18650-size A123 cell (Severson et al., Nature
  Energy 4, 383, 2019). They are not an identification of that cell.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pybamm

NOMINAL_CAPACITY_AH = 1.1
VOLTAGE_MAX_V = 3.6
VOLTAGE_MIN_V = 2.0
CUTOFF_C_RATE = 0.02
STEP_END = 0.8  # fraction of nominal capacity where the fast part ends and 1C CC-CV begins
LFP_SLOPE_V = 0.15

EPS_N, EPS_P = 0.58, 0.374
HEAT_CAPACITY_J_K = 55.0
SURFACE_M2 = 4.2e-3
VOLUME_M3 = 1.65e-5
# A 2.3 Ah cell scaled to 1.1 Ah, and 2.5 % more: fresh cells of this type hold about 1.07 Ah.
_HEIGHT_M = 0.6 * NOMINAL_CAPACITY_AH / 2.3 * 1.025
_AREA_M2 = 0.3 * _HEIGHT_M
_CN_MAX, _CP_MAX = 30555.0, 22806.0
_D_N, _D_P = 3e-14, 5.9e-18
_FARADAY, _GAS = 96485.33, 8.314
# Width, in fraction of nominal capacity, of the smooth current step: about 0.02 s at 4C, far inside the stored window.
_STEP_WIDTH = 2e-5

Q_N_AH = EPS_N * 3.4e-5 * _AREA_M2 * _CN_MAX * _FARADAY / 3600
Q_P_AH = EPS_P * 8e-5 * _AREA_M2 * _CP_MAX * _FARADAY / 3600
#: Cyclable lithium of the fresh cell: graphite 81 % full when LFP is all but empty.
LITHIUM_AH = 0.81 * Q_N_AH + 0.0038 * Q_P_AH

OUTPUTS = ["Voltage [V]", "Current [A]", "Volume-averaged cell temperature [K]", "Discharge capacity [A.h]"]


def lfp_ocp(sto: Any, exp: Callable = np.exp) -> Any:
    """Open-circuit potential of LFP (V) at stoichiometry `sto`: Prada2013's curve with a steeper plateau."""
    return (
        3.4077 + (LFP_SLOPE_V - 0.020269) / 2 - LFP_SLOPE_V * sto + 0.5 * exp(-150 * sto) - 0.9 * exp(-30 * (1 - sto))
    )


@cache
def _prada() -> pybamm.ParameterValues:
    return pybamm.ParameterValues("Prada2013")


def graphite_ocp(sto: np.ndarray) -> np.ndarray:
    """Open-circuit potential of graphite (V) at stoichiometry `sto` (n,), from the parameter set."""
    flat = np.atleast_1d(np.asarray(sto, float))
    return np.asarray(_prada()["Negative electrode OCP [V]"](pybamm.Vector(flat)).evaluate()).reshape(flat.shape)


def open_circuit_voltage(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cell voltage at rest (V) with graphite at stoichiometry x (n,) and LFP at y (n,)."""
    return lfp_ocp(np.asarray(y)) - graphite_ocp(x)


def stoichiometry_at(voltage_V: float, lithium_Ah: np.ndarray, q_n: np.ndarray, q_p: np.ndarray) -> np.ndarray:
    """Graphite stoichiometry (n,) at which the resting cell shows `voltage_V`, by bisection (voltage rises with x).

    lithium_Ah, q_n, q_p (n,): cyclable lithium and electrode capacities in Ah.
    """
    low = np.maximum(1e-5, (lithium_Ah - q_p * (1 - 1e-6)) / q_n)
    high = np.minimum(1 - 1e-5, (lithium_Ah - q_p * 1e-6) / q_n)
    for _ in range(50):
        x = (low + high) / 2
        below = open_circuit_voltage(x, (lithium_Ah - x * q_n) / q_p) < voltage_V
        low, high = np.where(below, x, low), np.where(below, high, x)
    return (low + high) / 2


def _parameters() -> pybamm.ParameterValues:
    p = _prada().copy()
    inp = pybamm.InputParameter
    base_jn = p["Negative electrode exchange-current density [A.m-2]"]
    base_jp = p["Positive electrode exchange-current density [A.m-2]"]

    def arrhenius(energy: float, temperature: Any) -> Any:
        return pybamm.exp(energy / _GAS * (1 / 298.15 - 1 / temperature))

    update = {
        "Electrode height [m]": _HEIGHT_M,
        "Nominal cell capacity [A.h]": NOMINAL_CAPACITY_AH,
        "Current function [A]": inp("I_discharge"),
        "Contact resistance [Ohm]": inp("R0"),
        "Positive electrode OCP [V]": lambda sto: lfp_ocp(sto, pybamm.exp),
        "Negative particle diffusivity [m2.s-1]": lambda sto, T: _D_N * inp("k_diffusion") * arrhenius(30000, T),
        "Positive particle diffusivity [m2.s-1]": lambda sto, T: _D_P * inp("k_diffusion") * arrhenius(20000, T),
        "Negative electrode active material volume fraction": inp("eps_n"),
        "Positive electrode active material volume fraction": inp("eps_p"),
        "Negative electrode exchange-current density [A.m-2]": lambda ce, cs, cm, T: (
            inp("k_exchange") * base_jn(ce, cs, cm, T)
        ),
        "Positive electrode exchange-current density [A.m-2]": lambda ce, cs, cm, T: (
            inp("k_exchange") * base_jp(ce, cs, cm, T)
        ),
        "Initial concentration in negative electrode [mol.m-3]": inp("x0") * _CN_MAX,
        "Initial concentration in positive electrode [mol.m-3]": inp("y0") * _CP_MAX,
        "Ambient temperature [K]": inp("T_ambient"),
        "Initial temperature [K]": inp("T0"),
        "Reference temperature [K]": 298.15,
        "Cell cooling surface area [m2]": SURFACE_M2,
        "Cell volume [m3]": VOLUME_M3,
        "Total heat transfer coefficient [W.m-2.K-1]": inp("h"),
        "Cell thermal expansion coefficient [m.K-1]": 0.0,
        "Cell heat capacity [J.K-1.m-3]": HEAT_CAPACITY_J_K / VOLUME_M3,
        "Upper voltage cut-off [V]": VOLTAGE_MAX_V,
        "Lower voltage cut-off [V]": VOLTAGE_MIN_V,
    }
    # The lumped model takes its heat capacity from above; PyBaMM still wants the layers' own values to exist.
    for layer in (
        "Negative current collector",
        "Negative electrode",
        "Separator",
        "Positive electrode",
        "Positive current collector",
    ):
        update[f"{layer} density [kg.m-3]"] = 2364.0
        update[f"{layer} specific heat capacity [J.kg-1.K-1]"] = 1150.0
        update[f"{layer} thermal conductivity [W.m-1.K-1]"] = 2.0
    for side in ("Negative", "Positive"):
        update[f"{side} current collector thickness [m]"] = 1.5e-5
        update[f"{side} current collector conductivity [S.m-1]"] = 5e7
    p.update(update, check_already_exists=False)
    return p


def pulse_parameters() -> pybamm.ParameterValues:
    """The fresh electrodes of the virtual cell as plain numbers, for an isothermal model at 25 degC."""
    p = _prada().copy()
    p.update(
        {
            "Electrode height [m]": _HEIGHT_M,
            "Nominal cell capacity [A.h]": NOMINAL_CAPACITY_AH,
            "Positive electrode OCP [V]": lambda sto: lfp_ocp(sto, pybamm.exp),
            "Negative particle diffusivity [m2.s-1]": _D_N,
            "Positive particle diffusivity [m2.s-1]": _D_P,
        }
    )
    return p


def _charge_control(variables: dict[str, Any]) -> Any:
    """Zero when the current follows C1 until Q1, C2 until 80 %, 1C after, and never lifts the voltage above 3.6 V."""
    inp = pybamm.InputParameter
    c_rate = -variables["Current [A]"] / NOMINAL_CAPACITY_AH
    q = -variables["Discharge capacity [A.h]"] / NOMINAL_CAPACITY_AH

    def step(at: Any) -> Any:
        return 0.5 * (1 + pybamm.tanh((q - at) / (2 * _STEP_WIDTH)))

    target = inp("C1") + (inp("C2") - inp("C1")) * step(inp("Q1")) + (1 - inp("C2")) * step(STEP_END)
    over_current = c_rate - target
    over_voltage = 20 * (variables["Voltage [V]"] - VOLTAGE_MAX_V)
    # A smooth maximum: the hard one made the solver fail now and then where both limits meet.
    return 0.5 * (over_current + over_voltage + pybamm.sqrt((over_current - over_voltage) ** 2 + 1e-5))


def build() -> tuple[pybamm.Simulation, pybamm.Simulation]:
    """Compiled (charge, discharge) simulations. Inputs: those of `_parameters`, and C1, Q1, C2 for the charge."""
    options = {
        "thermal": "lumped",
        "contact resistance": "true",
        "particle": "Fickian diffusion",
        "use lumped thermal capacity": "true",
    }
    charge = pybamm.lithium_ion.SPM({**options, "operating mode": _charge_control})
    current = -charge.variables["Current [A]"] / NOMINAL_CAPACITY_AH
    charge.events = [pybamm.Event("C/50", current - CUTOFF_C_RATE)]
    discharge = pybamm.lithium_ion.SPM(options)
    discharge.events = [pybamm.Event("2.0 V", discharge.variables["Voltage [V]"] - VOLTAGE_MIN_V)]
    charge_simulation, discharge_simulation = (
        pybamm.Simulation(
            model,
            parameter_values=_parameters(),
            solver=pybamm.IDAKLUSolver(output_variables=OUTPUTS, rtol=1e-5, atol=1e-7),
        )
        for model in (charge, discharge)
    )
    return charge_simulation, discharge_simulation
