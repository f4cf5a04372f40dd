"""The downstream proof on charge and discharge curves: SOH and end of life of held-out cells, from few cells and a generator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from batgen import checkpoint
from batgen.compared.curves import draw
from batgen.curve_part import Prepared, prepare
from batgen.evaluation.downstream import LabelledRows, downstream_errors, regression_inputs

TARGETS = ("soh", "eol")
#: From these the capacity of a full charge, and so its SOH, can be read off; a regression that is given them learns nothing.
TELLING = ("charge_capacity_Ah", "time_s")
#: Conditions that are moved about; the others (policy, ambient, chemistry) stay together as they were measured.
MOVED = ("ecl", "eol", "soh")
#: How far: standard deviations of the condition over the kept rows.
JITTER = 0.25


def known_targets(table: pd.DataFrame, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which targets every row of the table has, and one note for each that is left out."""
    kept, notes = [], []
    for name in wanted:
        unknown = table.loc[table[name].isna(), "cell_id"].nunique()
        if unknown:
            cells = table["cell_id"].nunique()
            notes.append(f"{name} is left out: {unknown} of {cells} cells have none, so no generator can be told it")
        else:
            kept.append(name)
    return kept, notes


def regression_signals(signals: Sequence[str]) -> list[str]:
    """What the regression sees: all signals but those that give the answer away, or all where there are no others."""
    return [s for s in signals if s not in TELLING] or list(signals)


def synthetic_conditions(known: pd.DataFrame, names: Sequence[str], n: int, seed: int) -> pd.DataFrame:
    """Conditions for n synthetic curves from the kept rows `known` alone: the columns of `known`, n rows.

    A kept cell is drawn, each as likely as another, then one of its rows; then ecl, eol and soh, where they are among the
    conditions `names`, are moved by a normal of a quarter of their standard deviation and held within the kept rows' range.
    cell_id stays: the cell whose row it was, with which a synthetic row is left out.
    """
    rng = np.random.default_rng([seed, 7])
    rows_of = [rows for _, rows in sorted(known.reset_index(drop=True).groupby("cell_id").indices.items())]
    picked = [rng.choice(rows_of[k]) for k in rng.integers(len(rows_of), size=n)]
    made = known.iloc[picked].reset_index(drop=True)
    for name in MOVED:
        if name in names:
            values = known[name].to_numpy(float)
            moved = made[name].to_numpy(float) + rng.normal(0.0, JITTER * values.std(), n)
            made[name] = np.clip(moved, values.min(), values.max())
    return made


def curve_errors(conf: dict[str, Any], part: Path, targets: Sequence[str], n: int) -> list[dict[str, Any]]:
    """Rows {target, source, regressor, value, n, cells} of one finished part of a run, whose model draws n curves."""
    data, trained = prepare(conf, part / "splits.json"), checkpoint.load(part / "model.ckpt")
    seed = int(conf["seed"])
    known = np.sort(np.concatenate([data.parts["train"], data.parts["val"]]))
    made = synthetic_conditions(data.table.iloc[known], data.conditions.names, n, seed)
    encoded = torch.from_numpy(data.conditions.encode(made))
    synthetic = draw(data, trained.model, encoded, 1, seed)[0]
    signals = regression_signals(data.preprocessing.signals)
    places = [data.preprocessing.signals.index(s) for s in signals]
    rows = []
    for target in targets:
        real, test = (_labelled(data, where, places, target) for where in (known, data.parts["test"]))
        drawn = LabelledRows.of(
            regression_inputs(synthetic[:, places]), made[target].to_numpy(float), made["cell_id"].to_numpy(str)
        )
        of = {"target": target, "cells": len(np.unique(real.cells))}
        rows += [{**of, **row} for row in downstream_errors(real, drawn, test, len(places), seed)]
    return rows


def _labelled(data: Prepared, rows: np.ndarray, places: list[int], target: str) -> LabelledRows:
    table = data.table.iloc[rows]
    inputs = regression_inputs(data.curves[rows][:, places])
    return LabelledRows.of(inputs, table[target].to_numpy(float), table["cell_id"].to_numpy(str))


def kept_cells(conf: dict[str, Any], data: Prepared) -> frozenset[str]:
    """Names of the cells that a part of this config trains and validates on."""
    from batgen.build import build

    parts = build(conf["split"]).assign(data.table, conf["seed"])
    return frozenset(data.table["cell_id"].to_numpy(str)[np.concatenate([parts["train"], parts["val"]])])
