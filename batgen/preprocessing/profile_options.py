"""Checks of what profiles are asked for, so that each mistake gets one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.conditions import CATEGORICAL, NUMERIC

PARTS = ("discharge", "charge")
GRIDS = ("span", "time")
STARTS = ("full", "random")
RELATIVE = ("none", "start", "reference")
SIGNALS = ("temperature_degC", "voltage_V", "current_A", "soc", "charge_capacity_Ah", "discharge_capacity_Ah")
#: Conditions that exist only beside references.
CHANGES = ("soh_change", "start_temperature_change_degC")
_CLOCK = ("time_s", "current_A")
#: A condition that spreads less than this over the training rows cannot be learnt.
_SPREAD = {
    "soc": 0.01,
    "soh": 0.002,
    "soh_change": 0.002,
    "ambient_degC": 0.5,
    "start_temperature_degC": 0.5,
    "start_temperature_change_degC": 0.5,
    "c_rate": 0.01,
    "c_rate_rms": 0.01,
}


@dataclass(frozen=True)
class Options:
    """The arguments of `Profiles`, which says what they are."""

    part: str
    signals: tuple[str, ...]
    conditions: tuple[str, ...]
    grid: str
    points: int
    step_s: float | None
    start: str
    window_s: float | None
    windows: int
    window_seed: int
    relative: str
    reference_records: int
    start_decay_s: float | None
    min_points: int

    @property
    def spacing_s(self) -> float | None:
        """Seconds between points; None where they are spread over each profile."""
        return self.step_s if self.window_s is None else self.window_s / (self.points - 1)

    def check(self) -> None:
        """Raise ConfigError, naming the key and the remedy, for a value that cannot be or does not go with another."""
        choices = {"part": PARTS, "grid": GRIDS, "start": STARTS, "relative": RELATIVE}
        for key, known in choices.items():
            if (value := getattr(self, key)) not in known:
                raise ConfigError(f"preprocessing.{key}={value}: choose one of {', '.join(known)}.")
        _names("signals", self.signals, SIGNALS)
        _names("conditions", self.conditions, [*NUMERIC, *CATEGORICAL])
        if not self.signals:
            raise ConfigError("preprocessing.signals=[]: name at least one, such as [temperature_degC].")
        for key, least in {
            "points": 2,
            "windows": 1,
            "reference_records": 1,
            "min_points": 2,
            "window_seed": 0,
        }.items():
            if (value := getattr(self, key)) < least:
                raise ConfigError(f"preprocessing.{key}={value}: give {least} or more.")
        for key in ("step_s", "window_s", "start_decay_s"):
            if (value := getattr(self, key)) is not None and not value > 0:
                raise ConfigError(f"preprocessing.{key}={value}: give a positive number of seconds.")
        self._grid()
        changes = [name for name in self.conditions if name in CHANGES]
        if self.relative == "reference" and (self.start, self.grid) != ("full", "span"):
            raise ConfigError(
                "preprocessing.relative=reference compares whole records point by point: it needs preprocessing.grid=span "
                "and preprocessing.start=full."
            )
        if changes and self.relative != "reference":
            raise ConfigError(f"preprocessing.conditions: {changes[0]} needs preprocessing.relative=reference.")

    def _grid(self) -> None:
        if self.start == "random":
            if self.window_s is None:
                raise ConfigError(
                    "preprocessing.start=random needs preprocessing.window_s, the length of windows in s."
                )
            if self.step_s is not None:
                raise ConfigError(
                    "preprocessing.step_s: windows have their points window_s / (points - 1) apart; leave step_s null."
                )
            return
        if self.window_s is not None or self.windows != 1:
            raise ConfigError("preprocessing.window_s and preprocessing.windows need preprocessing.start=random.")
        if self.grid == "time" and self.step_s is None:
            raise ConfigError("preprocessing.grid=time needs preprocessing.step_s, the seconds between points.")
        if self.grid == "span" and self.step_s is not None:
            raise ConfigError(
                "preprocessing.step_s needs preprocessing.grid=time: span spreads the points over a record."
            )


def _names(key: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"preprocessing.{key}: {name!r} is none of {', '.join(known)}.")
    if len(set(given)) < len(given):
        raise ConfigError(f"preprocessing.{key}={list(given)} names one twice; name each once.")


def check_ranges(where: Mapping[str, Any] | None) -> dict[str, tuple[float, float]]:
    """`where` as numbers. Raises ConfigError for an unknown condition and for what is no range."""
    ranges = {}
    for name, value in (where or {}).items():
        if name not in (known := [n for n in NUMERIC if n not in CHANGES]):
            raise ConfigError(f"preprocessing.where.{name}: {name!r} is none of {', '.join(known)}.")
        try:
            low, high = (float(v) for v in value)
        except (TypeError, ValueError):
            low, high = 1.0, 0.0
        if not low <= high:
            raise ConfigError(f"preprocessing.where.{name}={value}: give [low, high], such as [20, 30].")
        ranges[str(name)] = (low, high)
    return ranges


def in_ranges(table: pd.DataFrame, ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Which rows lie within all ranges, bool (N,). Raises ConfigError, with what there is, where none does."""
    keep = np.ones(len(table), dtype=bool)
    for name, (low, high) in ranges.items():
        values = table[name].to_numpy(dtype=float)
        keep &= (values >= low) & (values <= high)
        if not keep.any():
            there = values[np.isfinite(values)]
            span = f"{there.min():g} to {there.max():g}" if there.size else "unknown"
            raise ConfigError(
                f"preprocessing.where.{name}=[{low:g}, {high:g}] leaves no record: in the data {name} is {span}. Widen it."
            )
    return keep


def check_measured(store: Store, options: Options) -> tuple[str, ...]:
    """Signals to read. Raises DataError where the store has not measured one that was asked for."""
    name = store.source.name
    there = ", ".join(s for s in store.signals if s != "time_s")
    asked = [s for s in options.signals if s != "soc"]
    if not store.signals:
        raise DataError(
            f"{name} has not measured {', '.join(asked) or 'soc'}: it holds no curves of its cycles, only one row each. Use "
            "another data.form, where it has one, or another data=."
        )
    for missing in (s for s in asked if s not in store.signals):
        raise DataError(
            f"{name} has not measured {missing} (it has {there}). Name others with preprocessing.signals=[...], or use "
            "another data=."
        )
    if lacking := [s for s in _CLOCK if s not in store.signals]:
        raise DataError(f"{name} has no {' and no '.join(lacking)}, which profiles need. Use another data=.")
    if "start_temperature_degC" in options.conditions and "temperature_degC" not in store.signals:
        raise DataError(
            f"{name} has not measured temperature_degC, so start_temperature_degC is not known. Leave it out of "
            "preprocessing.conditions=[...]."
        )
    start = ["temperature_degC"] if {"start_temperature_degC", CHANGES[1]} & set(options.conditions) else []
    return tuple(dict.fromkeys([*_CLOCK, *asked, *start]))


def check_known(table: pd.DataFrame, conditions: Sequence[str]) -> None:
    """Raise DataError where a condition that was asked for is not known of a record."""
    for name in conditions:
        if name in CATEGORICAL:
            continue
        unknown = ~np.isfinite(table[name].to_numpy(dtype=float))
        if unknown.any():
            row = table.iloc[int(unknown.argmax())]
            rest = ",".join(n for n in conditions if n != name)
            raise DataError(
                f"condition {name!r} is missing for {int(unknown.sum())} of {len(table)} profiles (the first is cell "
                f"{row['cell_id']}, cycle {row['ecl']}). Leave it out with preprocessing.conditions=[{rest}], or such records "
                "with preprocessing.where."
            )


def is_constant(values: pd.Series, name: str) -> bool:
    """Whether a condition varies too little over these rows for its effect to be learnt."""
    if values.dtype.kind not in "fiu":
        return values.nunique() == 1
    return float(values.max() - values.min()) < _SPREAD.get(name, 1e-6)
