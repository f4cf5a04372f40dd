"""What every cell must satisfy before it enters a store, whatever source read it.

A fault of one record (time that runs backwards, a dead sensor) takes that cycle out and is reported; a fault of the
whole cell (an unknown column, voltage in mV, temperature in K, capacity in mAh, the same fault in most cycles) is an
error that names the cell, a cycle, the column and the remedy.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from batgen.data.cell import SIGNALS, SUMMARY, Cell, CellInfo, Rejected
from batgen.data.faults import RANGES, find_faults
from batgen.data.units import TOLERANCE, check_current
from batgen.errors import DataError

#: A cell of which more than this part of the cycles has faults is not a cell with some bad records.
MAX_FAULTY = 0.5
#: Records of a cell that the Coulomb count is taken over, spread over its life.
_CHECKED_RECORDS = 15


def check_cell(cell: Cell) -> Cell:
    """The cell, its faulty cycles taken out and reported in `rejected`. Raises DataError for faults of the whole."""
    _check_info(cell.info)
    _check_summary(cell.info, cell.summary)
    _check_columns(cell)
    _check_scales(cell)
    faults = find_faults(cell.cycles)
    if len(faults) > MAX_FAULTY * len(cell.cycles):
        number, fault = next(iter(faults.items()))
        raise DataError(
            f"{_where(cell.info)}: {len(faults)} of {len(cell.cycles)} cycles cannot be used, first cycle {number}: "
            f"{fault}. Look at this column in the raw file; a source must leave out a signal that is not measured."
        )
    kept = [cycle for cycle in cell.cycles if cycle.cycle not in faults]
    rejected = [*cell.rejected, *(Rejected(f"cycle {number}", fault) for number, fault in faults.items())]
    checked = replace(cell, cycles=kept, rejected=rejected)
    _check_coulombs(checked)
    return checked


def _where(info: CellInfo) -> str:
    return f"{info.source} cell {info.cell_id}"


def _check_info(info: CellInfo) -> None:
    if not info.cell_id or not info.source:
        raise DataError(f"{_where(info)}: a cell needs a cell_id and a source.")
    if not info.nominal_capacity_Ah > 0:
        raise DataError(f"{_where(info)}: nominal_capacity_Ah must be above 0, not {info.nominal_capacity_Ah}.")
    if not RANGES["voltage_V"][0] <= info.voltage_min_V < info.voltage_max_V <= RANGES["voltage_V"][1]:
        raise DataError(
            f"{_where(info)}: the voltage window {info.voltage_min_V} to {info.voltage_max_V} is not one in volt."
        )
    if info.q1 > 1:
        raise DataError(f"{_where(info)}: q1 is a fraction of nominal capacity, not {info.q1}: divide percent by 100.")


def _check_summary(info: CellInfo, summary: pd.DataFrame) -> None:
    missing = [name for name in SUMMARY if name not in summary.columns]
    if missing:
        raise DataError(f"{_where(info)}: the summary has no column {missing[0]}; give NaN where it is not known.")
    cycle = summary["cycle"].to_numpy(dtype=float)
    if cycle.size and (cycle[0] < 1 or np.any(np.diff(cycle) <= 0)):
        bad = int(np.flatnonzero(np.r_[cycle[0] < 1, np.diff(cycle) <= 0])[0])
        raise DataError(
            f"{_where(info)}: the summary's cycle numbers must start at 1 or later and increase, "
            f"row {bad} has {cycle[bad]:g}."
        )
    for name in ("discharge_capacity_Ah", "charge_capacity_Ah"):
        values = summary[name].to_numpy(dtype=float)
        if np.isfinite(values).any():
            ratio = float(np.nanmedian(values)) / info.nominal_capacity_Ah
            if not 0.05 <= ratio <= 3:
                raise DataError(
                    f"{_where(info)}: the median of {name} is {ratio:.3g} times the nominal "
                    f"{info.nominal_capacity_Ah:g} Ah; is the column in mAh, or nominal_capacity_Ah of another cell?"
                )


def _check_columns(cell: Cell) -> None:
    numbers = np.array([cycle.cycle for cycle in cell.cycles])
    if numbers.size and (numbers[0] < 1 or np.any(np.diff(numbers) <= 0)):
        bad = int(numbers[np.flatnonzero(np.r_[numbers[0] < 1, np.diff(numbers) <= 0])[0]])
        raise DataError(f"{_where(cell.info)}: cycle numbers must be 1 or more and increase; look at cycle {bad}.")
    expected = set(cell.cycles[0].signals) if cell.cycles else set()
    for cycle in cell.cycles:
        where = f"{_where(cell.info)}, cycle {cycle.cycle}"
        unknown = set(cycle.signals) - set(SIGNALS)
        if unknown:
            raise DataError(f"{where}: unknown signal {sorted(unknown)[0]}; the signals are {', '.join(SIGNALS)}.")
        if set(cycle.signals) != expected:
            odd = sorted(set(cycle.signals) ^ expected)[0]
            raise DataError(f"{where}: signal {odd} is in some cycles only; fill the others with NaN or leave it out.")
        lengths = {name: np.shape(values) for name, values in cycle.signals.items()}
        if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise DataError(f"{where}: the signals must be vectors of one length, they are {lengths}.")
        n = next(iter(lengths.values()), (0,))[0]
        for part in ("charge", "discharge"):
            start, stop = getattr(cycle, part)
            if not 0 <= start <= stop <= n:
                raise DataError(f"{where}: the {part} range ({start}, {stop}) is not within its {n} samples.")


def _check_scales(cell: Cell) -> None:
    """Units of voltage and temperature, from what is typical of the cell: a wrong unit is wrong everywhere."""
    where, ambient = _where(cell.info), cell.info.ambient_degC
    voltage, temperature = _typical(cell, "voltage_V"), _typical(cell, "temperature_degC")
    if voltage > 100:
        raise DataError(f"{where}: voltage_V is typically {voltage:.4g}: this is mV, divide by 1000 in the source.")
    if temperature > 200:
        raise DataError(f"{where}: temperature_degC is typically {temperature:.4g}: this is kelvin, subtract 273.15.")
    fits_ambient = temperature - ambient > 25 and abs((temperature - 32) / 1.8 - ambient) < 15
    if fits_ambient or (np.isnan(ambient) and temperature > 65):
        raise DataError(
            f"{where}: temperature_degC is typically {temperature:.4g} at an ambient of {ambient:g} degC: "
            "this is degF, convert it in the source."
        )


def _typical(cell: Cell, name: str) -> float:
    """Median over some cycles of the signal's median in each; NaN without finite values."""
    some = cell.cycles[:: max(1, len(cell.cycles) // _CHECKED_RECORDS)]
    columns = [c.signals[name] for c in some if name in c.signals and np.isfinite(c.signals[name]).any()]
    return float(np.median([np.nanmedian(values) for values in columns])) if columns else float("nan")


def _check_coulombs(cell: Cell) -> None:
    """After whatever the source converted, I dt in A and s must integrate to the capacity in Ah."""
    for part, capacity, sign in (("charge", "charge_capacity_Ah", 1.0), ("discharge", "discharge_capacity_Ah", -1.0)):
        needed = ("time_s", "current_A", capacity)
        cycles = [c for c in cell.cycles if all(n in c.signals for n in needed) and np.ptp(getattr(c, part)) > 2]
        cycles = cycles[:: -(-len(cycles) // _CHECKED_RECORDS)] if cycles else []
        if cycles:
            cut = [slice(*getattr(c, part)) for c in cycles]
            time, current, charge = ([c.signals[n][s] for c, s in zip(cycles, cut, strict=True)] for n in needed)
            current = [sign * values for values in current]
            fix = check_current(time, current, charge, cell.info.nominal_capacity_Ah, _where(cell.info))
            if abs(fix.slope - 1) > TOLERANCE:
                raise DataError(
                    f"{_where(cell.info)}: the source yields {capacity} and current_A that disagree, as if the units "
                    f"were: {fix.note}. Convert them to A and s in the source."
                )
            return
