"""Per-cycle sequences as the arrays a forecaster learns from, and its forecasts back in physical units.

`sequence_series` puts a cell on the full grid of cycles and masks outliers, `sequence_windows` cuts windows out of it;
here the columns are chosen and standardised, with scales from the training cells only.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing import sequence_windows as cutting
from batgen.preprocessing.sequence_options import check_columns, check_options, numbers
from batgen.preprocessing.sequence_scales import change_scale, past_gain, spread
from batgen.preprocessing.sequence_series import Series, read_series
from batgen.preprocessing.sequence_windows import COMPUTED, DERIVED, Plan, is_capacity, reference

_CAPACITY = "discharge_capacity_Ah"
#: Windows of so many cuts a cell are enough to fit scales.
_CUTS = 16


class CycleSequences:
    """Windows of cycle sequences, and back.

    Args:
        targets: columns of the summary to forecast; every cell must have them.
        inputs: further columns, seen up to the cut only; they may be missing.
        covariates: known ahead, of `sequence_windows.COVARIATES`; none is fine.
        statics: group name -> columns (null leaves a group of the dataset out), facts of a cell (`sequence_series.FACTS`) and
            `sequence_windows.DERIVED`; a group counts as unknown for a cell that lacks one of them. Columns are medians of
            their last `static_window` values.
        capacity: unit of columns that end in capacity_Ah. shape: relative to the median of the cell's own first
            `first_cycles` values (those up to the cut) | nominal: relative to nominal capacity | Ah.
        stride: cycles a step ahead (null is for the run to resolve, by `fitting_stride`); input_stride: of the steps seen,
            null: as ahead. A value stands for the cycles since the step before it. magnify: an encoder of residuals sees the
            little that a target moved before the cut as large as what comes after it.
        max_cycles: cycles beyond this are not read; null takes the whole life.
        horizon: cycles ahead that training looks; null: as far as the longest training cell goes.
        outliers: window, limit, floor and patience of `sequence_outliers.mask`, for targets; null masks none.
        incomplete: refuse | leave_out: what becomes of cells that never measured a target.
        after_eol: depth, tau_cycles and weight of the fade that training sees behind the record of a cell that reached its
            end of life: depth * (1 - exp(-cycles / tau)) of the reference; null shows none.

    Raises ConfigError for an option that cannot be.
    """

    PRODUCES = "sequences"
    VERSION = 1

    def __init__(
        self,
        *,
        targets: Sequence[str] = ("discharge_capacity_Ah",),
        inputs: Sequence[str] = (),
        covariates: Sequence[str] = ("cycle", "log_cycle"),
        statics: Mapping[str, Sequence[str]] | None = None,
        capacity: str = "shape",
        first_cycles: int = 10,
        stride: int | None = 1,
        input_stride: int | None = None,
        magnify: bool = False,
        max_cycles: int | None = 500,
        horizon: int | None = None,
        outliers: Mapping[str, float] | None = None,
        static_window: int = 5,
        incomplete: str = "refuse",
        after_eol: Mapping[str, float] | None = None,
    ):
        check_options(targets, inputs, covariates, capacity)
        if incomplete not in ("refuse", "leave_out"):
            raise ConfigError(f"preprocessing.incomplete={incomplete}: choose refuse or leave_out.")
        self.incomplete, self.magnify = incomplete, magnify
        stride = 1 if stride is None else stride
        wholes = {
            "first_cycles": first_cycles,
            "stride": stride,
            "static_window": static_window,
            "input_stride": stride if input_stride is None else input_stride,
        }
        for name, value in (wholes | {"max_cycles": max_cycles, "horizon": horizon}).items():
            if value is not None and value < 1:
                raise ConfigError(f"preprocessing.{name}={value}: give 1 or more.")
        self.outliers = numbers("outliers", outliers, {"window": 3, "limit": 0, "floor": 0, "patience": 1})
        fade = numbers("after_eol", after_eol, {"weight": 0, "depth": 0, "tau_cycles": 1})
        self.max_cycles, self.horizon = max_cycles, horizon
        groups = {name: tuple(columns) for name, columns in (statics or {}).items() if columns}
        level = next((name for name in targets if is_capacity(name)), _CAPACITY)
        self.plan = Plan(
            tuple(targets),
            tuple(inputs),
            tuple(covariates),
            groups,
            capacity,
            first_cycles,
            stride,
            input_stride or stride,
            static_window,
            fade,
            level,
        )
        #: part -> (2, columns): centre and scale, after `fit`.
        self.scales: dict[str, np.ndarray] = {}
        #: Cycles ahead that training looks, after `fit`.
        self.horizon_cycles = 0

    @property
    def target_names(self) -> tuple[str, ...]:
        return self.plan.targets

    @property
    def training_steps(self) -> int:
        """Steps ahead that training looks, after `fit`."""
        return self.plan.steps_to(self.horizon_cycles)

    def shape(self) -> dict[str, Any]:
        """What a model is built from: targets, inputs, covariates, groups of statics, stride, gains of the targets seen."""
        names = {"targets": self.plan.targets, "inputs": self.plan.inputs, "covariates": self.plan.covariates}
        gains = tuple(self.scales["gain"].tolist()) if "gain" in self.scales else ()
        return names | {"groups": tuple(self.plan.statics.items()), "stride": self.plan.stride, "gains": gains}

    def lacking(self, store: Store) -> dict[str, str]:
        """Cells that `incomplete` leaves out, with the target that they never measured."""
        if self.incomplete == "refuse":
            return {}
        found = {}
        for info in store.infos:
            table = store.summary(info.cell_id)
            for name in self.plan.targets:
                if name not in table.columns or not np.isfinite(table[name].to_numpy(float)).any():
                    found[info.cell_id] = name
        return found

    # ---- reading -------------------------------------------------------------------------------------------------
    def series(self, store: Store, cell_id: str, last_cycle: int | None = None) -> Series:
        """A cell in physical units on the grid of its cycles, nothing after `last_cycle` read.

        Before `fit`, names that no cell of the store has are refused; after it, such statics and inputs are just unknown
        (a cell to forecast may have fewer columns). Raises DataError as `read_series`.
        """
        plan = self.plan
        named = [name for group in plan.statics.values() for name in group]
        statics = [plan.level if name in ("first_capacity", "fade") else name for name in named]
        others = [*plan.inputs, *(name for name in (*statics, *plan.covariates) if name not in (*DERIVED, *COMPUTED))]
        if not self.scales:
            check_columns(store, [*plan.targets, *others])
        watched = dict.fromkeys([*plan.targets, *([plan.level] if plan.level in statics else [])])
        stop = min((stop for stop in (last_cycle, self.max_cycles) if stop is not None), default=None)
        return read_series(store, cell_id, plan.targets, others, list(watched), self.outliers, stop)

    # ---- scaling -------------------------------------------------------------------------------------------------
    def fit(self, series: Sequence[Series], cuts: Sequence[int]) -> None:
        """Fit centres and scales on training cells, with windows at `cuts` of cells that go on after them.

        A target's scale is the standard deviation of its change since the cut, every cell counting the same, and its
        centre the mean at the cut. Raises DataError where no cell is long enough, units are mixed, or a static or an
        input is known for no training cell.
        """
        thinned = sorted({int(cuts[round(k)]) for k in np.linspace(0, len(cuts) - 1, min(_CUTS, len(cuts)))})
        pairs = [(s, cut) for s in series for cut in thinned if s.begin(self.plan.targets) <= cut < s.last_cycle]
        if not pairs:
            longest = max((one.last_cycle for one in series), default=0)
            if series and (first := min(one.begin(self.plan.targets) for one in series)) > thinned[-1]:
                raise DataError(
                    f"none of the {len(series)} training cells is known by cycle {thinned[-1]}: the earliest is from cycle "
                    f"{first} on. Use cycles={first} or more."
                )
            raise DataError(
                f"none of the {len(series)} training cells goes on after cycle {thinned[0]}: the longest has {longest} cycles. "
                f"Use fewer with cycles=."
            )
        self.horizon_cycles = self.horizon or max(one.last_cycle - cut for one, cut in pairs)
        cells, at = [one for one, _ in pairs], [cut for _, cut in pairs]
        got = cutting.windows(cells, at, self.training_steps, self.plan, training=False)
        self.scales = {"targets": change_scale(got), "statics": spread(got["statics"])}
        if self.magnify:
            self.scales["gain"] = past_gain(got, self.scales["targets"][1])
        real = np.arange(got["values"].shape[1]) < got["length"][:, None]
        self.scales["inputs"] = spread(got["values"][real][:, len(self.plan.targets) :])
        self.scales["covariates"] = spread(
            np.concatenate([got["covariates"][real], got["future"].reshape(-1, got["future"].shape[2])])
        )
        for part, names in (
            ("statics", [n for g in self.plan.statics.values() for n in g]),
            ("inputs", self.plan.inputs),
        ):
            for name, centre in zip(names, self.scales[part][0], strict=True):
                if np.isnan(centre):
                    raise DataError(
                        f"{name} is not known for any of the {len(series)} training cells up to cycle {thinned[-1]}. Leave it "
                        f"out of preprocessing.{part}, or observe more cycles."
                    )

    def windows(
        self, series: Sequence[Series], cuts: Sequence[int], steps: int, training: bool
    ) -> dict[str, np.ndarray]:
        """One window per pair, standardised: the arrays of a `SequenceBatch`, float32 (length and cell int64).

        past (B, N, F), length (B,), statics (B, S), known (B, G), future (B, M, K), last (B, T), target (B, M, T), weight
        (B, M, T), cell (B,). Raises DataError as `sequence_windows.windows`.
        """
        got = cutting.windows(series, cuts, steps, self.plan, training)
        kinds = len(self.plan.targets)
        past = [
            self._scaled("targets", got["values"][:, :, :kinds]),
            np.nan_to_num(self._scaled("inputs", got["values"][:, :, kinds:])),
            got["flags"],
            self._scaled("covariates", got["covariates"]),
        ]
        real = np.arange(got["values"].shape[1]) < got["length"][:, None]
        statics = self._scaled("statics", got["statics"])
        bounds = np.cumsum([0, *(len(group) for group in self.plan.statics.values())])
        known = [np.isfinite(statics[:, a:b]).all(axis=1) for a, b in pairwise(bounds)]
        scaled = {
            "past": np.concatenate(past, axis=2) * real[:, :, None],
            "statics": np.nan_to_num(statics),
            "known": np.stack(known, axis=1) if known else np.zeros((len(series), 0)),
            "future": self._scaled("covariates", got["future"]),
            "last": self._scaled("targets", got["last"]),
            "target": self._scaled("targets", got["target"]),
            "weight": got["weight"],
        }
        return {k: v.astype(np.float32) for k, v in scaled.items()} | {"length": got["length"], "cell": got["cell"]}

    def inverse(self, values: np.ndarray, series: Series, cut: int) -> np.ndarray:
        """Scaled targets (..., T) of a window of a cell at `cut` to float64 physical units."""
        centre, scale = self.scales["targets"]
        unit = np.array([reference(series, name, cut, self.plan) for name in self.plan.targets])
        return (np.asarray(values, np.float64) * scale + centre) * unit

    def _scaled(self, part: str, values: np.ndarray) -> np.ndarray:
        centre, scale = self.scales[part]
        return (values - centre) / scale

    def state(self) -> dict[str, Any]:
        """Plain containers: what a checkpoint needs beside the config."""
        scales = {part: pair.tolist() for part, pair in self.scales.items()}
        return {"version": self.VERSION, "scales": scales, "horizon_cycles": self.horizon_cycles}

    def load(self, state: dict[str, Any]) -> None:
        self.scales = {part: np.array(pair, np.float64) for part, pair in state["scales"].items()}
        self.horizon_cycles = int(state["horizon_cycles"])
