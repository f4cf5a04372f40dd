"""Conditions as columns of numbers: what a model is told about a curve, in physical units.

Numeric conditions keep their unit (models standardise for themselves); `chemistry` becomes one column per kind seen in
training, named "chemistry=LFP".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batgen.errors import ConfigError, DataError

NUMERIC = {
    "eol": "cycles",
    "ecl": "cycles",
    "soc": "fraction",
    "soh": "fraction",
    "nominal_capacity_Ah": "Ah",
    "soh_change": "fraction",
    "ambient_degC": "degC",
    "start_temperature_degC": "degC",
    "start_temperature_change_degC": "degC",
    "c_rate": "C",
    "c_rate_rms": "C",
    "c1": "C",
    "q1": "fraction",
    "c2": "C",
}
CATEGORICAL = ("chemistry",)
POSITIVE = ("eol", "ecl", "soh", "nominal_capacity_Ah", "c_rate", "c_rate_rms", "c1", "c2", "q1")
#: An empty cell has a state of charge of zero.
NOT_NEGATIVE = ("soc",)


class Conditions:
    """Encoder of condition tables. `names`: conditions in order; `columns`: what they became after `fit`."""

    def __init__(self, names: Sequence[str]):
        known = [*NUMERIC, *CATEGORICAL]
        for name in names:
            if name not in known:
                raise ConfigError(f"data.conditions: {name!r} is no condition. Known: {', '.join(known)}.")
        self.names = tuple(names)
        self.kinds: dict[str, list[str]] = {}
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(c for n in self.names for c in ([f"{n}={k}" for k in self.kinds[n]] if n in self.kinds else [n]))

    def fit(self, table: pd.DataFrame) -> None:
        """Learn ranges and categories from the training rows. Raises DataError where a condition is unknown for a cell."""
        for name in self.names:
            if name not in table.columns:
                there = [n for n in (*NUMERIC, *CATEGORICAL) if n in table.columns]
                raise DataError(f"condition {name!r} is not known for these data. Choose among {', '.join(there)}.")
            if name in CATEGORICAL:
                self.kinds[name] = sorted(set(table[name].astype(str)))
                continue
            values = table[name].to_numpy(float)
            if not np.isfinite(values).all():
                cell = table["cell_id"].to_numpy()[~np.isfinite(values)][0]
                raise DataError(
                    f"condition {name!r} is not known for cell {cell}. Leave it out with "
                    f"data.conditions=[{','.join(n for n in self.names if n != name)}]."
                )
            self.low[name], self.high[name] = float(values.min()), float(values.max())

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """float32 (N, columns). A chemistry that training never saw gets zeros in all its columns."""
        parts = []
        for name in self.names:
            if name in self.kinds:
                parts += [(table[name].astype(str) == kind).to_numpy(np.float32) for kind in self.kinds[name]]
            else:
                parts.append(table[name].to_numpy(np.float32))
        return np.stack(parts, axis=1) if parts else np.zeros((len(table), 0), np.float32)

    def unseen(self, table: pd.DataFrame) -> list[str]:
        """One sentence for every category among these rows that training never saw: its effect is not known."""
        notes = []
        for name, kinds in self.kinds.items():
            for kind in sorted(set(table[name].astype(str)) - set(kinds)):
                rows = int((table[name].astype(str) == kind).sum())
                notes.append(
                    f"{name}={kind} ({rows} rows) is not among the training data, which have {', '.join(kinds)}: the model "
                    "cannot know its effect"
                )
        return notes

    def check(self, wanted: Mapping[str, Any]) -> list[str]:
        """Warnings for values outside what training saw. Raises ConfigError for an unknown name, wrong type or sign."""
        warnings = []
        for name, value in wanted.items():
            if name not in self.names:
                raise ConfigError(
                    f"{name}={value}: this run has no condition {name!r}. It has {', '.join(self.names)}."
                )
            if name in self.kinds:
                if str(value) not in self.kinds[name]:
                    raise ConfigError(f"{name}={value}: training saw {', '.join(self.kinds[name])} only.")
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ConfigError(f"{name}={value}: not a number. Give {name} in {NUMERIC[name]}.") from None
            if not np.isfinite(number) or (name in POSITIVE and number <= 0):
                raise ConfigError(f"{name}={value}: must be a positive number ({NUMERIC[name]}).")
            if name in NOT_NEGATIVE and number < 0:
                raise ConfigError(f"{name}={value}: must not be negative ({NUMERIC[name]}).")
            if NUMERIC[name] == "fraction" and number > 1.2:
                raise ConfigError(f"{name}={value}: {name} is a fraction. If this is percent, write {number / 100:g}.")
            if not self.low[name] <= number <= self.high[name]:
                warnings.append(
                    f"{name}={number:g} lies outside the training range {self.low[name]:g} to {self.high[name]:g} "
                    f"{NUMERIC[name]}: the model extrapolates."
                )
        return warnings

    def state(self) -> dict[str, Any]:
        return {"names": list(self.names), "kinds": self.kinds, "low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Conditions":
        made = cls(state["names"])
        made.kinds, made.low, made.high = dict(state["kinds"]), dict(state["low"]), dict(state["high"])
        return made
