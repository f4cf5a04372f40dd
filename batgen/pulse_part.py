"""The parts of a pulse run, one a protocol and seed: all their cases, folds and seeds are trained side by side."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from torch import nn

from batgen import checkpoint
from batgen.build import build, signature
from batgen.config import BESIDE, without
from batgen.console import Bar
from batgen.data.store import Store, open_store
from batgen.data.unseen_soc import Member as Split
from batgen.data.unseen_soc import UnseenSoc
from batgen.data.unseen_soc_json import members_from_json, members_to_json
from batgen.errors import DataError
from batgen.evaluation.latent import latent_diagnostics
from batgen.evaluation.pulses import PulseEvaluation
from batgen.files import replacing, write_json
from batgen.models.base import Batch
from batgen.preprocessing.conditions import Conditions
from batgen.training.ensemble import EnsembleTraining, Member, train_ensemble


@dataclass
class Fold:
    """One training: its rows of the pulse table, what was fitted to the training rows, and the model."""

    split: Split
    preprocessing: Any
    conditions: Conditions
    rows: Batch
    model: nn.Module
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return f"case{self.split.case}_fold{self.split.fold}_{self.split.calibration}"


@dataclass
class Part:
    """Everything of one protocol and seed before evaluation."""

    conf: dict[str, Any]
    folder: Path
    store: Store
    table: pd.DataFrame
    cases: dict[str, list[float]]
    folds: list[Fold]

    @property
    def context(self) -> dict[str, Any]:
        """What all metric rows of this part say."""
        return {
            "protocol": self.conf["protocol"],
            "seed": self.conf["seed"],
            "split": f"unseen_soc, cells {self.conf['split']['cells']}",
            "data": self.conf["data"]["name"],
            "model": self.title,
            "note": "",
        }

    @property
    def title(self) -> str:
        name = str(self.conf["model"]["_target_"]).rpartition(".")[0].rpartition(".")[2]
        variant = self.conf["model"].get("variant")
        return f"{name} ({variant})" if variant else name


def check_settings(conf: dict[str, Any]) -> None:
    """Build what costs little, the split of the data too, so that nothing is refused after another protocol was trained."""
    build(conf["trainer"]).on(conf["device"])
    build(conf["preprocessing"])
    PulseEvaluation(**without(conf["evaluation"], "_target_"))
    build(conf["split"]).members(pulse_table(conf)[1], conf["seed"])


def pulse_table(conf: dict[str, Any]) -> tuple[Store, pd.DataFrame]:
    """The store of the dataset and its table of pulse tests. Raises DataError where there are none."""
    store = open_store(build(without(conf["data"], *BESIDE["data"])))
    table = store.pulses()
    if table is None:
        raise DataError(f"{store.source.name} has no pulse tests. Use data=pulse, data=pulse_csv or data=sim.")
    return store, table


def prepare(conf: dict[str, Any], folder: Path) -> Part:
    """Store, pulse table, members and their tensors. Members saved before in splits.json are taken again.

    Raises DataError or ConfigError on bad input.
    """
    store, table = pulse_table(conf)
    split: UnseenSoc = build(conf["split"])
    saved = folder / "splits.json"
    if saved.is_file():
        members = members_from_json(json.loads(saved.read_text(encoding="utf-8")), table)
    else:
        members = split.members(table, conf["seed"])
    folds = [new_fold(conf, table, member) for member in members]
    if not saved.is_file():  # only now: a run that is refused leaves no split that claims the folder
        write_json(saved, members_to_json(split, table, members, conf["seed"]))
    return Part(conf, folder, store, table, split.chosen, folds)


def fitted_rows(conf: dict[str, Any], table: pd.DataFrame, rows: np.ndarray) -> tuple[Any, Conditions, Batch]:
    """Preprocessing and conditions fitted to `rows` of the pulse table, and these rows as tensors."""
    preprocessing = build(conf["preprocessing"])
    conditions = Conditions(preprocessing.condition_names(table))
    train = table.iloc[rows]
    volts = preprocessing.read(train)
    preprocessing.fit(volts)
    conditions.fit(train)
    batch = Batch(
        torch.from_numpy(preprocessing.transform(volts)),
        torch.from_numpy(conditions.encode(train)),
        torch.from_numpy(pd.factorize(train["cell_id"])[0].astype(np.int64)),
    )
    return preprocessing, conditions, batch


def new_fold(conf: dict[str, Any], table: pd.DataFrame, member: Split) -> Fold:
    """A member of the split, not trained yet: what is fitted to its training rows, and a fresh model."""
    preprocessing, conditions, rows = fitted_rows(conf, table, member.train)
    targets = None
    if conf["protocol"] == "paper":  # the published code scales conditions on training and test rows
        targets = torch.from_numpy(conditions.encode(table.iloc[member.test]))
    model = new_model(conf["model"], preprocessing, conditions, rows, conf["seed"], targets)
    return Fold(member, preprocessing, conditions, rows, model, {})


def new_model(
    node: dict[str, Any],
    preprocessing: Any,
    conditions: Conditions,
    rows: Batch,
    seed: int,
    targets: torch.Tensor | None = None,
) -> nn.Module:
    """A model built from its config node and fitted to training rows, the same every time."""
    torch.manual_seed(seed)
    shape = checkpoint.data_shape(preprocessing, conditions)
    model: nn.Module = build(without(node, *BESIDE["model"]), shape=shape)
    model.fit(rows.x, rows.cond, rows.cell, targets)  # type: ignore[operator]
    return model.eval()


def train_parts(parts: Sequence[Part], console: Console) -> None:
    """Train what is not trained yet in all parts at once, and save a checkpoint of each fold."""
    todo = [(part, fold) for part in parts for fold in part.folds if not _restored(part, fold)]
    if todo:
        train_folds(todo, console)
    for part, fold in todo:
        _save(part, fold)


def train_folds(todo: Sequence[tuple[Part, Fold]], console: Console) -> None:
    """Train all of these side by side, and note the facts of their training."""
    conf = todo[0][0].conf
    histories: list[list[dict[str, float]]] = [[] for _ in todo]
    if "loss" in signature(conf["model"]["_target_"]).methods:
        settings: EnsembleTraining = build(conf["trainer"]).on(conf["device"])
        optim = conf["model"]["optim"]
        members = [Member(fold.model, fold.rows, seed=_stream(part, fold)) for part, fold in todo]
        with Bar(console, f"training {len(todo)} models", len(todo) * settings.epochs) as advance:
            histories = train_ensemble(members, settings, lambda p: build(optim, p), advance)
    for (_, fold), history in zip(todo, histories, strict=True):
        fold.facts = {"epochs": len(history), "history": history, **_latent_facts(fold)}
        if hasattr(fold.model, "remember"):
            fold.model.remember(fold.rows.x, fold.rows.cond)  # type: ignore[operator]


def _stream(part: Part, fold: Fold) -> int:
    """A seed of its own for the batches and noise of every fold."""
    words = [*f"{fold.split.case}/{fold.split.calibration}".encode()]
    return int(np.random.SeedSequence([part.conf["seed"], fold.split.fold, *words]).generate_state(1)[0])


def _latent_facts(fold: Fold) -> dict[str, float]:
    if not hasattr(fold.model, "posterior"):
        return {}
    with torch.no_grad():
        mean, logvar = fold.model.posterior(fold.rows.x, fold.rows.cond)  # type: ignore[operator]
    found = latent_diagnostics(mean.numpy(), logvar.numpy())
    return {"kl_nats": found.kl_nats, "active_units": found.active_units}


def _path(part: Part, fold: Fold) -> Path:
    return part.folder / "models" / f"{fold.name}.ckpt"


def _save(part: Part, fold: Fold) -> None:
    facts = {
        "training": fold.facts,
        "data_hash": part.store.data_hash,
        "protocol": part.conf["protocol"],
        "seed": part.conf["seed"],
        "fold": fold.name,
    }
    trained = checkpoint.Trained(fold.model, fold.preprocessing, fold.conditions, part.conf, fold.rows.cond, facts)
    _path(part, fold).parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(_path(part, fold), trained)


def _restored(part: Part, fold: Fold) -> bool:
    if not _path(part, fold).is_file():
        return False
    old = checkpoint.load(_path(part, fold))
    fold.model, fold.facts = old.model, old.facts["training"]
    return True


def write_losses(part: Part) -> None:
    """losses.csv: one row a model and epoch."""
    rows = [{"member": fold.name, **row} for fold in part.folds for row in fold.facts["history"]]
    if rows:
        with replacing(part.folder / "losses.csv") as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.6g")
