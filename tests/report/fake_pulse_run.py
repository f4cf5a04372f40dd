"""A part folder as a run on pulse tests would leave it, with voltages of a plausible cell; no model involved."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from batgen.report.pulse_part import Setting

CASES = {"case_1": (0.05, 0.10, 0.30, 0.40, 0.50), "case_3": (0.05, 0.25, 0.50)}
GRID = np.round(np.arange(0.05, 0.51, 0.05), 2)
BATTERY = "NMC_2.1Ah"
NONE = Setting(BATTERY, "none", "none")
#: MAPE in % of the model's estimators and of the baselines.
MODEL = {"inversion": 1.7, "generated": 2.1, "generated+measured": 1.9, "average": 1.6}
BASELINES = {"surface": 1.8, "ridge": 2.0, "forest": 4.1, "nearest_soc": 6.0, "constant": 7.7}
PAPER = {"case_1": (12.4, 6.1), "case_3": (17.3, 5.0)}


def pulses(soc: np.ndarray, soh: np.ndarray) -> np.ndarray:
    """U1..U21 (N, 21) in V: OCV, then start and end of pulse and of rest at +0.5C, -0.5C, +1C, -1C, +1.5C."""
    ocv = 3.45 + 0.9 * soc - 0.35 * soc * (0.5 - soc) - 0.05 * (1 - soh)
    resistance = (0.028 + 0.03 * (1 - soh)) * (1 + 0.6 * np.exp(-soc / 0.08))
    columns = [ocv]
    for rate in (0.5, -0.5, 1.0, -1.0, 1.5):
        columns += [ocv + rate * resistance * part for part in (1.0, 2.0, 0.9, 0.2)]
    return np.stack(columns, axis=1)


def metric_rows(
    protocol: str = "paper", seed: int = 0, setting: Setting = NONE, shift: float = 0.0
) -> list[dict[str, Any]]:
    """Rows of every case: the planted MAPE plus 0.5 for case_3 and `shift`, and all that the second table shows."""
    rows: list[dict[str, Any]] = []
    common = {
        "protocol": protocol, "split": "unseen_soc", "data": "pulse", "battery": setting.battery, "signal": "SOH",
        "calibration": setting.calibration, "n": 335, "low": None, "high": None, "direction": "lower", "note": "",
    }  # fmt: skip
    for place, (case, train) in enumerate(CASES.items()):
        context = {**common, "case": case, "train_soc": list(train), "seed": seed, "prior": setting.prior}
        extra = 0.5 * place + shift
        model = {**context, "model": "cross_attention_cvae", "role": "model"}
        for method, value in {**MODEL, "inversion_soc_unknown": 4.0}.items():
            rows.append({**model, "method": method, "metric": "MAPE", "value": value + extra, "unit": "%"})
        rows += [
            {**model, "method": "average", "metric": "APE_std", "value": 1.2 + extra, "unit": "%"},
            {**model, "method": "inversion", "metric": "coverage_90", "value": 0.91, "unit": "1"},
            {**model, "method": "inversion", "metric": "interval_width_90", "value": 0.062, "unit": "1"},
        ]
        for voltage, value in (("U1", 3.0), ("U2", 5.0)):
            rows.append(
                {
                    **model,
                    "method": "generated",
                    "metric": "voltage_MAE",
                    "signal": voltage,
                    "value": value,
                    "unit": "mV",
                }
            )
        for name, value in BASELINES.items():
            # Those on measured rows know no prior, the surface has the model's.
            prior = setting.prior if name == "surface" else "any"
            baseline = {**context, "prior": prior, "model": name, "role": "baseline", "method": name}
            rows.append({**baseline, "metric": "MAPE", "value": value + 0.5 * place, "unit": "%"})
        rows.append(
            {
                **context,
                "model": "surface",
                "role": "baseline",
                "method": "surface",
                "metric": "voltage_MAE",
                "value": 6.0,
                "unit": "mV",
            }
        )
        for method, value in zip(("published_without", "published_with"), PAPER[case], strict=True):
            paper = {**context, "protocol": "paper", "calibration": "none", "prior": "none", "model": "published"}
            rows.append(
                {
                    **paper,
                    "seed": None,
                    "role": "paper",
                    "method": method,
                    "metric": "MAPE",
                    "value": value,
                    "unit": "%",
                }
            )
    return rows


def make_pulse_part(
    folder: Path, settings: tuple[Setting, ...] = (NONE,), cells: int = 12, stages: int = 4, draws: int = 20,
    extras: bool = True, seed: int = 0,
) -> Path:  # fmt: skip
    """Write predictions.csv, pulses.h5, metrics.json (and losses.csv, attention, posteriors with `extras`); the folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    soh_of = np.sort(rng.uniform(0.65, 0.98, (cells, stages)))[:, ::-1]
    tables = []
    with h5py.File(folder / "pulses.h5", "w") as file:
        file["names"] = [f"U{k + 1}" for k in range(21)]
        for case, train in CASES.items():
            test = np.array([soc for soc in GRID if soc not in train])
            cell, stage, place = (a.ravel() for a in np.indices((cells, stages, len(test))))
            soc, soh = test[place], soh_of[cell, stage]
            ids = [f"D{k + 1}" for k in cell]
            stage_ids = [f"D{k + 1}-{100 * (s + 1)}" for k, s in zip(cell, stage, strict=True)]
            shift = rng.normal(0, 0.004, (cells, 1))[cell]
            measured = pulses(soc, soh) + shift + rng.normal(0, 0.0015, (len(soc), 21))
            for setting in settings:
                mean = pulses(soc, soh) + 0.004 * np.sin(40 * soc)[:, None]
                group = file.create_group(f"case/{case}/{setting.calibration}/{setting.prior}/{setting.battery}")
                group["measured"], group["generated_mean"] = measured, mean
                group["generated"] = (
                    mean + rng.normal(0, 0.004, (draws, len(soc), 1)) + rng.normal(0, 0.001, (draws, *mean.shape))
                )
                group["soc"], group["soh"], group["cell_id"], group["stage_id"] = soc, soh, ids, stage_ids
                base = {
                    "battery": setting.battery, "case": case, "fold": 0, "calibration": setting.calibration,
                    "test_set": "grid", "cell_id": ids, "stage_id": stage_ids, "soc": soc, "soh": soh,
                }  # fmt: skip
                for method, mape in {**MODEL, **BASELINES, "inversion_soc_unknown": 4.0}.items():
                    # The mean of |x| is 0.8 sigma; far from the training SOCs errors grow.
                    far = np.abs(soc[:, None] - np.array(train)).min(axis=1)
                    sigma = mape / 80 * (0.6 + 6 * far)
                    estimate = soh * (1 + rng.normal(0, 1, len(soc)) * sigma)
                    bounds = {"low": estimate - 0.03, "high": estimate + 0.03} if method.startswith("inv") else {}
                    prior = "any" if method in BASELINES and method != "surface" else setting.prior
                    tables.append(
                        pd.DataFrame({**base, "prior": prior, "method": method, "estimate": estimate, **bounds})
                    )
            if extras:
                _extras(file, case, soc, soh, stage_ids, rng)
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    rows = [row for setting in settings for row in metric_rows("paper", seed, setting)]
    (folder / "metrics.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    if extras:
        _losses(rng).to_csv(folder / "losses.csv", index=False)
    return folder


def _extras(
    file: h5py.File, case: str, soc: np.ndarray, soh: np.ndarray, labels: list[str], rng: np.random.Generator
) -> None:
    attention = file.create_dataset(f"attention/{case}", data=rng.dirichlet([3.0, 2.0], 21))
    attention.attrs["conditions"] = ["soc", "soh"]
    rows = np.sort(rng.permutation(len(soc))[:12])
    grid = np.linspace(0.55, 1.05, 201)
    centre = soh[rows] + rng.normal(0, 0.015, len(rows))
    density = np.exp(-0.5 * ((grid - centre[:, None]) / 0.018) ** 2)
    group = file.create_group(f"posterior/{case}")
    group["grid"], group["soh"], group["soc"] = grid, soh[rows], soc[rows]
    group["density"] = density / (density.sum(axis=1, keepdims=True) * (grid[1] - grid[0]))
    group["label"] = [labels[row] for row in rows]


def _losses(rng: np.random.Generator) -> pd.DataFrame:
    epochs = np.arange(1, 101)
    members = []
    for case in CASES:
        for fold in range(3):
            loss = -60 + 80 * np.exp(-epochs / 12) + rng.normal(0, 0.5, len(epochs))
            kl = 0.6 - 0.5 * np.exp(-epochs / 20) + rng.normal(0, 0.01, len(epochs))
            members.append(
                pd.DataFrame({"member": f"{case}, fold {fold}", "epoch": epochs, "loss": loss, "kl_nats": kl})
            )
    return pd.concat(members)
