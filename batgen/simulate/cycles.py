"""Solve the sampled cycles of one virtual cell: charge, rest, discharge, rest, and the summary of each.

A cycle is closed: the charge starts where the discharge of the same ageing state ended, and the discharge starts
where the charge stopped at C/50, both after a rest of 300 s in which the particles level out (assumed) and the can
cools (solved). The lithium lost in the cycle is put into the charge: it starts with that much more in the
LFP, so that charge exceeds discharge by the loss and coulombic efficiency follows from it.
"""

from dataclasses import dataclass

import numpy as np
import pybamm

from batgen.simulate import cell_model as m
from batgen.simulate import design as d

CHARGE_POINTS, DISCHARGE_POINTS = 160, 96
REST_S = 300.0
#: Seconds before and after a current step at which it is stored: the step is as sharp as this.
STEP_BEFORE_S, STEP_AFTER_S = 0.5, 1.2
RESISTANCE_OHM = 0.017
COOLING_W_M2K = 42.0
EXCHANGE = 1.35
_LITHIUM_LOSS = 0.17
_KELVIN = 273.15
_CHARGE_TIMES = np.concatenate([np.arange(0, 1800, 0.5), np.arange(1800, 7200, 4.0)])
_DISCHARGE_TIMES = np.arange(0, 4000, 2.0)

CHARGE_SIGNALS = ("time_s", "voltage_V", "current_A", "temperature_degC", "charge_capacity_Ah")
DISCHARGE_SIGNALS = ("time_s", "voltage_V", "temperature_degC", "discharge_capacity_Ah")
SUMMARY_KNOTS = (
    "discharge_capacity_Ah",
    "coulombic_efficiency",
    "internal_resistance_Ohm",
    "relaxation_voltage_drop_V",
    "charge_time_s",
    "temperature_min_degC",
    "temperature_mean_degC",
    "temperature_max_degC",
)


@dataclass(frozen=True)
class SolvedCell:
    """cycle (n,); charge (n, 5, CHARGE_POINTS); discharge (n, 4, DISCHARGE_POINTS); summary (n, 8): names above."""

    cell_id: str
    cycle: np.ndarray
    charge: np.ndarray
    discharge: np.ndarray
    summary: np.ndarray


@dataclass(frozen=True)
class State:
    """Ageing state of one cell at n cycles: lithium and electrode capacities in Ah (n,), solver inputs (n,) by name."""

    lithium: np.ndarray
    q_n: np.ndarray
    q_p: np.ndarray
    inputs: dict[str, np.ndarray]

    def rows(self, **more: np.ndarray) -> list[dict[str, float]]:
        columns = self.inputs | more
        return [{k: float(v[i]) for k, v in columns.items()} for i in range(len(self.lithium))]


def ageing_state(cell: d.CellDesign, cycle: np.ndarray, z: np.ndarray) -> State:
    """The imposed state after `cycle` (n,) cycles at the stretched age `z` (n,)."""
    s = d.shape(z, cell)
    lithium = m.LITHIUM_AH * cell.lithium * (1 - _LITHIUM_LOSS * s)
    eps_n, eps_p = m.EPS_N * (1 - cell.loss_n * s), m.EPS_P * (1 - 0.04 * s)
    drift = cell.drift_K * np.sin(2 * np.pi * cycle / cell.drift_cycles + cell.drift_phase)
    wet = 1 - cell.wetting * np.exp(-cycle / 40)
    ones = np.ones_like(s)
    inputs = {
        "R0": RESISTANCE_OHM * cell.resistance * (1 + cell.growth * s),
        "k_diffusion": (1 - 0.2 * s) * wet,
        "k_exchange": EXCHANGE * (1 - 0.25 * s),
        "h": COOLING_W_M2K * cell.cooling * ones,
        "T_ambient": _KELVIN + cell.ambient_degC + cell.offset_K + drift,
        "eps_n": eps_n,
        "eps_p": eps_p,
        "I_discharge": cell.policy.discharge_c_rate * m.NOMINAL_CAPACITY_AH * ones,
        "C1": cell.policy.c1 * ones,
        "Q1": cell.policy.q1 * ones,
        "C2": cell.policy.c2 * ones,
    }
    return State(lithium, m.Q_N_AH * eps_n / m.EPS_N, m.Q_P_AH * eps_p / m.EPS_P, inputs)


def _values(solution: pybamm.Solution) -> tuple[np.ndarray, np.ndarray]:
    """t (k,) and the four model outputs (4, k)."""
    return np.asarray(solution.t), np.stack([np.asarray(solution[name].data) for name in m.OUTPUTS])


def _cooled(state: State, end_K: np.ndarray) -> np.ndarray:
    """Can temperature (n,) after the rest, from its temperature (n,) before."""
    rate = state.inputs["h"] * m.SURFACE_M2 / m.HEAT_CAPACITY_J_K
    return state.inputs["T_ambient"] + (end_K - state.inputs["T_ambient"]) * np.exp(-rate * REST_S)


def life_scale(discharge: pybamm.Simulation, cell: d.CellDesign) -> tuple[float, float]:
    """Ages z at which the discharge capacity crosses the end-of-life and the last recorded capacity."""
    ages = np.linspace(0.5, 1.5, 1001)
    z = np.interp(np.linspace(0.5, 1.5, 17), d.shape(ages, cell), ages)
    state = ageing_state(cell, np.full_like(z, 1e6), z)
    x = m.stoichiometry_at(m.VOLTAGE_MAX_V - 0.005, state.lithium, state.q_n, state.q_p)
    rows = state.rows(x0=x, y0=(state.lithium - x * state.q_n) / state.q_p, T0=state.inputs["T_ambient"] + 0.5)
    solved = discharge.solve([0, 4000], t_interp=np.array([0.0, 4000.0]), inputs=rows)
    capacity = np.array([_values(s)[1][3, -1] for s in solved])
    if capacity[0] < d.EOL_CAPACITY_AH or capacity[-1] > d.END_CAPACITY_AH or np.any(np.diff(capacity) >= 0):
        raise RuntimeError(f"{cell.cell_id}: discharge capacity {capacity} does not fall through the end of life")
    eol, end = np.interp([-d.EOL_CAPACITY_AH, -d.END_CAPACITY_AH], -capacity, z)
    return float(eol), float(end)


def solve_cell(
    simulations: tuple[pybamm.Simulation, pybamm.Simulation], cell: d.CellDesign, cycles: np.ndarray | None = None
) -> SolvedCell:
    """Solve the sampled cycles of a cell, or just `cycles`. Raises RuntimeError when a part ends by another rule."""
    charge, discharge = simulations
    stretch, z_end = life_scale(discharge, cell)
    cycle = d.sampled_cycles(cell, stretch, z_end) if cycles is None else np.asarray(cycles)
    z = cycle / cell.life * stretch
    state = ageing_state(cell, cycle.astype(float), z)
    loss = m.LITHIUM_AH * cell.lithium * _LITHIUM_LOSS * d.slope(z, cell) * stretch / cell.life

    # First charge, from a rough start, only to find where C/50 at 3.6 V leaves the cell.
    x = m.stoichiometry_at(2.77, state.lithium, state.q_n, state.q_p)
    y = (state.lithium - x * state.q_n) / state.q_p
    T0 = state.inputs["T_ambient"] + 1.0
    first = charge.solve([0, 7200], t_interp=np.array([0.0, 7200.0]), inputs=state.rows(x0=x, y0=y, T0=T0))
    ends = np.stack([_values(s)[1][:, -1] for s in first], 1)
    x, y, T0 = x - ends[3] / state.q_n, y + ends[3] / state.q_p, _cooled(state, ends[2])
    rest_voltage = m.open_circuit_voltage(x, y)

    down = discharge.solve([0, 4000], t_interp=_DISCHARGE_TIMES, inputs=state.rows(x0=x, y0=y, T0=T0))
    ends = np.stack([_values(s)[1][:, -1] for s in down], 1)
    x, y, T0 = x - ends[3] / state.q_n, y + (ends[3] + loss) / state.q_p, _cooled(state, ends[2])

    up = charge.solve([0, 7200], t_interp=_CHARGE_TIMES, inputs=state.rows(x0=x, y0=y, T0=T0))
    for part, wanted in ((up, "event: C/50"), (down, "event: 2.0 V")):
        for n, solution in zip(cycle, part, strict=True):
            if solution.termination != wanted:
                raise RuntimeError(f"{cell.cell_id} cycle {n}: ended by {solution.termination}, not {wanted}")

    charge_rows = np.stack([_charge_rows(s, cell.policy) for s in up])
    discharge_rows = np.stack([_discharge_rows(s) for s in down])
    summary = np.stack(
        [_summary(up[i], down[i], loss[i], state.inputs["R0"][i], rest_voltage[i]) for i in range(len(cycle))]
    )
    return SolvedCell(cell.cell_id, cycle, charge_rows, discharge_rows, summary)


def _summary(up: pybamm.Solution, down: pybamm.Solution, loss: float, r0: float, rest_voltage: float) -> np.ndarray:
    """(8,), as `SUMMARY_KNOTS`. Resistance is the ohmic one that was imposed (what a pulse of milliseconds would show).

    Charge time is to 80 % of nominal capacity, or to the end of a charge that no longer gets there.
    """
    t_up, charge = _values(up)
    t_down, discharge = _values(down)
    capacity = discharge[3, -1]
    temperature = np.concatenate([charge[2], discharge[2]]) - _KELVIN
    weight = np.concatenate([np.gradient(t_up), np.gradient(t_down)])
    to_80 = np.interp(m.STEP_END * m.NOMINAL_CAPACITY_AH, -charge[3], t_up)
    return np.array(
        [
            capacity,
            capacity / (capacity + loss),
            r0,
            charge[0, -1] - rest_voltage,
            to_80,
            temperature.min(),
            np.average(temperature, weights=weight),
            temperature.max(),
        ]
    )


def _charge_rows(solution: pybamm.Solution, policy: d.Policy) -> np.ndarray:
    """(5, CHARGE_POINTS) of `CHARGE_SIGNALS`, with a row just before and just after every current step."""
    t, (v, i, temperature, q) = _values(solution)
    rows = np.stack([v, -i, temperature - _KELVIN, np.maximum.accumulate(-q)])
    steps = [policy.q1] if policy.q1 < m.STEP_END and policy.c1 != policy.c2 else []
    at = [f * m.NOMINAL_CAPACITY_AH for f in (*steps, m.STEP_END)]
    # From the last row that is clear of the (smooth) step: a straight line across it would be late where current falls.
    before = [int(np.searchsorted(rows[3], a - 2e-4)) - 1 for a in at if a < rows[3, -1]]
    switch = [float(t[k] + (a - rows[3, k]) * 3600 / rows[1, k]) for a, k in zip(at, before, strict=False)]
    # A cell on constant voltage passes a step smoothly: no knots there.
    switch = [s for s in switch if abs(np.subtract(*np.interp([s - 1, s + 1.5], t, rows[1]))) > 0.05]
    grid = _grid(t, rows[0], rows[1], rows[3], CHARGE_POINTS, switch)
    return np.stack([grid, *(np.interp(grid, t, row) for row in rows)])


def _discharge_rows(solution: pybamm.Solution) -> np.ndarray:
    """(4, DISCHARGE_POINTS) of `DISCHARGE_SIGNALS`."""
    t, (v, i, temperature, q) = _values(solution)
    grid = _grid(t, v, i, q, DISCHARGE_POINTS, [])
    return np.stack([grid, *(np.interp(grid, t, row) for row in (v, temperature - _KELVIN, q))])


def _grid(t: np.ndarray, v: np.ndarray, i: np.ndarray, q: np.ndarray, points: int, switch: list[float]) -> np.ndarray:
    """`points` times, even in a mix of time, charge, voltage and current change on each stretch between current steps.

    A stretch ends `STEP_BEFORE_S` before a step and the next begins `STEP_AFTER_S` after it; none lies within.
    """
    middle = (t[1:] + t[:-1]) / 2
    smooth = np.ones(middle.shape, bool)
    for s in switch:
        smooth &= (middle < s - STEP_BEFORE_S - 0.5) | (middle > s + STEP_AFTER_S + 0.5)
    dv, di = np.abs(np.diff(v)) * smooth, np.abs(np.diff(i)) * smooth
    measure = np.diff(t) / t[-1] + np.diff(q) / q[-1] + 1.5 * dv / dv.sum() + 0.4 * di / max(di.sum(), 0.1)
    measure = np.concatenate([[0], np.cumsum(measure)])
    edges = np.interp([0, *(k for s in switch for k in (s - STEP_BEFORE_S, s + STEP_AFTER_S)), t[-1]], t, measure)
    first, last = edges[::2], edges[1::2]
    share = np.cumsum(last - first) / np.sum(last - first)
    stop = np.round(share * (points - 2 * len(share))).astype(int) + 2 * np.arange(1, len(share) + 1)
    count = np.diff(stop, prepend=0)
    even = np.concatenate([np.linspace(a, b, n) for a, b, n in zip(first, last, count, strict=True)])
    return np.interp(even, measure, t)
