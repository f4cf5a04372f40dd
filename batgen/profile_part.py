"""A part of a profile run, one protocol and seed: records, folds, and one model a fold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from batgen import checkpoint
from batgen.build import build, signature
from batgen.config import BESIDE, without
from batgen.data.profile_blocks import make_folds
from batgen.data.profile_set import ProfileSet
from batgen.data.profile_split import Fold
from batgen.data.profile_split_json import from_json, to_json
from batgen.data.store import Store, open_store
from batgen.errors import ConfigError
from batgen.files import write_json
from batgen.finetune_profiles import pretrained, seen_before, take_scales, take_weights
from batgen.models.base import DataShape, ProfileBatch
from batgen.models.layers.physical import PhysicalView, physical_view
from batgen.preprocessing.conditions import Conditions
from batgen.processes import main_process
from batgen.training.adversarial_settings import AdversarialTraining


@dataclass
class Member:
    """One fold: what was fitted to its training and validation rows, and the model."""

    fold: Fold
    preprocessing: Any
    conditions: Conditions
    shape: DataShape
    model: nn.Module | None
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return self.fold.name

    @property
    def trained(self) -> nn.Module:
        assert self.model is not None, f"{self.name} is not trained yet"
        return self.model

    @property
    def known(self) -> np.ndarray:
        """Row numbers of training and validation: what baselines are fitted to, and the final model too."""
        return np.concatenate([self.fold.train, self.fold.val])


@dataclass
class Part:
    """Everything of one protocol and seed before evaluation. notes: what a reader of the results must know of the data."""

    conf: dict[str, Any]
    folder: Path
    store: Store
    profiles: ProfileSet
    members: list[Member]
    notes: list[str]
    kind: str

    @property
    def context(self) -> dict[str, Any]:
        """What all metric rows of this part say."""
        return {
            "protocol": self.conf["protocol"],
            "seed": self.conf["seed"],
            "split": self.kind,
            "data": self.conf["data"]["name"],
            "model": self.title,
        }

    @property
    def title(self) -> str:
        """The model as tables name it: its own title (a class may be several models), else its module."""
        model = self.members[0].trained
        return str(getattr(model, "title", self.conf["model"]["_target_"].rpartition(".")[0].rpartition(".")[2]))

    def batch(self, member: Member, rows: np.ndarray) -> ProfileBatch:
        """The rows as the member's model sees them; cells have one number in all batches, so that these can be joined."""
        cells = pd.factorize(self.profiles.table["cell_id"])[0].astype(np.int64)[rows]
        return batch_of(member.preprocessing, member.conditions, self.profiles.take(rows), cells)

    def view(self, member: Member, rows: np.ndarray) -> PhysicalView:
        """The rows in physical units, for physics checks."""
        return view_of(self.batch(member, rows), member.shape)


def batch_of(preprocessing: Any, conditions: Conditions, profiles: ProfileSet, cells: np.ndarray) -> ProfileBatch:
    """Measured profiles as tensors: scaled x, conditions and what is known beforehand in physical units."""
    return ProfileBatch(
        torch.from_numpy(preprocessing.transform(profiles)),
        torch.from_numpy(conditions.encode(profiles.table)),
        torch.from_numpy(cells),
        torch.from_numpy(profiles.base.astype(np.float32)),
        torch.from_numpy(profiles.base_duration_s.astype(np.float32)),
    )


def view_of(batch: ProfileBatch, shape: DataShape) -> PhysicalView:
    """A batch in physical units."""
    return physical_view(batch.x, batch.cond, batch.base, batch.base_duration_s, shape)


def prepare(conf: dict[str, Any], folder: Path) -> Part:
    """Store, records, folds and what is fitted to them. Folds saved before in splits.json are taken again.

    Raises DataError or ConfigError on bad input, before anything is written.
    """
    store = open_store(build(without(conf["data"], *BESIDE["data"])), cycles=conf["cycles"])
    reader = build(conf["preprocessing"])
    profiles, notes = reader.read(store, conf["cycles"])
    split, saved = build(conf["split"]), folder / "splits.json"
    if saved.is_file():
        folds = from_json(json.loads(saved.read_text(encoding="utf-8")), profiles.table)
    else:
        folds = make_folds(split, profiles.table, conf["seed"])
    folds = [_ungiven(fold, profiles.table) for fold in folds]
    members = [new_member(conf, reader, profiles, fold) for fold in folds]
    for fold in folds:
        notes += [fold.note] * bool(fold.note) + seen_before(conf, fold, profiles.table["cell_id"].to_numpy())
    for name in sorted({name for member in members for name in member.preprocessing.constant}):
        notes.append(f"condition {name} is constant in the training data: what it does cannot be learnt")
    new_physics(conf, _known(profiles, members[0]), members[0].shape)  # refuses what these data do not allow
    if not saved.is_file() and main_process():  # only now: a run that is refused leaves no split that claims the folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(saved, to_json(split, profiles.table, folds, conf["seed"]))
    return Part(conf, folder, store, profiles, members, list(dict.fromkeys(notes)), split.kind)


def _known(profiles: ProfileSet, member: Member) -> ProfileBatch:
    """What the member is fitted to, all cells numbered 0."""
    chosen = profiles.take(member.known)
    return batch_of(member.preprocessing, member.conditions, chosen, np.zeros(len(chosen), dtype=np.int64))


def _ungiven(fold: Fold, table: pd.DataFrame) -> Fold:
    """The fold without the records that reference profiles are made of: whoever knows them need not generate them."""
    given = table["given"].to_numpy(bool)
    tests = {name: rows[~given[rows]] for name, rows in fold.tests.items()}
    return Fold(fold.name, fold.train, fold.val, {k: v for k, v in tests.items() if len(v)}, fold.note)


def new_member(conf: dict[str, Any], reader: Any, profiles: ProfileSet, fold: Fold) -> Member:
    """One fold, not trained yet: what is fitted to its training and validation rows. reader: what read the profiles."""
    preprocessing = build(conf["preprocessing"])
    preprocessing.references = reader.references
    required = signature(conf["model"]["_target_"]).constants.get("REQUIRES", ())
    conditions = Conditions(list(dict.fromkeys([*preprocessing.conditions, *required])))
    known = profiles.take(np.concatenate([fold.train, fold.val]))
    preprocessing.fit(known)
    conditions.fit(known.table)
    for name, rows in fold.tests.items():
        if unseen := conditions.unseen(profiles.table.iloc[rows]):
            raise ConfigError(f"{fold.name}, test {name}: {unseen[0]}. Leave it out of preprocessing.conditions.")
    source = pretrained(conf, fold.name)
    if source is not None and conf["finetune"]["scaler"] == "source":
        take_scales(preprocessing, source)
    shape = checkpoint.data_shape(preprocessing, conditions)
    build(without(conf["model"], *BESIDE["model"]), shape=shape)  # a model that cannot be of these data is refused here
    return Member(fold, preprocessing, conditions, shape, None, {})


def train(part: Part) -> None:
    """Train the members that are not trained yet, and save a checkpoint of each."""
    settings: AdversarialTraining = build(part.conf["trainer"]).on(part.conf["device"])
    for number, member in enumerate(part.members):
        path = part.folder / "models" / f"{member.name}.ckpt"
        if path.is_file():
            old = checkpoint.load(path)
            member.model, member.preprocessing, member.facts = old.model, old.preprocessing, old.facts["training"]
            member.conditions, member.shape = old.conditions, checkpoint.data_shape(old.preprocessing, old.conditions)
            continue
        train_member(part, number, settings)
        if not main_process():
            continue
        known = part.profiles.take(member.known)
        facts = {
            "training": member.facts, "data_hash": part.store.data_hash, "protocol": part.conf["protocol"],
            "seed": part.conf["seed"], "fold": member.name, "train_cells": sorted(set(known.table["cell_id"])),
        }  # fmt: skip
        cond = torch.from_numpy(member.conditions.encode(known.table))
        trained = checkpoint.Trained(member.trained, member.preprocessing, member.conditions, part.conf, cond, facts)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(path, trained)
        for left in part.folder.glob(f"search_{member.name}.json"):
            left.unlink()


def new_model(node: Mapping[str, Any], shape: DataShape, batch: ProfileBatch, seed: int) -> nn.Module:
    """A fresh model, fitted to training rows as a whole; the same weights for the same seed."""
    torch.manual_seed(seed)
    model: nn.Module = build(without(node, *BESIDE["model"]), shape=shape)
    model.fit(batch.x, batch.cond, batch.cell)  # type: ignore[operator]
    return model


def physics_nodes(conf: Mapping[str, Any]) -> dict[str, Any]:
    """The physics terms of a config by name, without those that were taken out with null."""
    return {name: node for name, node in (conf["model"].get("physics") or {}).items() if node is not None}


def new_physics(conf: Mapping[str, Any], batch: ProfileBatch, shape: DataShape) -> list[Any]:
    """The physics terms of the config, calibrated on training rows, less those of weight 0."""
    terms = [term for node in physics_nodes(conf).values() if (term := build(node)).weight > 0]
    view = view_of(batch, shape)
    for term in terms:
        term.fit(view)
    return terms


def train_member(part: Part, number: int, settings: AdversarialTraining, extra: Sequence[Any] = ()) -> None:
    """Fill in the model of a member and the facts of its training. extra: callbacks, where it is trained in steps."""
    conf, member = part.conf, part.members[number]
    shape, seed = member.shape, int(np.random.SeedSequence([conf["seed"], number]).generate_state(1)[0])
    train = part.batch(member, member.fold.train)
    val = part.batch(member, member.fold.val)
    if "critic_loss" not in signature(conf["model"]["_target_"]).methods:
        both = part.batch(member, member.known)
        member.model = new_model(conf["model"], shape, both, seed)
        member.facts = {"steps": 0, "closed_form": True}
        return
    from batgen.training.fit_adversarial import AdversarialJob, fit_adversarial  # Lightning: seconds

    def fresh(batch: ProfileBatch) -> nn.Module:
        model = new_model(conf["model"], shape, batch, seed)
        if (source := pretrained(conf, member.name)) is not None:
            take_weights(model, source, conf["finetune"]["scaler"] == "refit")
        return model

    optim = conf["model"]["optim"]
    sides = (lambda p: build(optim["generator"], p), lambda p: build(optim["critic"], p))
    name = part.folder.name if len(part.members) == 1 else f"{part.folder.name}-{member.name}"
    loggers = [
        build(node, folder=part.folder.parent, name=name, config=conf) for node in (conf["logger"] or {}).values()
    ]
    job = AdversarialJob(
        fresh, lambda batch: new_physics(conf, batch, shape), sides, shape, seed, part.folder, member.name, loggers,
        extra,
    )  # fmt: skip
    part.folder.mkdir(parents=True, exist_ok=True)
    member.model, member.facts = fit_adversarial(job, train, val, settings)
