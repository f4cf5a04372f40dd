"""What one cell is, in physical units, whatever file it came from.

Sources yield `Cell` objects one at a time; the store writes them down; everything after the store speaks these names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

#: Signals of a cycle, all float32 of one length. Current is positive on charge. A source that does not measure a signal
#: leaves it out; samples that are missing within a measured signal are NaN.
SIGNALS = (
    "time_s",
    "voltage_V",
    "current_A",
    "temperature_degC",
    "charge_capacity_Ah",
    "discharge_capacity_Ah",
)

#: Columns of the per-cycle summary. Every one is present; what a source cannot give is NaN.
SUMMARY = (
    "cycle",
    "discharge_capacity_Ah",
    "charge_capacity_Ah",
    "coulombic_efficiency",
    "internal_resistance_Ohm",
    "relaxation_voltage_drop_V",
    "charge_time_s",
    "temperature_min_degC",
    "temperature_mean_degC",
    "temperature_max_degC",
)


@dataclass(frozen=True)
class CellInfo:
    """What is known of a cell apart from its measurements. Capacities in Ah, voltages in V, temperatures in degC.

    `c1`, `q1`, `c2` describe a two-step fast charge: C-rate `c1` up to the fraction `q1` of nominal capacity, then `c2`
    (NaN where the charge is something else). `eol_cycle` is the first sustained crossing of `eol_capacity_Ah`, NaN and
    `censored` where the record ends before it; `eol_definition` says in words where the number came from.
    """

    cell_id: str
    source: str
    chemistry: str
    nominal_capacity_Ah: float
    voltage_min_V: float
    voltage_max_V: float
    ambient_degC: float
    policy: str = ""
    c1: float = float("nan")
    q1: float = float("nan")
    c2: float = float("nan")
    discharge_c_rate: float = float("nan")
    eol_cycle: float = float("nan")
    eol_definition: str = ""
    censored: bool = True
    last_cycle: int = 0


@dataclass(frozen=True)
class Cycle:
    """One cycle: `cycle` counts completed cycles (the first is 1, formation dropped), which is the ECL.

    `signals` maps names of `SIGNALS` to float32 arrays (n,), all of one length; `charge` and `discharge` are the
    half-open index ranges of these parts (an empty range where the part is absent). Time starts at 0 in each cycle.
    Each capacity counts from 0 within its own part.
    """

    cycle: int
    signals: Mapping[str, np.ndarray]
    charge: tuple[int, int] = (0, 0)
    discharge: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Rejected:
    """A record that was left out or mended, and why: reported by `scripts/prepare_data.py`, never silent."""

    record: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """One cell in memory: its facts, its cycles in increasing order, its per-cycle summary, what was rejected."""

    info: CellInfo
    cycles: list[Cycle]
    summary: pd.DataFrame
    rejected: list[Rejected] = field(default_factory=list)
    #: What the unit check concluded, in words: "current C-rate -> A (slope 0.909)", "time min -> s" ...
    units: str = ""


class Source(Protocol):
    """A dataset on disk. Implementations are frozen dataclasses in `batgen.data.sources`, one file and one YAML each.

    Their fields are the keys of `conf/data/<name>.yaml`; all of them but `censored`, `conditions` and `max_cycles`
    shape the store, so a change of them builds another one.
    """

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> str: ...

    @property
    def eol_capacity_Ah(self) -> float: ...

    @property
    def censored(self) -> str: ...

    @property
    def conditions(self) -> list[str]: ...

    @property
    def version(self) -> int:
        """Raised by hand whenever the reader changes what it yields, so that old stores are rebuilt."""
        ...

    def files(self) -> list[Path]:
        """The raw files, in a stable order. Raises DataError, naming the files and the remedy, when any is missing."""
        ...

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells one at a time, with curves of the first `cycles` cycles (all with None) and the whole summary."""
        ...
