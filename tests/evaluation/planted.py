"""A measured law of CC-CV charges, exact draws from it, and generators that fail in one known way each.

Cells differ (resistance, voltage, capacity), so do charges of a cell, and each charge has one of five hidden fan speeds
(`MODES`), which nobody is told. All curves are physical: constant current, then constant voltage; the charge is the
integral of the current over time by the trapezoid rule, exactly; the temperature obeys a lumped heat balance.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import nearest_rows

SIGNALS = ("voltage_V", "current_A", "temperature_degC", "time_s", "charge_capacity_Ah")
TOLD = ("ecl", "soh", "start_temperature_degC", "c_rate")
POINTS = 32
AXIS = np.linspace(0.0, 1.0, POINTS)
MODES = (300.0, 500.0, 800.0, 1300.0, 2100.0)
_RATES = (0.5, 0.75, 1.0, 1.25)
_NOMINAL_AH, _WINDOW_V, _CUT_C, _HEAT_J_K = 2.0, (2.5, 4.2), 0.05, 45.0


def law(cells: int, cycles: int, seed: int, first_cell: int = 0) -> CurveSet:
    """`cells` x `cycles` measured charges, rows in order of cell and ecl; cells are named from `first_cell` on."""
    rng = np.random.default_rng(seed)
    table = _table(cells, cycles, first_cell, rng)
    values = _curves(table, _effects(table, rng, together=True), rng, MODES)
    return CurveSet(values, SIGNALS, AXIS, "charge", table)


def draws_of(
    real: CurveSet, count: int, seed: int, modes: tuple[float, ...] = MODES, together: bool = False
) -> np.ndarray:
    """(count, N, S, P) exact draws at the conditions of `real`, from other cells. `together`: rows of a cell share one new
    cell in each draw, as if measured again; otherwise each row is of a cell of its own, as a generator has it."""
    rng = np.random.default_rng(10_000 + seed)
    found = [_curves(real.table, _effects(real.table, rng, together), rng, modes) for _ in range(count)]
    return np.stack(found)


def right(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws: what must pass everywhere."""
    return draws_of(real, count, seed)


def measured(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Held-out cells measured again at the same conditions."""
    return draws_of(real, count, seed, together=True)


def copies(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Training curves near in condition, as they are; at training conditions the first draw is the row itself."""
    if real is train:
        first = train.values[None]
        others = [train.values[nearest_rows(real, train, TOLD, seed + k)] for k in range(1, count)]
        return np.concatenate([first, *[o[None] for o in others]])
    return np.stack([train.values[nearest_rows(real, train, TOLD, seed + k)] for k in range(count)])


def mean_curve(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """One curve for everything."""
    return np.broadcast_to(train.values.mean(axis=0), (count, *real.values.shape)).copy()


def conditional_mean(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """The right mean of each condition, the same in every draw: a deterministic model."""
    return np.broadcast_to(draws_of(real, 32, seed).mean(axis=0), (count, *real.values.shape)).copy()


def shuffled_time(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws whose points stand in random order, another one for each curve."""
    draws = draws_of(real, count, seed)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(POINTS), (count, len(real), 1)), axis=-1)
    return np.take_along_axis(draws, order[:, :, None], axis=-1)


def wrong_condition(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws, each for the condition of another row."""
    return draws_of(real.take(np.random.default_rng(seed).permutation(len(real))), count, seed)


def two_modes(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws at two of the five fan speeds, neighbours of each other."""
    return draws_of(real, count, seed, modes=MODES[:2])


def coulomb_imbalance(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws with 3 % too much charge for their current."""
    return _changed(real, count, seed, "charge_capacity_Ah", lambda q: 1.03 * q)


def voltage_above(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws 0.1 V too high: above the window at the end."""
    return _changed(real, count, seed, "voltage_V", lambda v: v + 0.1)


def flat_temperature(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws that stay at their first temperature."""
    return _changed(real, count, seed, "temperature_degC", lambda t: np.repeat(t[..., :1], POINTS, axis=-1))


Generator = Callable[[CurveSet, CurveSet, int, int], np.ndarray]


def comparison(
    generator: Generator = right,
    draws: int = 8,
    cells: int = 12,
    cycles: int = 12,
    train_cells: int = 24,
    seed: int = 0,
    at_train: bool = False,
) -> Comparison:
    """`cells` x `cycles` held-out charges and what `generator` says of them; other `train_cells` x `cycles` to train on."""
    real, train = law(cells, cycles, 2 * seed, 1000), law(train_cells, cycles, 2 * seed + 1)
    made = generator(real, train, draws, seed)
    known = generator(train, train, draws, seed + 1) if at_train else None
    return Comparison(real, real.with_values(made[0]), made, train, known, TOLD, seed)


def _changed(
    real: CurveSet, count: int, seed: int, signal: str, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    draws = draws_of(real, count, seed)
    place = SIGNALS.index(signal)
    draws[:, :, place] = change(draws[:, :, place])
    return draws


def _table(cells: int, cycles: int, first_cell: int, rng: np.random.Generator) -> pd.DataFrame:
    eol = np.repeat(rng.uniform(600, 1200, cells), cycles)
    ecl = np.tile(np.linspace(0.0, 0.95, cycles), cells) * eol
    rate = np.repeat(rng.permutation(np.resize(_RATES, cells)), cycles)
    count = cells * cycles
    return pd.DataFrame(
        {
            "cell_id": np.repeat([f"cell{first_cell + number:04d}" for number in range(cells)], cycles),
            "ecl": ecl,
            "eol": eol,
            "soh": 1.0 - 0.2 * (ecl / eol) ** 1.5 + rng.normal(0, 0.003, count),
            "start_temperature_degC": rng.normal(25.0, 2.0, count),
            "c_rate": rate,
            "c1": rate,
            "q1": np.full(count, 0.5),
            "c2": rate,
            "nominal_capacity_Ah": np.full(count, _NOMINAL_AH),
            "voltage_min_V": np.full(count, _WINDOW_V[0]),
            "voltage_max_V": np.full(count, _WINDOW_V[1]),
            "chemistry": ["made"] * count,
        }
    )


def _effects(table: pd.DataFrame, rng: np.random.Generator, together: bool) -> np.ndarray:
    """(N, 3) standard normal effects of the cell; of each row its own where not `together`."""
    if not together:
        return rng.normal(size=(len(table), 3))
    _, index = np.unique(table["cell_id"], return_inverse=True)
    own: np.ndarray = rng.normal(size=(index.max() + 1, 3))[index]
    return own


def _open_circuit_V(soc: np.ndarray) -> np.ndarray:
    plateaus = 0.06 * np.tanh((soc - 0.3) / 0.05) + 0.05 * np.tanh((soc - 0.65) / 0.06)
    return 3.36 + 0.73 * soc + plateaus - 0.2 * np.exp(-soc / 0.03)


def _curves(table: pd.DataFrame, cell: np.ndarray, rng: np.random.Generator, modes: tuple[float, ...]) -> np.ndarray:
    """(N, 5, POINTS) float32 for the rows of `table`: `cell` (N, 3) moves resistance, voltage and capacity."""
    count = len(table)
    ageing = (1.0 - table["soh"].to_numpy()) / 0.2
    row = rng.normal(size=(count, 3))
    resistance = 0.07 * (1 + 0.8 * ageing) * np.exp(0.10 * cell[:, 0] + 0.04 * row[:, 0])
    shift = 0.008 * cell[:, 1] + 0.003 * row[:, 1]
    capacity = _NOMINAL_AH * table["soh"].to_numpy() * (1 + 0.010 * cell[:, 2] + 0.003 * row[:, 2])
    constant = table["c_rate"].to_numpy() * _NOMINAL_AH
    # The charge ends where the current of the constant-voltage phase has fallen to C / 20.
    soc = np.linspace(0.02, 1.2, 2000)
    least = _WINDOW_V[1] - (shift + resistance * _CUT_C * _NOMINAL_AH)
    end = np.interp(least, _open_circuit_V(soc), soc)
    state = 0.02 + np.outer(end - 0.02, AXIS)
    rest = _open_circuit_V(state) + shift[:, None]
    current = np.minimum(constant[:, None], (_WINDOW_V[1] - rest) / resistance[:, None])
    voltage = rest + current * resistance[:, None]
    charge = np.outer((end - 0.02) * capacity, AXIS)
    step_s = 3600 * np.diff(charge) / (0.5 * (current[:, 1:] + current[:, :-1]))
    time = np.concatenate([np.zeros((count, 1)), np.cumsum(step_s, axis=1)], axis=1)
    temperature = _temperature(table, current, resistance, step_s, rng.choice(modes, count))
    voltage = voltage + 0.001 * rng.normal(size=voltage.shape)
    temperature = temperature + 0.03 * rng.normal(size=temperature.shape)
    return np.stack([voltage, current, temperature, time, charge], axis=1).astype(np.float32)


def _temperature(
    table: pd.DataFrame, current: np.ndarray, resistance: np.ndarray, step_s: np.ndarray, cooling_s: np.ndarray
) -> np.ndarray:
    """C dT/dt = I^2 R + 0.05 |I| - C (T - T0) / `cooling_s`, with the mean current of each step."""
    room = table["start_temperature_degC"].to_numpy()
    found = [room]
    for k in range(current.shape[1] - 1):
        mean = 0.5 * (current[:, k] + current[:, k + 1])
        steady = room + (mean**2 * resistance + 0.05 * mean) * cooling_s / _HEAT_J_K
        found.append(steady + (found[-1] - steady) * np.exp(-step_s[:, k] / cooling_s))
    return np.stack(found, axis=1)
