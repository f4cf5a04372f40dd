"""A part folder as a run would leave it, with plausible fast charges of an LFP cell; no model involved."""

import json
from pathlib import Path

import h5py
import numpy as np

PAPER = ("voltage_V", "charge_capacity_Ah", "current_A", "charge_capacity_Ah", "temperature_degC", "charge_capacity_Ah")
HONEST = ("voltage_V", "current_A", "temperature_degC", "time_s", "charge_capacity_Ah")
UNITS = {"voltage_V": "V", "current_A": "A", "temperature_degC": "degC", "time_s": "s"}


def charges(eol: np.ndarray, ecl: np.ndarray, points: int, shift: np.ndarray) -> dict[str, np.ndarray]:
    """Signals (N, P) on normalised charge throughput; `shift` (N,) is what the conditions do not explain."""
    u = np.linspace(0, 1, points)[None]
    age, shift = (ecl / eol)[:, None], shift[:, None]
    capacity = 1.08 * (1 - 0.2 * age**1.5) + 0.006 * shift
    c1, c2 = 6.5 - eol[:, None] / 600, 3.2 + 0.05 * shift
    current = 1.1 * np.where(u < 0.45, c1, np.where(u < 0.8, c2, 1.0))
    current = current * np.where(u > 0.9, np.clip((1 - u) / 0.1, 0.05, 1), 1)
    resistance = 0.016 * (1 + 0.5 * age) + 0.0006 * shift
    voltage = 3.25 + 0.1 * u + 0.12 * u**8 - 0.35 * np.exp(-u / 0.02) + resistance * current
    steps = np.diff(u) * capacity * 3600 / current[:, 1:]
    time = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    temperature = 30 + 9 * np.sin(np.pi * np.clip(u * 1.1, 0, 1)) * (c1 / 6) + 2 * age + 0.5 * shift
    return {
        "voltage_V": np.minimum(voltage, 3.6),
        "current_A": current + 0 * age,
        "temperature_degC": temperature,
        "time_s": time,
        "charge_capacity_Ah": u * capacity,
    }


def qdlin(eol: np.ndarray, ecl: np.ndarray, points: int, shift: np.ndarray) -> dict[str, np.ndarray]:
    """Discharge capacity (N, P) over voltage from 3.5 to 2.0 V."""
    v = np.linspace(3.5, 2.0, points)[None]
    knee = 3.12 - 0.03 * (ecl / eol)[:, None] - 0.004 * shift[:, None]
    return {"discharge_capacity_Ah": (1.07 - 0.1 * (ecl / eol)[:, None]) / (1 + np.exp((v - knee) / 0.045))}


def make_part(
    folder: Path,
    slices: tuple[str, ...] = HONEST,
    points: int = 128,
    cells: int = 12,
    cycles: int = 20,
    draws: int = 50,
    protocol: str = "honest",
    extras: bool = True,
    seed: int = 0,
) -> Path:
    """Write samples.h5 (and metrics.csv with `extras`) into `folder`; the folder."""
    rng = np.random.default_rng(seed)
    single = slices == ("discharge_capacity_Ah",)
    law = qdlin if single else charges
    lives = rng.integers(300, 2000, cells).astype(float)
    cell = np.repeat(np.arange(cells), cycles)
    ecl = np.tile(np.arange(1, cycles + 1) * 12.0, cells)
    n = len(cell)
    own = rng.normal(size=cells)[cell]

    def stack(shift: np.ndarray) -> np.ndarray:
        curves = law(lives[cell], ecl, points, shift)
        array = np.stack([curves[name] for name in slices], axis=1)
        return array.astype(np.float32)

    real = stack(own)
    scale = real.std(axis=(0, 2), keepdims=True)
    real += (0.01 * scale * rng.normal(size=real.shape)).astype(np.float32)
    index = np.sort(rng.permutation(n)[: min(n, 60)])
    generated = np.stack([stack(rng.normal(size=n))[index] for _ in range(draws)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "samples.h5", "w") as file:
        file["real"], file["generated"], file["generated_index"] = real, generated, index
        file["conditional_mean"] = stack(np.zeros(n))
        if protocol == "paper":
            file["reconstruction"] = stack(own + 0.2 * rng.normal(size=n))
        file["cell_id"] = np.array([f"b1c{c}" for c in cell], dtype=h5py.string_dtype())
        file["conditions/eol"], file["conditions/ecl"] = lives[cell], ecl
        file["grid"] = np.linspace(3.5, 2.0, points) if single else np.linspace(0, 1, points)
        name = "voltage_V" if single else "record" if protocol == "paper" else "charge"
        file.attrs.update(
            slices=json.dumps(slices),
            units=json.dumps([UNITS.get(s, "Ah") for s in slices]),
            grid_name=name,
            protocol=protocol,
            model="rcvae",
            data="fake",
            synthetic=True,
        )
        if extras:
            _extras(file, rng, lives, points)
    if extras:
        lines = ["epoch,step,train_loss,train_kl,val_loss,val_mae,lr"]
        for epoch in range(60):
            loss = 0.9 * np.exp(-epoch / 9) + 0.02
            lines.append(f"{epoch},{epoch * 9},{loss:.5f},{3 - 2 * np.exp(-epoch / 20):.4f},,,0.001")
            lines.append(f"{epoch},{epoch * 9},,,{loss * 1.1 + 2e-5 * epoch**1.5:.5f},{loss / 3:.5f},")
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    return folder


def _extras(file: h5py.File, rng: np.random.Generator, lives: np.ndarray, points: int) -> None:
    """The label embedding and the overview of the measured data."""
    eol, ecl = np.repeat(rng.integers(300, 2000, 30), 20).astype(float), np.tile(np.arange(1, 21), 30).astype(float)
    features = np.stack([eol / 300, np.sin(eol / 200), ecl / 10], axis=1)
    file["embedding/weight"] = features @ rng.normal(size=(3, 40)) + 0.1 * rng.normal(size=(600, 40))
    file["embedding/eol"], file["embedding/ecl"] = eol, ecl
    for index, life in enumerate(lives):
        cycle = np.arange(1, life + 1, 5)
        file[f"overview/fade/b1c{index}/cycle"] = cycle
        capacity = 1.07 - 0.19 * (cycle / life) ** 6 + 0.001 * rng.normal(size=len(cycle))
        file[f"overview/fade/b1c{index}/discharge_capacity_Ah"] = capacity
    cycle = np.arange(1.0, 801.0, 20)
    curves = charges(np.full(len(cycle), 900.0), cycle, points, np.zeros(len(cycle)))
    group = file.create_group("overview/by_cycle")
    group["cycle"], group["grid_s"] = cycle, curves["time_s"]
    group["voltage_V"], group["temperature_degC"] = curves["voltage_V"], curves["temperature_degC"]
    group.attrs["cell_id"] = "b1c0"
