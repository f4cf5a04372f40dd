"""Pulse tests of one's own: a csv file with one row a test, whose columns and units the config names."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from batgen.data.cell import Cell
from batgen.data.paths import data_dir
from batgen.data.pulse_table import check_pulses, check_voltage_order, read_numbers, refuse_doubled
from batgen.data.pulse_units import to_fraction, to_volt
from batgen.errors import ConfigError, DataError

REQUIRED = ("cell_id", "soc", "soh")
OPTIONAL = ("battery", "chemistry", "stage_id", "nominal_capacity_Ah", "capacity_Ah", "pulse_width_s")
_TEXT = ("battery", "chemistry", "cell_id", "stage_id")
_UNITS = {"soc_unit": ("fraction", "percent"), "soh_unit": ("fraction", "percent"), "voltage_unit": ("V", "mV")}


@dataclass(frozen=True)
class PulseCsv:
    """The pulse tests in `file` (absolute or below BATGEN_DATA_DIR; .csv or .csv.gz).

    columns: our name of a column to the file's; null where the file has none. cell_id, soc and soh are needed; a stage_id
    says which ageing stage of its cell a row is; capacity_Ah is compared with SOH; battery, the type, is needed where
    there are several. chemistry, nominal_capacity_Ah, pulse_width_s: for a file without such a column. voltages: a
    pattern, or the list of columns in order; count: how many the pattern names, null for all there are. Units are
    checked against the numbers. Raises ConfigError for an unknown column name or unit.
    """

    HOLDS = ("pulses",)

    name: str = "pulse_csv"
    file: str = ""
    columns: Mapping[str, str | None] = field(default_factory=lambda: {name: name for name in REQUIRED})
    voltages: str | list[str] = "U{k}"
    count: int | None = None
    soc_unit: str = "fraction"
    soh_unit: str = "fraction"
    voltage_unit: str = "V"
    chemistry: str = ""
    nominal_capacity_Ah: float | None = None
    pulse_width_s: float = 5.0
    conditions: list[str] = field(default_factory=lambda: ["soc", "soh"])

    def __post_init__(self) -> None:
        for key in self.columns:
            if key not in REQUIRED + OPTIONAL:
                near = _near(key, REQUIRED + OPTIONAL)
                raise ConfigError(f"data.columns.{key}: unknown; it takes {', '.join(REQUIRED + OPTIONAL)}.{near}")
        for key in REQUIRED:
            if not self.columns.get(key):
                raise ConfigError(f"data.columns.{key} is not set. Name the column of the file that holds it.")
        for key, known in _UNITS.items():
            if getattr(self, key) not in known:
                raise ConfigError(f"data.{key}={getattr(self, key)}: it must be {' or '.join(known)}.")
        if isinstance(self.voltages, str) and "{k}" not in self.voltages:
            raise ConfigError(
                f"data.voltages={self.voltages}: a pattern such as U{{k}}, or a list of columns in order."
            )

    @property
    def version(self) -> int:
        return 1

    @property
    def folder(self) -> str:
        return str(Path(self.file).parent)

    @property
    def eol_capacity_Ah(self) -> float:
        """Not a number: these cells are not cycled to an end of life here."""
        return float("nan")

    @property
    def censored(self) -> str:
        return "drop"

    def files(self) -> list[Path]:
        """The csv file. Raises DataError when it is not there, ConfigError when none is named."""
        if not self.file:
            raise ConfigError("data.file is not set. Name the csv file with the pulse tests: data.file=PATH.")
        path = Path(self.file).expanduser()
        path = path if path.is_absolute() else data_dir() / path
        if not path.is_file():
            raise DataError(f"data.file: {path} does not exist. Name a csv file, absolute or below BATGEN_DATA_DIR.")
        return [path]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """None: a pulse test is no cycle."""
        return iter(())

    def pulses(self) -> pd.DataFrame:
        """The table of `pulse_table`. Raises DataError, naming file, line and column, for whatever is wrong."""
        (path,) = self.files()
        where = str(path)
        raw = self._read(path)
        table = self._voltages(raw, where)
        for ours, theirs in self.columns.items():
            if theirs:
                table[ours] = raw[self._column(raw, ours, theirs, where)]
        table["test_set"] = "grid"
        self._fill(table, where)
        for name, unit in (("soc", self.soc_unit), ("soh", self.soh_unit)):
            table[name] = to_fraction(read_numbers(table, name, where), name, where, unit)
        return check_pulses(table, where)

    def _read(self, path: Path) -> pd.DataFrame:
        text = {theirs: str for ours, theirs in self.columns.items() if ours in _TEXT and theirs}
        try:
            raw = pd.read_csv(path, dtype=text, skip_blank_lines=False)
        except (ValueError, OSError, EOFError) as error:  # pandas' own errors are ValueErrors
            raise DataError(f"{path}: not a readable csv file ({error}). Save it as comma-separated UTF-8.") from error
        refuse_doubled(raw.columns, str(path))
        raw.index = pd.Index([f"line {k + 2}" for k in range(len(raw))])
        return raw.dropna(how="all")

    def _column(self, raw: pd.DataFrame, ours: str, theirs: str, where: str) -> str:
        if theirs not in raw.columns:
            raise DataError(
                f"{where}: no column {theirs!r}; it has {', '.join(map(str, raw.columns))}. Set data.columns.{ours} to "
                f"the one that holds {ours}.{_near(theirs, list(map(str, raw.columns)))}"
            )
        return theirs

    def _voltages(self, raw: pd.DataFrame, where: str) -> pd.DataFrame:
        """U1..Un (V), from the pattern or the list."""
        if isinstance(self.voltages, str):
            before, after = self.voltages.split("{k}", 1)
            ours = {
                c: f"U{int(middle)}"
                for c in raw.columns
                if c.startswith(before) and c.endswith(after)
                if (middle := c[len(before) : len(c) - len(after)]).isdigit()
            }
            listed = [c for c in ours if self.count is None or int(ours[c][1:]) <= self.count]
            if not listed or (self.count is not None and len(listed) < self.count):
                wanted = f"{self.count} " if self.count is not None else ""
                raise DataError(
                    f"{where}: {len(listed)} columns fit data.voltages={self.voltages}, {wanted}wanted; it has "
                    f"{', '.join(map(str, raw.columns))}. Set data.voltages to the pattern or the list of columns."
                )
            # the order in the file counts here: a changed one is a danger sign
            check_voltage_order([ours[c] for c in listed], where)
        else:
            listed = list(self.voltages)
            for name in listed:
                if name not in raw.columns:
                    raise DataError(
                        f"{where}: no column {name!r}, which data.voltages lists; it has "
                        f"{', '.join(map(str, raw.columns))}.{_near(name, list(map(str, raw.columns)))}"
                    )
        table = raw[listed].set_axis([f"U{k}" for k in range(1, len(listed) + 1)], axis=1)
        if not len(table):
            raise DataError(f"{where}: there is no pulse test in it, only column names.")
        numbers = {name: read_numbers(table, name, where) for name in map(str, table.columns)}
        return to_volt(pd.DataFrame(numbers), where, self.voltage_unit)

    def _fill(self, table: pd.DataFrame, where: str) -> None:
        """What the file has no column for."""
        for name in ("chemistry", "nominal_capacity_Ah"):
            if name not in table:
                if not getattr(self, name):
                    raise ConfigError(
                        f"{where}: {name} of the cells is not known. Set data.{name}, or data.columns.{name} where the "
                        "file has a column for it."
                    )
                table[name] = getattr(self, name)
        table["nominal_capacity_Ah"] = read_numbers(table, "nominal_capacity_Ah", where)
        if "pulse_width_s" not in table:
            table["pulse_width_s"] = self.pulse_width_s
        if "battery" not in table:
            table["battery"] = f"{table['chemistry'].iloc[0]}_{table['nominal_capacity_Ah'].iloc[0]:g}Ah"
        if "stage_id" not in table:
            table["stage_id"] = table["cell_id"]
        elif (table.groupby("stage_id")["cell_id"].nunique() > 1).any():  # numbered anew in every cell
            table["stage_id"] = table["cell_id"] + "/" + table["stage_id"]


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f" Did you mean {near[0]}?" if near else ""
