"""A set of curves in physical units with what is known of each: what is evaluated, exported and exchanged, whoever made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from batgen.errors import DataError

#: Columns of the table that say under which conditions a curve was measured or drawn; numbers, NaN where not known.
NUMERIC_COLUMNS = (
    "ecl",
    "eol",
    "soh",
    "soc",
    "ambient_degC",
    "start_temperature_degC",
    "c_rate",
    "c_rate_rms",
    "c1",
    "q1",
    "c2",
    "soh_change",
    "start_temperature_change_degC",
)
#: Columns that belong to the cell: not told to a model, but needed to judge a curve.
CELL_COLUMNS = ("nominal_capacity_Ah", "voltage_min_V", "voltage_max_V")
TEXT_COLUMNS = ("cell_id", "chemistry", "policy", "protocol", "battery")


@dataclass(frozen=True)
class CurveSet:
    """N curves of S signals at P points.

    values: float32 (N, S, P) in the units that end the names of `signals`; NaN where not measured. A signal `time_s` gives
        each curve its own time. axis (P,): what the points are spaced by, and `axis_name`, what that is ("charge", "record",
        "point", "cycle" ...).
    table: one row a curve (RangeIndex): `cell_id` (text), any of NUMERIC_COLUMNS, CELL_COLUMNS and TEXT_COLUMNS, and, of
        generated curves, perhaps `pair`: the row of the measured set they were drawn for.
    facts: plain values on the whole set: where it came from, `synthetic`, model, protocol, seed.
    Raises DataError where shapes, names or the table do not fit.
    """

    values: np.ndarray
    signals: tuple[str, ...]
    axis: np.ndarray
    axis_name: str
    table: pd.DataFrame
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1:] != (len(self.signals), len(self.axis)):
            raise DataError(
                f"curves of shape {self.values.shape} do not fit {len(self.signals)} signals and {len(self.axis)} points."
            )
        if len(set(self.signals)) != len(self.signals):
            raise DataError(f"a signal is there twice among {', '.join(self.signals)}. Name each one once.")
        if len(self.table) != len(self.values) or "cell_id" not in self.table:
            raise DataError(f"{len(self.values)} curves need a table of as many rows with a column cell_id.")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def cells(self) -> np.ndarray:
        """Name of each curve's cell (N,): of generated curves, the cell whose conditions they were drawn for."""
        return self.table["cell_id"].to_numpy(str)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The numeric conditions that the table has for every curve."""
        return tuple(n for n in NUMERIC_COLUMNS if n in self.table and bool(self.table[n].notna().all()))

    def has(self, *signals: str) -> bool:
        """Whether all of these signals are there."""
        return set(signals) <= set(self.signals)

    def signal(self, name: str) -> np.ndarray:
        """(N, P) of one signal."""
        return self.values[:, self.signals.index(name)]

    def column(self, name: str) -> np.ndarray:
        """(N,) float64 of a numeric column of the table, NaN where it is not there."""
        if name not in self.table:
            return np.full(len(self), np.nan)
        return self.table[name].to_numpy(np.float64)

    def take(self, rows: np.ndarray) -> "CurveSet":
        """These rows, in this order."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return CurveSet(self.values[rows], self.signals, self.axis, self.axis_name, table, self.facts)

    def with_values(self, values: np.ndarray) -> "CurveSet":
        """Other curves for the same rows: what a generator says of them."""
        return CurveSet(values, self.signals, self.axis, self.axis_name, self.table, self.facts)

    def only(self, signals: Sequence[str]) -> "CurveSet":
        """The same with these signals, in this order."""
        places = [self.signals.index(name) for name in signals]
        return CurveSet(self.values[:, places], tuple(signals), self.axis, self.axis_name, self.table, self.facts)
