"""Raw cycling of 18650 cells of 3.5 Ah from Tongji University and KIT (J. Zhu et al., Nat. Commun. 13, 2261 (2022)).

Files `CY25-1_1-#K.csv.gz`: 25 degC, charged with 1C to 4.2 V and at 4.2 V down to C/20, a rest of half an hour, discharged
with 1C to 2.65 V, a rest. 2.65 V is the lower limit of the NCA cells of that work (its NCM cells go to 2.5 V, its blend of
both is 2.5 Ah): NCA with graphite-silicon. No temperature was recorded.

The cycle numbers are the file's own (two files start at 2). The first sample of a step reports the mean current since the
sample before, so which step a sample belongs to is read from the control columns. In every file the discharge of cycle 26
is not in the log: the voltage falls over a gap of two hours and the discharge then recorded gives 0.1 Ah. A discharge of
less than half its charge is no whole one, nor is one that stops above 2.70 V: its cycle is left out and reported.
"""

import re
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
from batgen.data.units import check_current
from batgen.errors import DataError

VOLTAGE_WINDOW_V = (2.65, 4.2)
#: Our name of a column, and the file's.
COLUMNS = {
    "cycle": "cycle number",
    "time": "time/s",
    "voltage": "Ecell/V",
    "current": "<I>/mA",
    "discharge": "Q discharge/mA.h",
    "charge": "Q charge/mA.h",
    "control_V": "control/V",
    "control_mA": "control/mA",
}
_NAME = re.compile(r"CY(?P<ambient>\d+)-(?P<charge>[\d.]+)_(?P<discharge>[\d.]+)-#(?P<cell>\d+)\.csv(\.gz)?")
#: A discharge that stops this much above the window (V) did not end by itself.
_EARLY_V = 0.05
#: A discharge of less than this part of its charge was not recorded as a whole.
_WHOLE = 0.5
#: From this part of the nominal capacity (A per Ah) on, a current is a load, and a step in it tells a resistance.
_STEP_C = 0.1


@dataclass(frozen=True)
class Tju:
    """The cells below `folder`, one CSV each, plain or gzip'd; ambient and C-rates are those of the file names."""

    HOLDS = ("sequences", "profiles")

    name: str = "tju"
    folder: str = "tju_raw_cycling"
    chemistry: str = "NCA"
    nominal_capacity_Ah: float = 3.5
    eol_capacity_Ah: float = 2.8
    censored: str = "last_record"
    conditions: Sequence[str] = ()

    @property
    def version(self) -> int:
        """Raised whenever this reader changes what it yields."""
        return 2

    def files(self) -> list[Path]:
        """One file a cell, in order of name. Raises DataError when there is none."""
        folder = source_folder(self.folder)
        found = sorted(path for path in folder.glob("CY*.csv*") if _NAME.fullmatch(path.name))
        if not found:
            raise DataError(f"No file such as CY25-1_1-#1.csv.gz below {folder}: put them there, or set data.folder.")
        return found

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells one at a time, with curves of cycles 1..`cycles` (all with None) and the summary of the whole record."""
        for path in self.files():
            yield self._cell(path, cycles)

    def _cell(self, path: Path, limit: int | None) -> Cell:
        named = _NAME.fullmatch(path.name)
        assert named, path  # files() yields no other
        cell_id = path.name.removesuffix(".gz").removesuffix(".csv")
        table = _read(path)
        groups = [(int(rows["cycle"].iloc[0]), rows) for _, rows in table.groupby("cycle", sort=True)]
        units = check_current(
            [rows["time"] for _, rows in groups],
            [-rows["current"].clip(upper=0) for _, rows in groups],
            [rows["discharge"] / 1000 for _, rows in groups],  # mAh, as the column says
            self.nominal_capacity_Ah,
            f"{self.name} cell {cell_id}",
        )
        rejected: list[Rejected] = []
        made = [self._row(n, rows, units.current_factor, units.time_factor, rejected) for n, rows in groups]
        if not (kept := [row for row in made if row]):
            raise DataError(
                f"{path}: no cycle with a whole discharge ({rejected[0].reason}); take it out of the folder."
            )
        summary = pd.DataFrame(kept, columns=[*SUMMARY, "discharge_c_rate"])
        capacity = summary["discharge_capacity_Ah"]
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=VOLTAGE_WINDOW_V[0],
            voltage_max_V=VOLTAGE_WINDOW_V[1],
            ambient_degC=float(named["ambient"]),
            policy=f"CC {named['charge']}C to 4.2 V, CV to C/20",
            discharge_c_rate=float(named["discharge"]),
            **eol_fields(summary["cycle"], capacity, self.eol_capacity_Ah, self.nominal_capacity_Ah),
        )
        whole = {int(row["cycle"]) for row in kept}
        curves = [
            _curves(n, rows, units.current_factor, units.time_factor)
            for n, rows in groups
            if n in whole and (limit is None or n <= limit)
        ]
        return Cell(info, curves, summary, rejected, units.note)

    def _row(
        self, number: int, rows: pd.DataFrame, to_A: float, to_s: float, rejected: list[Rejected]
    ) -> dict[str, float] | None:
        """The row of one cycle; None, and an entry in `rejected`, where its discharge is not there as a whole."""
        column = {name: rows[name].to_numpy() for name in COLUMNS}
        time, current, voltage = column["time"] * to_s, column["current"] * to_A, column["voltage"]
        up, down = _steps(rows)
        charge, discharge = find_parts(up, down)
        charge_Ah, discharge_Ah = float(column["charge"].max()) / 1000, float(column["discharge"].max()) / 1000
        end_V = float(voltage[discharge[1] - 1])
        fault = ""
        if discharge == (0, 0):
            fault = "truncated: no discharge"
        elif discharge_Ah < _WHOLE * charge_Ah:
            gap = float(np.diff(time).max())
            fault = f"only {discharge_Ah:.3f} Ah of its discharge after a charge of {charge_Ah:.3f} Ah: a gap of {gap:.0f} s"
        elif end_V > VOLTAGE_WINDOW_V[0] + _EARLY_V:
            fault = f"truncated: its discharge stops at {end_V:.2f} V"
        if fault:
            rejected.append(Rejected(f"cycle {number}", f"{fault}; left out"))
            return None
        smallest = _STEP_C * self.nominal_capacity_Ah
        return dict.fromkeys(SUMMARY, float("nan")) | {
            "cycle": number,
            "discharge_capacity_Ah": discharge_Ah,
            "charge_capacity_Ah": charge_Ah if charge_Ah > 0 else float("nan"),
            "coulombic_efficiency": coulombic_efficiency(discharge_Ah, charge_Ah),
            "internal_resistance_Ohm": load_step_resistance_Ohm(voltage, current, discharge, smallest),
            "relaxation_voltage_drop_V": relaxation_drop_V(voltage, charge, discharge),
            "charge_time_s": time_under_s(time[: discharge[0]], up[: discharge[0]]),
            "discharge_c_rate": mean_current_A(time, current, down & (current < -smallest)) / self.nominal_capacity_Ah,
        }


def _steps(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which samples (n,) belong to a charging and which to a discharging step."""
    control_mA, control_V = rows["control_mA"].to_numpy(), rows["control_V"].to_numpy()
    return (control_mA > 0) | (control_V > 0), control_mA < 0


def _curves(number: int, rows: pd.DataFrame, to_A: float, to_s: float) -> Cycle:
    """The signals of one cycle."""
    charge, discharge = find_parts(*_steps(rows))
    time = rows["time"].to_numpy() * to_s
    signals = {
        "time_s": time - time[0],
        "voltage_V": rows["voltage"].to_numpy(),
        "current_A": rows["current"].to_numpy() * to_A,
        "charge_capacity_Ah": rows["charge"].to_numpy() / 1000,
        "discharge_capacity_Ah": rows["discharge"].to_numpy() / 1000,
    }
    return Cycle(number, {name: values.astype(np.float32) for name, values in signals.items()}, charge, discharge)


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): it is damaged; copy it again.") from error
    for column in COLUMNS.values():
        if column not in table.columns:
            raise DataError(f"{path} has no column {column}: it is not a raw record of this dataset.")
    values = table[list(COLUMNS.values())].apply(pd.to_numeric, errors="coerce").astype(float)
    values.columns = list(COLUMNS)
    if values.empty or values.isna().to_numpy().any():
        lost = "no row" if values.empty else f"gaps in {COLUMNS[values.columns[values.isna().any()][0]]}"
        raise DataError(f"{path} has {lost}: it is damaged; copy it again.")
    for name in ("time", "cycle"):
        if (back := np.flatnonzero(np.diff(values[name].to_numpy()) < 0)).size:
            raise DataError(f"{path}: {COLUMNS[name]} runs backwards after line {back[0] + 2}; copy the file again.")
    return values
