"""Runs of profiles as comparisons: one a fold and test set, each fold with a model and training cells of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from batgen.build import build
from batgen.compared.judged import (
    AT_TRAIN,
    EVERY,
    EvaluateSettings,
    Judged,
    Method,
    Sweep,
    beside,
    evenly,
    trained_part,
)
from batgen.config import without
from batgen.data.curve_set import CurveSet
from batgen.data.profile_set import Drawn
from batgen.errors import ConfigError
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.profile_part import Member, Part, new_model, prepare, train
from batgen.profile_scoring import sample
from batgen.profile_sweeps import sweep

_SWEEP_VALUES = 7


def of_part(conf: dict[str, Any], folder: Path, settings: EvaluateSettings) -> Iterator[Judged]:
    """Every test set of every fold of a part. Raises CheckpointError where a fold has no model yet."""
    part: Part = trained_part(prepare, train, conf, folder)
    for member in part.members:
        for name, rows in member.fold.tests.items():
            yield _of_set(part, member, name, evenly(rows, settings.rows), settings)


def _of_set(part: Part, member: Member, test_set: str, rows: np.ndarray, settings: EvaluateSettings) -> Judged:
    disjoint = part.conf["trainer"].get("choose") == "disjoint"  # validation rows chose the step: no weight learnt them
    learnt_from = member.fold.train if disjoint else member.known
    known = evenly(np.sort(learnt_from), settings.rows)
    real, learnt = curve_set(part, rows), curve_set(part, known)
    every = curve_set(part, evenly(np.sort(learnt_from), EVERY))
    compare = beside(real, learnt, every, member.conditions.names, settings.seed)

    def comparison(model: nn.Module) -> Comparison:
        at_test = values_of(sample(member, model, part.batch(member, rows), settings.draws, settings.seed))
        few = min(settings.draws, AT_TRAIN)
        return compare(at_test, values_of(sample(member, model, part.batch(member, known), few, settings.seed + 1)))

    methods = [Method(part.title, "model", lambda: comparison(member.trained))]
    evaluation: ProfileEvaluation = build(part.conf["evaluation"])
    notes = list(part.notes)
    for name, node in without(evaluation.baselines, part.title).items() if settings.baselines else ():

        def fitted(node: dict[str, Any] = node) -> Comparison:
            batch = part.batch(member, learnt_from)
            return comparison(new_model(node, member.shape, batch, int(part.conf["seed"])).eval())

        try:  # a baseline that these data or conditions do not allow is known only when built
            build(without(node, "optim"), shape=member.shape)
        except ConfigError as error:
            notes.append(f"baseline {name} left out: {error}")
        else:
            methods.append(Method(str(name), "baseline", fitted))

    def sweeps() -> dict[str, Sweep]:
        found = {}
        for name in member.conditions.names:
            if (made := sweep(part, member, name, _SWEEP_VALUES, settings.seed)) is not None:
                values, drawn, facts = made
                found[name] = Sweep(values, values_of(drawn), facts["low"], facts["high"], facts["fixed"])
        return found

    return Judged({**part.context, "test_set": test_set}, member.name, methods, sweeps, notes)


def curve_set(part: Part, rows: np.ndarray) -> CurveSet:
    """Measured profiles of these rows; behind the end of a record (fixed time steps) nothing was measured."""
    chosen = part.profiles.take(rows)
    values = np.where(chosen.mask[:, None], chosen.curves, np.nan).astype(np.float32)
    signals = chosen.signals
    if chosen.step_s is None:
        values, signals = _with_time(values, chosen.time_s), (*signals, "time_s")
    facts = {info.cell_id: info for info in part.store.infos}
    window = {n: [getattr(facts[c], n) for c in chosen.table["cell_id"]] for n in ("voltage_min_V", "voltage_max_V")}
    points = values.shape[-1]
    axis = np.linspace(0.0, 1.0, points) if chosen.step_s is None else np.arange(points) * chosen.step_s
    about = {
        "part": part.members[0].preprocessing.part, "data": part.store.source.name, "synthetic": False,
        "eol_capacity_Ah": part.store.source.eol_capacity_Ah,
    }  # fmt: skip
    name = "span" if chosen.step_s is None else "time_s"
    return CurveSet(values, tuple(signals), axis, name, chosen.table.assign(**window), about)


def values_of(drawn: Drawn) -> np.ndarray:
    """(K, N, S, P) of draws, with their own time where it is their own."""
    curves = np.asarray(drawn.curves, dtype=np.float32)
    return curves if drawn.step_s is not None else _with_time(curves, drawn.time_s)


def _with_time(curves: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    joined: np.ndarray = np.concatenate([curves, time_s[..., None, :].astype(np.float32)], axis=-2)
    return joined
