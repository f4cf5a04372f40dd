"""Runs of pulse tests as comparisons: one a case, fold and calibration; a curve is the voltages U1, U2, ... of a test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from batgen import checkpoint
from batgen.compared.judged import (
    AT_TRAIN,
    EVERY,
    EvaluateSettings,
    Judged,
    Method,
    Sweep,
    beside,
    evenly,
    require_models,
    same_data,
)
from batgen.config import without
from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.pulses import Generator, PulseEvaluation
from batgen.pulse_part import Fold, Part, new_model, prepare
from batgen.pulse_run import priors, task_of

_SWEEP_VALUES, _SWEEP_DRAWS = 7, 32


def of_part(conf: dict[str, Any], folder: Path, settings: EvaluateSettings) -> Iterator[Judged]:
    """Every model of a part, on the rows of the grid that it was not trained on. Raises CheckpointError where one is missing."""
    part = prepare(conf, folder)
    require_models(folder, [fold.name for fold in part.folds])
    for fold in part.folds:
        trained = checkpoint.load(folder / "models" / f"{fold.name}.ckpt")
        same_data(folder, trained, part.store.data_hash)
        fold.model = trained.model
        yield _of_fold(part, fold, settings)


def _of_fold(part: Part, fold: Fold, settings: EvaluateSettings) -> Judged:
    evaluation, task = PulseEvaluation(**without(part.conf["evaluation"], "_target_")), task_of(part, fold)
    prior = priors(fold, evaluation)[0]
    test_rows = part.table.iloc[evenly(fold.split.test, settings.rows)].reset_index(drop=True)
    train_rows = part.table.iloc[evenly(fold.split.train, settings.rows)].reset_index(drop=True)
    real, learnt = (_curve_set(part, fold, rows) for rows in (test_rows, train_rows))
    every = _curve_set(part, fold, part.table.iloc[evenly(fold.split.train, EVERY)].reset_index(drop=True))
    compare = beside(real, learnt, every, fold.conditions.names, settings.seed)

    def comparison(model: nn.Module) -> Comparison:
        known = prior if prior != "slope" or model.has_density else "none"
        generator = Generator(model, task, known, evaluation.published_shift_V)
        at_train = generator.draw(train_rows, min(settings.draws, AT_TRAIN))
        return compare(_values(generator.draw(test_rows, settings.draws)), _values(at_train))

    methods = [Method(part.title, "model", lambda: comparison(fold.model))]
    for name, node in evaluation.baselines.items() if settings.baselines else ():
        if node["_target_"] != part.conf["model"]["_target_"]:

            def fitted(node: dict[str, Any] = node) -> Comparison:
                return comparison(new_model(node, fold.preprocessing, fold.conditions, fold.rows, part.conf["seed"]))

            methods.append(Method(str(name), "baseline", fitted))
    calibration = "" if fold.split.calibration == "none" else f", {fold.split.calibration} cells"
    context = {**part.context, "test_set": f"case {fold.split.case}{calibration}"}
    notes = [] if prior == "none" else [f"{context['test_set']}: beyond the training SOCs, prior={prior}"]

    def sweeps() -> dict[str, Sweep]:
        generator = Generator(fold.model, task, prior, evaluation.published_shift_V)
        return {name: _sweep(generator, train_rows, test_rows, name) for name in ("soc", "soh")}

    return Judged(context, fold.name, methods, sweeps, notes)


def _curve_set(part: Part, fold: Fold, rows: pd.DataFrame) -> CurveSet:
    names = list(fold.preprocessing.slices)
    about = {"part": "pulse", "data": part.store.source.name, "synthetic": False}
    volts = rows[names].to_numpy(np.float32)[:, None]
    return CurveSet(
        volts, ("voltage_V",), np.arange(1.0, len(names) + 1), "pulse_step", rows.drop(columns=names), about
    )


def _values(volts: np.ndarray) -> np.ndarray:
    """(K, N, F) V as curves (K, N, 1, F)."""
    return volts[:, :, None].astype(np.float32)


def _sweep(generator: Generator, train: pd.DataFrame, test: pd.DataFrame, name: str) -> Sweep:
    """Along one condition over all that was measured, the other at the middle of the training rows."""
    both = pd.concat([train[name], test[name]])
    values = np.linspace(float(both.min()), float(both.max()), _SWEEP_VALUES)
    middle = int((train[["soc", "soh"]].rank(pct=True) - 0.5).abs().sum(axis=1).to_numpy().argmin())
    rows = train.iloc[[middle] * len(values)].reset_index(drop=True).assign(**{name: values})
    other = "soh" if name == "soc" else "soc"
    fixed = {other: float(train[other].iloc[middle]), "battery": str(train["battery"].iloc[middle])}
    low, high = float(train[name].min()), float(train[name].max())
    return Sweep(values, _values(generator.draw(rows, _SWEEP_DRAWS)), low, high, fixed)
