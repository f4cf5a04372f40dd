"""A part of a profile run as it is after training, with planted models in the place of trained ones; nothing is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from batgen import profile_scoring
from batgen.checkpoint import data_shape
from batgen.data.profile_set import ProfileSet
from batgen.data.profile_split import Fold
from batgen.preprocessing.conditions import Conditions
from batgen.preprocessing.profiles import Profiles
from batgen.profile_part import Member, Part

POINTS, DURATION_S = 24, 3600.0
CONDITIONS = ["ecl", "ambient_degC", "start_temperature_degC", "c_rate"]
#: Cells a, b, c at 20 degC and 1 C; d, e, f at 40 degC and 2 C.
PROTOCOL = {**dict.fromkeys("abc", "20 degC, 1.0 C"), **dict.fromkeys("def", "40 degC, 2.0 C")}
_CYCLES = 30
CHECKS = {
    name: {"_target_": f"batgen.models.physics.{name}.{kind}", "weight": 0.0}
    for name, kind in {"bounds": "Bounds", "rate": "Rate", "smoothness": "Smoothness"}.items()
}


def rise(ecl: Any, c_rate: Any) -> Any:
    """(N, P): degC above the start: 6 at 1 C, 0.1 more a cycle, to the root of time."""
    return (6.0 * c_rate + 0.1 * ecl)[:, None] * np.sqrt(np.linspace(0, 1, POINTS))


def profiles(scatter_degC: float = 0.3) -> ProfileSet:
    """180 discharges by the law above; `scatter_degC` is the standard deviation of their rise."""
    rng = np.random.default_rng(0)
    cell = np.repeat(list(PROTOCOL), _CYCLES)
    ecl = np.tile(np.arange(1, _CYCLES + 1), len(PROTOCOL))
    hot = np.isin(cell, list("def"))
    ambient, c_rate = np.where(hot, 40.0, 20.0), np.where(hot, 2.0, 1.0)
    start = ambient + rng.uniform(0, 4, len(cell))
    own = rise(ecl, c_rate) + scatter_degC * rng.normal(size=(len(cell), 1)) * np.linspace(0, 1, POINTS)
    curves = (start[:, None] + own)[:, None].astype(np.float32)
    table = pd.DataFrame(
        {
            "cell_id": cell, "ecl": ecl, "soc": 1.0, "soh": 1 - 0.005 * ecl, "ambient_degC": ambient,
            "start_temperature_degC": start, "c_rate": c_rate, "c_rate_rms": c_rate, "chemistry": "LFP",
            "nominal_capacity_Ah": 2.0, "start_s": 0.0, "duration_s": DURATION_S,
            "protocol": [PROTOCOL[name] for name in cell], "given": False, "soh_change": np.nan,
            "start_temperature_change_degC": np.nan,
        }
    )  # fmt: skip
    base = np.repeat(start[:, None, None], POINTS, axis=2).astype(np.float32)
    ones = np.ones(len(cell))
    return ProfileSet(table, curves, DURATION_S * ones, base, ones, ("temperature_degC",), None)


class Law(nn.Module):
    """Draws the law, but with the mean of every condition in `deaf`; draws scatter by `spread_degC`, and are off by
    `off_degC` (all of them) or bent by `saw_degC`, up and down from point to point."""

    def __init__(self, member: Member, *deaf: str, spread_degC: float = 0.3, off_degC: float = 0, saw_degC: float = 0):
        super().__init__()
        self.deaf, self.spread, self.off, self.saw = deaf, spread_degC, off_degC, saw_degC
        self.columns = list(member.conditions.columns)
        self.centre, self.scale = member.preprocessing.centre, member.preprocessing.scale

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        told = {name: cond[:, k].double().numpy() for k, name in enumerate(self.columns)}
        told |= {name: np.full(len(cond), {"ecl": 15.5, "c_rate": 1.5}[name]) for name in self.deaf}
        noise = self.spread * torch.randn(n, len(cond), 1, generator=generator).double().numpy()
        degC = rise(told["ecl"], told["c_rate"]) + noise * np.linspace(0, 1, POINTS) + self.off
        degC = degC + self.saw * (-1.0) ** np.arange(POINTS)
        x = np.zeros((n, len(cond), 2, POINTS))
        x[:, :, 0] = (degC - self.centre[0]) / self.scale[0]
        x[:, :, 1] = (np.log(DURATION_S) - self.centre[1]) / self.scale[1]
        return torch.from_numpy(x).float()


def part(folder: Path = Path("nowhere"), held: str = "cf", **law: Any) -> Part:
    """A part of one fold, the cells `held` held out, with `Law` as its model."""
    data = profiles()
    cell = data.table["cell_id"].to_numpy(str)
    others = [name for name in PROTOCOL if name not in held]
    fold = Fold("fold0", rows_of(cell, others[1:]), rows_of(cell, others[:1]), {"cells": rows_of(cell, list(held))})
    preprocessing = Profiles(
        profiles={}, part="discharge", signals=["temperature_degC"], conditions=CONDITIONS, points=POINTS
    )
    known = data.take(np.concatenate([fold.train, fold.val]))
    preprocessing.fit(known)
    conditions = Conditions(CONDITIONS)
    conditions.fit(known.table)
    member = Member(fold, preprocessing, conditions, data_shape(preprocessing, conditions), None, {})
    member.model = Law(member, *law.pop("deaf", ()), **law)
    conf = {
        "protocol": "honest", "seed": 0, "data": {"name": "made"},
        "model": {"_target_": "tests.profile_part_fixture.Law", "physics": CHECKS},
    }  # fmt: skip
    store: Any = SimpleNamespace(data_hash="made")
    return Part(conf, folder, store, data, [member], [], "held_out_cells")


def held(planted: Part) -> profile_scoring.Tests:
    """The test rows. (Imported by name into a test file, pytest would take `tests_of` itself for a test.)"""
    return profile_scoring.tests_of(planted)


def rows_of(cell: np.ndarray, names: list[str]) -> np.ndarray:
    return np.flatnonzero(np.isin(cell, names)).astype(np.int64)
