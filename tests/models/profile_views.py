"""Profiles in physical units for the tests of the thermal model and of the physics losses."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from batgen.data.sources.nasa import Nasa
from batgen.data.store import open_store
from batgen.models.layers.physical import PhysicalView
from batgen.models.layers.thermal import ThermalModel

POINTS = 64
#: Nominal capacity of the NASA cells.
NOMINAL_AH = 2.0


@cache
def nasa(data_dir: Path, part: str, *cells: str) -> PhysicalView:
    """Measured records of the cells on POINTS even steps, with temperature, voltage and current.

    `data_dir` is the fixture that says where they are; each test has a fresh cache, so what is read is kept here.
    """
    rows = [row for row in _records(data_dir)[part] if row.cell in cells]
    signals = {
        name: torch.tensor(np.stack([row.curves[name] for row in rows]), dtype=torch.float32)
        for name in ("temperature_degC", "voltage_V", "current_A")
    }
    rate = signals["current_A"].abs() / NOMINAL_AH
    step_s = torch.tensor([row.duration_s for row in rows], dtype=torch.float32) / (POINTS - 1)
    ambient = torch.tensor([row.ambient_degC for row in rows])
    start = signals["temperature_degC"][:, 0]
    return PhysicalView(signals, step_s, torch.ones_like(rate), rate, rate**2, ambient, start)


class Record(NamedTuple):
    cell: str
    curves: dict[str, np.ndarray]
    duration_s: float
    ambient_degC: float


@cache
def _records(data_dir: Path) -> dict[str, list[Record]]:
    """Every third charge and discharge of all cells, but of B0038, whose ambient and current change."""
    store, found = open_store(Nasa(), progress=False), {"charge": [], "discharge": []}
    for part, records in found.items():
        for cell in (info.cell_id for info in store.infos if info.cell_id != "B0038"):
            curves, ambient = store.curves(cell, part=part), store.summary(cell).set_index("cycle")["ambient_degC"]
            for i in range(0, len(curves.cycle), 3):
                own = slice(curves.offsets[i], curves.offsets[i + 1])
                time_s = curves.columns["time_s"][own].astype(float)
                grid_s = np.linspace(time_s[0], time_s[-1], POINTS)
                resampled = {n: np.interp(grid_s, time_s, values[own]) for n, values in curves.columns.items()}
                if np.isfinite(resampled["temperature_degC"]).all():
                    degC = float(ambient[curves.cycle[i]])
                    records.append(Record(cell, resampled, time_s[-1] - time_s[0], degC))
    return found


def planted_model(a: float, b: float, h: float, offset: float) -> ThermalModel:
    """A thermal model with known numbers: degC/s per C^2 and per C, 1/s, degC."""
    model = ThermalModel()
    for name, value in (("a", a), ("b", b), ("h", h), ("offset", offset)):
        getattr(model, name).fill_(value)
    return model


def made(model: ThermalModel, ambient_degC: Tensor, rate_C: Tensor, step_s: Tensor, start_degC: Tensor) -> PhysicalView:
    """Records that obey the model: ambient (B,), current (B, P) in C, step (B,), start (B,)."""
    none = torch.ones_like(rate_C)
    view = PhysicalView({}, step_s, none, rate_C, rate_C**2, ambient_degC, start_degC)
    return with_temperature(view, model.simulate(view))


def varied(model: ThermalModel, count: int = 40, seed: int = 0) -> PhysicalView:
    """Records of several ambients, currents that change along the record, and lengths."""
    g = torch.Generator().manual_seed(seed)
    ambient = torch.tensor([-20.0, 10.0, 25.0, 45.0]).repeat(count // 4)
    level = 0.5 + 2 * torch.rand(count, 1, generator=g)
    phase = 6.28 * torch.rand(count, 1, generator=g)
    rate = level * (1 + 0.5 * torch.sin(phase + torch.linspace(0, 6, POINTS)))
    step_s = 20 + 40 * torch.rand(count, generator=g)
    return made(model, ambient, rate, step_s, ambient + 3 * torch.rand(count, generator=g))


def with_temperature(view: PhysicalView, temperature_degC: Tensor) -> PhysicalView:
    return replace(view, signals={**view.signals, "temperature_degC": temperature_degC})
