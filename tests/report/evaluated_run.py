"""A small evaluated run folder with everything the page can show, made of numbers that are known."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from batgen.evaluation.downstream import CHOSEN, NONE

SIGNALS = ("voltage_V", "current_A")
ROWS, DRAWS, POINTS = 6, 8, 20


def row(metric: str, value: float | None, half: float = 0.0, **more: Any) -> dict[str, Any]:
    """A row of evaluation.json of the model "cvae", with an interval of +- half (none for 0)."""
    ends = {"low": None, "high": None} if not half or value is None else {"low": value - half, "high": value + half}
    return {
        "protocol": "honest", "seed": 0, "split": "cell", "data": "sim", "model": "cvae", "test_set": "test", "role": "model",
        "method": "cvae", "fold": "", "family": "conditional", "metric": metric, "signal": "voltage_V", "value": value, **ends,
        "unit": "V", "direction": "lower", "n": 60, "floor": 0.02, **more,
    }  # fmt: skip


def baseline(metric: str, value: float | None, half: float = 0.0, **more: Any) -> dict[str, Any]:
    """The same of the baseline "knn"."""
    return row(metric, value, half, **{"role": "baseline", "method": "knn", **more})


def rows() -> list[dict[str, Any]]:
    """Better in CRPS, level in C2ST, worse in membership_AUC than the one baseline; two seeds of the honest protocol."""
    curve = {"signal": "curve", "unit": "1"}
    found = []
    for protocol, split in (("honest", "cell"), ("paper", "sample")):
        for seed in (0, 1):
            where = {"protocol": protocol, "split": split, "seed": seed}
            for one, crps, auc in ((row, 0.01, 0.9), (baseline, 0.05, 0.5)):
                found += [
                    one("CRPS", crps, 0.001, **where),
                    one("RMSE", 2 * crps, 0.002, family="fidelity", **where),
                    one("C2ST", 0.7, 0.1, family="fidelity", floor=0.5, **curve, **where),
                    one("energy_score", crps, 0.03, floor=0.3, **curve, **where),
                    one("membership_AUC", auc, 0.05, family="memorisation", **{**curve, "direction": "half"}, **where),
                    one("pass_rate", 0.5, 0.1, family="physics",
                        **{"signal": "voltage_window", "unit": "1", "direction": "higher", "floor": 1.0}, **where),
                ]  # fmt: skip
    return found


def evaluated_run(folder: Path, model: str = "cvae", shift: float = 0.0, sets: int = 2) -> Path:
    """Write the folder: evaluation.json and .h5, run.json, config.yaml, splits.json, metrics.csv. `shift`: of its curves."""
    own = [{**r, "model": model, "method": model if r["role"] == "model" else r["method"]} for r in rows()]
    about = {
        "run": str(folder), "model": model, "data": "sim", "family": "curves", "protocols": ["honest", "paper"], "seeds": [0, 1],
        "settings": {"rows": 60, "draws": 8}, "wall_s": 3.2, "provenance": {"git_commit": "abc", "python": "3.11"},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "evaluation.json", {"rows": own, "about": about, "notes": ["a remark"]})
    training = {"device": "cpu", "monitor": "val/crps"}
    parts = {"honest-seed0": {"parameters": 1234, "data_hash": "f" * 64, "training": training}}
    _write(folder / "run.json", {"git_commit": "def", "command": "train.py", "wall_s": 60.0, "parts": parts})
    (folder / "config.yaml").write_text("model:\n  hidden: 64\n", encoding="utf-8")
    for protocol, tested in (("honest", ["c3"]), ("paper", ["c1"])):
        part = folder / f"{protocol}-seed0"
        part.mkdir(exist_ok=True)
        _write(part / "splits.json", {"parts": {"train": {"c1": [1, 2], "c2": [1]}, "test": {t: [3] for t in tested}}})
        lines = ["epoch,train/loss,val/crps", *(f"{k},{1 / (k + 1)},{0.5 / (k + 1)}" for k in range(5))]
        (part / "metrics.csv").write_text("\n".join(lines), encoding="utf-8")
    with h5py.File(folder / "evaluation.h5", "w") as file:
        for place, (protocol, split) in enumerate((("honest", "cell"), ("paper", "sample"))[:sets]):
            _set(file.create_group(f"sets/{place}"), {"protocol": protocol, "split": split, "model": model}, shift)
    return folder


def downstream_rows(gain: float) -> list[dict[str, Any]]:
    """Three repeats of a regression of SOH whose error synthetic curves lower by `gain`."""
    about = {"data": "sim", "model": "cvae", "protocol": "honest", "target": "soh", "unit": "1", "n": 9}
    errors = {"real": 0.04, "real+synthetic": 0.04 - gain, "synthetic": 0.05, "constant": 0.06}
    found = []
    for share, cells in ((0.05, 2), (0.2, 8)):
        for repeat in range(3):
            for source, error in errors.items():
                regressor = NONE if source == "constant" else CHOSEN
                place = {"share": share, "cells": cells, "repeat": repeat, "source": source, "regressor": regressor}
                found.append({**about, **place, "value": error + 1e-4 * repeat})
    return found


def _set(group: h5py.Group, about: dict[str, str], shift: float) -> None:
    random = np.random.default_rng(0)
    curves = np.linspace(3.0, 4.0, POINTS) + random.normal(0, 0.01, (ROWS, len(SIGNALS), POINTS))
    curves[0, 0, -3:] = np.nan
    group.attrs.update(
        {**about, "seed": 0, "data": "sim", "test_set": "test", "signals": json.dumps(SIGNALS), "axis_name": "charge",
         "told": json.dumps(["eol", "ecl"]), "n_real": 60, "n_train": 50, "n_draws": DRAWS}
    )  # fmt: skip
    group["axis"] = np.linspace(0, 1, POINTS)
    shown = group.create_group("shown")
    shown.attrs["records"] = json.dumps([{"cell_id": f"c{k}", "ecl": k, "eol": 900.0} for k in range(ROWS)])
    made = np.nan_to_num(curves, nan=4.0) + shift
    for name, values in (("measured", curves), ("mean", made), ("low", made - 0.05), ("high", made + 0.05)):
        shown[name] = values.astype(np.float32)
    shown["draws"] = np.repeat(made[:, None], DRAWS, axis=1).astype(np.float32)
    shown["baselines/knn"] = (made + 0.1).astype(np.float32)
    for name in (about["model"], "knn"):
        group[f"memorisation/{name}/to_train"] = random.random(60)
        group[f"memorisation/{name}/to_held_out"] = random.random(60)
    group["memorisation/floor/to_train"] = random.random(60)
    group["calibration/voltage_V/expected"] = group["calibration/voltage_V/observed"] = np.linspace(0, 1, 21)
    for name, unit in (("soh", "1"), ("dqdv_peak_height_Ah/V", "Ah/V")):
        for what in ("measured", "generated", "low", "high"):
            group[f"indicators/{name}/{what}"] = random.random(30)
        group[f"indicators/{name}"].attrs["unit"] = unit
    for what in ("mean", "low", "high"):
        group[f"sweeps/ecl/{what}"] = random.random((3, len(SIGNALS), POINTS))
    group["sweeps/ecl/values"] = [1.0, 50.0, 150.0]
    group["sweeps/ecl"].attrs.update(
        {"unit": "cycles", "train_low": 1.0, "train_high": 100.0, "fixed": '{"eol": 900.0}'}
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
