"""Oxford Battery Degradation Dataset 1: capacities of 8 small pouch cells, a row about every 100 drive cycles.

Kokam SLPB533459H4, 740 mAh, LCO/NCO blend against graphite, aged at 40 degC by Artemis urban drive cycles and measured at
1C after about every 100 of them (Birkl, thesis and data, University of Oxford, 2017). The table is one column a cell, in
**mAh**, without a cycle column: row r (from 0) is taken as cycle 1 + 100 r. The number is nominal: where a
characterisation is missing in the original record, those after it are numbered too low.

Nothing is cleaned. Two records stand out: cell 2 falls by 56 mAh and returns by 61 in its 70th and 71st row, cell 5 ends
with a fall of 149 mAh.
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

CELLS = 8
#: Drive cycles between two characterisations.
EVERY = 100
MAH = 1e-3


@dataclass(frozen=True)
class Oxford:
    """Cells oxford_1 to oxford_8 with 46 to 78 characterisations each, to 456-583 mAh.

    folder: below BATGEN_DATA_DIR or absolute; file: the workbook in it. eol_capacity_Ah: 80 % of nominal.
    """

    HOLDS = ("sequences",)

    name: str = "oxford"
    folder: str = "other_per_cycle"
    file: str = "Oxford_Dataset_1.xlsx"
    nominal_capacity_Ah: float = 0.74
    eol_capacity_Ah: float = 0.592
    chemistry: str = "LCO/NCO"
    censored: str = "last_record"
    conditions: list[str] = field(default_factory=list)

    @property
    def version(self) -> int:
        return 1

    def files(self) -> list[Path]:
        """The workbook. Raises DataError when it is missing."""
        return [find_file(self.folder, self.file)]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """The summaries of all cells over their whole life. Raises DataError, naming the file, for another table."""
        (path,) = self.files()
        table = read_numbers(path)
        columns = {k: f"CapacityCell_{k}" for k in range(1, CELLS + 1)}
        require_columns(
            table, list(columns.values()), path, "the Oxford table (CapacityCell_1 to CapacityCell_8, in mAh)"
        )
        for k, column in columns.items():
            yield self._cell(f"oxford_{k}", table[column], path)

    def _cell(self, cell_id: str, column: pd.Series, path: Path) -> Cell:
        known = np.flatnonzero(column.notna())
        if not known.size:
            raise DataError(f"{path}: column {column.name!r} is empty. Fetch the file again.")
        # columns are as long as the longest cell's: only a hole before the last record is a missing one
        holes = sorted(set(range(int(known[-1]))) - set(known.tolist()))
        rejected = [Rejected(f"row {row + 2}", "no capacity") for row in holes]
        summary = summary_of(1 + EVERY * known, column.to_numpy()[known] * MAH)
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=2.7,
            voltage_max_V=4.2,
            ambient_degC=40.0,
            discharge_c_rate=1.0,
            **eol_fields(
                summary["cycle"], summary["discharge_capacity_Ah"], self.eol_capacity_Ah, self.nominal_capacity_Ah
            ),
        )
        return Cell(info, [], summary, rejected, "capacity mAh -> Ah")
