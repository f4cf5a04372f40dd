"""A small dataset made on the spot, with a count of how often it was read."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, Cell, CellInfo, Cycle, Rejected
from batgen.data.eol import eol_fields

NOMINAL_AH = 1.1


def make_cycle(number: int, n: int = 50, c_rate: float = 4.0) -> Cycle:
    """A constant-current charge of n samples, a rest of 5, a discharge of n; capacities by the exact integral."""
    capacity = NOMINAL_AH * (1 - 0.01 * number)
    hours = capacity / (c_rate * NOMINAL_AH)
    ramp = np.linspace(0, 1, n)
    time_s = np.concatenate(
        [ramp * hours * 3600, hours * 3600 + np.arange(1, 6), hours * 3600 + 10 + ramp * hours * 3600]
    )
    signals = {
        "time_s": time_s,
        "voltage_V": np.concatenate([3.0 + ramp, np.full(5, 3.9), 3.9 - 1.5 * ramp]),
        "current_A": np.repeat([c_rate * NOMINAL_AH, 0, -c_rate * NOMINAL_AH], [n, 5, n]),
        "temperature_degC": 30 + np.concatenate([ramp, np.ones(5), ramp]),
        "charge_capacity_Ah": np.concatenate([ramp * capacity, np.full(5 + n, capacity)]),
        "discharge_capacity_Ah": np.concatenate([np.zeros(n + 5), ramp * capacity]),
    }
    return Cycle(number, {k: v.astype(np.float32) for k, v in signals.items()}, (0, n), (n + 5, 2 * n + 5))


def make_cell(cell_id: str, life: int = 30, cycles: int | None = None, threshold: float = 0.88, **info) -> Cell:
    """A cell that fades by 1 % of nominal a cycle, with varying numbers of samples."""
    summary = pd.DataFrame({name: np.full(life, np.nan) for name in SUMMARY})
    summary["cycle"] = np.arange(1, life + 1)
    summary["discharge_capacity_Ah"] = NOMINAL_AH * (1 - 0.01 * summary["cycle"])
    fields = eol_fields(summary["cycle"], summary["discharge_capacity_Ah"], threshold, NOMINAL_AH)
    facts = {"chemistry": "LFP", "nominal_capacity_Ah": NOMINAL_AH, "voltage_min_V": 2.0, "voltage_max_V": 3.6}
    facts |= {"ambient_degC": 30.0, "policy": "4C"} | fields | info
    made = [make_cycle(k, 40 + k) for k in range(1, min(life, cycles or life) + 1)]
    return Cell(CellInfo(cell_id=cell_id, source="fake", **facts), made, summary, [Rejected("record 0", "formation")])


@dataclass(frozen=True)
class Fake:
    """Two cells by default; `raw.txt` in `folder` is its raw file, `reads.log` counts how often it was read."""

    folder: str
    name: str = "fake"
    lives: Sequence[int] = (30, 10)
    eol_capacity_Ah: float = 0.88
    censored: str = "drop"
    conditions: Sequence[str] = ("eol", "ecl")
    reader_version: int = 1
    delay_s: float = 0.0

    @property
    def version(self) -> int:
        return self.reader_version

    def files(self) -> list[Path]:
        return [Path(self.folder) / "raw.txt"]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        with (Path(self.folder) / "reads.log").open("a") as log:
            log.write(f"{cycles}\n")
        for k, life in enumerate(self.lives):
            time.sleep(self.delay_s)
            yield make_cell(f"cell{k}", life, cycles, self.eol_capacity_Ah)

    def pulses(self) -> pd.DataFrame:
        columns = {"battery": "LFP_1.1Ah", "chemistry": "LFP", "cell_id": ["a", "b"], "stage_id": ["a", "b"]}
        columns |= {"soc": [0.1, 0.2], "soh": [0.9, 0.8], "nominal_capacity_Ah": 1.1, "pulse_width_s": 5.0}
        columns |= {"test_set": "grid", "U1": [3.1, 3.2], "U2": [3.2, 3.3], "U3": [3.1, 3.2]}
        return pd.DataFrame(columns)

    @property
    def reads(self) -> list[str]:
        log = Path(self.folder) / "reads.log"
        return log.read_text().split() if log.exists() else []


def make_fake(folder: Path, **fields) -> Fake:
    """A `Fake` with its raw file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "raw.txt"
    if not raw.exists():
        raw.write_text("raw")
    return Fake(str(folder), **fields)
