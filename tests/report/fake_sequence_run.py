"""A part folder as a sequence run would leave it, with fading cells of planted lives and errors; no model involved."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

CAPACITY, DROP, RATE = "discharge_capacity_Ah", "relaxation_voltage_drop_V", "discharge_c_rate"
NOMINAL = 1.1
LEVELS = (0.1, 0.5, 0.9)
#: method -> (RMSE, MAE) in % of nominal.
BASELINES = {"mean_alive": (3.9, 2.9), "nearest_held": (3.2, 2.1), "persistence": (6.0, 4.5), "linear": (4.4, 2.8)}
LENGTH = 2000


def capacity(cycle: np.ndarray, life: float) -> np.ndarray:
    """Ah (N,): about 1.07 at first, 0.88 (80 % of nominal) at the life, with a knee before it."""
    t = np.asarray(cycle) / life
    return NOMINAL * (0.97 - 0.04 * t - 0.13 * t**5)


def make_sequence_part(
    folder: Path,
    cells: int = 12,
    cuts: Sequence[int] = (30, 100),
    test_sets: Sequence[str] = ("test", "secondary"),
    conformal: bool = True,
    extras: bool = True,
    seed: int = 0,
) -> Path:
    """Cells in turn of each test set; the last cell is censored and every eleventh forecast is flat."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    life = np.linspace(450, 1600, cells)
    forecasts, observed, table = [], [], []
    for k in range(cells):
        cell_id, test_set = f"b{k % 3 + 1}/c{k}", test_sets[k % len(test_sets)]
        censored = k == cells - 1
        cycle = np.arange(1, int(life[k] * (0.9 if censored else 1.03)))
        noise = rng.normal(0, 0.002, len(cycle))
        masked = rng.random(len(cycle)) < 0.01
        own = capacity(cycle, life[k]) + noise + np.where(masked, rng.choice([-0.08, 0.05], len(cycle)), 0)
        drop = 0.02 + 0.03 * cycle / life[k] + rng.normal(0, 0.001, len(cycle))
        rate = np.where(cycle // 100 % 2, 4.0, 2.0)
        signals = {CAPACITY: own, DROP: drop, **({RATE: rate} if extras else {})}
        for target, value in signals.items():
            no = np.zeros(len(cycle), int)
            row = {"cell_id": cell_id, "target": target, "cycle": cycle, "value": value}
            observed.append(pd.DataFrame({**row, "masked": masked.astype(int) if target == CAPACITY else no}))
        end = np.nan if censored else life[k]
        table.append(
            {
                "cell_id": cell_id, "source": "mit_summary", "test_set": test_set, "nominal_capacity_Ah": NOMINAL,
                "eol_capacity_Ah": 0.8 * NOMINAL, "eol_cycle": end, "last_cycle": cycle[-1], "policy": "4C-80",
                "chemistry": "LFP",
            }
        )  # fmt: skip
        for cut in cuts:
            ahead = np.arange(cut + 1, LENGTH + 1)
            truth = np.full(len(ahead), np.nan)
            truth[: len(cycle) - cut] = np.where(masked, np.nan, own)[cut:]
            forecasts += _forecasts(cell_id, test_set, cut, ahead, truth, life[k], conformal, rng, flat=k % 11 == 10)
            truth = np.full(len(ahead), np.nan)
            truth[: len(cycle) - cut] = drop[cut:]
            level = 0.02 + 0.03 * ahead / (life[k] * 1.1)
            forecasts.append(_rows(cell_id, test_set, DROP, "model", cut, ahead, truth, level, 0.002))
            forecasts.append(_rows(cell_id, test_set, DROP, "persistence", cut, ahead, truth, 0 * ahead + 0.02, np.nan))
    pd.concat(forecasts).to_csv(folder / "forecasts.csv.gz", index=False)
    pd.concat(observed).to_csv(folder / "observed.csv.gz", index=False)
    pd.DataFrame(table).to_csv(folder / "cells.csv", index=False)
    rows = metric_rows()
    (folder / "metrics.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    if extras:
        _losses().to_csv(folder / "losses.csv", index=False)
        _explanation(folder / "explanation.h5", [row["cell_id"] for row in table[:3]], cuts[-1])
    return folder


def _forecasts(
    cell_id: str, test_set: str, cut: int, ahead: np.ndarray, truth: np.ndarray, life: float, conformal: bool,
    rng: np.random.Generator, flat: bool,
) -> list[pd.DataFrame]:  # fmt: skip
    middle = capacity(ahead, life * rng.normal(1.0, 0.06))
    if flat:
        middle = 0 * middle + middle[0]
    middle = np.maximum(middle, 0.6)
    width = 0.004 + 0.02 * (ahead - cut) / LENGTH
    context = (cell_id, test_set, CAPACITY)
    found = [_rows(*context, "model", cut, ahead, truth, middle, width)]
    found += [_rows(*context, "model, conformal", cut, ahead, truth, middle, 2.2 * width)] if conformal else []
    last = capacity(np.array([cut]), life)[0]
    mean = np.maximum(capacity(ahead, 1000), 0.6)
    lines = {
        "persistence": 0 * middle + last,
        "mean_alive": mean,
        "linear": last - 0.00005 * (ahead - cut),
        "nearest_held": np.maximum(capacity(ahead, life * 1.15), 0.88),
    }
    return found + [_rows(*context, name, cut, ahead, truth, value, np.nan) for name, value in lines.items()]


def _rows(
    cell_id: str, test_set: str, target: str, method: str, cut: int, cycle: np.ndarray, truth: np.ndarray,
    middle: np.ndarray, width: Any,
) -> pd.DataFrame:  # fmt: skip
    bands = {f"q{level:g}": middle + np.sign(level - 0.5) * width for level in LEVELS if level != 0.5}
    place = {"cell_id": cell_id, "test_set": test_set, "target": target, "method": method, "cut_cycle": cut}
    return pd.DataFrame({**place, "cycle": cycle, "truth": truth, **bands, "q0.5": middle}).round(6)


def _losses() -> pd.DataFrame:
    epoch = np.arange(60)
    teacher = np.where(epoch < 15, 1.0, np.maximum(0.0, 1 - (epoch - 15) / 30))
    length = np.minimum(500, 50 + 100 * (epoch // 10))
    train, val = 0.4 * np.exp(-epoch / 15) + 0.02, 0.5 * np.exp(-epoch / 12) + 0.05 + 0.0005 * epoch
    return pd.DataFrame(
        {"epoch": epoch, "train_loss": train, "val_loss": val, "teacher_forcing": teacher, "length": length, "lr": 1e-3}
    )


def _explanation(path: Path, cells: Sequence[str], cut: int) -> None:
    inputs, ahead = np.arange(1, cut + 1), np.arange(cut + 1, cut + 401, 5)
    names = [CAPACITY, "charge_time_s", "temperature_mean_degC"]
    with h5py.File(path, "w") as file:
        for k, cell_id in enumerate(cells):
            name = cell_id.replace("/", "|")
            centre = cut * (0.5 + 0.4 * ahead / ahead[-1] - 0.1 * k)
            weight = np.exp(-(((inputs - centre[:, None]) / 15) ** 2)) + 0.05
            data = file.create_dataset(f"attention/{name}", data=weight / weight.sum(axis=1, keepdims=True))
            data.attrs.update(cycle=ahead, input_cycle=inputs)
            for level in LEVELS:
                value = (
                    1e-3 * (ahead / ahead[0])[:, None, None] * np.exp(-(cut - inputs) / 25)[:, None] * [1, 0.1, 0.02]
                )
                value *= np.random.default_rng(k).lognormal(0, 0.3, value.shape)
                data = file.create_dataset(f"saliency/{name}/{CAPACITY}/q{level:g}", data=value * (0.5 + level))
                data.attrs.update(cycle=ahead, input_cycle=inputs)
                data.attrs["names"] = np.array(names, dtype=h5py.string_dtype())


def metric_rows(seed: int = 0, test_set: str = "test", cut: int = 100, model_rmse: float = 2.0) -> list[dict[str, Any]]:
    """Rows of the model (its RMSE given, MAE 0.7 of that), its conformal form and the baselines; % of nominal and Ah."""
    common = {
        "protocol": "honest", "seed": seed, "split": "published", "data": "mit_summary", "model": "seq2seq_quantile",
        "test_set": test_set, "cut": cut, "horizon": "all", "low": None, "high": None, "n": 43, "note": "",
    }  # fmt: skip
    rows: list[dict[str, Any]] = []

    def add(role: str, method: str, signal: str, metric: str, value: float, unit: str = "%", **more: Any) -> None:
        row = {**common, "role": role, "method": method, "signal": signal, "metric": metric, "value": value}
        rows.append({**row, "unit": unit, "direction": "lower", **more})

    errors = {("model", "model"): (model_rmse, 0.7 * model_rmse)}
    errors |= {("baseline", name): found for name, found in BASELINES.items()}
    for (role, method), (rmse, mae) in errors.items():
        for metric, value in (("RMSE", rmse), ("MAE", mae)):
            add(role, method, "discharge_capacity_%", metric, value)
            add(role, method, CAPACITY, metric, value * NOMINAL / 100, "Ah")
            add(role, method, CAPACITY, metric, 9.0, "Ah", horizon="1-100")
            add(role, method, DROP, metric, 0.003 * value, "V")
        add(role, method, CAPACITY, "MAPE", 1.1 * mae)
        add(role, method, "discharge_capacity_%", "clamp_RMSE", 0.8 * rmse)
        add(role, method, CAPACITY, "EOL_error_median", 30 * rmse, "cycles")
        add(role, method, CAPACITY, "EOL_never_reached", 1.0 if method == "persistence" else 0.02, "1")
        add(role, method, CAPACITY, "range_ratio", 0.0 if method == "persistence" else 0.9, "1", direction="one")
    for method, coverage in (("model", 0.55), ("model, conformal", 0.81)):
        add("model", method, "discharge_capacity_%", "coverage_80", coverage, "1")
        add("model", method, "discharge_capacity_%", "CRPS", 1.1)
    return rows
