"""A trial of a search over forecasters: folds of training and validation cells, judged on the cells that each held out."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from batgen.build import build
from batgen.config import BESIDE, without
from batgen.data.sequence_split import sequence_parts
from batgen.data.store import open_store
from batgen.errors import ConfigError
from batgen.evaluation.forecast_settings import ForecastEvaluation
from batgen.sequence_part import Part, new_members, train_member, with_stride
from batgen.sequence_run import eol_capacities, last_cycle, rows_of, score, validation_forecasts, validation_pairs
from batgen.training.sequence_settings import SequenceTraining
from batgen.training.watch import Watch
from batgen.trials import Report

#: What a trial counts as it trains.
UNIT = "epochs"
#: No model of this family is refused for how it is trained.
TRAINED_BY = None


def monitor(conf: Mapping[str, Any]) -> str:
    """What `trial` reports after each validation of the first fold: its loss, also where a search is about val/crps, which
    needs forecasts of all folds and is known at the end alone."""
    return "val/loss"


def trial(conf: dict[str, Any], folder: Path, report: Report) -> dict[str, float]:
    """Train a model for each of `trainer.folds` in `folder`, as a run does, and forecast the cells that it was stopped on.

    Returns val/crps, what `sequence_run.score` makes of these forecasts (a capacity in % of nominal), and val/loss, the
    mean over folds at their best epochs. Series of test cells are not read, nor what a chronological split tests. No resume
    checkpoint is written. Raises Pruned where `report` wants the training of the first fold to end.
    """
    part = _prepared(conf, folder)
    if not list(validation_pairs(part)):
        raise ConfigError(
            f"evaluation.cuts={part.cuts}: no validation cell is known by one of these cycles and goes on after it, so a "
            "search has nothing to judge by. Use other evaluation.cuts or cycles."
        )
    given: SequenceTraining = build(conf["trainer"]).on(conf["device"])
    settings, started = replace(given, save_every_s=math.inf), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(part.members)):
        watch = Watch(monitor(conf), report)
        train_member(part, number, settings, [watch] if number == 0 else [])
        watch.raise_if_pruned()
    trained_s, facts = time.monotonic() - started, [member.facts for member in part.members]
    return {
        "val/crps": _crps(part),
        "val/loss": float(np.mean([one["best_score"] for one in facts])),
        "best_epoch": float(np.mean([one["best_epoch"] for one in facts])),
        "epochs": float(np.mean([one["epochs"] for one in facts])),
        "parameters": float(sum(p.numel() for p in part.members[0].trained.parameters())),
        "train_s": trained_s,
    }


def _prepared(conf: dict[str, Any], folder: Path) -> Part:
    """The part of a run as `sequence_part.prepare` makes it, without what is tested."""
    store = open_store(build(without(conf["data"], *BESIDE["data"])), cycles=1)
    conf = with_stride(conf, store)
    reader = build(conf["preprocessing"])
    parts = sequence_parts(build(conf["split"]), store, conf["seed"], conf["cycles"], reader.lacking(store))
    parts = replace(parts, cells={name: parts.cells[name] for name in ("train", "val")})
    # in a chronological split a cell is on all sides: it is read to where its validation ends
    stops = {cell: last for cell, (_, last) in (parts.stops or {}).items()}
    cells = dict.fromkeys(cell for ids in parts.cells.values() for cell in ids)
    series = {cell: reader.series(store, cell, last_cycle=stops.get(cell)) for cell in cells}
    return Part(conf, folder, store, parts, series, new_members(conf, store, parts, series), [])


def _crps(part: Part) -> float:
    evaluation: ForecastEvaluation = build(part.conf["evaluation"])
    forecasts = validation_forecasts(part, last_cycle(part, evaluation), eol_capacities(part))
    return score(rows_of(part, evaluation, {"model": forecasts}))
