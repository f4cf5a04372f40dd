"""What the first records of a cell tell about its later ones: their mean rise of temperature, duration and conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Reference:
    """Of the first records of one cell: mean rise (P,) of temperature over its start (zeros where it is no signal), geometric
    mean of durations, means of state of health, of start temperature, of ambient and of current (NaN where unknown)."""

    rise_degC: np.ndarray
    duration_s: float
    soh: float
    start_temperature_degC: float
    ambient_degC: float
    c_rate: float = float("nan")
    c_rate_rms: float = float("nan")

    def state(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "rise_degC": self.rise_degC.tolist(),
            "duration_s": self.duration_s,
            "soh": self.soh,
            "start_temperature_degC": self.start_temperature_degC,
            "ambient_degC": self.ambient_degC,
            "c_rate": self.c_rate,
            "c_rate_rms": self.c_rate_rms,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Reference":
        return cls(**{**state, "rise_degC": np.array(state["rise_degC"], dtype=np.float64)})


def first_records(table: pd.DataFrame, count: int) -> tuple[np.ndarray, list[str]]:
    """Which rows are the first `count` of their cell, by cycle, bool (N,); and the cells that have fewer than `count`."""
    rank = table.groupby("cell_id", sort=False)["ecl"].rank(method="first").to_numpy(dtype=float)
    sizes = table["cell_id"].value_counts(sort=False)
    return rank <= count, [str(cell) for cell, size in sizes.items() if size < count]


def references(
    table: pd.DataFrame, given: np.ndarray, temperature_degC: np.ndarray | None, points: int
) -> dict[str, Reference]:
    """The reference of every cell, from its rows that are `given` (N,). temperature_degC: (N, P), or None."""
    start = table["start_temperature_degC"].to_numpy(dtype=float)
    made = {}
    for cell_id in table["cell_id"].unique():
        rows = np.flatnonzero(given & (table["cell_id"] == cell_id).to_numpy())
        rise = np.zeros(points) if temperature_degC is None else temperature_degC[rows] - start[rows, None]
        made[str(cell_id)] = Reference(
            rise if temperature_degC is None else rise.mean(axis=0, dtype=np.float64),
            float(np.exp(np.log(table["duration_s"].to_numpy(dtype=float)[rows]).mean())),
            float(table["soh"].to_numpy(dtype=float)[rows].mean()),
            float(start[rows].mean()),
            *(
                float(table[name].to_numpy(dtype=float)[rows].mean())
                for name in ("ambient_degC", "c_rate", "c_rate_rms")
            ),
        )
    return made


def base(
    signals: Sequence[str],
    points: int,
    start_degC: np.ndarray | None,
    ambient_degC: np.ndarray,
    of_row: Sequence[Reference | None],
    decay_s: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """What is known beforehand of N rows: base float32 (N, S, P) and base_duration_s float64 (N,).

    start_degC (N,), or None where nothing is subtracted from the temperature; ambient_degC (N,), NaN where unknown: that of
    the reference; of_row: the reference of each row's cell, or None: the start alone. A start that is warmer than those of
    the reference cools with the time constant `decay_s` to where the reference goes, moved by how much warmer the ambient
    is, over the time of the reference; None keeps it warmer to the end.
    """
    known = np.zeros((len(of_row), len(signals), points), np.float32)
    if start_degC is not None and "temperature_degC" in signals:
        temperature = known[:, signals.index("temperature_degC")]
        for row, one in enumerate(of_row):
            start, ambient = float(start_degC[row]), float(ambient_degC[row])
            temperature[row] = start if one is None else _from_reference(start, ambient, one, decay_s)
    return known, np.array([1.0 if one is None else one.duration_s for one in of_row], dtype=np.float64)


def _from_reference(start_degC: float, ambient_degC: float, one: Reference, decay_s: float | None) -> np.ndarray:
    """Temperature (P,) of a record that starts at `start_degC` and else goes as the reference."""
    if decay_s is None:
        return start_degC + one.rise_degC
    left = np.exp(-np.linspace(0.0, one.duration_s, len(one.rise_degC)) / decay_s)
    warmer = ambient_degC - one.ambient_degC
    end = warmer if np.isfinite(warmer) else 0.0
    return one.start_temperature_degC + one.rise_degC + end + (start_degC - one.start_temperature_degC - end) * left
