"""Solve everything, pack it into one HDF5 file, check what was written.

Layout of the file (schema 1); quantised signals are uint16 times the `step` attribute, in the units of their names:

    /                attributes: schema, seed, pybamm, origin (what is modelled, what is invented)
    cells/           a row per cell: cell_id, policy, c1, q1, c2, ambient_degC, discharge_c_rate, planned_life
    cycles/          a row per solved cycle: cell (index into cells), cycle, charge (N, 5, 160), discharge (N, 4, 96)
    summary/         values (N, 8) float64 at the same rows; other cycles of life are interpolated between them
    pulses/          a row per test: chemistry, cell_id, soc, soh, nominal_capacity_Ah, voltage (rows, 21)

The discharge current is constant, so it is not stored: discharge_c_rate times nominal capacity.
"""

import multiprocessing
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pybamm
from numpy.typing import ArrayLike
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batgen.simulate import cell_model as m
from batgen.simulate import cycles as c
from batgen.simulate import design as d
from batgen.simulate import pulses as p

SCHEMA = 1
STEP = {
    "time_s": 0.05,
    "voltage_V": 1e-4,
    "current_A": 2e-4,
    "temperature_degC": 1e-3,
    "charge_capacity_Ah": 2e-5,
    "discharge_capacity_Ah": 2e-5,
}
MAX_BYTES = 5_000_000
ORIGIN = (
    "Simulated, not measured. Virtual 1.1 Ah LFP/graphite cells: PyBaMM single particle model with lumped heat, "
    "electrodes of Prada2013 scaled from 2.3 Ah; diffusion in graphite, exchange currents, resistance and thermal data "
    "set by eye; slope of the LFP plateau raised from 0.02 to 0.15 V so that 4C discharges are monotone (a calibration "
    "without a source). Invented: the life law (stress above a plating-like limit, with scatter), the imposed course "
    "of the fade, the split of ageing into lithium, electrode, kinetic and resistance loss, the spread between cells, and "
    "how SOH shapes the pulse rows (LFP as above; NMC from Chen2020). Coulombic efficiency is the imposed lithium "
    "loss, internal resistance the imposed ohmic resistance, relaxation drop that from the C/50 cut-off to rest. "
    "Clean: noise is added by the reader."
)

_simulations: tuple[pybamm.Simulation, pybamm.Simulation]


def _start_worker() -> None:
    global _simulations
    pybamm.set_logging_level("ERROR")
    _simulations = m.build()


def _solve(cell: d.CellDesign) -> c.SolvedCell:
    return c.solve_cell(_simulations, cell)


def make(out: Path, seed: int = 0, processes: int = 2) -> dict[str, float]:
    """Write the file `out` (atomically) and return what its self-check measured."""
    cells = d.draw_cells(seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("pulse rows", total=1)
        pulses = p.solve_pulses(seed)
        progress.advance(task)
        task = progress.add_task("cells", total=len(cells))
        solved = []
        with multiprocessing.get_context("spawn").Pool(processes, _start_worker) as pool:
            for one in pool.imap(_solve, cells):
                solved.append(one)
                progress.advance(task)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, seed, cells, solved, pulses)
        found = check(temporary, solved, pulses)
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return found


def pack(values: np.ndarray, signals: tuple[str, ...]) -> np.ndarray:
    """(n, signals, points) -> uint16. Raises ValueError where a value is not finite or does not fit: it never wraps."""
    step = np.array([STEP[s] for s in signals])[:, None]
    whole = np.round(values / step)
    if not np.all((whole >= 0) & (whole <= 65535)):
        raise ValueError(f"values of {signals} outside the range of uint16 at steps {step.ravel()}")
    return whole.astype(np.uint16)


def _write(path: Path, seed: int, cells: list[d.CellDesign], solved: list[c.SolvedCell], pulses: pd.DataFrame) -> None:
    with h5py.File(path, "w") as f:
        f.attrs.update(schema=SCHEMA, seed=seed, pybamm=pybamm.__version__, origin=ORIGIN)
        f.attrs.update(nominal_capacity_Ah=m.NOMINAL_CAPACITY_AH, voltage_min_V=m.VOLTAGE_MIN_V)
        f.attrs.update(voltage_max_V=m.VOLTAGE_MAX_V, rest_s=c.REST_S)

        def put(name: str, data: ArrayLike, **attributes: object) -> None:
            values = np.asarray(data)
            if values.dtype.kind in "UO":
                f.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
                return
            written = f.create_dataset(name, data=values, shuffle=True, compression="gzip", compression_opts=9)
            written.attrs.update(attributes)

        put("cells/cell_id", [x.cell_id for x in cells])
        put("cells/policy", [x.policy.text for x in cells])
        for name in ("c1", "q1", "c2", "discharge_c_rate"):
            put(f"cells/{name}", [getattr(x.policy, name) for x in cells])
        put("cells/ambient_degC", [x.ambient_degC for x in cells])
        put("cells/planned_life", [x.life for x in cells])
        put("cycles/cell", np.repeat(np.arange(len(cells), dtype=np.int32), [len(s.cycle) for s in solved]))
        put("cycles/cycle", np.concatenate([s.cycle for s in solved]).astype(np.int32))
        for name, signals in (("charge", c.CHARGE_SIGNALS), ("discharge", c.DISCHARGE_SIGNALS)):
            packed = pack(np.concatenate([getattr(s, name) for s in solved]), signals)
            put(f"cycles/{name}", packed, signals=list(signals), step=[STEP[s] for s in signals])
        put("summary/values", np.concatenate([s.summary for s in solved]), columns=list(c.SUMMARY_KNOTS))
        for name in ("chemistry", "cell_id", "soc", "soh", "nominal_capacity_Ah"):
            put(f"pulses/{name}", pulses[name].to_numpy())
        voltage = pulses[list(p.FEATURES)].to_numpy()
        put("pulses/voltage", np.round(voltage / STEP["voltage_V"]).astype(np.uint16), step=STEP["voltage_V"])


def check(path: Path, solved: list[c.SolvedCell], pulses: pd.DataFrame) -> dict[str, float]:
    """Read the file back and compare. Raises RuntimeError naming the first check that fails."""
    with h5py.File(path) as f:
        charge = f["cycles/charge"][()] * f["cycles/charge"].attrs["step"][:, None]
        discharge = f["cycles/discharge"][()] * f["cycles/discharge"].attrs["step"][:, None]
        summary = f["summary/values"][()]
        voltage = f["pulses/voltage"][()] * f["pulses/voltage"].attrs["step"]
    time, current, q = charge[:, 0], charge[:, 2], charge[:, 4]
    counted = np.sum(np.diff(time) * (current[:, 1:] + current[:, :-1]) / 2, axis=1) / 3600
    error = {
        "charge round trip, steps": _steps(charge, np.concatenate([s.charge for s in solved]), c.CHARGE_SIGNALS),
        "discharge round trip, steps": _steps(
            discharge, np.concatenate([s.discharge for s in solved]), c.DISCHARGE_SIGNALS
        ),
        "pulse round trip, V": float(np.abs(voltage - pulses[list(p.FEATURES)].to_numpy()).max()),
        "rise of voltage in a discharge, V": float(np.diff(discharge[:, 1], axis=1).max()),
        "fall of charge capacity, Ah": float(-np.diff(q, axis=1).min()),
        "Coulomb balance of a charge, relative": float(np.abs(counted / q[:, -1] - 1).max()),
        "charge minus discharge against lithium loss, Ah": float(
            np.abs(q[:, -1] - discharge[:, 3, -1] - summary[:, 0] * (1 / summary[:, 1] - 1)).max()
        ),
        "size, bytes": float(path.stat().st_size),
    }
    limit = dict(zip(error, (0.51, 0.51, 6e-5, 0.0, 0.0, 3e-3, 1e-4, MAX_BYTES), strict=True))
    for name, value in error.items():
        if not value <= limit[name]:
            raise RuntimeError(f"self-check of {path.name}: {name} is {value:g}, limit {limit[name]:g}")
    if not (np.diff(time, axis=1).min() > 0 and np.diff(discharge[:, 0], axis=1).min() > 0):
        raise RuntimeError(f"self-check of {path.name}: time does not increase")
    if not (np.isfinite(summary).all() and summary[:, 1].max() < 1):
        raise RuntimeError(f"self-check of {path.name}: the summary is not finite, or an efficiency is not below 1")
    error["cells"], error["cycles"] = len(solved), len(charge)
    return error


def _steps(stored: np.ndarray, exact: np.ndarray, signals: tuple[str, ...]) -> float:
    return float(np.max(np.abs(stored - exact) / np.array([STEP[s] for s in signals])[:, None]))
