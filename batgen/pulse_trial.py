"""A trial of a search over pulse models: trained on part of the training rows of a fold, judged on the rest of them."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from batgen.build import build
from batgen.config import without
from batgen.console import console
from batgen.data.pulse_holdout import hold_out
from batgen.data.unseen_soc import Member, UnseenSoc
from batgen.evaluation import utility
from batgen.evaluation.conditional import crps
from batgen.evaluation.pulse_scores import estimates
from batgen.evaluation.pulses import Generator, PulseEvaluation, generated_rows
from batgen.pulse_part import Fold, Part, new_fold, pulse_table, train_folds, write_losses
from batgen.pulse_run import priors, task_of
from batgen.trials import Report, refuse_tested

#: What a trial counts as it trains.
UNIT = "epochs"
#: No model of this family is refused for how it is trained.
TRAINED_BY = None


def monitor(conf: Mapping[str, Any]) -> None:
    """Nothing is reported while models are trained side by side: they have no validation, and trials are not pruned."""


def trial(conf: dict[str, Any], folder: Path, report: Report) -> dict[str, float]:
    """Train each fold of the split in `folder` without some of its training rows (see `pulse_holdout`), and score these.

    Returns val/mape_soh, in %, of the average of all ways to read SOH off the generated voltages, and val/crps, in V, of
    the voltages; means over folds, battery types and priors. Raises ConfigError where what one model is tested on trains
    another. `report` is not called.
    """
    part = _prepared(conf, folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    train_folds([(part, fold) for fold in part.folds], console())
    trained_s = time.monotonic() - started
    write_losses(part)
    settings = replace(PulseEvaluation(**without(conf["evaluation"], "_target_")), soc_unknown=False)
    scores = [one for fold in part.folds for one in _scores(part, fold, settings)]
    return {
        "val/mape_soh": float(np.mean([mape for mape, _ in scores])),
        "val/crps": float(np.mean([of_volts for _, of_volts in scores])),
        "epochs": float(part.folds[0].facts["epochs"]),
        "parameters": float(sum(p.numel() for p in part.folds[0].model.parameters())),
        "train_s": trained_s,
    }


def _prepared(conf: dict[str, Any], folder: Path) -> Part:
    """The part of a run as `pulse_part.prepare` makes it, but each member with a split of its own training rows."""
    store, table = pulse_table(conf)
    split: UnseenSoc = build(conf["split"])
    seed = conf["seed"] if split.seed is None else split.seed
    members = split.members(table, conf["seed"])
    _refuse_leaks(members, table["cell_id"].to_numpy(str), split.cells)
    inner = [hold_out(m, table, split.chosen[m.case], split.cells, seed) for m in members]
    folds = [new_fold(conf, table, member) for member, _ in inner]
    return Part(conf, folder, store, table, {member.case: socs for member, socs in inner}, folds)


def _refuse_leaks(members: list[Member], cell: np.ndarray, cells: str) -> None:
    seen = np.concatenate([m.train for m in members])
    tested = np.concatenate([rows for m in members for rows in (m.test, m.random)])
    if cells == "disjoint":
        refuse_tested(cell[seen], cell[tested], "cells", "split.run=1")
    refuse_tested(
        seen, tested, "pulse tests", "one case and one calibration, such as split.use=[3] split.calibration=[none]"
    )


def _scores(part: Part, fold: Fold, settings: PulseEvaluation) -> list[tuple[float, float]]:
    """MAPE of SOH in % and CRPS of voltages in V, of each battery type under each prior."""
    task, names, found = task_of(part, fold), list(fold.preprocessing.slices), []
    for prior in priors(fold, settings):
        ours = Generator(fold.model, task, prior, settings.published_shift_V)
        made = generated_rows(ours, settings)
        for battery, held in task.test.groupby("battery"):
            known = task.train[task.train["battery"] == battery]
            average = estimates(ours, known, made, held, settings)["average"]
            drawn = ours.draw(held, settings.keep_draws)[..., None]
            of_volts = crps(task.volts(held)[..., None], drawn, names)
            mape = utility.mape(held["soh"].to_numpy(float), average)
            found.append((mape, float(np.mean([of_volts[name].mean() for name in names]))))
    return found
