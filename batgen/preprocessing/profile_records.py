"""Records of a store, whole or in windows, on the points of profiles, with what is known at their start.

State of charge is counted in Coulombs from where full records begin: 1 at the start of a discharge, 0 at that of a charge,
relative to the capacity of that cycle (soh times nominal; nominal alone where it was not measured).
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.store import Store

#: Of every profile: its start in the record, its duration, and what is known of it, all (N,).
FACTS = ("start_s", "duration_s", "soc", "start_temperature_degC", "c_rate", "c_rate_rms")
#: Of its whole record.
WHOLE = ("record_c_rate", "record_c_rate_rms")
_SECONDS_PER_HOUR = 3600.0
_TEMPERATURE = "temperature_degC"


@dataclass(frozen=True)
class Cut:
    """What profiles are cut from records: `points` points, step_s apart (None: spread over the record), of whole records
    (window_s None) or of `windows` windows a record that start anywhere, drawn from `seed`."""

    part: str
    points: int
    step_s: float | None
    window_s: float | None
    windows: int
    seed: int
    min_points: int


def integral(time_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Cumulative integral by trapezia, (n,), 0 at the first sample, in units of values times s."""
    return np.concatenate([[0.0], np.cumsum(np.diff(time_s) * (values[1:] + values[:-1]) / 2)])


def state_of_charge(time_s: np.ndarray, current_A: np.ndarray, capacity_Ah: float, part: str) -> np.ndarray:
    """Coulomb counting along a full record, (n,) fraction of `capacity_Ah`; current is positive on charge."""
    start = 1.0 if part == "discharge" else 0.0
    return start + integral(time_s, current_A) / _SECONDS_PER_HOUR / capacity_Ah


def starts(cell_id: str, ecl: int, free_s: float, cut: Cut) -> np.ndarray:
    """Starts (windows,) in s, in order, at which windows of a record begin that may slide by `free_s`.

    Every record has a random stream of its own, so they don't depend on what else is read.
    """
    rng = np.random.default_rng([cut.seed, zlib.crc32(cell_id.encode()), ecl])
    return np.sort(rng.uniform(0.0, free_s, cut.windows))


def read_records(
    store: Store, samples: pd.DataFrame, cut: Cut, signals: tuple[str, ...], needed: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Profiles of the samples: curves float32 (N, S, P), rows (N,) in `samples`, `FACTS` and `WHOLE` (N,).

    And longest_s (), the longest usable record, and notes (), JSON: one sentence per kind of loss. A record with fewer
    than `min_points` points, a NaN in one of `needed`, or a clock that falls back is left out, as is one shorter than the
    window. Signals: those of the store and "soc".
    """
    read = tuple(dict.fromkeys([*needed, *([_TEMPERATURE] if _TEMPERATURE in store.signals else [])]))
    made: list[tuple[int, np.ndarray, list[float]]] = []
    lost: dict[str, str] = {}
    short: dict[str, str] = {}
    longer, longest = 0, 0.0
    for cell_id, group in samples.groupby("cell_id", sort=False):
        ragged = store.curves(str(cell_id), read, part=cut.part, first=int(group["ecl"].max()))
        row_of = dict(zip(group["ecl"].astype(int), group.index, strict=True))
        for ecl, a, b in zip(ragged.cycle.tolist(), ragged.offsets[:-1], ragged.offsets[1:], strict=True):
            if (row := row_of.get(ecl)) is None:
                continue
            columns = {name: values[a:b].astype(np.float64) for name, values in ragged.columns.items()}
            name = f"{cell_id} cycle {ecl}"
            if reason := _unusable(columns, needed, cut.min_points):
                lost[name] = reason
                continue
            time = columns["time_s"] = columns["time_s"] - columns["time_s"][0]
            longest = max(longest, float(time[-1]))
            if cut.window_s is not None and time[-1] < cut.window_s:
                short[name] = f"{time[-1]:.0f} s"
                continue
            reach = np.inf if cut.step_s is None else (cut.points - 1) * cut.step_s
            longer += cut.window_s is None and time[-1] > reach
            capacity, soh = (float(samples[name].to_numpy()[row]) for name in ("nominal_capacity_Ah", "soh"))
            columns["soc"] = state_of_charge(
                time, columns["current_A"], capacity * soh if soh > 0 else capacity, cut.part
            )
            length = min(float(time[-1]), reach) if cut.window_s is None else cut.window_s
            begins = np.zeros(1) if cut.window_s is None else starts(str(cell_id), ecl, time[-1] - length, cut)
            made += [(row, *one) for one in _profiles(columns, begins, length, capacity, signals, cut)]
    made.sort(key=lambda one: one[0])  # stable: windows of a record stay in order
    facts = np.array([one[2] for one in made], dtype=np.float64).reshape(len(made), len(FACTS) + len(WHOLE))
    empty = np.zeros((0, len(signals), cut.points), np.float32)
    notes = [*_note(lost, len(samples), "cannot be used and are left out")]
    notes += _note(
        short, len(samples), f"are shorter than preprocessing.window_s={cut.window_s or 0:g} and are left out"
    )
    if longer:
        notes.append(
            f"{longer} of {len(samples)} records are longer than {cut.points} points of {cut.step_s:g} s and are cut there"
        )
    return {
        "curves": np.stack([one[1] for one in made]) if made else empty,
        "rows": np.array([one[0] for one in made], dtype=np.int64),
        "longest_s": np.array(longest),
        "notes": np.array(json.dumps(notes)),
        **{name: facts[:, k] for k, name in enumerate((*FACTS, *WHOLE))},
    }


def _profiles(
    columns: Mapping[str, np.ndarray],
    begins: np.ndarray,
    length_s: float,
    nominal_Ah: float,
    signals: tuple[str, ...],
    cut: Cut,
) -> list[tuple[np.ndarray, list[float]]]:
    """Curves (S, P) and facts of the windows of one record that begin at `begins` and last `length_s`."""
    time, rate = columns["time_s"], np.abs(columns["current_A"]) / nominal_Ah
    moved, squared = integral(time, rate), integral(time, rate**2)
    whole = [moved[-1] / time[-1], float(np.sqrt(squared[-1] / time[-1]))]
    grid = np.linspace(0.0, length_s, cut.points) if cut.step_s is None else np.arange(cut.points) * cut.step_s
    out = []
    for begin in begins:
        at = np.minimum(begin + grid, time[-1])
        curves = np.stack([np.interp(at, time, columns[name]) for name in signals]).astype(np.float32)
        ends = np.array([begin, begin + length_s])
        mean = float(np.diff(np.interp(ends, time, moved))[0]) / length_s
        mean_square = float(np.diff(np.interp(ends, time, squared))[0]) / length_s
        degC = float(np.interp(begin, time, columns[_TEMPERATURE])) if _TEMPERATURE in columns else float("nan")
        soc = float(np.interp(begin, time, columns["soc"]))
        out.append((curves, [float(begin), length_s, soc, degC, mean, mean_square**0.5, *whole]))
    return out


def _unusable(columns: Mapping[str, np.ndarray], needed: tuple[str, ...], min_points: int) -> str:
    """Why a record cannot be used; empty where it can."""
    time = columns["time_s"]
    if len(time) < max(min_points, 2):
        return f"only {len(time)} points (needs {max(min_points, 2)})"
    for name in needed:
        if bad := int((~np.isfinite(columns[name])).sum()):
            return f"{name} is NaN at {bad} of {len(time)} points"
    if (back := int((np.diff(time) < 0).sum())) or not time[-1] > time[0]:
        return f"its clock falls back {back} times" if back else "its clock stands still"
    return ""


def _note(lost: Mapping[str, str], total: int, what: str) -> list[str]:
    if not lost:
        return []
    example = "; ".join(f"{k}: {v}" for k, v in list(lost.items())[:3])
    return [f"{len(lost)} of {total} records {what} ({example}{' ...' if len(lost) > 3 else ''})"]
