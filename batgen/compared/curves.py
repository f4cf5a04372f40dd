"""Runs of curves (charges, discharges) as comparisons."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from batgen import checkpoint
from batgen.compared.judged import (
    AT_TRAIN,
    EVERY,
    EvaluateSettings,
    Judged,
    Method,
    Sweep,
    beside,
    chunks,
    evenly,
    same_data,
    typical_row,
)
from batgen.curve_part import Prepared, final_rows, learnt_parts, new_model, prepare
from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.models.base import Batch

_SWEEP_VALUES, _SWEEP_DRAWS = 7, 32


def of_part(conf: dict[str, Any], folder: Path, settings: EvaluateSettings) -> Iterator[Judged]:
    """The one test set of a part, its model and baselines."""
    data, trained = prepare(conf, folder / "splits.json"), checkpoint.load(folder / "model.ckpt")
    same_data(folder, trained, data.store.data_hash)
    known = np.sort(np.concatenate([data.parts[name] for name in learnt_parts(conf)]))
    test_rows, train_rows = evenly(data.parts["test"], settings.rows), evenly(known, settings.rows)
    real, train = curve_set(data, test_rows), curve_set(data, train_rows)
    compare = beside(real, train, curve_set(data, evenly(known, EVERY)), data.conditions.names, settings.seed)
    cond = {name: data.encoded(rows) for name, rows in (("test", test_rows), ("train", train_rows))}

    def comparison(model: nn.Module) -> Comparison:
        at_test = draw(data, model, cond["test"], settings.draws, settings.seed)
        at_train = draw(data, model, cond["train"], min(settings.draws, AT_TRAIN), settings.seed + 1)
        return compare(at_test, at_train)

    name = str(conf["model"]["_target_"]).rpartition(".")[0].rpartition(".")[2]
    methods = [Method(name, "model", lambda: comparison(trained.model))]
    final: Batch = final_rows(conf, data)
    for baseline, node in conf["evaluation"]["baselines"].items() if settings.baselines else ():
        if node["_target_"] != conf["model"]["_target_"]:

            def fitted(node: dict[str, Any] = node) -> Comparison:
                return comparison(new_model(node, data.shape, conf["seed"])(final).eval())

            methods.append(Method(str(baseline), "baseline", fitted))
    context = {
        "protocol": conf["protocol"], "seed": conf["seed"], "split": conf["split"]["kind"], "data": conf["data"]["name"],
        "model": name, "test_set": "test",
    }  # fmt: skip
    yield Judged(context, "", methods, lambda: _sweeps(data, trained, settings.seed), data.notes)


def curve_set(data: Prepared, rows: np.ndarray) -> CurveSet:
    """Measured curves of these rows, each signal once, with what is known of them."""
    facts = {info.cell_id: info for info in data.store.infos}
    table = data.table.iloc[rows].reset_index(drop=True)
    window = {name: [getattr(facts[c], name) for c in table["cell_id"]] for name in ("voltage_min_V", "voltage_max_V")}
    name, axis = data.preprocessing.axis()
    about = {
        "part": data.preprocessing.part, "data": data.store.source.name, "synthetic": False,
        "eol_capacity_Ah": data.store.source.eol_capacity_Ah,
    }  # fmt: skip
    return CurveSet(
        data.curves[rows], tuple(data.preprocessing.signals), np.asarray(axis), name, table.assign(**window), about
    )


def draw(data: Prepared, model: nn.Module, cond: Tensor, n: int, seed: int) -> np.ndarray:
    """(n, N, S, P) in physical units; a signal that the model draws several times (the paper's charge) as their mean."""
    generator = torch.Generator().manual_seed(seed)
    signals, slices = tuple(data.preprocessing.signals), data.shape.slices
    found = np.empty((n, len(cond), len(signals), data.curves.shape[-1]), np.float32)
    for part in chunks(len(cond), n * len(slices) * found.shape[-1]):
        with torch.no_grad():
            made = data.preprocessing.inverse(model.sample(cond[part], n, generator).numpy())  # type: ignore[operator]
        for place, signal in enumerate(signals):
            same = [i for i, name in enumerate(slices) if name == signal]
            found[:, part, place] = made[:, :, same[0]] if len(same) == 1 else made[:, :, same].mean(axis=2)
    return found


def _sweeps(data: Prepared, trained: checkpoint.Trained, seed: int) -> dict[str, Sweep]:
    conditions, table = trained.conditions, trained.train_table.numpy()
    typical = table[typical_row(table)]
    found = {}
    for place, name in enumerate(conditions.columns):
        low, high = float(table[:, place].min()), float(table[:, place].max())
        if name not in conditions.low or high <= low:
            continue
        values = np.linspace(low, high, _SWEEP_VALUES)
        rows = np.repeat(typical[None], len(values), axis=0)
        rows[:, place] = values
        made = draw(data, trained.model, torch.from_numpy(rows.astype(np.float32)), _SWEEP_DRAWS, seed)
        fixed = {c: float(typical[i]) for i, c in enumerate(conditions.columns) if i != place}
        found[name] = Sweep(values, made, low, high, fixed)
    return found
