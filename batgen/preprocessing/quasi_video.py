"""Charging curves as the arrays models learn from: the paper's quasi-video, or plain channels on a physical grid."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.cache import cached
from batgen.preprocessing.resample import GRIDS, resample, unusable
from batgen.preprocessing.scaler import SignalScaler

LAYOUTS = ("video", "channels")
FIT_ON = ("train", "train_val")


class QuasiVideo:
    """Cycles to arrays and back.

    layout "video" (Jiang et al., section 2.2, fig. 3): (N, signals, 2, H, W). Channel c holds signal c in its first depth
    slice and the companion (charge capacity) in the second, `points` values reshaped to H x W; without a companion the
    depth is 1. layout "channels": (N, C, points), every signal once, time_s and the companion among them where the source
    has them, so that Coulomb counting can be checked on what is generated.

    Args:
        curves: what this dataset has to give, from its YAML: the `part` of a cycle ("charge", "discharge"), its
            `signals`, their `companion` (or null); `honest_grid`, which grid is its physical abscissa; `axis`, name and
            end values of that abscissa where the records themselves lie on it; `timed`, whether there is a time_s.
        layout: video | channels.
        grid: record (by point number, as in the paper), time, or charge (throughput), each over the cycle's own span.
        points: values per signal. "video" wants a number with a divisor near its root; 400 = 20 x 20.
        scaler: minmax | zscore, per signal.
        fit_on: train | train_val, the rows the scaler sees.
        conditions: names of the conditions models are given.
        min_points: cycles recorded with fewer points are left out and reported.
        charge_from_current: replace the companion of generated curves by the integral of I dt, so that charge balance
            and monotony hold by construction ("channels" with time_s only).

    Raises ConfigError for a wrong option, DataError for curves that cannot be used.
    """

    PRODUCES = "curves"
    VERSION = 1

    def __init__(
        self,
        *,
        curves: Mapping[str, Any],
        conditions: list[str],
        layout: str = "video",
        grid: str = "record",
        points: int = 400,
        scaler: str = "minmax",
        fit_on: str = "train",
        min_points: int = 40,
        charge_from_current: bool = False,
    ):
        for key, value, known in (("layout", layout, LAYOUTS), ("grid", grid, GRIDS), ("fit_on", fit_on, FIT_ON)):
            if value not in known:
                raise ConfigError(f"preprocessing.{key}: {value!r} is none of {', '.join(known)}.")
        if points < 2:
            raise ConfigError(f"preprocessing.points: {points} is too few to draw a curve. Use 2 or more, such as 400.")
        self.part, self.companion = str(curves["part"]), curves.get("companion")
        primary = tuple(curves["signals"])
        self.layout, self.grid, self.points = layout, grid, points
        self.fit_on, self.min_points, self.conditions = fit_on, min_points, list(conditions)
        self.scaler = SignalScaler(scaler)
        with_time = layout == "channels" and bool(curves.get("timed", True))
        extra = (self.companion,) if self.companion else ()
        #: Every signal once, in the order they are read, cached and scaled.
        self.signals = primary + (("time_s",) if with_time and "time_s" not in primary else ()) + extra
        #: Signal of each physical slice: what metrics and figures see.
        self.slices = tuple(s for p in primary for s in (p, *extra)) if layout == "video" else self.signals
        self._axis = curves.get("axis")
        self._which = np.array([self.signals.index(s) for s in self.slices])
        height = max(h for h in range(1, int(points**0.5) + 1) if points % h == 0)
        depth = 1 + len(extra)
        self.x_shape = (
            (len(primary), depth, height, points // height) if layout == "video" else (len(self.slices), points)
        )
        if charge_from_current and (layout != "channels" or "time_s" not in self.signals or not self.companion):
            raise ConfigError(
                "preprocessing.charge_from_current needs layout=channels and a source with time and current."
            )
        self.charge_from_current = charge_from_current

    # ---- reading -------------------------------------------------------------------------------------------------
    def read(self, store: Store, samples: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Physical curves of the samples, cached on disk.

        Returns curves float32 (N, signals, points) of the usable samples, their row numbers (N,) in `samples`, and one
        note per kind of loss. Raises DataError when the store lacks a signal or nothing usable is left.
        """
        missing = [s for s in {*self.signals, *self._grid_signals()} if s not in store.signals]
        if missing:
            raise DataError(
                f"{store.path.name} has no {', '.join(sorted(missing))} (it has {', '.join(store.signals)}). Choose other "
                f"signals with data.curves.signals=[...], or another preprocessing.grid."
            )
        keys = [store.data_hash, self.VERSION, self.part, self.signals, self.grid, self.points, self.min_points]
        rows = pd.util.hash_pandas_object(samples[["cell_id", "ecl"]], index=False).to_numpy()
        key = hashlib.sha256(json.dumps(keys).encode() + rows.tobytes()).hexdigest()
        found = cached(key, lambda: self._resample(store, samples))
        curves, rows, notes = found["curves"], found["rows"], json.loads(str(found["notes"]))
        if not len(rows):
            raise DataError(
                f"none of the {len(samples)} {self.part} curves in {store.path.name} can be used: {'; '.join(notes)}. Lower "
                f"preprocessing.min_points, or choose other signals with data.curves.signals=[...]."
            )
        return curves, rows, notes

    def _grid_signals(self) -> tuple[str, ...]:
        return {"record": (), "time": ("time_s",), "charge": ("charge_capacity_Ah",)}[self.grid]

    def _resample(self, store: Store, samples: pd.DataFrame) -> dict[str, np.ndarray]:
        parts, rows, lost = [], [], {}
        wanted = tuple(dict.fromkeys((*self.signals, *self._grid_signals())))
        for cell_id, group in samples.groupby("cell_id", sort=False):
            ragged = store.curves(str(cell_id), wanted, part=self.part, first=int(group["ecl"].max()))
            reasons = unusable(ragged.offsets, ragged.columns, wanted, self.min_points)
            fine = np.array([i for i in range(len(ragged.cycle)) if i not in reasons], dtype=np.int64)
            row_of = dict(zip(group["ecl"].astype(int), group.index, strict=True))
            asked = np.array([i for i in fine if int(ragged.cycle[i]) in row_of], dtype=np.int64)
            for i, reason in reasons.items():
                if int(ragged.cycle[i]) in row_of:
                    lost[f"{cell_id} cycle {ragged.cycle[i]}"] = reason
            if len(asked):
                offsets, columns = _take(ragged.offsets, ragged.columns, asked)
                parts.append(resample(self.grid, self.points, offsets, columns, self.signals))
                rows += [row_of[int(ragged.cycle[i])] for i in asked]
        empty = np.zeros((0, len(self.signals), self.points), np.float32)
        order = np.argsort(np.array(rows, dtype=np.int64), kind="stable")
        curves = np.concatenate(parts)[order] if parts else empty
        example = "; ".join(f"{k}: {v}" for k, v in list(lost.items())[:3])
        notes = (
            [f"{len(lost)} of {len(samples)} curves left out ({example}{' ...' if len(lost) > 3 else ''})"]
            if lost
            else []
        )
        return {
            "curves": curves,
            "rows": np.array(rows, dtype=np.int64)[order],
            "notes": np.array(json.dumps(notes)),
        }

    # ---- scaling -------------------------------------------------------------------------------------------------
    def fit(self, curves: np.ndarray) -> None:
        """Fit the scaler on physical training curves (N, signals, points)."""
        self.scaler.fit(curves, self.signals)

    def transform(self, curves: np.ndarray) -> np.ndarray:
        """Physical curves (N, signals, points) to model input (N, *x_shape)."""
        return self.scaler.apply(curves)[:, self._which].reshape(len(curves), *self.x_shape)

    def physical(self, curves: np.ndarray) -> np.ndarray:
        """Physical curves (N, signals, points) as slices (N, slices, points), companions repeated."""
        return curves[:, self._which]

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """Model output (..., *x_shape) to physical slices (..., slices, points); exact inverse of `transform`."""
        lead = x.shape[: x.ndim - len(self.x_shape)]
        slices = self.scaler.undo(x.reshape(*lead, len(self.slices), self.points), self._which)
        if self.charge_from_current:
            current, time = slices[..., self.slices.index("current_A"), :], slices[..., self.slices.index("time_s"), :]
            step = 0.5 * (current[..., 1:] + current[..., :-1]) * np.diff(time, axis=-1) / 3600.0
            charge = slices[..., self.slices.index(self.companion), :]
            charge[..., 0], charge[..., 1:] = 0.0, np.cumsum(step, axis=-1)
        return slices

    def axis(self) -> tuple[str, np.ndarray]:
        """Name and values (points,) of what curves are drawn over: a signal, or the fraction of the grid's span."""
        if self._axis:
            name, first, last = self._axis
            return str(name), np.linspace(float(first), float(last), self.points)
        return self.grid, np.linspace(0.0, 1.0, self.points)

    def state(self) -> dict[str, Any]:
        """Plain containers: what a checkpoint needs beside the config."""
        return {"version": self.VERSION, "scaler": self.scaler.state()}

    def load(self, state: dict[str, Any]) -> None:
        self.scaler.load(state["scaler"])


def _take(
    offsets: np.ndarray, columns: dict[str, np.ndarray], which: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if len(which) == len(offsets) - 1:
        return offsets, columns
    lengths = np.diff(offsets)
    mask = np.repeat(np.isin(np.arange(len(lengths)), which), lengths)
    return np.concatenate([[0], np.cumsum(lengths[which])]), {k: v[mask] for k, v in columns.items()}
