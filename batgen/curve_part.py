"""One part of a run: one protocol, one seed. Data to tensors, training, evaluation, files."""

import json
from collections.abc import Callable
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
from batgen.data.samples import sample_table
from batgen.data.split import Split, from_json, to_json
from batgen.data.store import Store, open_store
from batgen.evaluation.curves import CurveEvaluation, TestSet, score
from batgen.evaluation.paper import paper_rows
from batgen.evaluation.reconstruction import TOTAL
from batgen.files import write_json
from batgen.models.base import Batch, DataShape
from batgen.preprocessing.conditions import Conditions
from batgen.processes import main_process, use_cores
from batgen.samples import write_samples
from batgen.training.settings import Training


@dataclass
class Prepared:
    """Everything between the raw files and the model. `rows` holds scaled Batches; `real` physical slices of the test set;
    `curves` (N, signals, points) all curves of the table in physical units, each signal once."""

    store: Store
    table: pd.DataFrame
    parts: dict[str, np.ndarray]
    preprocessing: Any
    conditions: Conditions
    shape: DataShape
    rows: dict[str, Batch]
    real: np.ndarray
    notes: list[str]
    curves: np.ndarray

    def encoded(self, rows: np.ndarray) -> torch.Tensor:
        """Conditions (n, columns) of these rows of the table, as models are told them."""
        return torch.from_numpy(self.conditions.encode(self.table.iloc[rows]))


def prepare(conf: dict[str, Any], saved_split: Path | None = None, test: bool = True) -> Prepared:
    """Store, samples, split, preprocessing and tensors for one part. Raises DataError or ConfigError on bad input.

    A split saved before is taken again, so that a resumed run tests on the same cells; else it is saved there. test: false
    forgets the test rows as soon as it is known which they are, so that nothing that follows can depend on them.
    """
    source, preprocessing = build(without(conf["data"], *BESIDE["data"])), build(conf["preprocessing"])
    store = open_store(source, cycles=conf["cycles"])
    required = signature(conf["model"]["_target_"]).constants.get("REQUIRES", ())
    conditions = Conditions(list(dict.fromkeys([*preprocessing.conditions, *required])))
    table, notes = sample_table(
        store, source, conf["cycles"], part=preprocessing.part, needs_eol="eol" in conditions.names
    )
    curves, kept, lost = preprocessing.read(store, table)
    table = table.iloc[kept].reset_index(drop=True)
    parts = _split(conf, table, saved_split)
    if not test:
        table, curves, parts = _without_test(table, curves, parts)
    fitted_on = parts["train"] if preprocessing.fit_on == "train" else np.concatenate([parts["train"], parts["val"]])
    preprocessing.fit(curves[fitted_on])
    conditions.fit(table.iloc[fitted_on])
    cells = torch.from_numpy(pd.factorize(table["cell_id"])[0].astype(np.int64))
    cond = torch.from_numpy(conditions.encode(table))
    rows = {
        name: Batch(torch.from_numpy(preprocessing.transform(curves[i])), cond[i], cells[i])
        for name, i in parts.items()
    }
    shape = checkpoint.data_shape(preprocessing, conditions)
    real = preprocessing.physical(curves[parts["test"]])
    return Prepared(store, table, parts, preprocessing, conditions, shape, rows, real, notes + lost, curves)


def _without_test(
    table: pd.DataFrame, curves: np.ndarray, parts: dict[str, np.ndarray]
) -> tuple[pd.DataFrame, np.ndarray, dict[str, np.ndarray]]:
    """Samples, their curves and their parts as if there had never been test rows."""
    kept = np.sort(np.concatenate([parts["train"], parts["val"]]))
    known = {name: np.searchsorted(kept, parts[name]) for name in ("train", "val")}
    return table.iloc[kept].reset_index(drop=True), curves[kept], {**known, "test": kept[:0]}


def _split(conf: dict[str, Any], table: pd.DataFrame, saved: Path | None) -> dict[str, np.ndarray]:
    if saved is not None and saved.is_file():
        return from_json(json.loads(saved.read_text(encoding="utf-8")), table)
    split: Split = build(conf["split"])
    parts = split.assign(table, conf["seed"])
    if saved is not None and main_process():
        write_json(saved, to_json(split, table, parts, conf["seed"]))
    return parts


def check_settings(conf: dict[str, Any]) -> None:
    """Build what costs nothing, so that a wrong value is refused before data are read or anything is trained."""
    build(conf["trainer"]).on(conf["device"])
    build(conf["split"])
    build(conf["preprocessing"])
    CurveEvaluation(**without(conf["evaluation"], "_target_"))


def run_part(conf: dict[str, Any], folder: Path, run_folder: Path, console: Console) -> list[dict[str, Any]]:
    """Train and evaluate one part in `folder`; returns its metric rows. What is already there is used, not made again."""
    use_cores()
    data = prepare(conf, folder / "splits.json")
    split_kind = conf["split"]["kind"]
    console.print(
        f"[bold]{conf['protocol']}[/bold] protocol, seed {conf['seed']}: "
        + ", ".join(f"{len(i)} {name}" for name, i in data.parts.items())
        + f" curves, split by {split_kind}, {data.table['cell_id'].nunique()} cells of {data.store.path.name}"
    )
    for note in data.notes:
        console.print(f"  note: {note}", style="yellow")
    model, facts = _trained(conf, data, folder, run_folder)
    if not main_process():
        return []
    if "leak" in facts:
        data.notes.append(facts["leak"])
        console.print(f"  note: {facts['leak']}", style="yellow")
    evaluation = CurveEvaluation(**without(conf["evaluation"], "_target_"))
    test_rows = data.table.iloc[data.parts["test"]]
    test = TestSet(
        data.rows["test"], data.real, data.shape.slices, test_rows["cell_id"].to_numpy(), data.preprocessing.inverse
    )
    name = conf["model"]["_target_"].rpartition(".")[0].rpartition(".")[2]
    context = {
        "protocol": conf["protocol"],
        "seed": conf["seed"],
        "split": split_kind,
        "data": conf["data"]["name"],
        "cycles": conf["cycles"],
        "n": len(test.real),
        "note": "; ".join(data.notes),
    }
    console.print(f"  scoring {name} and {len(evaluation.baselines)} baselines on {len(test.real)} test curves ...")
    scored = score(model, test, evaluation, conf["seed"], {**context, "model": name, "role": "model"})
    rows = scored.rows
    train = final_rows(conf, data)
    for baseline, node in evaluation.baselines.items():
        if node["_target_"] != conf["model"]["_target_"]:
            fitted = new_model(node, data.shape, conf["seed"])(train)
            rows += score(
                fitted, test, evaluation, conf["seed"], {**context, "model": baseline, "role": "baseline"}
            ).rows
    if conf["protocol"] == "paper" and name == "rcvae":
        rows += _published(conf, context, data.shape.slices)
    write_samples(
        folder / "samples.h5", scored, test, test_rows, data.preprocessing.axis(), data.store, model,
        {"protocol": conf["protocol"], "model": name, "data": conf["data"]["name"], "seed": conf["seed"]},
    )  # fmt: skip
    write_json(folder / "metrics.json", {"rows": rows, "training": facts, "notes": data.notes})
    return rows


def _trained(conf: dict[str, Any], data: Prepared, folder: Path, run_folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    path = folder / "model.ckpt"

    def loggers() -> list[Any]:
        return [build(n, folder=run_folder, name=folder.name, config=conf) for n in (conf["logger"] or {}).values()]

    if path.is_file():
        old = checkpoint.load(path)
        if conf["logger"] and "trained_together" in old.facts["training"]:
            from batgen.training.replay import replay

            replay(loggers(), folder)
        return old.model, old.facts["training"]
    fresh = new_model(conf["model"], data.shape, conf["seed"])
    if "loss" in signature(conf["model"]["_target_"]).methods:
        from batgen.training.fit import fit  # Lightning: seconds that a closed-form model need not wait for

        settings: Training = build(conf["trainer"]).on(conf["device"])
        optim = conf["model"]["optim"]
        extra = [build(node) for node in (conf["callbacks"] or {}).values()]
        model, facts = fit(
            fresh, data.rows, lambda p: build(optim, p), settings, conf["seed"], folder, loggers(), extra
        )
    else:
        model, facts = fresh(final_rows(conf, data)), {"epochs": 0, "closed_form": True}
    if main_process():
        save_trained(conf, data, folder, model, facts)
    return model, facts


def save_trained(conf: dict[str, Any], data: Prepared, folder: Path, model: nn.Module, facts: dict[str, Any]) -> None:
    """model.ckpt of a part that is trained; what it would have been gone on from goes."""
    trained = checkpoint.Trained(
        model.eval(), data.preprocessing, data.conditions, conf, final_rows(conf, data).cond,
        {"training": facts, "data_hash": data.store.data_hash, "protocol": conf["protocol"], "seed": conf["seed"]},
    )  # fmt: skip
    checkpoint.save(folder / "model.ckpt", trained)
    for left in folder.glob("last_*.ckpt"):
        left.unlink()


def new_model(node: dict[str, Any], shape: DataShape, seed: int) -> Callable[[Batch], nn.Module]:
    """A function that builds a fresh model and fits it to training rows, with the same weights every time."""

    def make(train: Batch) -> nn.Module:
        torch.manual_seed(seed)
        model: nn.Module = build(without(node, *BESIDE["model"]), shape=shape)
        model.fit(train.x, train.cond, train.cell)  # type: ignore[operator]
        return model

    return make


def _published(conf: dict[str, Any], context: dict[str, Any], slices: tuple[str, ...]) -> list[dict[str, Any]]:
    """The paper's own numbers for these cycles and this removed layer, marked where our data are not the paper's."""
    found = paper_rows(conf["cycles"], str(conf["model"]["remove"]).capitalize())
    if not {r["signal"] for r in found} <= {*slices, TOTAL}:
        return []
    other = "" if conf["data"]["name"] == "mit" else "paper protocol, other data: the paper's numbers are on MIT"
    return [{**context, "seed": None, **r, "note": "; ".join(filter(None, (other, r["note"])))} for r in found]


def final_rows(conf: dict[str, Any], data: Prepared) -> Batch:
    """The rows the model's final weights were trained on: a baseline must not know less, or more."""
    parts = [data.rows[name] for name in learnt_parts(conf)]
    return Batch(*(torch.cat(same) for same in zip(*parts, strict=True)))


def learnt_parts(conf: dict[str, Any]) -> tuple[str, ...]:
    """The parts of the split that the model's final weights were trained on."""
    return ("train",) if conf["trainer"]["early_stopping"] == "disjoint" else ("train", "val")
