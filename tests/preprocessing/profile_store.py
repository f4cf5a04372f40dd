"""A store of made records, what `Profiles` asks of a store and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.cell import CellInfo
from batgen.data.curves import Curves
from batgen.preprocessing.profiles import Profiles

NOMINAL_AH = 2.0
CONDITIONS = ["ecl", "soh", "ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms"]


@dataclass
class MadeCell:
    """A cell of discharges at constant current: `n` samples a record, cycle k shorter by 1 % a cycle, warming by `rise`."""

    cell_id: str = "a"
    cycles: int = 8
    n: int = 121
    current_A: float = 2.0
    ambient_degC: float = 24.0
    rise_degC: float = 10.0
    #: by which part of it the rise grows a cycle
    drift: float = 0.0
    chemistry: str = "LFP"
    soh: float | None = None
    #: (cycle, signal, values) put in the place of what was made.
    changes: list[tuple[int, str, np.ndarray]] = field(default_factory=list)

    def record(self, cycle: int) -> dict[str, np.ndarray]:
        u = np.linspace(0, 1, self.n)
        duration = 3600.0 * NOMINAL_AH * self.fraction(cycle) / self.current_A
        made = {
            "time_s": 500.0 + duration * u,
            "voltage_V": 4.0 - u,
            "current_A": np.full(self.n, -self.current_A),
            "temperature_degC": self.ambient_degC + 0.1 * cycle + self.rise_degC * (1 + self.drift * cycle) * u**2,
            "charge_capacity_Ah": np.zeros(self.n),
            "discharge_capacity_Ah": NOMINAL_AH * self.fraction(cycle) * u,
        }
        for at, name, values in self.changes:
            if at == cycle:
                made[name] = values
        return made

    def fraction(self, cycle: int) -> float:
        return self.soh if self.soh is not None else 1 - 0.01 * cycle


class MadeStore:
    """Its cells' discharges; `leave_out` names signals that were not measured."""

    def __init__(self, *cells: MadeCell, leave_out: Sequence[str] = (), name: str = "made"):
        self.cells = {cell.cell_id: cell for cell in cells}
        self.source = SimpleNamespace(name=name, censored="last_record", eol_capacity_Ah=1.4)
        self.data_hash = repr([(c, leave_out) for c in cells])
        made = next(iter(cells)).record(1) if cells else {}
        self.signals = tuple(s for s in made if s not in leave_out)
        self.reads = 0

    @property
    def infos(self) -> list[CellInfo]:
        return [
            CellInfo(c.cell_id, "made", c.chemistry, NOMINAL_AH, 2.0, 4.2, c.ambient_degC, "CC", last_cycle=c.cycles)
            for c in self.cells.values()
        ]

    def cycles_with(self, cell_id: str, part: str) -> np.ndarray:
        return np.arange(1, self.cells[cell_id].cycles + 1) if part == "discharge" else np.zeros(0, int)

    def summary(self, cell_id: str) -> pd.DataFrame:
        cell = self.cells[cell_id]
        cycle = np.arange(1, cell.cycles + 1)
        capacity = [NOMINAL_AH * cell.fraction(int(k)) for k in cycle]
        return pd.DataFrame({"cycle": cycle, "discharge_capacity_Ah": capacity})

    def curves(self, cell_id: str, signals: Sequence[str], part: str, first: int | None) -> Curves:
        self.reads += 1
        cell = self.cells[cell_id]
        numbers = np.arange(1, min(first or cell.cycles, cell.cycles) + 1)
        records = [cell.record(int(k)) for k in numbers]
        offsets = np.cumsum([0, *(len(r["time_s"]) for r in records)])
        return Curves(
            numbers, offsets, {s: np.concatenate([r[s] for r in records]).astype(np.float32) for s in signals}
        )


def make(**keys: Any) -> Profiles:
    """Profiles of temperature, 13 points over the span of a discharge, unless said otherwise."""
    usual = {
        "profiles": {},
        "part": "discharge",
        "signals": ["temperature_degC"],
        "conditions": CONDITIONS,
        "points": 13,
    }
    return Profiles(**(usual | keys))
