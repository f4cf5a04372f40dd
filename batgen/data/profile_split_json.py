"""Folds as plain containers, so that a resumed run takes the very same rows; and the check that they do not leak."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.profile_blocks import Blocked, with_policy
from batgen.data.profile_split import HELD, Fold, HeldOutCells
from batgen.data.split import KINDS, Split, check_split
from batgen.errors import DataError


def to_json(
    split: HeldOutCells | Blocked | Split, table: pd.DataFrame, folds: Sequence[Fold], seed: int
) -> dict[str, Any]:
    """What made the folds, how many rows the table had, and each fold's parts as {cell_id: [ecl, ...]}."""
    return {
        "kind": split.kind,
        "by": getattr(split, "by", None),
        "seed": seed if split.seed is None else split.seed,
        "rows": len(table),
        "folds": [
            {
                "name": fold.name,
                "note": fold.note,
                "train": _records(table, fold.train),
                "val": _records(table, fold.val),
                "tests": {name: _records(table, rows) for name, rows in fold.tests.items()},
            }
            for fold in folds
        ],
    }


def from_json(saved: Mapping[str, Any], table: pd.DataFrame) -> list[Fold]:
    """The folds that a saved split means in `table`, whatever the order of its rows.

    Raises DataError when the table is not that of the saved split, or a fold leaks.
    """
    if len(table) != saved["rows"]:
        raise DataError(
            f"The saved split is of {saved['rows']} profiles, the data have {len(table)}: data or preprocessing changed "
            "since; train again."
        )
    rows_of: dict[tuple[str, int], list[int]] = {}
    for row, (cell, ecl) in enumerate(zip(table["cell_id"], table["ecl"], strict=True)):
        rows_of.setdefault((str(cell), int(ecl)), []).append(row)
    folds = [
        Fold(
            one["name"],
            _rows(one["train"], rows_of),
            _rows(one["val"], rows_of),
            {name: _rows(records, rows_of) for name, records in one["tests"].items()},
            one["note"],
        )
        for one in saved["folds"]
    ]
    check_folds(folds, table, saved["kind"], saved["by"])
    return folds


def check_folds(folds: Sequence[Fold], table: pd.DataFrame, kind: str, by: str | None = None) -> None:
    """Raise DataError where a row is in two parts of a fold, a held-out cell was trained on, or a cell is tested twice."""
    cell = table["cell_id"].to_numpy(str)
    tested: set[str] = set()
    for fold in folds:
        parts = {"train": fold.train, "val": fold.val, **fold.tests}
        every = np.concatenate(list(parts.values()))
        if len(np.unique(every)) != len(every):
            raise DataError(f"{fold.name} of this {kind} split has a profile in two of {', '.join(parts)}.")
        if kind in KINDS:
            test = np.concatenate(list(fold.tests.values()))
            left_out = np.setdiff1d(np.arange(len(table)), every)  # split.train_share below 1
            known_parts = {"train": fold.train, "val": fold.val, "test": test, "left_out": left_out}
            check_split(with_policy(table), known_parts, kind, by)
        if kind == HELD:
            known = set(cell[np.concatenate([fold.train, fold.val])])
            for name, rows in fold.tests.items():
                if shared := known & set(cell[rows]):
                    raise DataError(f"{fold.name} leaks: cell {min(shared)} is trained on and in its test set {name}.")
            if again := tested & set(cell[fold.tests["cells"]]):
                raise DataError(f"Cell {min(again)} is tested in two folds, the second is {fold.name}.")
            tested |= set(cell[fold.tests["cells"]])


def _records(table: pd.DataFrame, rows: np.ndarray) -> dict[str, list[int]]:
    chosen = table.iloc[rows][["cell_id", "ecl"]].drop_duplicates().sort_values(["cell_id", "ecl"])
    return {str(cell): [int(e) for e in of_cell["ecl"]] for cell, of_cell in chosen.groupby("cell_id")}


def _rows(records: Mapping[str, Sequence[int]], rows_of: Mapping[tuple[str, int], list[int]]) -> np.ndarray:
    keys = [(cell, ecl) for cell, ecls in records.items() for ecl in ecls]
    if lost := [key for key in keys if key not in rows_of]:
        raise DataError(
            f"The saved split has cycle {lost[0][1]} of cell {lost[0][0]} and {len(lost) - 1} others that the data do not "
            "have: data or preprocessing changed since; train again."
        )
    return np.array(sorted(row for key in keys for row in rows_of[key]), dtype=np.int64)
