"""A table of one's own with one row a cell and cycle: any file that `percycle_table` reads, columns mapped in YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo
from batgen.data.eol import eol_fields
from batgen.data.paths import data_dir
from batgen.data.percycle_table import check_measured, read_table
from batgen.data.percycle_units import check_scale, family, near
from batgen.errors import ConfigError, DataError

CAPACITY = "discharge_capacity_Ah"
#: End of life, as a part of nominal capacity, where none is set.
EOL_FRACTION = 0.8


@dataclass(frozen=True)
class PercycleCsv:
    """The cells of the table at `path`: absolute, else below the working folder, else below BATGEN_DATA_DIR/`folder`.

    columns: our name -> the file's; cell_id null says that the file is one cell. cycle and discharge_capacity_Ah are
    needed; names of `SUMMARY` fill the summary, any other name becomes a column of its own. units: our name -> the
    file's unit. nominal_capacity_Ah: a number, cell -> number, or one of our names in `columns` (its first value of a
    cell counts). eol_capacity_Ah: null for 80 % of the nominal capacity of each cell. Where both capacities are there
    and no coulombic_efficiency, it is their ratio.
    """

    HOLDS = ("sequences",)

    name: str = "percycle_csv"
    path: str | None = None
    folder: str = ""
    columns: Mapping[str, str | None] = field(
        default_factory=lambda: {"cell_id": "cell", "cycle": "cycle", CAPACITY: "capacity"}
    )
    units: Mapping[str, str] = field(default_factory=dict)
    nominal_capacity_Ah: float | str | Mapping[str, float] | None = None
    eol_capacity_Ah: float | None = None
    chemistry: str = "unknown"
    ambient_degC: float | None = None
    discharge_c_rate: float | None = None
    voltage_min_V: float = 2.0
    voltage_max_V: float = 4.3
    censored: str = "last_record"
    conditions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.columns.get(CAPACITY):
            raise ConfigError(
                f"data.columns.{CAPACITY} is not set. Name the column of the file that holds the discharge capacity."
                f"{near(CAPACITY, self.columns)}"
            )
        nominal = self.nominal_capacity_Ah
        if nominal is None:
            raise ConfigError(
                "data.nominal_capacity_Ah is not set. Give the nominal capacity in Ah, one for each cell as "
                "{CELL: AH, ...}, or the name of a column in data.columns."
            )
        if isinstance(nominal, str) and not self.columns.get(nominal):
            raise ConfigError(
                f"data.nominal_capacity_Ah={nominal}: neither a number nor a column in data.columns."
                f"{near(nominal, self.columns)}"
            )
        if isinstance(nominal, Mapping):
            numbers = {f".{cell}": value for cell, value in nominal.items()}
        else:
            numbers = {} if isinstance(nominal, str) else {"": nominal}
        for key, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ConfigError(f"data.nominal_capacity_Ah{key}={value}: it must be a number of Ah above 0.")
        if self.eol_capacity_Ah is not None and not self.eol_capacity_Ah > 0:
            raise ConfigError(f"data.eol_capacity_Ah={self.eol_capacity_Ah}: it must be above 0, or null.")

    @property
    def version(self) -> int:
        """Raised whenever this reader changes what it yields."""
        return 1

    def files(self) -> list[Path]:
        """The table. Raises ConfigError when none is named, DataError when it is nowhere."""
        if not self.path:
            raise ConfigError("data.path is not set. Name the table with one row a cycle: data.path=cells.csv.")
        given = Path(self.path).expanduser()
        if given.is_absolute() or given.is_file():
            places = [given.absolute()]
        else:
            try:
                places = [given.absolute(), data_dir() / self.folder / given]
            except DataError:  # no BATGEN_DATA_DIR: a table of one's own needs none
                places = [given.absolute()]
        found = [place for place in places if place.is_file()]
        if not found:
            listed = " nor ".join(str(place) for place in places)
            raise DataError(f"data.path={self.path}: there is no {listed}. Name a csv, xlsx or parquet file.")
        return [found[0].resolve()]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells in the order of their first row, without curves: each with the summary of its whole life."""
        (path,) = self.files()
        table = read_table(path, self.columns, self.units)
        check_measured(table, CAPACITY, path)
        nominal = self._nominal(table, path)
        check_scale(table, nominal, str(path))
        for cell_id, rows in table.groupby("cell_id", sort=False):
            yield self._cell(str(cell_id), rows.drop(columns="cell_id").reset_index(drop=True), nominal[str(cell_id)])

    def _nominal(self, table: pd.DataFrame, path: Path) -> dict[str, float]:
        """Nominal capacity of every cell in Ah."""
        cells = [str(cell) for cell in table["cell_id"].unique()]
        given = self.nominal_capacity_Ah
        if isinstance(given, str):
            check_measured(table, given, path)
            first = table.groupby("cell_id")[given].first()
            known = {cell: float(first[cell]) for cell in cells}
        elif isinstance(given, Mapping):
            known = {str(cell): float(value) for cell, value in given.items()}
        else:
            known = dict.fromkeys(cells, float(given or np.nan))
        missing = [cell for cell in cells if cell not in known]
        if missing:
            raise ConfigError(
                f"data.nominal_capacity_Ah has no cell {missing[0]}, which {path} has.{near(missing[0], known)}"
            )
        wrong = [cell for cell in cells if not known[cell] > 0]
        if wrong:
            raise DataError(
                f"{path}: {given} of cell {wrong[0]} is {known[wrong[0]]:g}, and a nominal capacity must be above 0."
            )
        return known

    def _cell(self, cell_id: str, rows: pd.DataFrame, nominal_Ah: float) -> Cell:
        own = [name for name in rows.columns if name not in SUMMARY]
        summary = rows.reindex(columns=[*SUMMARY, *own])
        notes = [f"{name} from {unit}" for name, unit in self.units.items() if unit != family(name)]
        if "coulombic_efficiency" not in rows and "charge_capacity_Ah" in rows:
            ratio = summary[CAPACITY] / summary["charge_capacity_Ah"]
            summary["coulombic_efficiency"] = ratio.where(np.isfinite(ratio))
            notes.append("coulombic efficiency = discharge / charge capacity")
        threshold = EOL_FRACTION * nominal_Ah if self.eol_capacity_Ah is None else self.eol_capacity_Ah
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry=self.chemistry,
            nominal_capacity_Ah=nominal_Ah,
            voltage_min_V=self.voltage_min_V,
            voltage_max_V=self.voltage_max_V,
            ambient_degC=np.nan if self.ambient_degC is None else self.ambient_degC,
            discharge_c_rate=np.nan if self.discharge_c_rate is None else self.discharge_c_rate,
            **eol_fields(summary["cycle"], summary[CAPACITY], threshold, nominal_Ah),
        )
        return Cell(info, [], summary, [], "; ".join(notes) or "as in our column names")
