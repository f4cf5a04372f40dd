"""A trial of a search over profile models: trained on the training rows of a fold, judged on its validation rows."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from batgen.build import build
from batgen.config import BESIDE, without
from batgen.data.profile_blocks import make_folds
from batgen.data.profile_set import ProfileSet
from batgen.data.profile_split import Fold
from batgen.data.store import open_store
from batgen.profile_part import Part, new_member, train_member
from batgen.training.adversarial_settings import AdversarialTraining
from batgen.trials import Report, refuse_tested, refuse_untrained, scores_at

#: What a trial counts as it trains: steps of the generator.
UNIT = "steps"
#: The method of a model that its training minimises.
TRAINED_BY = "critic_loss"


def monitor(conf: Mapping[str, Any]) -> str:
    """What `trial` reports after each validation of the first fold."""
    return str(conf["trainer"]["monitor"])


def trial(conf: dict[str, Any], folder: Path, report: Report) -> dict[str, float]:
    """Train a model for each fold in `folder`; validation scores in scaled space at the step chosen, mean over folds.

    Whatever `trainer.choose` says, the validation rows are not trained on. The test rows end where the split is known. No
    resume checkpoint is written. Raises Pruned where `report` wants the training of the first fold to end, ConfigError where
    the test rows of one fold train another. `report` is told the step of the generator (from 0) that was validated.
    """
    refuse_untrained(conf, TRAINED_BY)
    from batgen.training.watch import Watch  # Lightning: seconds that a refusal need not wait for

    part = _prepared(conf, folder)
    given: AdversarialTraining = build(conf["trainer"]).on(conf["device"])
    settings = replace(given, choose="disjoint", save_every_s=math.inf)
    found, started = [], time.monotonic()
    for number, member in enumerate(part.members):
        watch = Watch(settings.monitor, _in_steps(report, settings) if number == 0 else _ignore, settings.first_choice)
        train_member(part, number, settings, [watch])
        watch.raise_if_pruned()
        found.append(scores_at(folder / f"health_{member.name}.csv", "chosen", 1.0))
    steps = [member.facts["chosen_step"] for member in part.members]
    return {
        **{name: float(np.mean([scores[name] for scores in found])) for name in found[0]},
        "best_step": float(np.mean(steps)),
        "steps": float(settings.steps),
        "parameters": float(sum(p.numel() for p in part.members[0].trained.parameters())),
        "train_s": time.monotonic() - started,
    }


def _in_steps(report: Report, settings: AdversarialTraining) -> Report:
    """`report`, told by Lightning's epochs, which are the steps between two validations."""
    return lambda epoch, score: report(min((epoch + 1) * settings.epoch_steps, settings.steps) - 1, score)


def _ignore(step: int, score: float) -> bool:
    return False


def _prepared(conf: dict[str, Any], folder: Path) -> Part:
    """The part of a run as `profile_part.prepare` makes it, as if there had never been test rows."""
    store = open_store(build(without(conf["data"], *BESIDE["data"])), cycles=conf["cycles"])
    reader, split = build(conf["preprocessing"]), build(conf["split"])
    profiles, notes = reader.read(store, conf["cycles"])
    profiles, folds = _untested(profiles, make_folds(split, profiles.table, conf["seed"]))
    members = [new_member(conf, reader, profiles, fold) for fold in folds]
    return Part(conf, folder, store, profiles, members, notes, split.kind)


def _untested(profiles: ProfileSet, folds: Sequence[Fold]) -> tuple[ProfileSet, list[Fold]]:
    """The profiles that some fold learns from or validates on, and the folds with the rows of these."""
    kept = np.unique(np.concatenate([rows for fold in folds for rows in (fold.train, fold.val)]))
    tested = np.concatenate([rows for fold in folds for rows in fold.tests.values()])
    refuse_tested(kept, tested, "profiles", "split.run=1")
    there = [
        Fold(f.name, np.searchsorted(kept, f.train), np.searchsorted(kept, f.val), {}, f.note) for f in folds
    ]  # fmt: skip
    return profiles.take(kept), there
