"""A part of a sequence run, one protocol and seed: which cells learn, which validate, and one model a fold."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from batgen import checkpoint
from batgen.build import build
from batgen.config import BESIDE, without
from batgen.data.sequence_split import SequenceParts, from_json, sequence_parts, to_json
from batgen.data.store import Store, open_store
from batgen.errors import ConfigError
from batgen.files import write_json
from batgen.finetune import freeze, pretrained, seen_before
from batgen.forecasting import batch_of
from batgen.models.sequence_base import SequenceBatch
from batgen.preprocessing.conditions import Conditions
from batgen.preprocessing.sequence_options import fitting_stride
from batgen.preprocessing.sequence_series import Series
from batgen.sequence_cuts import Pair, cut_notes, data_notes, stopping_pairs, unvalidated
from batgen.training.fit_sequences import fit_sequences
from batgen.training.sequence_module import SequenceRows
from batgen.training.sequence_settings import SequenceTraining


@dataclass
class Member:
    """One fold: the series it learns from, those it is stopped on and where they are cut, what was fitted, the model."""

    name: str
    train: list[Series]
    val: list[Series]
    val_cuts: list[int]
    preprocessing: Any
    model: nn.Module | None
    facts: dict[str, Any]

    @property
    def trained(self) -> nn.Module:
        assert self.model is not None, f"{self.name} is not trained yet"
        return self.model


@dataclass
class Part:
    """Everything of one protocol and seed before evaluation. series: of every cell in use, over its whole record;
    notes: what a reader of the results must know of the data."""

    conf: dict[str, Any]
    folder: Path
    store: Store
    parts: SequenceParts
    series: dict[str, Series]
    members: list[Member]
    notes: list[str]

    @property
    def context(self) -> dict[str, Any]:
        """What all metric rows of this part say."""
        return {
            "protocol": self.conf["protocol"],
            "seed": self.conf["seed"],
            "split": self.parts.kind,
            "data": self.conf["data"]["name"],
            "model": self.title,
            "note": "",
        }

    @property
    def cuts(self) -> list[int]:
        """Cycles observed in the tests; a chronological split has cuts of its own."""
        return list(self.conf["evaluation"]["cuts"] or [self.conf["cycles"]])

    @property
    def title(self) -> str:
        name = str(self.conf["model"]["_target_"]).rpartition(".")[0].rpartition(".")[2]
        return f"{name} (arcana)" if self.conf["model"].get("arcana_compat") else name


def check_settings(conf: dict[str, Any]) -> None:
    """Build what costs little, the split too, so that nothing is refused after another protocol was trained."""
    build(conf["trainer"]).on(conf["device"])
    build(conf["preprocessing"])
    evaluation = build(conf["evaluation"])
    store = open_store(build(without(conf["data"], *BESIDE["data"])), cycles=1)
    lacking = build(conf["preprocessing"]).lacking(store)
    parts = sequence_parts(build(conf["split"]), store, conf["seed"], conf["cycles"], lacking)
    own = [stop for _, stop in parts.stops.values()] if parts.stops else None
    evaluation.check_until(own or evaluation.cuts or [conf["cycles"]])
    pretrained(conf)


def prepare(conf: dict[str, Any], folder: Path) -> Part:
    """Store, split, series and members. A split saved before in splits.json is taken again.

    Raises DataError or ConfigError on bad input, before anything is written.
    """
    store = open_store(build(without(conf["data"], *BESIDE["data"])), cycles=1)
    conf = with_stride(conf, store)
    reader = build(conf["preprocessing"])
    lacking = reader.lacking(store)
    saved = folder / "splits.json"
    if saved.is_file():
        parts = from_json(json.loads(saved.read_text(encoding="utf-8")), store)
    else:
        parts = sequence_parts(build(conf["split"]), store, conf["seed"], conf["cycles"], lacking)
    everyone = dict.fromkeys(cell for ids in parts.cells.values() for cell in ids)
    series = {cell: reader.series(store, cell) for cell in everyone}
    members = new_members(conf, store, parts, series)
    part = Part(conf, folder, store, parts, series, members, data_notes(parts, lacking))
    validated = {s.cell_id for member in members for s, _ in _validated(part, member, build(conf["trainer"]))}
    part.notes += unvalidated([s.cell_id for member in members for s in member.val if s.cell_id not in validated])
    part.notes += seen_before(conf, [cell for name in parts.tests for cell in parts.cells[name]])
    part.notes += cut_notes(parts, series, part.cuts, reader.target_names)
    if not saved.is_file():  # only now: a run that is refused leaves no split that claims the folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(saved, to_json(parts, conf["seed"]))
    return part


def with_stride(conf: dict[str, Any], store: Store) -> dict[str, Any]:
    """The config with a stride, where it leaves that to the data."""
    if conf["preprocessing"]["stride"] is not None:
        return conf
    last = max(info.last_cycle for info in store.infos)
    stride = fitting_stride(min(last, conf["preprocessing"]["max_cycles"] or last))
    return {**conf, "preprocessing": {**conf["preprocessing"], "stride": stride}}


def new_members(conf: dict[str, Any], store: Store, parts: SequenceParts, series: dict[str, Series]) -> list[Member]:
    """The folds of a part, not trained yet. series: of training and validation cells (unless the split is chronological)."""
    settings: SequenceTraining = build(conf["trainer"])
    cut = settings.cuts(conf["cycles"])[1]
    if parts.stops is not None:
        reader = build(conf["preprocessing"])
        train = [reader.series(store, cell, last_cycle=stop) for cell, (stop, _) in parts.stops.items()]
        val = [reader.series(store, cell, last_cycle=stop) for cell, (_, stop) in parts.stops.items()]
        return [_member(conf, "fold0", train, val, [stop for stop, _ in parts.stops.values()], chronological=True)]
    if settings.folds == 1:
        train, val = ([series[cell] for cell in parts.cells[name]] for name in ("train", "val"))
        return [_member(conf, "fold0", train, val, [cut] * len(val))]
    cells = np.array([*parts.cells["train"], *parts.cells["val"]])
    order = np.random.default_rng(conf["seed"]).permutation(len(cells))
    folds = min(settings.folds, len(cells))
    members = []
    for fold in range(folds):
        held = {str(cell) for cell in cells[order[fold::folds]]}
        val = [series[cell] for cell in cells if cell in held]
        train = [series[cell] for cell in cells if cell not in held]
        members.append(_member(conf, f"fold{fold}", train, val, [cut] * len(val)))
    return members


def _member(
    conf: dict[str, Any],
    name: str,
    train: list[Series],
    val: list[Series],
    val_cuts: list[int],
    chronological: bool = False,
) -> Member:
    settings: SequenceTraining = build(conf["trainer"])
    source = pretrained(conf)
    preprocessing = build(conf["preprocessing"])
    first, last = settings.cuts(conf["cycles"])
    if source is not None and conf["finetune"]["scaler"] == "source":
        preprocessing.load(source[name].preprocessing.state())
        # the scales are those of that run, the lives those of these cells
        preprocessing.horizon_cycles = preprocessing.horizon or max(1, *(s.last_cycle - first for s in train))
    else:
        if chronological:
            last = max(one.last_cycle for one in train) - 1
        preprocessing.fit(train, range(first, last + 1))
    return Member(name, train, val, val_cuts, preprocessing, None, {})


def train(part: Part) -> None:
    """Train the members that are not trained yet, and save a checkpoint of each."""
    settings: SequenceTraining = build(part.conf["trainer"]).on(part.conf["device"])
    for number, member in enumerate(part.members):
        path = part.folder / "models" / f"{member.name}.ckpt"
        if path.is_file():
            old = checkpoint.load(path)
            member.model, member.preprocessing, member.facts = old.model, old.preprocessing, old.facts["training"]
            continue
        train_member(part, number, settings)
        facts = {
            "training": member.facts, "data_hash": part.store.data_hash, "protocol": part.conf["protocol"],
            "seed": part.conf["seed"], "fold": member.name, "train_cells": [s.cell_id for s in member.train],
        }  # fmt: skip
        trained = checkpoint.Trained(
            member.trained, member.preprocessing, Conditions([]), part.conf, torch.zeros(0, 0), facts
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(path, trained)
        for rest in part.folder.glob(f"last_{member.name}.ckpt"):
            rest.unlink()


def _validated(part: Part, member: Member, settings: SequenceTraining) -> list[Pair]:
    """(series, cut) that a member is stopped on."""
    pairs = list(zip(member.val, member.val_cuts, strict=True))
    if settings.val_cuts is not None and part.parts.stops is None:
        pairs = [(s, cut) for cut in settings.val_cuts for s in member.val]
    return stopping_pairs(member.name, pairs, member.preprocessing.target_names)


def train_member(part: Part, number: int, settings: SequenceTraining, extra: Sequence[Any] = ()) -> None:
    """Fill in the model of a member and the facts of its training. extra: callbacks."""
    conf, member = part.conf, part.members[number]
    preprocessing = member.preprocessing
    seed = int(np.random.SeedSequence([conf["seed"], number]).generate_state(1)[0])
    first, last = settings.cuts(conf["cycles"])
    cells = [s for s in member.train if s.last_cycle > max(first, s.begin(preprocessing.target_names))]
    if not cells:
        raise ConfigError(
            f"trainer.first_cut={first}: no training cell has a later cycle. Use a smaller trainer.first_cut."
        )
    steps = preprocessing.training_steps

    def draw(rng: np.random.Generator) -> SequenceBatch:
        chosen = [s for s in cells for _ in range(settings.windows)]
        # a cell that ends within the range is cut before its end: something must be left to forecast; a chronological split
        # is tested from cuts later than any of training, which cuts its cells anywhere
        ends = [s.last_cycle - 1 if part.parts.stops is not None else min(last, s.last_cycle - 1) for s in chosen]
        starts = [max(first, s.begin(preprocessing.target_names)) for s in chosen]
        cuts = [int(rng.integers(start, max(start, end) + 1)) for start, end in zip(starts, ends, strict=True)]
        return batch_of(preprocessing, chosen, cuts, steps, training=True)

    pairs = _validated(part, member, settings)
    val, cuts = [s for s, _ in pairs], [cut for _, cut in pairs]
    rows = SequenceRows(draw, batch_of(preprocessing, val, cuts, steps, training=True))
    torch.manual_seed(seed)
    shape = checkpoint.sequence_shape(preprocessing)
    member.model = build(without(conf["model"], *BESIDE["model"]), shape=shape)
    source = pretrained(conf)
    if source is not None:
        weights = dict(source[member.name].model.state_dict())
        if conf["finetune"]["scaler"] == "refit":  # what belongs to the scaler
            weights["gains"] = member.model.state_dict()["gains"]
        member.model.load_state_dict(weights)
        freeze(member.model, conf["finetune"]["train"])
    optim = conf["model"]["optim"]
    name = part.folder.name if len(part.members) == 1 else f"{part.folder.name}-{member.name}"
    loggers = [
        build(node, folder=part.folder.parent, name=name, config=conf) for node in (conf["logger"] or {}).values()
    ]
    member.facts = fit_sequences(
        member.model, rows, lambda p: build(optim, p), settings, seed, part.folder, member.name,
        loggers, extra,
    )  # fmt: skip
