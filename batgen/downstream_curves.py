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
from batgen.evaluation.downstream import downstream_errors, regression_inputs
from batgen.evaluation.labelled_rows import LabelledRows, jittered_copies

TARGETS = ("soh", "eol")
#: From these the capacity of a full charge, and so its SOH, can be read off; a regression that is given them learns nothing.
TELLING = ("charge_capacity_Ah", "time_s")
#: Both parameters of the beta distribution of the weight of two mixed rows: most synthetic conditions lie near one of them.
MIXING = 0.5


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


def synthetic_conditions(known: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Conditions for n synthetic curves from the kept rows `known` alone: its columns and `other_cell_id`, n rows.

    A kept cell is drawn, each as likely as another, then one of its rows; then another of the same chemistry likewise. All
    their numbers (ecl, eol, soh, policy, ambient) are mixed with one weight, Beta(1/2, 1/2), after mixup (Zhang et al.
    2018): what holds of both rows, such as ecl <= eol, holds between them, which moving each on its own would break. The
    rest, cell_id too, is that of the first row; other_cell_id is the second row's cell. A synthetic row is left out with
    either cell.
    """
    rng = np.random.default_rng([seed, 7])
    known = known.reset_index(drop=True)
    rows_of = {str(cell): rows for cell, rows in sorted(known.groupby("cell_id").indices.items())}
    kind_of = {cell: str(known["chemistry"].iloc[rows[0]]) for cell, rows in rows_of.items()}
    cells = list(rows_of)
    of_kind = {kind: [c for c in cells if kind_of[c] == kind] for kind in kind_of.values()}
    first = [cells[k] for k in rng.integers(len(cells), size=n)]
    second = [str(rng.choice(of_kind[kind_of[cell]])) for cell in first]
    made, other = (known.iloc[[rng.choice(rows_of[c]) for c in picked]] for picked in (first, second))
    made = made.reset_index(drop=True)
    weight = rng.beta(MIXING, MIXING, n)
    for name in known.select_dtypes("number").columns:
        made[name] = weight * made[name].to_numpy(float) + (1 - weight) * other[name].to_numpy(float)
    return made.assign(other_cell_id=second)


def curve_errors(conf: dict[str, Any], part: Path, targets: Sequence[str], n: int) -> list[dict[str, Any]]:
    """Rows {target, source, regressor, value, n, cells, test_cells, fold, note} of one finished part of a run, whose model
    draws n curves; as many jittered copies of the measured ones stand beside."""
    data, trained = prepare(conf, part / "splits.json"), checkpoint.load(part / "model.ckpt")
    seed = int(conf["seed"])
    known = np.sort(np.concatenate([data.parts["train"], data.parts["val"]]))
    made = synthetic_conditions(data.table.iloc[known], n, seed)
    encoded = torch.from_numpy(data.conditions.encode(made))
    synthetic = draw(data, trained.model, encoded, 1, seed)[0]
    signals = regression_signals(data.preprocessing.signals)
    places = [data.preprocessing.signals.index(s) for s in signals]
    inputs, cells = regression_inputs(synthetic[:, places]), made["cell_id"].to_numpy(str)
    rows = []
    for target in targets:
        real, test = (_labelled(data, where, places, target) for where in (known, data.parts["test"]))
        drawn = LabelledRows.of(inputs, made[target].to_numpy(float), cells, made["other_cell_id"].to_numpy(str))
        copies = _jittered(data, known, places, target, n, seed)
        of = {"target": target, "cells": _count(real), "test_cells": _count(test), "fold": 0}
        rows += [{**of, **row} for row in downstream_errors(real, drawn, test, len(places), seed, copies)]
    return rows


def _count(rows: LabelledRows) -> int:
    return len(np.unique(rows.cells))


def _jittered(
    data: Prepared, rows: np.ndarray, places: list[int], target: str, n: int, seed: int
) -> LabelledRows | None:
    """n copies of these rows of the table with the noise of neighbouring curves of a cell; None where no cell has three."""
    table, inputs = data.table.iloc[rows], regression_inputs(data.curves[rows][:, places])
    cells = table["cell_id"].to_numpy(str)
    made = jittered_copies(inputs, cells, table["ecl"].to_numpy(float), n, seed)
    return None if made is None else LabelledRows.of(made[1], table[target].to_numpy(float)[made[0]], cells[made[0]])


def _labelled(data: Prepared, rows: np.ndarray, places: list[int], target: str) -> LabelledRows:
    table = data.table.iloc[rows]
    inputs = regression_inputs(data.curves[rows][:, places])
    return LabelledRows.of(inputs, table[target].to_numpy(float), table["cell_id"].to_numpy(str))


def kept_cells(conf: dict[str, Any], data: Prepared) -> frozenset[str]:
    """Names of the cells that a part of this config trains and validates on."""
    from batgen.build import build

    parts = build(conf["split"]).assign(data.table, conf["seed"])
    return frozenset(data.table["cell_id"].to_numpy(str)[np.concatenate([parts["train"], parts["val"]])])
