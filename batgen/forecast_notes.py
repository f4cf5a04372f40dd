"""What a user must know of a forecast: what the model was not told, and where cells are unlike those it learnt from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from batgen.forecast_table import UserTable, unknown_columns
from batgen.preprocessing.sequence_series import Series

if TYPE_CHECKING:
    from batgen.forecast_run import Forecaster

#: Standard deviations of the training cells beyond which a value is called foreign to them.
_FOREIGN = 4.0


def what_to_mind(
    forecaster: "Forecaster", table: UserTable, series: Sequence[Series], cuts: Sequence[int]
) -> list[str]:
    """Sentences on groups of statics and inputs that are unknown, and on cells unlike those of the training."""
    preprocessing = forecaster.preprocessing
    got = preprocessing.windows(list(series), list(cuts), 1, training=False)
    ids, notes, start = [one.cell_id for one in series], [], 0
    foreign: dict[str, list[str]] = {}
    for place, (group, names) in enumerate(preprocessing.plan.statics.items()):
        known = got["known"][:, place] > 0
        if not known.all():
            lacking = [cell for cell, there in zip(ids, known, strict=True) if not there]
            columns = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
            notes.append(
                f"{group} ({columns}): not in the table up to the cut for {listed(lacking)}, the model counts it as unknown"
            )
        for number, name in enumerate(names, start):
            if name != "log_cut":  # told below in cycles
                _collect(foreign, name, got["statics"][:, number], known, ids)
        start += len(names)
    for name, cells in unknown_columns(table, preprocessing).items():
        notes.append(f"{name}: not in the table for {listed(cells)}, the model takes it as not measured")
    for place, name in enumerate(preprocessing.plan.covariates):
        if name not in ("cycle", "log_cycle"):
            _collect(foreign, name, got["future"][:, 0, place], np.ones(len(ids), bool), ids)
    for place, name in enumerate(preprocessing.target_names):
        _collect(foreign, f"{name} at the cut", got["last"][:, place], np.ones(len(ids), bool), ids)
    for name, cells in foreign.items():
        notes.append(f"{name} of {listed(cells)} lies far outside the training cells: do not trust these forecasts")
    first, last = forecaster.cuts
    outside = [cell for cell, cut in zip(ids, cuts, strict=True) if not first <= cut <= last]
    if outside:
        notes.append(
            f"the model learnt to forecast from cycle {first} to {last}; observed otherwise: {listed(outside)}"
        )
    if same := [cell for cell in ids if cell in forecaster.train_cells]:
        notes.append(f"{listed(same)}: named like training cells; if they are the same, this is no test of the model")
    return notes


def _collect(into: dict[str, list[str]], name: str, z: np.ndarray, known: np.ndarray, ids: Sequence[str]) -> None:
    far = [cell for cell, value, there in zip(ids, z, known, strict=True) if there and abs(value) > _FOREIGN]
    if far:
        into[name] = far


def listed(cells: Sequence[str], most: int = 5) -> str:
    """ "cell a", "cells a, b and 7 more"."""
    more = f" and {len(cells) - most} more" if len(cells) > most else ""
    return f"cell{'s' if len(cells) > 1 else ''} {', '.join(cells[:most])}{more}"
