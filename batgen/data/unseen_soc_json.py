"""The members of an `UnseenSoc` split as plain containers, so that a resumed run takes the very same rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.unseen_soc import UnseenSoc
from batgen.data.unseen_soc_member import Member, check_members, grid_rows
from batgen.errors import DataError

PARTS = ("train", "test", "random")


def members_to_json(split: UnseenSoc, table: pd.DataFrame, members: Sequence[Member], seed: int) -> dict[str, Any]:
    """What made the split, how many rows the table had, and each member's parts as {stage_id: [soc, ...]}."""
    grid = grid_rows(table)
    return {
        "kind": "unseen_soc",
        "cells": split.cells,
        "seed": seed if split.seed is None else split.seed,
        "rows": {"grid": int(grid.sum()), "random_soc": int((~grid).sum())},
        "members": [
            {
                "case": m.case,
                "training_soc": split.chosen[m.case],
                "fold": m.fold,
                "calibration": m.calibration,
                "calibration_cells": list(m.calibration_cells),
                "extrapolates": m.extrapolates,
                "parts": {part: _keys(table, getattr(m, part)) for part in PARTS},
            }
            for m in members
        ],
    }


def members_from_json(saved: Mapping[str, Any], table: pd.DataFrame) -> list[Member]:
    """The members that a saved split means in `table`, whatever the order of its rows.

    Raises DataError when the table is not that of the saved split, or the split leaks.
    """
    grid = grid_rows(table)
    counts = {"grid": int(grid.sum()), "random_soc": int((~grid).sum())}
    if counts != saved["rows"]:
        raise DataError(
            f"The saved split is of {saved['rows']['grid']} pulse tests and {saved['rows']['random_soc']} at random SOCs, "
            f"the data have {counts['grid']} and {counts['random_soc']}: the data changed since; train again."
        )
    stage, soc = table["stage_id"].to_numpy(str), table["soc"].to_numpy(float).round(6)
    row_of = {(bool(g), str(s), float(q)): i for i, (g, s, q) in enumerate(zip(grid, stage, soc, strict=True))}
    made = []
    for m in saved["members"]:
        rows = {}
        for part in PARTS:
            keys = [(part != "random", s, round(q, 6)) for s, socs in m["parts"][part].items() for q in socs]
            if lost := [key for key in keys if key not in row_of]:
                raise DataError(
                    f"The saved split has stage {lost[0][1]} at SOC {lost[0][2]:g} and {len(lost) - 1} other pulse tests "
                    "that the data do not have: the data changed since; train again."
                )
            rows[part] = np.sort(np.array([row_of[key] for key in keys], dtype=np.int64))
        made.append(
            Member(
                case=m["case"],
                fold=int(m["fold"]),
                calibration=m["calibration"],
                calibration_cells=tuple(m["calibration_cells"]),
                extrapolates=bool(m["extrapolates"]),
                **rows,
            )
        )
    check_members(made, table, saved["cells"])
    return made


def _keys(table: pd.DataFrame, rows: np.ndarray) -> dict[str, list[float]]:
    keys: dict[str, list[float]] = {}
    for stage, soc in sorted(zip(table["stage_id"].iloc[rows].tolist(), table["soc"].iloc[rows].tolist(), strict=True)):
        keys.setdefault(str(stage), []).append(float(soc))
    return keys
