"""A user's own table as the cells that a trained forecaster reads: columns found or mapped, in our names and units."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from batgen.config import did_you_mean
from batgen.data.cell import SUMMARY, CellInfo
from batgen.data.percycle_table import ENDINGS
from batgen.data.sources.percycle_csv import CAPACITY, PercycleCsv
from batgen.errors import BatgenError, ConfigError, DataError
from batgen.preprocessing.sequence_windows import COMPUTED, DERIVED

#: Names that a column may have in the file when nobody maps it, beside our own.
_ALSO = {"cell_id": ("cell",), CAPACITY: ("capacity",)}
#: Words of train.py that have no such prefix here.
_TRAIN_WORD = re.compile(r"\bdata\.(?=(?:columns|units|nominal_capacity_Ah|eol_capacity_Ah|path)\b)")
#: Facts of the experiment that may be given once for all cells.
FACTS = ("ambient_degC", "discharge_c_rate", "voltage_min_V", "voltage_max_V")


@dataclass(frozen=True)
class UserTable:
    """The cells of one table; where preprocessing wants a store, this is enough of one.

    tables: cell -> its summary (the columns of `SUMMARY`, then the table's own); notes: what was assumed, in words;
    sha256: of the file.
    """

    source: PercycleCsv
    infos: list[CellInfo]
    tables: Mapping[str, pd.DataFrame]
    notes: list[str]
    sha256: str

    def info(self, cell_id: str) -> CellInfo:
        return next(info for info in self.infos if info.cell_id == cell_id)

    def summary(self, cell_id: str) -> pd.DataFrame:
        return self.tables[cell_id]


def names_read(preprocessing: Any) -> tuple[str, ...]:
    """Every column of a table that a run with this preprocessing can use, in our names."""
    plan = preprocessing.plan
    statics = [name for group in plan.statics.values() for name in group]
    named = (*plan.targets, *plan.inputs, *statics, *plan.covariates)
    own = [name for name in named if name not in (*DERIVED, *COMPUTED)]
    return tuple(dict.fromkeys(["cell_id", "cycle", CAPACITY, "nominal_capacity_Ah", "charge_capacity_Ah", *own]))


def read_user_table(
    path: Path,
    preprocessing: Any,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    nominal_capacity_Ah: str | None,
    eol_capacity_Ah: float | None,
    facts: Mapping[str, float],
) -> UserTable:
    """Read the table at `path` for a run with this preprocessing.

    columns: our name -> the file's, for names that the file calls otherwise ("null": not there); units: our name -> the
    file's unit. nominal_capacity_Ah: a number, or a column of the file (None: the column of that name). eol_capacity_Ah:
    None for 80 % of nominal. facts: of `FACTS`. Raises ConfigError for words that cannot work, DataError for the table.
    """
    if not path.is_file():
        raise DataError(f"input={path}: there is no such file. Name a table that ends in {', '.join(ENDINGS)}.")
    known = names_read(preprocessing)
    for name in columns:
        if name not in known:
            raise ConfigError(f"columns.{name}: this run does not read it{did_you_mean(name, known)}")
    header = _header(path)
    chosen: dict[str, str | None] = {}
    for name in known:
        if name in columns:
            chosen[name] = None if columns[name] in ("null", "") else columns[name]
        else:
            chosen[name] = next((c for c in (name, *_ALSO.get(name, ())) if c in header), None)
    nominal: float | str | None = None
    if nominal_capacity_Ah is None:
        nominal = "nominal_capacity_Ah" if chosen["nominal_capacity_Ah"] else None
    else:
        try:
            nominal = float(nominal_capacity_Ah)
        except ValueError:
            nominal, chosen["nominal_capacity_Ah"] = "nominal_capacity_Ah", nominal_capacity_Ah
    if nominal is None:
        raise ConfigError(
            "nominal_capacity_Ah is missing. Give it in Ah, such as nominal_capacity_Ah=1.1, or as the name of a column."
        )
    notes = []
    if chosen["cell_id"] is None:
        notes.append(f"the table names no cells (column cell_id or cell): all of it is one cell, {path.name}")
    _check_there(path, preprocessing.plan.targets, chosen, header)
    mapped = {name: theirs for name, theirs in chosen.items() if theirs is not None or name == "cell_id"}
    try:
        source = PercycleCsv(
            name="input",
            path=str(path.absolute()),
            columns=mapped,
            units=units,
            nominal_capacity_Ah=nominal,
            eol_capacity_Ah=eol_capacity_Ah,
            ambient_degC=facts.get("ambient_degC"),
            discharge_c_rate=facts.get("discharge_c_rate"),
            # the source's default voltages are a guess: what the user did not say is unknown here
            voltage_min_V=facts.get("voltage_min_V", float("nan")),
            voltage_max_V=facts.get("voltage_max_V", float("nan")),
        )
        cells = list(source.cells())
    except BatgenError as error:  # its words are those of train.py
        raise type(error)(_TRAIN_WORD.sub("", str(error))) from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return UserTable(source, [c.info for c in cells], {c.info.cell_id: c.summary for c in cells}, notes, digest)


def _check_there(path: Path, targets: Sequence[str], chosen: Mapping[str, str | None], header: Sequence[str]) -> None:
    """The cycle, the capacity and the run's targets must be in the table."""
    for name in dict.fromkeys(["cycle", CAPACITY, *targets]):
        derived = name == "coulombic_efficiency" and chosen["charge_capacity_Ah"]
        if chosen[name] is None and not derived:
            what = f"the target {name}" if name in targets else name
            raise DataError(
                f"input={path}: no column for {what}; it has {', '.join(header)}. Say which it is: columns.{name}=NAME."
            )


def _header(path: Path) -> list[str]:
    """Names of the file's columns. Raises DataError for a file that is no table."""
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise DataError(f"input={path}: a table must end in {', '.join(ENDINGS)}. Save it as one of these.")
    try:
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            return [str(c) for c in pq.read_schema(path).names]
        read = pd.read_excel if name.endswith(".xlsx") else pd.read_csv
        return [str(c) for c in read(path, nrows=0).columns]
    except (OSError, EOFError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"input={path}: not a readable table ({why}). Save it as comma-separated UTF-8.") from None


def unknown_columns(table: UserTable, preprocessing: Any) -> dict[str, list[str]]:
    """Inputs and covariates (not computed ones) that a cell lacks -> the cells. Targets are checked elsewhere."""
    plan = preprocessing.plan
    wanted = [*plan.inputs, *(n for n in plan.covariates if n in FACTS)]
    found: dict[str, list[str]] = {}
    for name in wanted:
        for info in table.infos:
            held = table.tables[info.cell_id]
            measured = name in held.columns and held[name].notna().any()
            fact = name in plan.covariates and name not in SUMMARY and getattr(info, name) == getattr(info, name)
            if not measured and not fact:
                found.setdefault(name, []).append(info.cell_id)
    return found
