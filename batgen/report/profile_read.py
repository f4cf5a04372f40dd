"""Read back what a part folder (one protocol, one seed) of a profiles run holds for figures."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from batgen.data.profile_set import Drawn
from batgen.errors import DataError
from batgen.report.labels import pretty_unit, with_unit, words

TEMPERATURE = "temperature_degC"
PEAK = "peak_temperature_degC"
_COLUMNS = {
    "rows.csv": ("cell_id", "ecl", "fold", "test_set", "protocol", "duration_s"),
    "train_rows.csv": ("cell_id", "ecl"),
    "features.csv": (
        "method",
        "role",
        "row",
        "cell_id",
        "ecl",
        "test_set",
        "feature",
        "measured",
        "predicted",
        "low",
        "high",
    ),
    "health.csv": ("step",),
    "permutation.csv": ("fold", "block", "how", "metric", "value", "unpermuted", "learnt"),
}
_TEXT = ("cell_id", "fold", "test_set", "protocol", "method", "role", "feature", "block", "how", "metric", "learnt")


@dataclass(frozen=True)
class Method:
    """What one method gave: a mean profile for every test row and, of a model, draws (M, K, S, P) for the rows `kept` (M,)."""

    name: str
    role: str
    mean: Drawn
    draws: Drawn | None = None
    kept: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class Sweep:
    """One condition varied over `values` (V,), the others `fixed`; curves (V, K, S, P); `low`, `high`: training range."""

    condition: str
    values: np.ndarray
    drawn: Drawn
    low: float
    high: float
    fixed: dict[str, Any]

    @property
    def inside(self) -> np.ndarray:
        """bool (V,): values within the training range."""
        return (self.values >= self.low) & (self.values <= self.high)


@dataclass(frozen=True)
class ProfilePart:
    """Everything the figures of a profiles run need; see `read_profile_part`.

    rows: one line a test profile, in the order of `measured`; train_rows likewise of `train`. health: fold -> table.
    """

    rows: pd.DataFrame
    train_rows: pd.DataFrame
    measured: Drawn
    train: Drawn
    methods: dict[str, Method]
    sweeps: list[Sweep]
    features: pd.DataFrame
    metrics: list[dict[str, Any]]
    about: dict[str, Any]
    health: dict[str, pd.DataFrame] = field(default_factory=dict)
    permutation: pd.DataFrame | None = None

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals, temperature first where there is one: figures lead with it."""
        return tuple(sorted(self.measured.signals, key=lambda name: name != TEMPERATURE))

    @property
    def peak_after_s(self) -> float:
        """Peaks count from this time on: charges may begin with the heat of the discharge before."""
        return float(self.about["peak_after_s"])

    def index(self, signal: str) -> int:
        """Place of a signal along the axis S."""
        return self.measured.signals.index(signal)

    def title(self) -> str:
        """What every figure says on top: "wgan_gp on nasa, discharge, honest protocol, seed 0"."""
        known = self.about
        return (
            f"{known['model']} on {known['data']}, {known['part']}, {known['protocol']} protocol, seed {known['seed']}"
        )

    def own(self) -> Method | None:
        """The model the run is about: the first with draws, or else the first."""
        models = [method for method in self.methods.values() if method.role == "model"]
        return next((method for method in models if method.draws is not None), models[0] if models else None)

    def baselines(self) -> list[str]:
        """Baselines of features.csv, lowest mean absolute error of the peak temperature first, each cell counting the same."""
        table = self.features[(self.features["feature"] == PEAK) & (self.features["role"] == "baseline")]
        if table.empty:
            return []
        # Cells scored apart only count where there are no others.
        table = table[table["test_set"] == "cells"] if (table["test_set"] == "cells").any() else table
        error = (table["predicted"] - table["measured"]).abs().groupby([table["method"], table["cell_id"]]).mean()
        return [str(name) for name in error.groupby(level=0).mean().sort_values(kind="stable").index]

    def metric(self, method: str, metric: str, signal: str, test_set: str = "cells") -> float:
        """The number of metrics.json, NaN where there is none."""
        wanted = (method, metric, signal, test_set)
        found = [r for r in self.metrics if (r["method"], r["metric"], r["signal"], r["test_set"]) == wanted]
        return next((float(r["value"]) for r in found if r["value"] is not None), math.nan)


def label(signal: str) -> str:
    """Axis label: "Temperature [°C]"."""
    name = words(signal)
    unit = signal.rpartition("_")[2]
    return with_unit(name[:1].upper() + name[1:], pretty_unit(unit) if unit in ("degC", "V", "A", "Ah") else "")


def peaks(profiles: Drawn, after_s: float) -> np.ndarray:
    """Highest temperature (...) in degC within each profile from `after_s` on; NaN where it ends before."""
    index = profiles.signals.index(TEMPERATURE)
    told = profiles.mask & (profiles.time_s >= after_s)
    found = np.where(told, profiles.curves[..., index, :], -np.inf).max(axis=-1)
    return np.where(told.any(axis=-1), found, np.nan)


def read_profile_part(part_dir: Path | str) -> ProfilePart:
    """Read rows.csv, train_rows.csv, profiles.h5, features.csv, metrics.json and, where they are, health_*.csv and
    permutation.csv.

    Raises DataError, naming the file, when one of the first five is absent or one is not what it should be.
    """
    folder = Path(part_dir)
    rows, train_rows = _table(folder / "rows.csv"), _table(folder / "train_rows.csv")
    features = _table(folder / "features.csv")
    path = folder / "profiles.h5"
    with _reading(path), h5py.File(path, "r") as file:
        about = {
            name: file.attrs[name] for name in ("part", "model", "data", "protocol", "seed", "relative", "peak_after_s")
        }
        about["conditions"] = json.loads(file.attrs["conditions"])
        signals = tuple(json.loads(file.attrs["signals"]))
        step_s = None if math.isnan(file.attrs["step_s"]) else float(file.attrs["step_s"])
        grid = (signals, step_s)
        measured = _drawn(file["measured"], grid, "curves", "duration_s", (len(rows),), "rows.csv")
        train = _drawn(file["train"], grid, "curves", "duration_s", (len(train_rows),), "train_rows.csv")
        methods = {name: _method(name, group, grid, len(rows)) for name, group in file["methods"].items()}
        sweeps = [_sweep(name, group, grid) for name, group in file.get("sweeps", {}).items()]
    with _reading(folder / "metrics.json"):
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["rows"]
    found = sorted(folder.glob("health_*.csv"))
    health = {file.stem.removeprefix("health_"): _table(file, "health.csv") for file in found}
    permutation = folder / "permutation.csv"
    told = _table(permutation) if permutation.is_file() else None
    return ProfilePart(rows, train_rows, measured, train, methods, sweeps, features, metrics, about, health, told)


def _drawn(group: Any, grid: Any, curves: str, duration: str, shape: tuple[int, ...], rows: str) -> Drawn:
    drawn = Drawn(np.asarray(group[curves]), np.asarray(group[duration], dtype=np.float64), *grid)
    if drawn.duration_s.shape[: len(shape)] != shape or drawn.curves.shape[:-2] != drawn.duration_s.shape:
        found = f"{drawn.curves.shape} with durations {drawn.duration_s.shape}"
        raise ValueError(f"{group.name}/{curves} has the shape {found}, where {rows} says {shape}")
    if drawn.curves.shape[-2] != len(drawn.signals):
        raise ValueError(
            f"{group.name}/{curves} has {drawn.curves.shape[-2]} signals, the file says {len(drawn.signals)}"
        )
    return drawn


def _method(name: str, group: Any, grid: Any, count: int) -> Method:
    mean = _drawn(group, grid, "mean", "duration_s", (count,), "rows.csv")
    if "draws" not in group:
        return Method(name, str(group.attrs["role"]), mean)
    kept = np.asarray(group.file["kept"], dtype=np.int64)
    if len(kept) and not 0 <= kept.min() <= kept.max() < count:
        raise ValueError(f"kept names the row {kept.max()}, rows.csv has {count}")
    draws = _drawn(group, grid, "draws", "draw_duration_s", (len(kept),), "kept")
    return Method(name, str(group.attrs["role"]), mean, draws, kept)


def _sweep(name: str, group: Any, grid: Any) -> Sweep:
    values = np.asarray(group["values"], dtype=np.float64)
    drawn = _drawn(group, grid, "curves", "duration_s", (len(values),), "values")
    low, high = float(group.attrs["low"]), float(group.attrs["high"])
    return Sweep(name, values, drawn, low, high, json.loads(group.attrs["fixed"]))


def _table(path: Path, like: str | None = None) -> pd.DataFrame:
    with _reading(path):
        # A cell may be called NA: only numbers can be missing.
        header = pd.read_csv(path, nrows=0).columns
        missing = [name for name in _COLUMNS[like or path.name] if name not in header]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        text: Any = {name: str for name in header if name in _TEXT or name in ("chemistry", "policy")}
        empty = {name: ["", "nan"] for name in header if name not in text}
        return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a file of a profiles run ({error}). Evaluate the run again to rewrite it."
        ) from error
