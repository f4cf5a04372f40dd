"""The downstream proof on pulse tests: SOH of held-out cells at states of charge nobody measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.build import build
from batgen.data.unseen_soc import UnseenSoc
from batgen.data.unseen_soc_json import members_from_json
from batgen.data.unseen_soc_member import Member
from batgen.errors import DataError
from batgen.evaluation import utility
from batgen.evaluation.downstream import BOTH, CONSTANT, GAUSSIAN_PROCESS, JITTERED, NONE, REAL, SYNTHETIC
from batgen.evaluation.labelled_rows import jittered_copies
from batgen.evaluation.profile_utility import cell_mean_error
from batgen.evaluation.pulses import MARGIN, MOST_GENERATED
from batgen.pulse_part import pulse_table

#: Estimators of a pulse run: what they learn from, and which regressor does it.
_METHODS = {
    "gaussian_process": (REAL, GAUSSIAN_PROCESS),
    "ridge": (REAL, "ridge"),
    "jittered": (JITTERED, GAUSSIAN_PROCESS),
    "generated+measured": (BOTH, GAUSSIAN_PROCESS),
    "average": (BOTH, "average"),
    "generated": (SYNTHETIC, GAUSSIAN_PROCESS),
    "constant": (CONSTANT, NONE),
}


def pulse_errors(conf: dict[str, Any], part: Path) -> list[dict[str, Any]]:
    """Rows {target, fold, source, regressor, value, n, cells, test_cells, note} of one finished part: MAE of SOH (a
    fraction) of each fold's cells, lower is better.

    From predictions.csv, rows on the SOC grid, first case, first setting of what is assumed beyond the training SOCs; and
    from jittered copies of the training rows, as many as were generated. Nothing is chosen, so no cell that the generator
    knew chooses anything. "average" is the mean of inversion, generated and generated+measured, as in the tables of pulse
    runs. Raises DataError where the table is absent.
    """
    path = part / "predictions.csv"
    if not path.is_file():
        raise DataError(f"{path}: not there, so the run of this share did not finish. Remove {part} and run again.")
    found = pd.read_csv(path, dtype={"case": str, "cell_id": str})
    found = found[(found["test_set"] == "grid") & (found["case"] == found["case"].iloc[0])]
    prior = next((p for p in found["prior"].unique() if p != "any"), "any")
    found = found[found["prior"].isin(["any", prior]) & (found["calibration"] == found["calibration"].iloc[0])]
    case, calibration = found[["case", "calibration"]].iloc[0]
    table = pulse_table(conf)[1]
    members = members_from_json(json.loads((part / "splits.json").read_text(encoding="utf-8")), table)
    rows = []
    for member in members:
        if (member.case, member.calibration) == (case, calibration):
            rows += _fold_errors(conf, table, member, found[found["fold"] == member.fold])
    return rows


def _fold_errors(
    conf: dict[str, Any], table: pd.DataFrame, member: Member, found: pd.DataFrame
) -> list[dict[str, Any]]:
    train, test = table.iloc[member.train], table.iloc[member.test]
    made = _jittered(conf, train, test)
    found = pd.concat([found, made], ignore_index=True) if made is not None else found
    generated = _generated(conf, train, test)
    learnt = {REAL: len(train), CONSTANT: len(train), SYNTHETIC: generated}
    of = {"target": "soh", "fold": member.fold, "note": "", "cells": train["cell_id"].nunique()}
    rows = []
    for method, (source, regressor) in _METHODS.items():
        own = found[found["method"] == method]
        if len(own):
            true, estimate = own["soh"].to_numpy(float), own["estimate"].to_numpy(float)
            value = cell_mean_error(true, estimate, own["cell_id"].to_numpy(str))
            count = learnt.get(source, len(train) + generated)
            about = {"source": source, "regressor": regressor, "value": value, "n": count}
            rows.append({**of, "test_cells": own["cell_id"].nunique(), **about})
    return rows


def _generated(conf: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame) -> int:
    """How many rows of this fold were generated for regressors to learn from: as `evaluation.pulses.generated_rows` does."""
    conditions = len(test)
    if conf["evaluation"]["generate_at"] == "training_soh":
        stages = train.drop_duplicates(["battery", "stage_id"]).groupby("battery").size()
        levels = test.drop_duplicates(["battery", "soc"]).groupby("battery").size()
        conditions = int((stages * levels).fillna(0).sum())
    return min(round(conditions * float(conf["evaluation"]["multiplier"])), MOST_GENERATED * train["battery"].nunique())


def _jittered(conf: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame | None:
    """Estimates of the test rows by the same Gaussian process from the training rows and jittered copies of them.

    Noise: how a cell's tests at one SOC depart from the line between the next healthier and the next more aged one. None
    where a type has no such row.
    """
    preprocessing, tables = build(conf["preprocessing"]), []
    for battery, tested in test.groupby("battery"):
        known = train[train["battery"] == battery]
        volts, soc, soh = preprocessing.read(known), known["soc"].to_numpy(float), known["soh"].to_numpy(float)
        groups = (known["cell_id"].astype(str) + "@" + known["soc"].round(6).astype(str)).to_numpy(str)
        made = jittered_copies(volts, groups, -soh, _generated(conf, known, tested), int(conf["seed"]))
        if made is None:
            return None
        picked, copies = made
        learnt = (np.r_[volts, copies], np.r_[soc, soc[picked]], np.r_[soh, soh[picked]])
        asked = (preprocessing.read(tested), tested["soc"].to_numpy(float), int(conf["seed"]))
        estimate = utility.gaussian_process(*learnt, *asked).clip(soh.min() - MARGIN, soh.max() + MARGIN)
        tables.append(tested[["cell_id", "soh"]].assign(method="jittered", estimate=estimate))
    return pd.concat(tables)


def kept_cells(conf: dict[str, Any]) -> list[frozenset[str]]:
    """Of each fold, the names of the training cells."""
    split: UnseenSoc = build(conf["split"])
    table = pulse_table(conf)[1]
    cell = table["cell_id"].to_numpy(str)
    return [frozenset(cell[m.train]) for m in split.members(table, conf["seed"])]
