"""NASA PCoE lithium-ion ageing cells (B. Saha and K. Goebel, NASA Ames Prognostics Data Repository, 2007).

18650 cells of 2 Ah, charged with 1.5 A to 4.2 V and then at 4.2 V down to 20 mA, discharged with 1 to 4 A (some in
pulses) to 2.0-2.7 V, at ambients from 4 to 44 degC.

`nasa_records` reads the records, `nasa_cycles` makes cycles of them. Charge capacity is integrated, since none is
recorded; units are checked with the recorded capacity of discharges. Internal resistance is that of the load step at the
start of each discharge (10 s to 19 s between the samples, so above the ohmic one; the impedance records are not taken
every cycle). The voltage drop in relaxation runs to the last sample before the load, after rests of one minute to twelve days.
The own column `discharge_c_rate` is the mean current under load over the nominal capacity.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo
from batgen.data.eol import eol_fields
from batgen.data.paths import source_folder
from batgen.data.sources.nasa_cycles import EMPTY, common_load, make_cycle, pair
from batgen.data.sources.nasa_records import Record, find_cells, find_metadata, read_records
from batgen.data.units import UnitFix, check_current
from batgen.errors import DataError

VOLTAGE_WINDOW_V = (2.0, 4.2)
POLICY = "CC 1.5 A to 4.2 V, CV to 20 mA"


@dataclass(frozen=True)
class Nasa:
    """The NASA cells below `folder`, in `.mat` or CSV form (see `nasa_records`); B0005, which is in two forms, once.

    The authors do not state the chemistry; `chemistry` is a guess of the literature and only a label here.
    """

    HOLDS = ("curves", "sequences", "profiles")

    name: str = "nasa"
    folder: str = "nasa_pcoe"
    nominal_capacity_Ah: float = 2.0
    eol_capacity_Ah: float = 1.4
    chemistry: str = "NCA/LCO"
    censored: str = "drop"
    conditions: Sequence[str] = ("soh", "ecl", "ambient_degC")

    @property
    def version(self) -> int:
        """Raised whenever this reader changes what it yields."""
        return 2

    def files(self) -> list[Path]:
        """The raw files of every cell. Raises DataError when there is none."""
        found = self._find()
        metadata = find_metadata(source_folder(self.folder))
        return [*([metadata] if metadata else []), *(path for _, files in found.values() for path in files)]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells one at a time, with curves of cycles 1..`cycles` and the summary of the whole life."""
        metadata = find_metadata(source_folder(self.folder))
        for cell_id, (form, files) in self._find().items():
            yield self._cell(cell_id, read_records(cell_id, form, files, metadata), cycles)

    def _find(self) -> dict[str, tuple[str, list[Path]]]:
        folder = source_folder(self.folder)
        found = find_cells(folder)
        if not found:
            raise DataError(
                f"No NASA cell below {folder}: put B0005.mat and the others into {folder / 'mat'}, or the cleaned CSV "
                f"with metadata.csv into {folder / 'cleaned_csv'}, or use data=sim, which needs no files."
            )
        return found

    def _cell(self, cell_id: str, records: list[Record], limit: int | None) -> Cell:
        where = f"{self.name} cell {cell_id}"
        units = _units(records, self.nominal_capacity_Ah, where)
        pairs, rejected = pair(records, self.nominal_capacity_Ah, units)
        if not pairs:
            raise DataError(f"{where}: no usable discharge among its {len(records)} records; remove its files.")
        made = [make_cycle(number, *charge_discharge, units) for number, charge_discharge in enumerate(pairs, 1)]
        summary = pd.DataFrame([row for _, row in made], columns=[*SUMMARY, "ambient_degC", "discharge_c_rate"])
        summary["discharge_c_rate"] /= self.nominal_capacity_Ah
        life = eol_fields(
            summary["cycle"], summary["discharge_capacity_Ah"], self.eol_capacity_Ah, self.nominal_capacity_Ah
        )
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=VOLTAGE_WINDOW_V[0],
            voltage_max_V=VOLTAGE_WINDOW_V[1],
            ambient_degC=float(summary["ambient_degC"].mode().iloc[0]),
            policy=POLICY,
            discharge_c_rate=common_load(pairs, units) / self.nominal_capacity_Ah,
            **life,
        )
        return Cell(info, [c for c, _ in made if limit is None or c.cycle <= limit], summary, rejected, units.note)


def _units(records: list[Record], nominal_Ah: float, where: str) -> UnitFix:
    """Units of current and time, from the recorded capacity of discharges over their integral of current."""
    known = [r for r in records if r.kind == "discharge" and not r.fault and r.capacity_Ah > EMPTY * nominal_Ah]
    if not known:
        raise DataError(f"{where}: no discharge has a recorded capacity, so units cannot be checked; remove its files.")
    return check_current(
        [r.time for r in known], [-r.current for r in known], [r.capacity_Ah for r in known], nominal_Ah, where
    )
