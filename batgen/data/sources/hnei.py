"""HNEI: 14 NMC-LCO/graphite 18650 cells over about 1100 cycles, as a table of features of each cycle.

LG ICR18650 C2, 2.8 Ah, charged at C/2 to 4.3 V and discharged at 1.5C at 25 degC (Devie, Baure, Dubarry, Energies 11, 1031,
2018), in the table that is passed around as `Battery_RUL.csv`. What it is like, and what is done about it:

- There is no cell column: a new cell begins where Cycle_Index falls. `RUL` counts the rows to the end: it is the label,
  and never read.
- Numbers with exactly three decimals have lost their point ("4.246" V became 4246, 5460.001 s became 5460001). A voltage
  above 10 is divided by 1000; so is a time that is longer than the charge or discharge it is part of (1731 and 88 of
  14725, counted in `rejected`), and after that none is too long. Negative times (8) are taken out.
- There is no capacity column. At constant current it is the discharge time x 1.5C (4.2 A). Discharges longer than 2400 s
  (nominal capacity at that rate) are at another rate: the first 11 or so of a cell (its first full ones, at C/2, take
  7300-7410 s: 2.84-2.88 Ah), reference tests, and days of rest that were counted in. Those shorter than 600 s
  (0.7 Ah; the cells end at 0.87 to 1.17 Ah) were interrupted. Such rows, 339 of 15064, are left out whole and
  reported, since their other features are of another rate too. What is left begins at 2.59 to 2.66 Ah (94 % of
  nominal, as a 1.5C discharge should) and fades to the end: its rank correlation with the cycle is -0.993 to -0.999 in
  every cell. 43 of 14725 capacities lie more than 3 % off the median of their neighbours: cells recover after reference
  tests, mostly around cycle 465, and four discharges were interrupted above 0.7 Ah. They are left as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import Cell, CellInfo, Rejected
from batgen.data.eol import eol_fields
from batgen.data.sources.single_file import find_file, read_numbers, require_columns, summary_of
from batgen.errors import DataError

CYCLE = "Cycle_Index"
#: Our names of the file's columns.
NAMES = {
    "Discharge Time (s)": "discharge_time_s",
    "Decrement 3.6-3.4V (s)": "decrement_3p6_3p4_V_s",
    "Max. Voltage Dischar. (V)": "max_discharge_voltage_V",
    "Min. Voltage Charg. (V)": "min_charge_voltage_V",
    "Time at 4.15V (s)": "time_at_4p15_V_s",
    "Time constant current (s)": "constant_current_time_s",
    "Charging time (s)": "charge_time_s",
}
#: A time, and the longer one that it is a part of.
_PART_OF = {"decrement_3p6_3p4_V_s": "discharge_time_s", "time_at_4p15_V_s": "charge_time_s"}
_LOST_POINT = 1000.0
#: No cell has so many volts.
_MILLIVOLTS = 10.0
#: The least capacity of a whole discharge, as a fraction of nominal.
SHORTEST = 0.25
_OTHER_RATE = "its discharge is longer than nominal capacity at the cycling rate: another rate, or rest counted in"
_INTERRUPTED = f"its discharge ends below {SHORTEST:.0%} of nominal capacity: interrupted"


@dataclass(frozen=True)
class Hnei:
    """Cells hnei_1 to hnei_14 in the order of the file, with the cycles that were discharged at `discharge_c_rate`.

    folder: below BATGEN_DATA_DIR or absolute; file: the table in it. eol_capacity_Ah: 80 % of nominal.
    """

    HOLDS = ("sequences",)

    name: str = "hnei"
    folder: str = "other_per_cycle"
    file: str = "HNEI_Battery_RUL.csv.gz"
    nominal_capacity_Ah: float = 2.8
    discharge_c_rate: float = 1.5
    eol_capacity_Ah: float = 2.24
    chemistry: str = "NMC/LCO"
    censored: str = "last_record"
    conditions: list[str] = field(default_factory=list)

    @property
    def version(self) -> int:
        return 1

    def files(self) -> list[Path]:
        """The table. Raises DataError when it is missing."""
        return [find_file(self.folder, self.file)]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """The summaries of all cells over their whole life. Raises DataError, naming the file, for another table."""
        (path,) = self.files()
        table = read_numbers(path)
        require_columns(table, [CYCLE, *NAMES], path, "the HNEI table of cycle features")
        table = table[[CYCLE, *NAMES]].rename(columns=NAMES)
        index = table[CYCLE]
        if bad := int((index.isna() | (index < 1) | (index != index.round())).sum()):
            raise DataError(f"{path}: {bad} entries of {CYCLE} are no cycle numbers. Fetch the file again.")
        for number, (_, rows) in enumerate(table.groupby((index.diff() < 0).cumsum()), start=1):
            yield self._cell(f"hnei_{number}", rows.reset_index(drop=True))

    def _cell(self, cell_id: str, rows: pd.DataFrame) -> Cell:
        current_A = self.discharge_c_rate * self.nominal_capacity_Ah
        capacity = rows["discharge_time_s"] * current_A / 3600
        at_rate = capacity <= self.nominal_capacity_Ah
        kept = at_rate & (capacity >= SHORTEST * self.nominal_capacity_Ah)
        rejected = [
            Rejected(f"cycle {number:.0f}", _INTERRUPTED if quick else _OTHER_RATE)
            for number, quick in zip(rows.loc[~kept, CYCLE], at_rate[~kept], strict=True)
        ]
        rows = rows[kept].reset_index(drop=True)
        features, mended = mend(rows)
        summary = summary_of(rows[CYCLE], capacity[kept])
        for name in NAMES.values():
            summary[name] = features[name]
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=3.0,
            voltage_max_V=4.3,
            ambient_degC=25.0,
            discharge_c_rate=self.discharge_c_rate,
            **eol_fields(
                summary["cycle"], summary["discharge_capacity_Ah"], self.eol_capacity_Ah, self.nominal_capacity_Ah
            ),
        )
        return Cell(
            info,
            [],
            summary,
            [*rejected, *mended],
            f"capacity from discharge time x {current_A:g} A, voltages in mV -> V",
        )


def mend(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Rejected]]:
    """The features with their decimal points back and without impossible times; what was done to times, by column."""
    clean, done = rows.copy(), []
    for name in NAMES.values():
        values = clean[name]
        if name.endswith("voltage_V"):
            clean[name] = values.where(values <= _MILLIVOLTS, values / _LOST_POINT)
            continue
        longest = clean[_PART_OF[name]] if name in _PART_OF else np.inf
        impossible = (values < 0) | (values / _LOST_POINT > longest)
        lost = (values > longest) & ~impossible
        clean[name] = values.where(~lost, values / _LOST_POINT).where(~impossible)
        if lost.any():
            done.append(Rejected(name, f"{int(lost.sum())} values had lost their decimal point: divided by 1000"))
        if impossible.any():
            done.append(Rejected(name, f"{int(impossible.sum())} values are impossible: taken out"))
    return clean, done
