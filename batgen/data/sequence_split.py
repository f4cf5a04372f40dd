"""Splits for models of per-cycle sequences, where a cell is one sample: which cells train, validate and test.

`Split` (kinds cell, policy, condition), `PublishedSplit` and `SourceSplit` put whole cells on one side each. With
`chronological` every cell is on all sides: it trains up to one cycle, validates up to the next, and is tested behind it.
Cells whose record ends before the cycles that a model observes are left out and named in `short`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.named_split import NamedSplit
from batgen.data.published_split import PublishedSplit
from batgen.data.source_split import SourceSplit
from batgen.data.split import Split
from batgen.data.store import Store
from batgen.errors import ConfigError, DataError

#: What a cell can be split by besides its id: columns of the frame of cells.
_FACTS = ("policy", "chemistry", "nominal_capacity_Ah", "ambient_degC", "c1", "q1", "c2", "discharge_c_rate")


@dataclass(frozen=True)
class SequenceParts:
    """Cell ids by part: "train", "val", then one or more test sets ("test", "secondary", "oxford" ...).

    column: the fact of cells of which no value is in two parts; None for chronological, where all cells are in all parts.
    stops: chronological only, cell_id -> (last training cycle, last validation cycle); its later cycles test.
    short: cells left out because of their last cycle, which is the value.
    """

    kind: str
    cells: dict[str, tuple[str, ...]]
    stops: dict[str, tuple[int, int]] | None = None
    short: dict[str, int] = field(default_factory=dict)
    column: str | None = "cell_id"

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return tuple(name for name in self.cells if name not in ("train", "val"))


def sequence_parts(
    split: Split | PublishedSplit | SourceSplit | NamedSplit,
    store: Store,
    seed: int,
    minimum_cycles: int,
    without: Collection[str] = (),
) -> SequenceParts:
    """The parts of a dataset; the same for the same cells and seed.

    minimum_cycles: cycles that a model observes; a cell needs a later one, in a chronological split within its training rows.
    without: cells that are in no part. Raises ConfigError for fewer cells than parts, DataError when every cell is too short.
    """
    cells = cell_frame(store)
    cells = cells[~cells["cell_id"].isin(list(without))].reset_index(drop=True)
    if cells.empty:
        raise DataError(
            f"{store.source.name}: each of its {len(without)} cells is left out, such as {min(without)}, which never measured "
            "a target. Choose other preprocessing.targets."
        )
    if isinstance(split, Split) and split.kind == "sample":  # a sample is a cell here
        split = replace(split, kind="cell")
    if isinstance(split, Split) and split.kind == "chronological":
        return _chronological(split, store, cells, minimum_cycles)
    usable = cells["last_cycle"] > minimum_cycles
    short = dict(zip(cells.loc[~usable, "cell_id"], cells.loc[~usable, "last_cycle"].astype(int), strict=True))
    if not usable.any():
        raise _too_short(store, cells, minimum_cycles)
    kept, rest = cells[usable].reset_index(drop=True), cells[~usable]
    if isinstance(split, Split):
        _refuse_few(split, kept, len(short))
        column = split.column
        rows = split.assign(kept, seed)
        chosen = {name: tuple(kept["cell_id"].iloc[numbers]) for name, numbers in rows.items()}
    else:
        column = split.column
        chosen = split.divide(kept, rest, store.source, seed)
    parts = SequenceParts(split.kind, chosen, None, short, column)
    if empty := [name for name, ids in chosen.items() if not ids]:
        counts = ", ".join(f"{name} {len(ids)}" for name, ids in chosen.items())
        raise ConfigError(
            f"split={split.kind} leaves {' and '.join(empty)} without a cell ({counts}; {len(short)} are too short for "
            f"cycles={minimum_cycles}). Use fewer cycles, another split, or split=chronological for few cells."
        )
    check_sequence_parts(parts, store)
    return parts


def cell_frame(store: Store) -> pd.DataFrame:
    """One row a cell: cell_id, source, rows of its summary, ecl (1), eol (NaN when censored), last_cycle, and its facts."""
    infos = store.infos
    columns: dict[str, Any] = {
        "cell_id": [info.cell_id for info in infos],
        "source": [info.source for info in infos],
        "rows": [len(store.summary(info.cell_id)) for info in infos],
        "ecl": 1,
        "eol": [info.eol_cycle for info in infos],
        "last_cycle": [float(info.last_cycle) for info in infos],
    }
    return pd.DataFrame(columns | {name: [getattr(info, name) for info in infos] for name in _FACTS})


def _refuse_few(split: Split, cells: pd.DataFrame, short: int) -> None:
    if split.column not in cells.columns:
        raise ConfigError(f"split.by={split.column}: no such fact of a cell; choose among source, {', '.join(_FACTS)}.")
    values = cells[split.column].nunique(dropna=False)
    if values < 3:
        what = "" if split.column == "cell_id" else f" with {values} values of {split.column}"
        left_out = f" ({short} more are too short)" if short else ""
        remedy = "" if split.column == "cell_id" or len(cells) < 3 else "split=cell or "
        raise ConfigError(
            f"split={split.kind}: {len(cells)} cells{what}{left_out} are fewer than its 3 parts. "
            f"Use {remedy}split=chronological."
        )


def _chronological(split: Split, store: Store, cells: pd.DataFrame, minimum_cycles: int) -> SequenceParts:
    stops: dict[str, tuple[int, int]] = {}
    short: dict[str, int] = {}
    for cell_id in cells["cell_id"]:
        cycle = store.summary(cell_id)["cycle"].to_numpy()
        kept = round(len(cycle) * (split.train + split.val) / (split.train + split.val + split.test))
        train = round(kept * split.train / (split.train + split.val))
        if 0 < train < kept < len(cycle) and minimum_cycles < cycle[train - 1]:
            stops[cell_id] = (int(cycle[train - 1]), int(cycle[kept - 1]))
        else:
            short[cell_id] = int(cycle[-1])
    if not stops:
        share = split.train / (split.train + split.val + split.test)
        raise _too_short(store, cells, minimum_cycles, f", of which the first {share:.0%} train")
    everyone = dict.fromkeys(("train", "val", "test"), tuple(stops))
    return SequenceParts("chronological", everyone, stops, short, column=None)


def _too_short(store: Store, cells: pd.DataFrame, minimum_cycles: int, of_which: str = "") -> DataError:
    longest = int(cells["last_cycle"].to_numpy().argmax())
    cell_id, last = str(cells["cell_id"].iloc[longest]), int(cells["last_cycle"].iloc[longest])
    return DataError(
        f"{store.source.name}: cycles={minimum_cycles} leaves no cell with anything to forecast in training: the longest, "
        f"{cell_id}, ends at cycle {last}{of_which}. Use fewer, such as cycles={max(1, min(10, last // 3))}."
    )


def check_sequence_parts(parts: SequenceParts, store: Store) -> None:
    """Raise DataError when a part names a cell twice or one that the data do not have, or the split leaks."""
    cells = cell_frame(store).set_index("cell_id")
    for name, ids in parts.cells.items():
        if unknown := [cell for cell in ids if cell not in cells.index]:
            raise DataError(
                f"The saved split has cell {unknown[0]} and {len(unknown) - 1} others in {name} that the data do not have: "
                "the data changed since; train again."
            )
        if len(set(ids)) < len(ids):
            raise DataError(f"The {parts.kind} split names a cell of {name} twice.")
    if parts.kind == "chronological":
        _check_stops(parts, store)
        return
    names = list(parts.cells)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            # sources train and validate: only those of the tests are new
            column = "cell_id" if parts.column == "source" and (first, second) == ("train", "val") else parts.column
            facts = cells.index.to_series() if column == "cell_id" else cells[column].astype(str)
            if shared := set(facts[list(parts.cells[first])]) & set(facts[list(parts.cells[second])]):
                raise DataError(f"The {parts.kind} split leaks: {column} {min(shared)} is in {first} and in {second}.")


def _check_stops(parts: SequenceParts, store: Store) -> None:
    stops = parts.stops or {}
    for name, ids in parts.cells.items():
        if set(ids) != set(stops):
            raise DataError(f"The chronological split does not say for every cell of {name} where its training ends.")
    for cell, (train, val) in stops.items():
        cycle = store.summary(cell)["cycle"].to_numpy()
        if not (train < val < cycle[-1] and np.isin([train, val], cycle).all()):
            raise DataError(
                f"The chronological split of cell {cell} trains to cycle {train} and validates to {val}: these must "
                f"follow each other and lie within its record, which ends at {cycle[-1]}."
            )


def to_json(parts: SequenceParts, seed: int) -> dict[str, Any]:
    """The parts as plain containers."""
    return {
        "kind": parts.kind,
        "column": parts.column,
        "seed": seed,
        "parts": {name: list(ids) for name, ids in parts.cells.items()},
        "stops": None if parts.stops is None else {cell: list(pair) for cell, pair in parts.stops.items()},
        "short": dict(parts.short),
    }


def from_json(saved: Mapping[str, Any], store: Store) -> SequenceParts:
    """The parts that were saved. Raises DataError when the data do not have these cells, or the split leaks."""
    stops = saved["stops"]
    parts = SequenceParts(
        kind=saved["kind"],
        cells={name: tuple(ids) for name, ids in saved["parts"].items()},
        stops=None if stops is None else {cell: (int(a), int(b)) for cell, (a, b) in stops.items()},
        short={cell: int(n) for cell, n in saved["short"].items()},
        column=saved["column"],
    )
    check_sequence_parts(parts, store)
    return parts
