"""Pulse tests of retired cells (PulseBat; Tao et al., Nature Communications 15, 10154, 2024): 5 s pulses at 5 % to 50 % SOC.

One workbook a battery type, such as NMC_2.1Ah_W_5000.xlsx (pulses of 5000 ms); `pulse_workbook` reads it. There are no
cycles, only the table of tests (`batgen.data.pulse_table`). The 67 IDs of NMC_2.1Ah are ageing stages of 12 cells.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from batgen.data.cell import Cell
from batgen.data.paths import source_folder
from batgen.data.pulse_table import check_pulses, check_rows, voltage_columns
from batgen.data.sources.pulse_workbook import read_workbook
from batgen.errors import ConfigError, DataError

ALL = "all"


@dataclass(frozen=True)
class Pulse:
    """The pulse tests of one or several battery types.

    folder: below BATGEN_DATA_DIR or absolute; the workbooks may also be in folders within it. battery: a type, a list of
    types, or "all". suffix: what follows the type in file names. cell_of_id: by battery type, the regex whose match in
    an ID is the physical cell; in other types every ID is a cell. voltages: keep U1..U<voltages> only; null keeps all.
    """

    HOLDS = ("pulses",)

    name: str = "pulse"
    folder: str = "pulse_voltage_response"
    battery: str | list[str] = "NMC_2.1Ah"
    suffix: str = "_W_5000"
    cell_of_id: Mapping[str, str] = field(default_factory=lambda: {"NMC_2.1Ah": "^[^-]+"})
    voltages: int | None = None
    conditions: list[str] = field(default_factory=lambda: ["soc", "soh"])

    def __post_init__(self) -> None:
        for battery, pattern in self.cell_of_id.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"data.cell_of_id.{battery}={pattern!r} is not a regular expression: {error}."
                ) from error
        if self.voltages is not None and self.voltages < 1:
            raise ConfigError(f"data.voltages={self.voltages}: give the number of voltages to keep, or null for all.")

    @property
    def version(self) -> int:
        return 1

    @property
    def eol_capacity_Ah(self) -> float:
        """Not a number: these cells are not cycled to an end of life here."""
        return float("nan")

    @property
    def censored(self) -> str:
        return "drop"

    def files(self) -> list[Path]:
        """The workbook of each type, by type. Raises DataError for a type whose workbook isn't there."""
        return list(self._find().values())

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """None: a pulse test is no cycle."""
        return iter(())

    def pulses(self) -> pd.DataFrame:
        """The table of `pulse_table`. Raises DataError, naming workbook, sheet and row, for whatever is wrong."""
        tables = {}
        for battery, path in self._find().items():
            table = read_workbook(path)
            table["battery"] = battery
            table["cell_id"] = self._cells_of(table, battery, path)
            checked = check_rows(table, str(path))
            tables[battery] = checked.drop(columns=voltage_columns(checked)[self.voltages :] if self.voltages else [])
        counts = {battery: len(voltage_columns(table)) for battery, table in tables.items()}
        few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[few] != counts[many] or (self.voltages or 0) > counts[few]:
            wanted = f"data.voltages={self.voltages}, but " if self.voltages else ""
            raise DataError(
                f"{wanted}{few} has {counts[few]} voltages and {many} has {counts[many]}: set "
                f"data.voltages={counts[few]} to use the first {counts[few]} of each."
            )
        return check_pulses(pd.concat(tables.values()), f"{self.name}, {', '.join(tables)}")

    def _cells_of(self, table: pd.DataFrame, battery: str, path: Path) -> pd.Series:
        """The physical cell of every row."""
        if battery not in self.cell_of_id:
            return table["stage_id"]
        found = table["stage_id"].map(lambda value: re.search(self.cell_of_id[battery], str(value)))
        strange = table[found.isna()]
        if len(strange):
            raise DataError(
                f"{path}, {strange.index[0]}: data.cell_of_id.{battery}={self.cell_of_id[battery]!r} finds no cell in the "
                f"ID {strange['stage_id'].iloc[0]!r}. Correct the pattern, or take it out if every ID is a cell."
            )
        return found.map(lambda match: match.group(0))

    def _find(self) -> dict[str, Path]:
        """{type: workbook} of the types that were asked for, in order of their names."""
        folder = source_folder(self.folder)
        there: dict[str, Path] = {}
        for path in sorted(folder.rglob(f"*{self.suffix}.xlsx")):
            if path.name.startswith("~$"):  # what Excel puts beside a workbook that is open
                continue
            battery = path.stem.removesuffix(self.suffix)
            if battery in there:
                raise DataError(f"{there[battery]} and {path} are both the workbook of {battery}. Leave one of them.")
            there[battery] = path
        if not there:
            raise DataError(
                f"No workbook *{self.suffix}.xlsx below {folder}: put NMC_2.1Ah{self.suffix}.xlsx and the others there "
                "(data.folder, data.suffix), or use data=sim, which has pulse tests too."
            )
        asked = [self.battery] if isinstance(self.battery, str) else list(self.battery)
        if asked == [ALL]:
            return dict(sorted(there.items()))
        if not asked:
            raise ConfigError(f"data.battery is empty. Name a type, several, or {ALL}: {', '.join(there)}.")
        for battery in asked:
            if battery not in there:
                near = difflib.get_close_matches(battery, [*there, ALL], 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise DataError(
                    f"data.battery={battery}: there is no {battery}{self.suffix}.xlsx below {folder}, which has "
                    f"{', '.join(sorted(there))}.{hint}"
                )
        return {battery: there[battery] for battery in sorted(set(asked))}
