"""A part folder as a run of the profiles family would leave it, with planted numbers; no model involved."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

T, V = "temperature_degC", "voltage_V"
CONDITIONS = ("ecl", "soh", "ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms")
BLOCK = "ambient_degC+c_rate+c_rate_rms"
POINTS = 32
#: method -> (role, degC that its mean is off per degC of rise)
METHODS = {"wgan_gp": ("model", 0.06), "protocol_cycle_mean": ("baseline", 0.1), "mean_curve": ("baseline", 0.4)}
#: (metric, signal) -> unit, direction and the values of METHODS; None: no row.
NUMBERS: dict[tuple[str, str], tuple[str, str, tuple[float | None, ...]]] = {
    ("MAE", "peak_temperature_degC"): ("degC", "lower", (1.0, 1.2, 2.9)),
    ("MAE", "peak_time_s"): ("s", "lower", (120.0, 60.0, 240.0)),
    ("MAE", "temperature_rise_degC"): ("degC", "lower", (0.9, 1.1, 2.5)),
    ("MAE", "final_temperature_degC"): ("degC", "lower", (1.1, 1.3, 3.0)),
    ("MAE", "duration_s"): ("s", "lower", (90.0, 180.0, 300.0)),
    ("RMSE", T): ("degC", "lower", (0.8, 0.9, 2.0)),
    ("CRPS", T): ("degC", "lower", (0.5, 0.7, 1.4)),
    ("energy_distance", "profile"): ("1", "lower", (0.02, 0.05, 0.4)),
    ("energy_score", "profile"): ("1", "lower", (0.3, 0.4, 0.8)),
    ("variance_ratio", T): ("1", "one", (0.8, None, None)),
    ("nearest_pair_ratio", "profile"): ("1", "one", (0.7, None, None)),
    ("marginal_distance", T): ("degC", "lower", (0.4, 0.5, 1.5)),
    ("spectral_distance", T): ("dB", "lower", (1.2, 3.5, 6.0)),
    ("C2ST", "profile"): ("1", "lower", (0.98, 1.0, 1.0)),
    ("pass_rate", "thermal_balance"): ("1", "higher", (0.97, 0.99, 0.9)),
    ("pass_rate", "rate"): ("1", "higher", (0.81, 1.0, 1.0)),
    ("flat_share", "profile"): ("1", "lower", (0.0, 0.0, 0.0)),
    ("repeat_share", "profile"): ("1", "lower", (0.05, None, None)),
    ("out_of_range_share", "profile"): ("1", "lower", (0.001, 0.0, 0.0)),
    ("TSTR_MAE", "soh"): ("1", "lower", (0.02, 0.03, 0.05)),
}
_MEASURED = {("pass_rate", "thermal_balance"): 0.98, ("pass_rate", "rate"): 0.96, ("TSTR_MAE", "soh"): 0.012}
#: What a measured neighbour scores.
_FLOORS = {"C2ST": 0.97, "RMSE": 1.2, "flat_share": 0.0, "energy_distance": 0.01}
_PERMUTED = {
    BLOCK: (2.4, "yes"),
    "ecl": (1.3, "yes"),
    "start_temperature_degC": (1.001, "no"),
    "soh": (1.0, "constant"),
}


def metric_rows(seed: int = 0, test_set: str = "cells", add: float = 0.0) -> list[dict[str, Any]]:
    """The planted numbers; `add` is added to the model's errors of the peak temperature and the profile."""
    about = {
        "protocol": "honest", "seed": seed, "split": "held_out_cells", "data": "nasa", "model": "wgan_gp",
        "test_set": test_set, "low": None, "high": None, "n": 400, "floor": None, "note": "",
    }  # fmt: skip
    rows = []
    for (metric, signal), (unit, direction, values) in NUMBERS.items():
        own = {**about, "metric": metric, "signal": signal, "unit": unit, "direction": direction}
        own["floor"] = _FLOORS.get(metric)
        for (method, (role, _)), value in zip(METHODS.items(), values, strict=True):
            moved = (
                add if role == "model" and (metric, signal) in (("MAE", "peak_temperature_degC"), ("RMSE", T)) else 0.0
            )
            if value is not None:
                rows.append({**own, "role": role, "method": method, "value": value + moved})
        if (metric, signal) in _MEASURED:
            rows.append({**own, "role": "measured", "method": "measured", "value": _MEASURED[metric, signal]})
    for block, (value, note) in _PERMUTED.items():
        row = {"metric": "permuted_ratio", "signal": block, "value": value, "unit": "1", "direction": "higher"}
        rows.append({**about, **row, "role": "model", "method": "wgan_gp", "note": f"learnt: {note}"})
    return rows


def fake_records(cells: int = 4, cycles: int = 12) -> list[dict[str, Any]]:
    """Discharges of cells of two protocols (24 degC at 1 C, 43 degC at 2 C) that warm up by 15 degC and more with age."""
    records = []
    for k in range(cells):
        ambient, c_rate = ((24.0, 1.0), (43.0, 2.0))[k % 2]
        for cycle in range(1, cycles + 1):
            duration_s = 3600 / c_rate * (1 - 0.02 * cycle)
            t = np.linspace(0, 1, 60)
            rise = (14 + k) * c_rate**0.3 * (1 + 0.01 * cycle) * t ** (1.2 - 0.2 * t)
            records.append(
                {
                    "cell_id": f"B000{k + 5}", "ecl": cycle, "fold": f"fold{k % 2}", "test_set": "cells",
                    "protocol": f"{ambient:g} degC, {c_rate:.1f} C", "soh": 1 - 0.02 * cycle, "ambient_degC": ambient,
                    "start_temperature_degC": ambient + 0.5, "c_rate": c_rate, "c_rate_rms": c_rate, "start_s": 0.0,
                    "time_s": duration_s * t, T: ambient + 0.5 + rise, V: 4.1 - 1.2 * t,
                }
            )  # fmt: skip
    return records


def make_profile_part(
    folder: Path,
    records: Sequence[dict[str, Any]] | None = None,
    step_s: float | None = None,
    signals: Sequence[str] = (T,),
    extras: bool = True,
    peak_after_s: float = 0.0,
    seed: int = 0,
) -> Path:
    """All records are test rows and, in halves, training rows; `extras`: draws, sweeps, health and permutation too."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    records = fake_records() if records is None else records
    points = POINTS
    duration = np.array([r["time_s"][-1] for r in records], dtype=float)
    grid = (
        np.linspace(0, duration, points, axis=-1)
        if step_s is None
        else np.tile(np.arange(points) * step_s, (len(duration), 1))
    )
    curves = np.stack([[np.interp(g, r["time_s"], r[s]) for s in signals] for g, r in zip(grid, records, strict=True)])
    hidden = ("time_s", T, V)
    table = pd.DataFrame([{k: v for k, v in r.items() if k not in hidden} for r in records]).assign(duration_s=duration)
    table.insert(0, "row", np.arange(len(table)))
    table.to_csv(folder / "rows.csv", index=False)
    kept = np.arange(len(table))[::2]
    table.iloc[kept].drop(columns=["row", "test_set"]).to_csv(folder / "train_rows.csv", index=False)
    features = []
    with h5py.File(folder / "profiles.h5", "w") as file:
        file.attrs.update(
            signals=json.dumps(list(signals)), part="discharge", step_s=np.nan if step_s is None else step_s, model="wgan_gp",
            data="nasa", protocol="honest", seed=seed, conditions=json.dumps(list(CONDITIONS)), relative="start",
            peak_after_s=peak_after_s,
        )  # fmt: skip
        file["kept"] = kept
        for name, rows in (("measured", np.arange(len(table))), ("train", kept)):
            file[f"{name}/curves"], file[f"{name}/duration_s"] = curves[rows].astype(np.float32), duration[rows]
        for name, (role, off) in METHODS.items():
            group = file.create_group(f"methods/{name}")
            group.attrs["role"] = role
            mean = curves + off * (curves - curves[..., :1]) * rng.normal(0.3, 0.8, (len(curves), 1, 1))
            group["mean"], group["duration_s"] = mean.astype(np.float32), duration * (1 + off * 0.3)
            draws = None
            if role == "model" and extras:
                size = rng.normal(1, 0.04, (len(kept), 20, 1, 1))
                draws = mean[kept, None, :, :1] + (mean - mean[..., :1])[kept, None] * size
                group["draws"] = draws.astype(np.float32)
                group["draw_duration_s"] = duration[kept, None] * rng.normal(1, 0.02, (len(kept), 20))
            features += _features(table, name, role, grid, curves, mean, duration, peak_after_s)
        if extras:
            _sweeps(file, table, curves, duration)
    pd.DataFrame(features).to_csv(folder / "features.csv", index=False)
    (folder / "metrics.json").write_text(
        json.dumps({"rows": metric_rows(seed), "training": {}, "notes": []}), encoding="utf-8"
    )
    if extras:
        for fold in ("fold0", "fold1"):
            _health(rng).to_csv(folder / f"health_{fold}.csv", index=False)
        _permutation().to_csv(folder / "permutation.csv", index=False)
    return folder


def _features(
    table: pd.DataFrame, name: str, role: str, grid: Any, curves: Any, mean: Any, duration: Any, after: float
) -> Any:
    rows = []
    for k, row in table.iterrows():
        late = grid[k] >= after
        real, own = (np.where(late, c[k, 0], -np.inf) for c in (curves, mean))
        pairs = {
            "peak_temperature_degC": (real.max(), own.max()),
            "peak_time_s": (grid[k][real.argmax()], grid[k][own.argmax()]),
            "temperature_rise_degC": (real.max() - curves[k, 0, 0], own.max() - mean[k, 0, 0]),
            "final_temperature_degC": (curves[k, 0, -1], mean[k, 0, -1]),
            "duration_s": (duration[k], duration[k] * 1.01),
        }
        about = {c: row[c] for c in ("row", "cell_id", "ecl", "fold", "test_set", "protocol")}
        for feature, (measured, predicted) in pairs.items():
            low, high = (predicted - 0.8, predicted + 0.8) if role == "model" else (np.nan, np.nan)
            numbers = {"feature": feature, "measured": measured, "predicted": predicted, "low": low, "high": high}
            rows.append({"method": name, "role": role, **about, **numbers})
    return rows


def _sweeps(file: h5py.File, table: pd.DataFrame, curves: np.ndarray, duration: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    middle = table[list(CONDITIONS)].median()
    near = int(np.argmin(np.abs(table["ecl"] - middle["ecl"]) + 100 * np.abs(table["c_rate"] - table["c_rate"].min())))
    for name, change in (("ecl", 0.3), ("ambient_degC", 1.0), ("c_rate", 2.0)):
        low, high = float(table[name].min()), float(table[name].max())
        width = high - low
        values = np.linspace(low - 0.3 * width, high + 0.3 * width, 9)
        group = file.create_group(f"sweeps/{name}")
        moved = (values - low) / width * change * 4
        rise = curves[near] - curves[near][:, :1]
        shape = np.linspace(0, 1, curves.shape[-1])
        family = curves[near] + moved[:, None, None] * (shape if name != "ambient_degC" else 1.0) + 0 * rise
        family = family[:, None] + rng.normal(0, 0.5, (9, 6, 1, 1)) * shape
        group["values"], group["curves"] = values, family.astype(np.float32)
        group["duration_s"] = np.full((9, 6), duration[near])
        fixed = {c: float(table.loc[near, c]) for c in CONDITIONS if c != name}
        group.attrs.update(low=low, high=high, fixed=json.dumps({**fixed, "cell_id": "B0005"}))


def _health(rng: np.random.Generator) -> pd.DataFrame:
    step = np.arange(10, 2001, 10)
    late = 1 - np.exp(-step / 400)
    table = pd.DataFrame(
        {
            "step": step, "generator_loss": 2 * np.cos(step / 200) * (1 - late) + rng.normal(0, 0.1, 200),
            "critic_loss": -3 * (1 - late) - 0.3 + rng.normal(0, 0.1, 200), "discriminator_accuracy": 0.95 - 0.4 * late,
            "generator_grad_norm": np.exp(rng.normal(0, 0.3, 200)), "critic_grad_norm": np.exp(rng.normal(1, 0.3, 200)),
            "gradient_penalty": 0.3 * (1 - late) + 0.02, "physics_thermal_balance": 0.5 * (1 - late), "physics_rate": 0.01,
        }
    )  # fmt: skip
    checked = step % 200 == 0
    table["val_energy_score"] = np.where(checked, 0.6 - 0.4 * late + 0.15 * (step > 1400), np.nan)
    table["val_energy_distance"] = np.where(checked, 0.3 - 0.25 * late, np.nan)
    table["val_variance_ratio"] = np.where(checked, 0.9 * late, np.nan)
    table["val_nearest_pair"] = np.where(checked, 0.7 * late, np.nan)
    table["chosen"] = (step == 1400).astype(int)
    return table


def _permutation() -> pd.DataFrame:
    rows = []
    for fold in ("fold0", "fold1"):
        for block, (ratio, note) in _PERMUTED.items():
            for metric, unpermuted in (("peak_temperature_MAE", 1.1), ("energy_score", 0.3)):
                learnt = note
                how = "across" if block == BLOCK else "within protocol"
                row = {
                    "fold": fold,
                    "block": block,
                    "how": how,
                    "metric": metric,
                    "value": unpermuted * ratio,
                }
                rows.append({**row, "unpermuted": unpermuted, "n": 24, "learnt": learnt})
    return pd.DataFrame(rows)
