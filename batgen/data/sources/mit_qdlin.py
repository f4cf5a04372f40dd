"""Measured discharge curves of all 124 MIT/Severson cells: Qd(V) of cycles 2 to 100, on one voltage grid.

The curves are the `Qdlin` that Severson et al., Nature Energy 4, 383 (2019), made of the raw 4C discharges, one CSV per
cell (1000 voltages x 99 cycles, Ah); lives and charging policies come from the crosswalk table, whose policies are
corrected (the paper's supplementary table 9 is misaligned). ECL is the cycle number of the column, 2 to 100, which is
the numbering of `mit`. Seven columns are glitches, of up to 48.8 Ah: they are rejected and reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo, Cycle, Rejected
from batgen.data.paths import source_folder
from batgen.errors import ConfigError, DataError

NOMINAL_AH = 1.1
#: The voltages of the 1000 rows, and the cycle of the first column.
GRID_V = np.linspace(3.5, 2.0, 1000)
FIRST_CYCLE = 2
#: What a discharge curve of a 1.1 Ah cell can look like, in Ah: its end at least and at most, its lowest point.
END_AH, LOWEST_AH = (0.5, 1.3), -0.05
#: The published lives count to this capacity and no other.
LIFE_AH = 0.88
BATCHES = ("2017-05-12", "2017-06-30", "2018-04-12")
COLUMNS = ("qdlin_file", "batch_date", "batch_index_1based", "charging_policy", "C1", "Q1_percent", "C2", "cycle_life")


@dataclass(frozen=True)
class MitQdlin:
    """Qd(V) of 124 cells x 99 cycles with lives and policies; cell ids are those of `mit` (b1c0: batch 1, index 0).

    folder: below BATGEN_DATA_DIR or absolute. crosswalk: CSV with one row per cell, beside the folder unless absolute.
    """

    name: str = "mit_qdlin"
    folder: str = "severson_qdlin_first100"
    crosswalk: str = "severson_crosswalk_DERIVED.csv"
    eol_capacity_Ah: float = LIFE_AH
    censored: str = "drop"
    conditions: list[str] = field(default_factory=lambda: ["eol", "ecl", "c1", "q1", "c2"])

    @property
    def version(self) -> int:
        return 1

    def files(self) -> list[Path]:
        """The crosswalk and one CSV per cell. Raises DataError, naming what is missing."""
        folder = source_folder(self.folder)
        table = self._table(folder)
        paths = [folder / name for name in read_crosswalk(table)["qdlin_file"]]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} of {len(paths)} Qd(V) files that {table} lists are missing, such as {missing[0]}. "
                "Put them there (data.folder), or use data=sim."
            )
        return [table, *paths]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells in order of batch and index, each with its discharges of ECL 2..`cycles` (at most 100)."""
        if self.eol_capacity_Ah != LIFE_AH:
            raise ConfigError(
                f"data.eol_capacity_Ah={self.eol_capacity_Ah:g}: {self.name} knows lives to {LIFE_AH} Ah only, because "
                "it holds 100 cycles of each cell. Leave it at 0.88, or use data=mit."
            )
        folder = source_folder(self.folder)
        for row in read_crosswalk(self._table(folder)).to_dict("records"):
            yield self._cell(row, read_curves(folder / row["qdlin_file"]), cycles)

    def _table(self, folder: Path) -> Path:
        path = folder.parent / Path(self.crosswalk).expanduser()
        if not path.is_file():
            raise DataError(f"The table of lives and policies {path} is missing. Put it there, or set data.crosswalk.")
        return path

    def _cell(self, row: dict, curves: np.ndarray, limit: int | None) -> Cell:
        numbers = np.arange(FIRST_CYCLE, FIRST_CYCLE + curves.shape[1])
        good, end, lowest = plausible(curves), curves.max(axis=0), curves.min(axis=0)
        rejected = [
            Rejected(f"cycle {n}", f"glitch: Qd(V) runs from {a:.4g} to {b:.4g} Ah")
            for n, a, b in zip(numbers[~good], lowest[~good], end[~good], strict=True)
        ]
        summary = pd.DataFrame(np.nan, index=range(int(good.sum())), columns=list(SUMMARY))
        summary["cycle"] = numbers[good]
        summary["discharge_capacity_Ah"] = end[good]
        voltage = GRID_V.astype(np.float32)
        columns = np.ascontiguousarray(curves.T, dtype=np.float32)
        cycles = [
            Cycle(int(n), {"voltage_V": voltage, "discharge_capacity_Ah": columns[j]}, discharge=(0, len(voltage)))
            for j, n in enumerate(numbers)
            if good[j] and (limit is None or n <= limit)
        ]
        info = CellInfo(
            cell_id=_cell_id(row),
            source=self.name,
            chemistry="LFP",
            nominal_capacity_Ah=NOMINAL_AH,
            voltage_min_V=2.0,
            voltage_max_V=3.6,
            ambient_degC=30.0,
            policy=str(row["charging_policy"]),
            c1=float(row["C1"]),
            q1=float(row["Q1_percent"]) / 100,
            c2=float(row["C2"]),
            discharge_c_rate=4.0,
            eol_cycle=float(row["cycle_life"]),
            eol_definition=f"the published cycle life: cycles to a discharge capacity of {LIFE_AH} Ah",
            censored=False,
            last_cycle=int(numbers[-1]),
        )
        return Cell(info, cycles, summary, rejected, "Ah and V as published (no current or time to check them by)")


def plausible(curves: np.ndarray) -> np.ndarray:
    """Which columns of Qd(V) (voltages, cycles), in Ah, can be discharges and no glitches: (cycles,) bool."""
    with np.errstate(invalid="ignore"):
        end, lowest = curves.max(axis=0), curves.min(axis=0)
        good: np.ndarray = (end >= END_AH[0]) & (end <= END_AH[1]) & (lowest >= LOWEST_AH)
    return good


def read_crosswalk(table: Path) -> pd.DataFrame:
    """The crosswalk, one row per cell. Raises DataError when it can't be read or lacks a column."""
    try:
        frame = pd.read_csv(table, dtype={"qdlin_file": str, "batch_date": str})
    except (OSError, ValueError) as error:
        raise DataError(f"{table}: not a readable CSV ({error}). Fetch it again, or set data.crosswalk.") from error
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(f"{table}: no column {', '.join(missing)}. It is not the crosswalk of lives and policies.")
    return frame


def crosswalk_ids(frame: pd.DataFrame) -> list[str]:
    """`mit` cell ids of the rows of a crosswalk: its index counts from 1 in the raw file, before any removal."""
    return [_cell_id(row) for row in frame.to_dict("records")]


def _cell_id(row: dict) -> str:
    return f"b{BATCHES.index(row['batch_date']) + 1}c{int(row['batch_index_1based']) - 1}"


def read_curves(path: Path) -> np.ndarray:
    """Qd (1000, cycles) in Ah. Raises DataError, naming the file, for anything else."""
    try:
        curves = pd.read_csv(path, header=None, dtype=np.float64).to_numpy()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: not a readable table of numbers ({error}). Fetch it again.") from error
    if len(curves) != len(GRID_V):
        raise DataError(f"{path}: {len(curves)} rows where Qd(V) has {len(GRID_V)} voltages. Fetch it again.")
    return curves
