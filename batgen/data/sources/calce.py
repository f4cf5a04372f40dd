"""CALCE CS2 cells (University of Maryland; W. He et al., J. Power Sources 196, 10314 (2011)): 1.1 Ah LCO/graphite, prismatic.

Charged with 0.5C to 4.2 V (a rest of two minutes) and at 4.2 V down to 50 mA, discharged with 1C to 2.7 V, at room
temperature; nothing recorded that. Two forms, chosen by `form`; both give sequences, and raw also curves (without temperature):

per_cycle: one CSV a cell, with columns cycle, capacity, SoH, resistance, CCCT, CVCT, of which these hold:

- `capacity` is an integral of the current that misses the first half minute of each discharge: about 1.1 % below what the
  cycler counted (CS2_35). It is taken as it is;
- `SoH` is no state of health but the Ah given between 3.8 and 3.4 V, and `resistance` the cycler's own pulse;
- `CCCT` and `CVCT` are the times of the CC and CV charge in s; 0, of either, is not a measurement and becomes NaN;
- rows are not cycles: in CS2_35, of which there are workbooks to compare, the first cycle and some dozen others of the
  first 304 have no row; and from row 96 on the charge times are those of the cycle before the one whose capacity and
  resistance stand beside them, because a cycle without a discharge has only charge times. CS2_36 cannot be checked.

raw: the workbooks of the cycler (`calce_workbook`), with charge, efficiency and relaxation besides. A cycle keeps its
number in the test when it is left out, so numbers may have gaps. A discharge that stops above 2.75 V is truncated and
leaves its cycle out; the charge in the first cycle of a file is left out where it is less than 0.97 of the discharge, for
then it did not start from an empty cell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo, Cycle, Rejected
from batgen.data.derived import (
    coulombic_efficiency,
    find_parts,
    load_step_resistance_Ohm,
    mean_current_A,
    relaxation_drop_V,
    time_under_s,
)
from batgen.data.eol import eol_fields
from batgen.data.paths import source_folder
from batgen.data.sources.calce_workbook import RawCycle, in_order, read_cycles
from batgen.data.units import check_current
from batgen.errors import ConfigError, DataError

VOLTAGE_WINDOW_V = (2.7, 4.2)
POLICY = "CC 0.5C to 4.2 V, CV to 50 mA"
#: C-rate of the discharge; that of the cycles in the workbooks is measured.
DISCHARGE_C = 1.0
#: From this part of the nominal capacity (A per Ah) on the cell is loaded: the resistance pulses are below, the cut-off above.
_ON_C = 0.02
#: A discharge that stops this much above the window (V) did not end by itself.
_EARLY_V = 0.05
#: A charge of less than this part of its discharge did not start from an empty cell.
_FROM_EMPTY = 0.97
_TABLE = ("cycle", "capacity", "resistance", "CCCT", "CVCT")


@dataclass(frozen=True)
class Calce:
    """The cells below `folder`: `per_cycle/CELL.csv` (form per_cycle), or `CELL/CELL_month_day_year.xlsx` (form raw)."""

    HOLDS = ("sequences", "profiles")

    name: str = "calce"
    folder: str = "calce_cs2"
    form: str = "per_cycle"
    nominal_capacity_Ah: float = 1.1
    eol_capacity_Ah: float = 0.88
    censored: str = "last_record"
    conditions: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.form not in ("per_cycle", "raw"):
            raise ConfigError(f"data.form: {self.form!r} is neither per_cycle nor raw.")

    @property
    def version(self) -> int:
        """Raised whenever this reader changes what it yields."""
        return 2

    def files(self) -> list[Path]:
        """The files of every cell. Raises DataError when there is none."""
        return [path for files in self._find().values() for path in files]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells one at a time; raw ones with curves of cycles 1..`cycles` (all with None)."""
        for cell_id, files in self._find().items():
            yield self._raw_cell(cell_id, files, cycles) if self.form == "raw" else self._table_cell(cell_id, files[0])

    def _find(self) -> dict[str, list[Path]]:
        folder = source_folder(self.folder)
        found: dict[str, list[Path]] = {}
        if self.form == "raw":
            for path in in_order(list(folder.glob("CS2_*/CS2_*.xlsx"))):
                found.setdefault(path.parent.name, []).append(path)
        else:
            found = {path.stem: [path] for path in folder.glob("per_cycle/*.csv")}
        if not found:
            wanted = "CS2_35/CS2_35_8_30_10.xlsx" if self.form == "raw" else "per_cycle/CS2_35.csv"
            raise DataError(
                f"No CALCE cell in form {self.form} below {folder}: put {wanted} and the others there, or choose the "
                "other data.form (per_cycle, raw)."
            )
        return dict(sorted(found.items()))

    def _table_cell(self, cell_id: str, path: Path) -> Cell:
        """A cell from its per-cycle CSV."""
        table = _read_table(path)
        rejected = []
        for name in ("capacity", "resistance", "CCCT", "CVCT"):
            zero = table[name] <= 0
            if zero.any():
                table[name] = table[name].mask(zero)
                rejected.append(
                    Rejected(f"{path.name}, {int(zero.sum())} rows", f"{name} of 0 is not measured: made NaN")
                )
        summary = pd.DataFrame(np.nan, index=table.index, columns=list(SUMMARY))
        summary["cycle"] = table["cycle"].astype(int)
        summary["discharge_capacity_Ah"] = table["capacity"]
        summary["internal_resistance_Ohm"] = table["resistance"]
        summary["charge_time_s"] = table["CCCT"] + table["CVCT"]
        summary["cc_charge_time_s"], summary["cv_charge_time_s"] = table["CCCT"], table["CVCT"]
        return Cell(self._info(cell_id, summary), [], summary, rejected, "per cycle: Ah, Ohm, s as given")

    def _raw_cell(self, cell_id: str, files: list[Path], limit: int | None) -> Cell:
        """A cell from its workbooks."""
        raw, rejected = read_cycles(files, _ON_C * self.nominal_capacity_Ah)
        units = check_current(
            [c.time for c in raw],
            [np.minimum(c.current, 0) * -1 for c in raw],
            [c.discharge for c in raw],
            self.nominal_capacity_Ah,
            f"{self.name} cell {cell_id}",
        )
        if (units.current_factor, units.time_factor) != (1.0, 1.0):
            raise DataError(
                f"{self.name} cell {cell_id}: its workbooks are not in A and s but {units.note}; fetch them again."
            )
        rows = [self._row(number, cycle, rejected) for number, cycle in enumerate(raw, 1)]
        columns = [*SUMMARY, "discharge_c_rate"]
        summary = pd.DataFrame([row for row in rows if row], columns=columns)
        kept = [(number, cycle) for number, (cycle, row) in enumerate(zip(raw, rows, strict=True), 1) if row]
        curves = [self._curves(number, cycle) for number, cycle in kept if limit is None or number <= limit]
        return Cell(self._info(cell_id, summary), curves, summary, rejected, units.note)

    def _curves(self, number: int, cycle: RawCycle) -> Cycle:
        """The signals of one raw cycle; a charge that did not start from an empty cell is no part of it."""
        on = _ON_C * self.nominal_capacity_Ah
        charge, discharge = find_parts(cycle.current > on, cycle.current < -on)
        if cycle.opens and cycle.charge[discharge[0]] < _FROM_EMPTY * cycle.discharge[-1]:
            charge = (0, 0)
        signals = {
            "time_s": cycle.time - cycle.time[0],
            "voltage_V": cycle.voltage,
            "current_A": cycle.current,
            "charge_capacity_Ah": cycle.charge,
            "discharge_capacity_Ah": cycle.discharge,
        }
        return Cycle(number, {name: values.astype(np.float32) for name, values in signals.items()}, charge, discharge)

    def _row(self, number: int, cycle: RawCycle, rejected: list[Rejected]) -> dict[str, float] | None:
        """The row of one raw cycle; None, and an entry in `rejected`, where its discharge is truncated or absent."""
        on = _ON_C * self.nominal_capacity_Ah
        up, down = cycle.current > on, cycle.current < -on
        charge, discharge = find_parts(up, down)
        if discharge == (0, 0):
            rejected.append(Rejected(cycle.where, f"no discharge; cycle {number} left out"))
            return None
        end_V, first = float(cycle.voltage[discharge[1] - 1]), discharge[0]
        if end_V > VOLTAGE_WINDOW_V[0] + _EARLY_V:
            rejected.append(
                Rejected(cycle.where, f"truncated: its discharge stops at {end_V:.2f} V; cycle {number} left out")
            )
            return None
        discharge_Ah, charge_Ah, charge_s = float(cycle.discharge[-1]), float(cycle.charge[first]), float("nan")
        if cycle.opens and charge_Ah < _FROM_EMPTY * discharge_Ah:
            reason = f"a charge of {charge_Ah:.3f} Ah before a discharge of {discharge_Ah:.3f} Ah"
            rejected.append(Rejected(cycle.where, f"{reason}: it did not start from an empty cell and is left out"))
            charge_Ah = float("nan")
        else:
            charge_s = time_under_s(cycle.time[:first], up[:first])
        # the cycler's own 10 ms pulse where it made one; else the load step, which its log of 30 s makes higher
        pulse = float(cycle.resistance[first])
        step = load_step_resistance_Ohm(cycle.voltage, cycle.current, discharge, 10 * on)
        return dict.fromkeys(SUMMARY, float("nan")) | {
            "cycle": number,
            "discharge_capacity_Ah": discharge_Ah,
            "charge_capacity_Ah": charge_Ah,
            "coulombic_efficiency": coulombic_efficiency(discharge_Ah, charge_Ah),
            "internal_resistance_Ohm": pulse if pulse > 0 else step,
            "relaxation_voltage_drop_V": relaxation_drop_V(cycle.voltage, charge, discharge),
            "charge_time_s": charge_s,
            "discharge_c_rate": mean_current_A(cycle.time, cycle.current, down) / self.nominal_capacity_Ah,
        }

    def _info(self, cell_id: str, summary: pd.DataFrame) -> CellInfo:
        capacity = summary["discharge_capacity_Ah"]
        return CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry="LCO",
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=VOLTAGE_WINDOW_V[0],
            voltage_max_V=VOLTAGE_WINDOW_V[1],
            ambient_degC=float("nan"),
            policy=POLICY,
            discharge_c_rate=DISCHARGE_C,
            **eol_fields(summary["cycle"], capacity, self.eol_capacity_Ah, self.nominal_capacity_Ah),
        )


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): it is damaged; copy it again.") from error
    for column in _TABLE:
        if column not in table.columns:
            raise DataError(f"{path} has no column {column}: it is not a per-cycle table of CALCE.")
    numbers = table[list(_TABLE)].apply(pd.to_numeric, errors="coerce")
    if (bad := np.flatnonzero(numbers["cycle"].isna())).size:
        raise DataError(f"{path}, row {bad[0] + 2}: cycle is not a number. Copy the file again.")
    return numbers
