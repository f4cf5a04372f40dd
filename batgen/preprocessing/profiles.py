"""Profiles of charges or discharges as the array a generator learns from, and generated ones back in physical units."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.profile_set import Drawn, ProfileSet
from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.profile_options import Options, check_known, check_ranges, in_ranges, is_constant
from batgen.preprocessing.profile_read import read_table
from batgen.preprocessing.profile_reference import Reference, base, first_records, references


class Profiles:
    """Records to arrays and back: x float32 (N, S + 1, P), signals scaled with one centre and one scale each (never per time
    step), then one channel that is constant along P, the scaled logarithm of the duration.

    Args:
        profiles: the node of the dataset; what of it concerns splits and scores is for others to read here.
        part: charge | discharge.
        signals: of `profile_options.SIGNALS`; "soc" is counted in Coulombs along the record.
        conditions: what models are told of a profile.
        grid: span, `points` spread evenly over each record | time, `points` at `step_s` (longer records are cut, shorter
            ones masked).
        start: full | random, `windows` windows of `window_s` a record that start anywhere, drawn from `window_seed`; their
            points are window_s / (points - 1) apart, and conditions are those of the window.
        relative: of temperature, subtract nothing (none), its value at the start (start), or that plus the mean rise in the
            cell's first `reference_records` records (reference; durations are then relative to theirs).
        start_decay_s: time constant with which a start warmer than those of the reference is forgotten, and an ambient warmer
            than its is followed; null: never. Cells cool with 20 to 34 min.
        min_points: records with fewer points are left out.
        where: condition -> [low, high], the rows that are used.

    Raises ConfigError for options that cannot be.
    """

    PRODUCES = "profiles"
    VERSION = 1

    def __init__(
        self,
        *,
        profiles: Mapping[str, Any],
        part: str,
        signals: Sequence[str],
        conditions: Sequence[str],
        grid: str = "span",
        points: int = 64,
        step_s: float | None = None,
        start: str = "full",
        window_s: float | None = None,
        windows: int = 1,
        window_seed: int = 0,
        relative: str = "start",
        reference_records: int = 5,
        start_decay_s: float | None = 1600.0,
        min_points: int = 20,
        where: Mapping[str, Sequence[float]] | None = None,
    ):
        self.profiles = dict(profiles)
        self.options = Options(
            part, tuple(signals), tuple(conditions), grid, points, step_s, start, window_s, windows, window_seed,
            relative, reference_records, start_decay_s, min_points,
        )  # fmt: skip
        self.options.check()
        self.where = check_ranges(where)
        self.part, self.signals, self.conditions, self.points = part, tuple(signals), list(conditions), points
        self.relative = relative
        #: Seconds between points; None where they are spread over the profile.
        self.step_s = self.options.spacing_s
        self.slices = (*self.signals, "log_duration")
        self.x_shape = (len(self.slices), points)
        #: After `fit`: (S + 1,) each, and conditions that do not vary in the training rows.
        self.centre, self.scale = np.zeros(len(self.slices)), np.ones(len(self.slices))
        self.constant: list[str] = []
        self.nominal_capacity_Ah = float("nan")
        self.start_offset_degC = float("nan")
        self.references: dict[str, Reference] = {}

    # ---- reading -------------------------------------------------------------------------------------------------
    def read(self, store: Store, cycles: int | None) -> tuple[ProfileSet, list[str]]:
        """All usable profiles of cycles 1..`cycles` (None: all), in the order of cells, cycles and starts; and notes.

        Raises DataError when a signal was not measured, a condition is not known, or nothing usable is left, and
        ConfigError when `where` leaves nothing.
        """
        table, curves, notes = read_table(store, cycles, self.options, self.VERSION)
        if self.where:
            kept = np.flatnonzero(in_ranges(table, self.where))
            notes.append(f"preprocessing.where keeps {len(kept)} of {len(table)} profiles")
            table, curves = table.iloc[kept].reset_index(drop=True), curves[kept]
        made, more = self._relate(table, curves)
        check_known(made.table, self.conditions)
        if self.options.start == "random" and "soc" not in self.conditions:
            more.append("windows start anywhere, but soc is no condition: add it to preprocessing.conditions")
        return made, [*notes, *more]

    def _relate(self, table: pd.DataFrame, curves: np.ndarray) -> tuple[ProfileSet, list[str]]:
        """The set with its base; in reference mode without the cells that have too few records, which a note names."""
        notes = []
        if self.relative == "reference":
            given, few = first_records(table, self.options.reference_records)
            if few:
                notes.append(
                    f"{len(few)} of {table['cell_id'].nunique()} cells have fewer than {self.options.reference_records} records, "
                    f"too few for a reference, and are left out ({', '.join(few[:5])})"
                )
                keep = np.flatnonzero(~table["cell_id"].isin(few).to_numpy())
                if not len(keep):
                    raise ConfigError(
                        f"preprocessing.reference_records={self.options.reference_records}: no cell has so many records; "
                        "use fewer."
                    )
                table, curves, given = table.iloc[keep].reset_index(drop=True), curves[keep], given[keep]
            degC = curves[:, self.signals.index("temperature_degC")] if "temperature_degC" in self.signals else None
            self.references = references(table, given, degC, self.points)
            of_row = [self.references[str(cell)] for cell in table["cell_id"]]
            table = table.assign(
                given=given,
                soh_change=table["soh"] - [one.soh for one in of_row],
                start_temperature_change_degC=table["start_temperature_degC"]
                - [one.start_temperature_degC for one in of_row],
            )
        duration = table["duration_s"].to_numpy(dtype=np.float64).copy()
        return ProfileSet(table, curves, duration, *self.base_for(table), self.signals, self.step_s), notes

    # ---- scaling -------------------------------------------------------------------------------------------------
    def fit(self, train: ProfileSet) -> list[str]:
        """Fit centres and scales on training profiles, over their measured points; notes on conditions that are constant.

        Raises DataError where a signal never changes.
        """
        mask = train.mask
        for k, name in enumerate(self.signals):
            values = (train.curves[:, k].astype(np.float64) - train.base[:, k])[mask]
            self.centre[k], self.scale[k] = values.mean(), values.std()
            if not self.scale[k] > 1e-6 * max(abs(self.centre[k]), 1.0):
                rest = ",".join(s for s in self.signals if s != name)
                raise DataError(
                    f"{name} is constant ({self.centre[k]:.6g}) in all {len(train)} training profiles, so it cannot be learnt. "
                    f"Leave it out with preprocessing.signals=[{rest or '...'}]."
                )
        log = np.log(train.duration_s / train.base_duration_s)
        self.centre[-1], self.scale[-1] = log.mean(), log.std() if log.std() > 1e-6 else 1.0
        self.nominal_capacity_Ah = float(np.median(train.table["nominal_capacity_Ah"]))
        offset = train.table["start_temperature_degC"] - train.table["ambient_degC"]
        self.start_offset_degC = float(offset.median())
        self.constant = [name for name in self.conditions if is_constant(train.table[name], name)]
        return [f"{name} is the same in all training profiles: its effect cannot be learnt" for name in self.constant]

    def transform(self, ps: ProfileSet) -> np.ndarray:
        """float32 (N, S + 1, P), what models see."""
        x = np.empty((len(ps), *self.x_shape), np.float32)
        s = len(self.signals)
        x[:, :s] = (ps.curves.astype(np.float64) - ps.base - self.centre[:s, None]) / self.scale[:s, None]
        log = np.log(ps.duration_s / ps.base_duration_s)
        x[:, s] = ((log - self.centre[s]) / self.scale[s])[:, None]
        return x

    def inverse(self, x: np.ndarray, base: np.ndarray, base_duration_s: np.ndarray) -> Drawn:
        """Model output (..., N, S + 1, P) to physical units; inverse of `transform`. base (N, S, P), base_duration_s (N,).

        The duration is that of the mean of its channel; with fixed steps it ends with the last point, and windows all have
        theirs.
        """
        s = len(self.signals)
        curves = x[..., :s, :] * self.scale[:s, None] + self.centre[:s, None] + base
        log = x[..., s, :].mean(axis=-1, dtype=np.float64) * self.scale[s] + self.centre[s]
        duration = np.exp(log) * base_duration_s
        if self.step_s is not None:
            duration = np.minimum(duration, (self.points - 1) * self.step_s)
        if self.options.window_s is not None:
            duration = np.full_like(duration, self.options.window_s)
        if self.options.window_s is not None:
            duration = np.full_like(duration, self.options.window_s)
        return Drawn(curves.astype(np.float32), duration, self.signals, self.step_s)

    def base_for(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What is known beforehand of rows with these conditions: base float32 (N, S, P), base_duration_s float64 (N,).

        Without start_temperature_degC, that is taken as the ambient plus what training cells had above it at the start.
        Raises ConfigError where neither is given, or a cell (column cell_id, reference mode) has no reference.
        """
        of_row: list[Reference | None] = [None] * len(table)
        if self.relative == "reference":
            cells = table["cell_id"].astype(str) if "cell_id" in table else pd.Series([""] * len(table))
            for cell in cells:
                if cell not in self.references:
                    known = ", ".join(self.references)
                    raise ConfigError(f"cell_id={cell}: there is no reference of this cell; name one of {known}.")
            of_row = [self.references[cell] for cell in cells]
        start = None
        if self.relative != "none" and "temperature_degC" in self.signals:
            if "start_temperature_degC" in table:
                start = table["start_temperature_degC"].to_numpy(dtype=float)
            elif "ambient_degC" in table and np.isfinite(self.start_offset_degC):
                start = table["ambient_degC"].to_numpy(dtype=float) + self.start_offset_degC
            else:
                raise ConfigError("start_temperature_degC is not given: profiles start from it. Give it, in degC.")
        ambient = (
            table["ambient_degC"].to_numpy(dtype=float) if "ambient_degC" in table else np.full(len(table), np.nan)
        )
        return base(self.signals, self.points, start, ambient, of_row, self.options.start_decay_s)

    def axis(self) -> tuple[str, np.ndarray]:
        """Name and values (P,) of what profiles are drawn over: seconds, or the fraction of their duration."""
        if self.step_s is None:
            return "fraction of duration", np.linspace(0.0, 1.0, self.points)
        return "time_s", np.arange(self.points) * self.step_s

    def scales(self) -> dict[str, Any]:
        """The fields of `batgen.models.base.ProfileScales`."""
        return {
            "centre": tuple(self.centre.tolist()),
            "scale": tuple(self.scale.tolist()),
            "step_s": self.step_s,
            "nominal_capacity_Ah": self.nominal_capacity_Ah,
            "relative": self.relative,
            "part": self.part,
        }

    def state(self) -> dict[str, Any]:
        """Plain containers: what a checkpoint needs beside the config."""
        return {
            "version": self.VERSION,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "constant": list(self.constant),
            "nominal_capacity_Ah": self.nominal_capacity_Ah,
            "start_offset_degC": self.start_offset_degC,
            "references": {cell: one.state() for cell, one in self.references.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        self.centre, self.scale = np.array(state["centre"]), np.array(state["scale"])
        self.constant = list(state["constant"])
        self.nominal_capacity_Ah = float(state["nominal_capacity_Ah"])
        self.start_offset_degC = float(state["start_offset_degC"])
        self.references = {cell: Reference.from_state(one) for cell, one in state["references"].items()}
