"""From raw MIT arrays to cycles and a per-cycle summary in physical units, faults sorted out and reported."""

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cycle, Rejected
from batgen.data.sources.mit_raw import RAW_SIGNALS, RawBatch
from batgen.data.units import UnitFix, check_current

NOMINAL_AH = 1.1
#: Capacities outside this range are glitches of the logger (or a formation cycle), not a 1.1 Ah cell.
PLAUSIBLE_AH = (0.1, 1.3)
#: Below C/100 the cell rests; the charge ends at C/50.
REST_A = NOMINAL_AH / 100
#: Seconds in the files' unit of time, where no curve was read that could tell.
MINUTE = 60.0
#: Cycles per cell that are Coulomb-counted.
CHECKED = 5

T, V, CURRENT, TEMPERATURE, QC, QD = range(len(RAW_SIGNALS))


def read_curves(
    batch: RawBatch, cell: int, cell_id: str, done: int, first: int | None, rejected: list[Rejected]
) -> tuple[list[Cycle], UnitFix | None]:
    """Curves of the first `first` records, numbered from `done` + 1, and the units found (None without a good record).

    What can't be used is added to `rejected`. Raises DataError for an absent signal and for units that fit nothing.
    """
    kept: list[tuple[int, np.ndarray]] = []
    for number, block in enumerate(batch.cycles(cell, cell_id, first), start=done + 1):
        why = block if isinstance(block, str) else _fault(block)
        if why:
            rejected.append(Rejected(f"cycle {number}", why))
        elif isinstance(block, np.ndarray):
            kept.append((number, block))
    if not kept:
        return [], None
    fix = _units([block for _, block in kept], f"{batch.path}: cell {cell_id}")
    cycles = []
    for number, block in kept:
        block[T] = (block[T] - block[T, 0]) * fix.time_factor
        block[CURRENT] *= fix.current_factor
        charge, discharge = split_cycle(block[CURRENT], block[QC], block[QD])
        if charge == discharge == (0, 0):
            rejected.append(Rejected(f"cycle {number}", "neither charge nor discharge in it"))
            continue
        block[QC] -= block[QC, charge[0]]
        block[QD] -= block[QD, discharge[0]]
        values = block.astype(np.float32)
        signals = {
            "time_s": values[T],
            "voltage_V": values[V],
            "current_A": values[CURRENT],
            "temperature_degC": values[TEMPERATURE],
            "charge_capacity_Ah": values[QC],
            "discharge_capacity_Ah": values[QD],
        }
        cycles.append(Cycle(number, signals, charge, discharge))
    return cycles, fix


def split_cycle(
    current_A: np.ndarray, charge_Ah: np.ndarray, discharge_Ah: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Index ranges of charge and discharge, (0, 0) where there is none; all arguments (points,).

    The state of charge peaks where Qc - Qd does, whatever rests and resistance pulses the charge contains: the charge
    runs from the first to the last charging sample before the peak, the discharge likewise after it.
    """
    peak = int(np.argmax(charge_Ah - discharge_Ah)) + 1
    return _span(current_A[:peak] > REST_A, 0), _span(current_A[peak:] < -REST_A, peak)


def _span(on: np.ndarray, offset: int) -> tuple[int, int]:
    where = np.flatnonzero(on)
    return (offset + int(where[0]), offset + int(where[-1]) + 1) if len(where) else (0, 0)


def _fault(block: np.ndarray) -> str:
    """Why a raw cycle (6, points) can't be used; "" if it can."""
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        return f"NaN in {_names(~finite)}"
    low, high = block.min(axis=1), block.max(axis=1)
    constant = high == low
    if constant[[T, V, CURRENT]].any():
        return f"constant {_names(constant)}"
    if (np.diff(block[T]) < 0).any():
        return "time runs backwards"
    capacity = float((high - low)[[QC, QD]].max())
    return "" if _plausible(capacity) else f"capacity of {capacity:.4g} Ah, outside {_range()}"


def _names(which: np.ndarray) -> str:
    return ", ".join(name for name, yes in zip(RAW_SIGNALS, which, strict=True) if yes)


def _plausible(capacity_Ah: np.ndarray | float) -> np.ndarray | bool:
    return (capacity_Ah >= PLAUSIBLE_AH[0]) & (capacity_Ah <= PLAUSIBLE_AH[1])


def _range() -> str:
    return f"{PLAUSIBLE_AH[0]:g} to {PLAUSIBLE_AH[1]:g} Ah"


def _units(blocks: list[np.ndarray], where: str) -> UnitFix:
    """Units of current and time by Coulomb counting over the charge of a few cycles, spread over those read."""
    some = [blocks[i] for i in np.unique(np.linspace(0, len(blocks) - 1, CHECKED).astype(int))]
    records = [block[:, : int(np.argmax(block[QC] - block[QD])) + 1] for block in some]
    time, current, charge = ([r[row] for r in records] for row in (T, CURRENT, QC))
    return check_current(time, current, charge, NOMINAL_AH, where)


def read_summary(raw: dict[str, np.ndarray], done: int, time_factor: float, rejected: list[Rejected]) -> pd.DataFrame:
    """The per-cycle table of one part, numbered from `done` + 1: implausible capacities become NaN and are reported.

    A first record of implausible discharge capacity is left out altogether: in the first MIT batch it is an empty
    record in the place of a cycle that was never exported; elsewhere it would be a formation cycle. `time_factor`
    brings the charge time to s.
    """
    table = pd.DataFrame(np.nan, index=range(len(raw["QDischarge"])), columns=list(SUMMARY))
    table["cycle"] = np.arange(done + 1, done + 1 + len(table))
    faults: dict[int, list[str]] = {}
    for name, column in (("QDischarge", "discharge_capacity_Ah"), ("QCharge", "charge_capacity_Ah")):
        good = _plausible(raw[name])
        table[column] = np.where(good, raw[name], np.nan)
        for k in map(int, np.flatnonzero(~np.asarray(good))):
            faults.setdefault(k, []).append(f"{name} of {raw[name][k]:.4g} Ah")
    dropped = bool(np.isnan(table["discharge_capacity_Ah"].iloc[0]))
    for k, what in sorted(faults.items()):
        why = f"{', '.join(what)} outside {_range()}: {'left out' if k == 0 and dropped else 'made NaN'}"
        rejected.append(Rejected(f"summary of cycle {done + 1 + k}", why))
    table["coulombic_efficiency"] = table["discharge_capacity_Ah"] / table["charge_capacity_Ah"]
    table["internal_resistance_Ohm"] = np.where(raw["IR"] > 0, raw["IR"], np.nan)
    table["charge_time_s"] = raw["chargetime"] * time_factor
    for column, name in (("min", "Tmin"), ("mean", "Tavg"), ("max", "Tmax")):
        table[f"temperature_{column}_degC"] = raw[name]
    return table.iloc[1:] if dropped else table
