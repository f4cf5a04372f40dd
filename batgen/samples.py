"""samples.h5: the measured and generated curves of a part of a run, in physical units; all that figures are drawn from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from torch import nn

from batgen.data.store import Store
from batgen.evaluation.curves import Scored, TestSet
from batgen.evaluation.rows import unit_of
from batgen.files import replacing

CONDITION_COLUMNS = ("ecl", "eol", "soh", "ambient_degC", "c1", "q1", "c2")


def write_samples(
    path: Path,
    scored: Scored,
    test: TestSet,
    table: pd.DataFrame,
    grid: tuple[str, np.ndarray],
    store: Store,
    model: nn.Module,
    attributes: Mapping[str, Any],
) -> None:
    """Write the file; `table` has the samples table's rows of the test set, `grid` the name and values (P,) of the axis.

    Datasets: real, conditional_mean and, for autoencoders, reconstruction (N, S, P); generated (M, K, S, P) for the rows
    generated_index (M,); conditions/<name> and cell_id (N,); embedding/* where the model has a label table; overview/*
    for the figure of the dataset itself.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({"slices": json.dumps(test.slices), "units": json.dumps([unit_of(s) for s in test.slices])})
        file.attrs.update({"grid_name": grid[0], "synthetic": True, **attributes})
        file["grid"] = grid[1].astype(np.float32)
        _curves(file, "real", test.real)
        _curves(file, "conditional_mean", scored.conditional_mean)
        if scored.reconstruction is not None:
            _curves(file, "reconstruction", scored.reconstruction)
        _curves(file, "generated", scored.draws)
        file["generated_index"] = scored.drawn
        file["cell_id"] = np.array(test.cells.tolist(), dtype=h5py.string_dtype())
        for name in CONDITION_COLUMNS:
            file[f"conditions/{name}"] = table[name].to_numpy(np.float64)
        labels, embedding = getattr(model, "labels", None), getattr(model, "embedding", None)
        if labels is not None and embedding is not None:
            file["embedding/weight"] = embedding.detach().numpy()
            file["embedding/eol"], file["embedding/ecl"] = labels[:, 0].numpy(), labels[:, 1].numpy()
        _overview(file, store)


def _curves(file: h5py.File, name: str, values: np.ndarray) -> None:
    file.create_dataset(name, data=values.astype(np.float32), compression="gzip", compression_opts=1, shuffle=True)


def _overview(file: h5py.File, store: Store) -> None:
    """Capacity fade of every cell, and charge curves over life of the cell that has most of them (fig. 2)."""
    for info in store.infos:
        summary = store.summary(info.cell_id)
        known = summary["discharge_capacity_Ah"].notna()
        group = file.create_group(f"overview/fade/{info.cell_id}")
        group["cycle"] = summary["cycle"][known].to_numpy(np.float32)
        group["discharge_capacity_Ah"] = summary["discharge_capacity_Ah"][known].to_numpy(np.float32)
        group.attrs["eol_cycle"] = info.eol_cycle
    signals = tuple(s for s in ("time_s", "voltage_V", "temperature_degC") if s in store.signals)
    if "time_s" not in signals:
        return
    cell = max(store.infos, key=lambda i: (np.isfinite(i.eol_cycle), i.last_cycle)).cell_id
    ragged = store.curves(cell, signals, part="charge", first=None)
    lengths = np.diff(ragged.offsets)
    fine = np.flatnonzero(lengths > 10)
    if not len(fine):
        return
    group = file.create_group("overview/by_cycle")
    group.attrs["cell_id"] = cell
    picked = fine[np.unique(np.linspace(0, len(fine) - 1, min(30, len(fine))).astype(int))]
    group["cycle"] = ragged.cycle[picked]
    for name in signals:
        rows = np.stack([_evenly(ragged.columns[name][ragged.offsets[i] : ragged.offsets[i + 1]]) for i in picked])
        if name == "time_s":
            group["grid_s"] = (rows - rows[:, :1]).astype(np.float32)
        else:
            group[name] = rows.astype(np.float32)


def _evenly(values: np.ndarray, points: int = 200) -> np.ndarray:
    return np.interp(np.linspace(0, len(values) - 1, points), np.arange(len(values)), values)
