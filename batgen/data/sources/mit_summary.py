"""The 124 MIT/Severson cells over their whole life: capacity by cycle, with features of discharge and charge.

Severson et al., Nature Energy 4, 383 (2019). `mit_trajectories` reads the capacities and the published split,
`qdv_features` takes statistics of delta-Q(V) from the Qd(V) of cycles 2 to 100, `mit_charge_features` adds the charge
features whose cycle can be proven. Lives and charging policies come from the crosswalk table.

The records end at 0.878 to 0.885 Ah: only 13 of 124 have three records below 0.88 Ah, so that the end of life follows
the rule of `mit` (the published life where the record ends just above). It is the published one for 122 cells and one
cycle earlier for b2c36 and b2c45. Every cell ends near its end of life: the number of its rows is the label.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo, Rejected
from batgen.data.paths import source_folder
from batgen.data.sources.mit import end_of_life
from batgen.data.sources.mit_charge_features import COLUMNS, align, read_charge_features
from batgen.data.sources.mit_qdlin import (
    FIRST_CYCLE,
    LIFE_AH,
    NOMINAL_AH,
    crosswalk_ids,
    plausible,
    read_crosswalk,
    read_curves,
)
from batgen.data.sources.mit_trajectories import Trajectory, read_parts, read_trajectories
from batgen.data.sources.qdv_features import FEATURES, delta_q_features, reference_index
from batgen.data.sources.smooth_delta_q import smooth_delta_q
from batgen.errors import ConfigError, DataError


@dataclass(frozen=True)
class MitSummary:
    """One row a cycle of every cell; own columns: `qdv_features.FEATURES` and `mit_charge_features.COLUMNS`.

    folder: of `file`, below BATGEN_DATA_DIR or absolute. crosswalk: CSV, beside the folder unless absolute.
    qdlin_folder, percycle_folder: like `folder`; null leaves their columns out. reference_cycle: whose Qd(V) is
    subtracted; where it is a glitch, the nearest good cycle before it, else the first one after it. smooth_delta_q: name ->
    [first, last], columns `<name>_log10_var` ... of the mean Qd(V) of the latest `smooth_window` cycles minus that of cycles
    first to last.
    """

    HOLDS = ("sequences",)

    name: str = "mit_summary"
    folder: str = "severson_soh_trajectories"
    file: str = "SeversonBattery.mat"
    crosswalk: str = "severson_crosswalk_DERIVED.csv"
    qdlin_folder: str | None = "severson_qdlin_first100"
    percycle_folder: str | None = "severson_percycle_charge_features"
    reference_cycle: int = 10
    smooth_delta_q: dict[str, list[int]] = field(default_factory=dict)
    smooth_window: int = 5
    eol_capacity_Ah: float = LIFE_AH
    censored: str = "last_record"
    conditions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.reference_cycle < FIRST_CYCLE:
            raise ConfigError(
                f"data.reference_cycle={self.reference_cycle}: the first Qd(V) is of cycle {FIRST_CYCLE}."
            )
        for name, bounds in self.smooth_delta_q.items():
            if len(bounds) != 2 or not FIRST_CYCLE <= bounds[0] <= bounds[1]:
                raise ConfigError(
                    f"data.smooth_delta_q.{name}={list(bounds)}: give the first and last cycle of the reference, from "
                    f"{FIRST_CYCLE} on, such as [4,8]."
                )
        if self.smooth_window < 1:
            raise ConfigError(f"data.smooth_window={self.smooth_window}: it must be 1 or more.")

    @property
    def version(self) -> int:
        """Raised whenever this reader changes what it yields."""
        return 1

    def files(self) -> list[Path]:
        """The trajectories, the crosswalk, and the tables of the cells. Raises DataError, naming what is missing."""
        paths = [self._trajectories(), self._table()]
        rows = self._rows()
        for key, column in (("qdlin_folder", "qdlin_file"), ("percycle_folder", "percycle_file")):
            folder = self._optional(key)
            if folder is None:
                continue
            listed = [folder / name for name in rows[column].dropna()]
            missing = [str(path) for path in listed if not path.is_file()]
            if missing:
                raise DataError(
                    f"{len(missing)} of {len(listed)} files that {paths[1]} lists are missing, such as {missing[0]}. "
                    f"Put them there, or leave their columns out with data.{key}=null."
                )
            paths += listed
        return paths

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells in order of batch and index, without curves: each with the summary of its whole life."""
        rows = self._rows()
        trajectories = read_trajectories(self._trajectories(), rows["cycle_life"].to_numpy(dtype=float))
        for cell_id, row, known in zip(crosswalk_ids(rows), rows.to_dict("records"), trajectories, strict=True):
            yield self._cell(cell_id, row, known)

    def parts(self) -> dict[str, list[str]]:
        """The published split: cell ids of "train" (41), "test" (43) and "secondary" (40, another batch)."""
        ids = crosswalk_ids(self._rows())
        return {part: [ids[i] for i in at] for part, at in read_parts(self._trajectories(), len(ids)).items()}

    def _trajectories(self) -> Path:
        path = source_folder(self.folder) / self.file
        if not path.is_file():
            raise DataError(f"The capacities of the MIT cells {path} are missing. Put them there, or set data.file.")
        return path

    def _table(self) -> Path:
        path = source_folder(self.folder).parent / Path(self.crosswalk).expanduser()
        if not path.is_file():
            raise DataError(f"The table of lives and policies {path} is missing. Put it there, or set data.crosswalk.")
        return path

    def _rows(self) -> pd.DataFrame:
        table = self._table()
        rows = read_crosswalk(table)
        if self.percycle_folder is not None and "percycle_file" not in rows.columns:
            raise DataError(
                f"{table}: no column percycle_file, which names the charge features of a cell. Set data.crosswalk, or "
                "leave such columns out with data.percycle_folder=null."
            )
        return rows

    def _optional(self, key: str) -> Path | None:
        folder = getattr(self, key)
        if folder is None:
            return None
        try:
            return source_folder(folder)
        except DataError as error:
            raise DataError(f"data.{key}: {error} Or leave its columns out with data.{key}=null.") from None

    def _cell(self, cell_id: str, row: dict, known: Trajectory) -> Cell:
        summary = pd.DataFrame(np.nan, index=range(len(known.cycle)), columns=list(SUMMARY))
        summary["cycle"] = known.cycle
        summary["discharge_capacity_Ah"] = known.capacity_Ah
        rejected: list[Rejected] = []
        notes = ["capacity = (1 - loss) x 1.1 Ah"]
        qdlin, percycle = self._optional("qdlin_folder"), self._optional("percycle_folder")
        if qdlin is not None:
            self._add_qdv(summary, qdlin / row["qdlin_file"], rejected)
        if percycle is not None:
            path = percycle / row["percycle_file"] if isinstance(row["percycle_file"], str) else None
            notes.append(_add_charge(summary, path, rejected))
        eol, definition = end_of_life(summary, self.eol_capacity_Ah, float(row["cycle_life"]))
        info = CellInfo(
            cell_id=cell_id,
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
            eol_cycle=eol,
            eol_definition=definition,
            censored=bool(np.isnan(eol)),
            last_cycle=int(known.cycle[-1]),
        )
        return Cell(info, [], summary, rejected, "; ".join(notes))

    def _add_qdv(self, summary: pd.DataFrame, path: Path, rejected: list[Rejected]) -> None:
        """Put the delta-Q(V) columns into `summary`; glitches and a replaced reference go to `rejected`."""
        curves = read_curves(path)
        numbers = np.arange(FIRST_CYCLE, FIRST_CYCLE + curves.shape[1])
        good = plausible(curves)
        rejected += [
            Rejected(f"Qd(V) of cycle {n}", "glitch: no such discharge of a 1.1 Ah cell") for n in numbers[~good]
        ]
        used = reference_index(numbers, good, self.reference_cycle)
        if used is None or numbers[used] != self.reference_cycle:
            stands_in = "nothing" if used is None else f"cycle {numbers[used]}"
            rejected.append(
                Rejected(f"Qd(V) of cycle {self.reference_cycle}", f"not usable: {stands_in} is the reference instead")
            )
        features = delta_q_features(curves, numbers, good, self.reference_cycle)
        for name in FEATURES:
            summary[name] = pd.Series(features[name], index=numbers).reindex(summary["cycle"]).to_numpy()
        for prefix, (first, last) in self.smooth_delta_q.items():
            smooth = smooth_delta_q(curves, numbers, good, first, last, self.smooth_window)
            for name, values in smooth.items():
                summary[f"{prefix}_{name}"] = pd.Series(values, index=numbers).reindex(summary["cycle"]).to_numpy()


def _add_charge(summary: pd.DataFrame, path: Path | None, rejected: list[Rejected]) -> str:
    """Put the charge features into `summary`, what could not be placed into `rejected`; how many cycles have them."""
    for name in COLUMNS:
        summary[name] = np.nan
    if path is None:
        rejected.append(Rejected("charge features", "the crosswalk names no file of this cell: left NaN"))
        return "no charge features"
    columns, capacity_Ah = read_charge_features(path)
    at, doubt = align(capacity_Ah, summary["discharge_capacity_Ah"].to_numpy())
    if doubt:
        rejected.append(Rejected(f"charge features {path.name}", f"cycle not proven: {doubt}"))
    proven = at >= 0
    for name, values in columns.items():
        filled = np.full(len(summary), np.nan)
        filled[at[proven]] = values[proven]
        summary[name] = filled
    return f"charge features of {int(proven.sum())} of {len(summary)} cycles"
