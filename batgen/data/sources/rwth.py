"""RWTH Aachen: capacity curves of 47 cylindrical cells of one batch, cycled alike (Baumhoefer et al., 2014).

Sanyo/Panasonic UR18650E, NMC against graphite, 1.85 Ah when new, 25 degC, cycled in the middle of their charge range
(Baumhoefer, Bruehl, Rothgang, Sauer, J. Power Sources 247, 332). The file holds a capacity for every cycle from 1 on, but these
are no per-cycle measurements: every curve falls strictly and smoothly from 1.83-1.85 Ah and stops when it reaches 0.9 Ah,
so they are curves drawn through capacity tests that lie many cycles apart. A value between two tests already knows the
later one. There is no measurement noise to learn or to detect outliers against, and forecasts look better than on
records of real cycles.

Column pairs `CycleCell_k`, `CapacityCell_k` (Ah). Cell 1 has 144 cycle numbers without capacity behind its end. A cycle
number that is no whole number, below 1, or not above the one before is rejected and reported (the staged file has none).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import Cell, CellInfo, Rejected
from batgen.data.eol import eol_fields
from batgen.data.sources.single_file import find_file, read_numbers, require_columns, summary_of
from batgen.errors import DataError

_CYCLE = re.compile(r"CycleCell_(\d+)")


@dataclass(frozen=True)
class Rwth:
    """Cells rwth_1 to rwth_47, as many as the file has pairs of columns, with 1411 to 1808 cycles each.

    folder: below BATGEN_DATA_DIR or absolute; file: the workbook in it. eol_capacity_Ah: 80 % of nominal.
    """

    HOLDS = ("sequences",)

    name: str = "rwth"
    folder: str = "other_per_cycle"
    file: str = "RWTH_Dataset.xlsx"
    nominal_capacity_Ah: float = 1.85
    eol_capacity_Ah: float = 1.48
    chemistry: str = "NMC"
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
        numbers = [int(m[1]) for name in table.columns if (m := _CYCLE.fullmatch(str(name)))] or [1]
        wanted = [f"{what}_{k}" for k in numbers for what in ("CycleCell", "CapacityCell")]
        require_columns(table, wanted, path, "the RWTH table (pairs CycleCell_k, CapacityCell_k)")
        for k in numbers:
            yield self._cell(f"rwth_{k}", table[f"CycleCell_{k}"], table[f"CapacityCell_{k}"], path)

    def _cell(self, cell_id: str, cycle: pd.Series, capacity: pd.Series, path: Path) -> Cell:
        rejected, kept = _usable(cycle.to_numpy(), capacity.to_numpy())
        if not kept.any():
            raise DataError(f"{path}: {capacity.name} has no usable cycle. Fetch the file again.")
        summary = summary_of(cycle.to_numpy()[kept], capacity.to_numpy()[kept])
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=self.nominal_capacity_Ah,
            voltage_min_V=2.75,
            voltage_max_V=4.2,
            ambient_degC=25.0,
            **eol_fields(
                summary["cycle"], summary["discharge_capacity_Ah"], self.eol_capacity_Ah, self.nominal_capacity_Ah
            ),
        )
        return Cell(info, [], summary, rejected, "capacity Ah")


def _usable(cycle: np.ndarray, capacity: np.ndarray) -> tuple[list[Rejected], np.ndarray]:
    """What is left out and why, and the rows (n,) bool that stay; rows without both numbers are padding."""
    rejected: list[Rejected] = []
    kept = np.isfinite(cycle) & np.isfinite(capacity)
    for row in np.flatnonzero(np.isfinite(cycle) != np.isfinite(capacity)):
        lacking = "capacity" if np.isfinite(cycle[row]) else "cycle number"
        rejected.append(Rejected(f"row {row + 2}", f"no {lacking}"))
    last = 0.0
    for row in np.flatnonzero(kept):
        number = cycle[row]
        if number < 1 or number != np.round(number):
            reason = f"cycle number {number:g} is not a whole number from 1"
        elif number <= last:
            reason = f"cycle number {number:g} does not come after {last:g}"
        else:
            last = number
            continue
        kept[row] = False
        rejected.append(Rejected(f"row {row + 2}", reason))
    return rejected, kept
