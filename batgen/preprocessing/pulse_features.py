"""Pulse tests as the arrays models learn from: U1..Un as a vector, and what each of them is as tokens."""

from typing import Any

import numpy as np
import pandas as pd

from batgen.data.pulse_table import voltage_columns
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.pulse_steps import MOST, descriptors
from batgen.preprocessing.scaler import SignalScaler

#: Conditions that a table of several battery types needs besides SOC and SOH.
OF_TYPE = ("chemistry", "nominal_capacity_Ah")


class PulseFeatures:
    """The voltages of pulse tests (N, F), F = U1..Un, and back. Each voltage has a scale of its own.

    Args:
        conditions: names of the conditions models are given; the battery type is added where there are several.
        voltages: how many to use, U1 to U<voltages>; null takes all in the table.
        scaler: minmax | zscore, per voltage.

    After `fit`: `slices`, the names U1..UF; `x_shape` (F,); `tokens`. Raises ConfigError for a wrong option.
    """

    PRODUCES = "pulses"
    VERSION = 1

    def __init__(self, *, conditions: list[str], voltages: int | None = None, scaler: str = "zscore"):
        if voltages is not None and voltages < 1:
            raise ConfigError(f"preprocessing.voltages={voltages}: give 1 or more, or null for all there are.")
        self.conditions, self.voltages = list(conditions), voltages
        self.scaler = SignalScaler(scaler)
        self.slices: tuple[str, ...] = ()

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (len(self.slices),)

    @property
    def tokens(self) -> np.ndarray:
        """float32 (F, T): the columns `pulse_steps.DESCRIPTORS`; (0, T) where there are more voltages than steps known."""
        count = len(self.slices)
        return descriptors(count) if count <= MOST else descriptors(MOST)[:0]

    # ---- reading -------------------------------------------------------------------------------------------------
    def names(self, table: pd.DataFrame) -> list[str]:
        """U1..UF of a pulse table. Raises DataError when it has not as many as are asked for, or a gap."""
        there = voltage_columns(table)
        if not there or there != _named(len(there)):
            raise DataError(
                f"the pulse table's voltages must be U1, U2, ... without a gap; it has {', '.join(there) or 'none'}."
            )
        if self.voltages is not None and self.voltages > len(there):
            raise DataError(
                f"preprocessing.voltages={self.voltages}, but the pulse table has {len(there)} voltages, U1..{there[-1]}. "
                f"Use preprocessing.voltages={len(there)} or null."
            )
        return there[: self.voltages]

    def read(self, table: pd.DataFrame) -> np.ndarray:
        """float64 (N, F), V. Raises DataError, naming the row, for a voltage that is not known."""
        names = self.names(table)
        volts = table[names].to_numpy(dtype=np.float64, copy=True)
        unknown = np.argwhere(~np.isfinite(volts))
        if len(unknown):
            row, column = unknown[0]
            complete = int(np.isfinite(volts).all(axis=0).argmin())
            remedy = f"Use preprocessing.voltages={complete}, or" if complete else "Correct it, or"
            raise DataError(
                f"{names[column]} of {table['stage_id'].iloc[row]} at SOC {table['soc'].iloc[row]:g} is not known, nor are "
                f"{len(unknown) - 1} other voltages of the pulse table. {remedy} leave these rows or types out."
            )
        return volts

    def condition_names(self, table: pd.DataFrame) -> list[str]:
        """The conditions of this table: chemistry and nominal capacity come in where it has several battery types."""
        extra = OF_TYPE if table["battery"].nunique() > 1 else ()
        return list(dict.fromkeys([*self.conditions, *extra]))

    # ---- scaling -------------------------------------------------------------------------------------------------
    def fit(self, volts: np.ndarray) -> None:
        """Fit one scale per voltage on training rows (N, F), V. Raises DataError where one of them never changes."""
        names = tuple(_named(volts.shape[1]))
        for name, low, high in zip(names, volts.min(axis=0), volts.max(axis=0), strict=True):
            if not high - low > 1e-6:
                raise DataError(
                    f"{name} is {low:.6g} V in all {len(volts)} training rows, so it cannot be scaled or learnt: is the "
                    "column filled in? Train on more cells or SOCs if it is."
                )
        self.slices = names
        self.scaler.fit(volts[:, :, None], names)

    def transform(self, volts: np.ndarray) -> np.ndarray:
        """Volts (N, F) to model input float32 (N, F)."""
        return self.scaler.apply(volts[:, :, None])[:, :, 0]

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Model output (..., F) to float64 volts (..., F); the inverse of `transform`."""
        return np.asarray(scaled, np.float64) * self.scaler.scale + self.scaler.offset

    def state(self) -> dict[str, Any]:
        """Plain containers: what a checkpoint needs beside the config."""
        return {"version": self.VERSION, "scaler": self.scaler.state()}

    def load(self, state: dict[str, Any]) -> None:
        self.scaler.load(state["scaler"])
        self.slices = tuple(_named(len(self.scaler.offset)))


def _named(count: int) -> list[str]:
    return [f"U{k}" for k in range(1, count + 1)]
