"""The downstream proof on pulse tests: SOH of held-out cells at states of charge nobody measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.build import build
from batgen.data.unseen_soc import UnseenSoc
from batgen.errors import DataError
from batgen.evaluation.downstream import BOTH, CONSTANT, GAUSSIAN_PROCESS, NONE, REAL, SYNTHETIC
from batgen.evaluation.profile_utility import cell_mean_error
from batgen.pulse_part import pulse_table

#: Estimators of a pulse run: what they learn from, and which regressor does it.
_METHODS = {
    "gaussian_process": (REAL, GAUSSIAN_PROCESS),
    "ridge": (REAL, "ridge"),
    "generated+measured": (BOTH, GAUSSIAN_PROCESS),
    "average": (BOTH, "average"),
    "generated": (SYNTHETIC, GAUSSIAN_PROCESS),
    "constant": (CONSTANT, NONE),
}


def pulse_errors(conf: dict[str, Any], part: Path) -> list[dict[str, Any]]:
    """Rows {target, source, regressor, value, n, cells} of one finished part: MAE of SOH (a fraction) over all its folds.

    From predictions.csv, rows on the SOC grid, first case, first setting of what is assumed beyond the training SOCs.
    "average" is the mean of inversion, generated and generated+measured, as in the tables of pulse runs. Raises DataError
    where the table is absent.
    """
    path = part / "predictions.csv"
    if not path.is_file():
        raise DataError(f"{path}: not there, so the run of this share did not finish. Remove {part} and run again.")
    table = pd.read_csv(path, dtype={"case": str, "cell_id": str})
    table = table[(table["test_set"] == "grid") & (table["case"] == table["case"].iloc[0])]
    prior = next((p for p in table["prior"].unique() if p != "any"), "any")
    table = table[table["prior"].isin(["any", prior]) & (table["calibration"] == table["calibration"].iloc[0])]
    cells, count = _kept(conf)
    rows = []
    for method, (source, regressor) in _METHODS.items():
        own = table[table["method"] == method]
        if len(own):
            true, estimate = own["soh"].to_numpy(float), own["estimate"].to_numpy(float)
            value = cell_mean_error(true, estimate, own["cell_id"].to_numpy(str))
            rows.append(
                {"target": "soh", "cells": cells, "source": source, "regressor": regressor, "value": value, "n": count}
            )
    return rows


def _kept(conf: dict[str, Any]) -> tuple[float, int]:
    """Mean over folds of the training cells and of the training rows."""
    found = kept_cells(conf)
    return float(np.mean([len(cells) for cells, _ in found])), round(float(np.mean([rows for _, rows in found])))


def kept_cells(conf: dict[str, Any]) -> list[tuple[frozenset[str], int]]:
    """Of each fold, the names of the training cells and the number of training rows."""
    split: UnseenSoc = build(conf["split"])
    table = pulse_table(conf)[1]
    cell = table["cell_id"].to_numpy(str)
    return [(frozenset(cell[m.train]), len(m.train)) for m in split.members(table, conf["seed"])]
