"""From generated and measured profiles of one method and test set to rows of metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from batgen.data.profile_set import Drawn
from batgen.evaluation.conditional import crps
from batgen.evaluation.distances import (
    energy_distance,
    energy_distance_interval,
    energy_score,
    marginal_distance,
    profile_vector,
    spectral_distance,
)
from batgen.evaluation.diversity import spread_and_skill, variance_ratio
from batgen.evaluation.failures import flat_share, nearest_pair_ratio, real_nearest_pair, repeat_share
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.profile_features import profile_features
from batgen.evaluation.reconstruction import mean_by_signal
from batgen.evaluation.rows import metric_rows

#: Draws of each row that distances of whole sets are averaged over.
_SETS = 4


@dataclass(frozen=True)
class Truth:
    """Measured profiles of the test rows: curves (N, S, P) in physical units, duration_s (N,), and what they are compared by.

    cells (N,) and group (N,), cell and protocol; scale (S,) and log_scale of the training rows, by which distances are made
    comparable; train (M, S, P) training curves; after_s: when a peak begins to count; neighbour, a measured profile of a
    training cell for each row, curves (N, S, P) and duration_s (N,): what a generator can hardly be nearer than.
    """

    curves: np.ndarray
    duration_s: np.ndarray
    mask: np.ndarray
    time_s: np.ndarray
    signals: tuple[str, ...]
    cells: np.ndarray
    group: np.ndarray
    scale: np.ndarray
    log_scale: float
    train: np.ndarray
    after_s: float
    neighbour: Drawn

    def take(self, rows: np.ndarray) -> "Truth":
        near = Drawn(self.neighbour.curves[rows], self.neighbour.duration_s[rows], self.signals, self.neighbour.step_s)
        return Truth(
            self.curves[rows], self.duration_s[rows], self.mask[rows], self.time_s[rows], self.signals, self.cells[rows],
            self.group[rows], self.scale, self.log_scale, self.train, self.after_s, near,
        )  # fmt: skip

    def vectors(self, curves: np.ndarray, duration_s: np.ndarray) -> np.ndarray:
        """Profiles as vectors whose distances mean something, see `profile_vector`."""
        return profile_vector(curves, duration_s, self.scale, self.log_scale)

    def features(self) -> dict[str, np.ndarray]:
        """Of the measured profiles; without a temperature the duration alone."""
        return features(self.curves, self.duration_s, self.mask, self.time_s, self.signals, self.after_s)


def features(
    curves: np.ndarray,
    duration_s: np.ndarray,
    mask: np.ndarray,
    time_s: np.ndarray,
    signals: tuple[str, ...],
    after_s: float,
) -> dict[str, np.ndarray]:
    """Peak, its time, rise, end and duration of profiles (..., S, P); the duration alone where no temperature is among them."""
    if "temperature_degC" not in signals:
        return {"duration_s": np.asarray(duration_s, dtype=float)}
    return profile_features(curves[..., signals.index("temperature_degC"), :], duration_s, mask, time_s, after_s)


def is_one_line(drawn: Drawn) -> bool:
    """Whether all draws of a condition are the same."""
    return len(drawn.curves) == 1 or bool(np.ptp(drawn.curves[:, :8], axis=0).max(initial=0.0) < 1e-6)


def profile_rows(truth: Truth, drawn: Drawn, context: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Every metric of draws (K, N, S, P) for the N test rows. Errors are means over cells of each cell's mean, with a 95 %
    bootstrap interval over cells; `floor` is what a measured profile of a training cell of the same protocol scores."""
    # a model that draws one line has collapsed: its rows have to say so
    one = is_one_line(drawn) and context.get("role") != "model"
    if one:
        drawn = Drawn(drawn.curves[:1], drawn.duration_s[:1], drawn.signals, drawn.step_s)
    near = truth.neighbour
    rows: list[dict[str, Any]] = []
    measured = truth.features()
    made = features(drawn.curves, drawn.duration_s, drawn.mask, drawn.time_s, truth.signals, truth.after_s)
    beside = features(near.curves, near.duration_s, near.mask, near.time_s, truth.signals, truth.after_s)
    broken = ~(np.isfinite(drawn.curves).all((0, 2, 3)) & np.isfinite(drawn.duration_s).all(0))
    for name, true in measured.items():
        error, floor = _error(made[name], true, broken), np.abs(beside[name] - true)
        rows += _mean_rows("MAE", {name: error}, {name: floor}, truth, context, seed)
    real = np.where(truth.mask[:, None], truth.curves, np.nan)
    missing = np.isnan(real)
    squares = mean_by_signal(np.square(drawn.curves.mean(0, dtype=np.float64) - real), missing, truth.signals)
    other = mean_by_signal(np.square(near.curves - real), missing, truth.signals)
    rows += _mean_rows("RMSE", squares, other, truth, context, seed, root=True)
    scored = crps(real, drawn.curves, truth.signals)
    rows += _mean_rows("CRPS", scored, crps(real, near.curves[None], truth.signals), truth, context, seed)
    if not one:
        ratio = variance_ratio(*spread_and_skill(real, drawn.curves, truth.signals), len(drawn.curves))
        rows += metric_rows("variance_ratio", ratio, {**context, "n": len(real), "floor": None})
    return rows + _set_rows(truth, drawn, context, seed, one)


def _error(made: np.ndarray, true: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """(N,) |mean of the draws (K, N) - true|, over the draws that last until a peak counts. Infinite where none does though the
    measured profile does, and for `broken` rows, which have a draw that is not finite: left out, they would flatter."""
    known = ~np.isnan(made)
    mean = np.where(known, made, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    error = np.where(known.any(0) & ~broken, np.abs(mean - true), np.inf)
    error[np.isnan(true)] = np.nan
    return error


def _set_rows(truth: Truth, drawn: Drawn, context: Mapping[str, Any], seed: int, one: bool) -> list[dict[str, Any]]:
    """Metrics of whole sets of profiles."""
    real, made = truth.vectors(truth.curves, truth.duration_s), truth.vectors(drawn.curves, drawn.duration_s)
    near = truth.vectors(truth.neighbour.curves, truth.neighbour.duration_s)
    base = {**context, "n": len(real), "floor": None}
    sets = range(min(_SETS, len(made)))
    rows = []
    if len(real) > 1:
        distance = float(np.mean([energy_distance(real, made[k]) for k in sets]))
        ends = energy_distance_interval(real, made[0], truth.cells, truth.cells, seed, n=200)
        floor = {**base, "floor": energy_distance(real, near)}
        rows += metric_rows("energy_distance", {"profile": distance}, floor, {"profile": ends})
        for metric, distance_of in (("marginal_distance", marginal_distance), ("spectral_distance", spectral_distance)):
            found = [distance_of(truth.curves, drawn.curves[k], truth.signals) for k in sets]
            floors = distance_of(truth.curves, truth.neighbour.curves, truth.signals)
            for name in truth.signals:
                mean = float(np.mean([f[name] for f in found]))
                rows += metric_rows(metric, {name: mean}, {**base, "floor": floors[name]})
    score, beside = energy_score(real, made), energy_score(real, near[None])
    rows += _mean_rows("energy_score", {"profile": score}, {"profile": beside}, truth, context, seed)
    flat = flat_share(drawn.curves, truth.train)
    rows += metric_rows("flat_share", {"profile": flat}, {**base, "floor": flat_share(truth.curves, truth.train)})
    if not one:
        usual = real_nearest_pair(real, truth.group)
        if np.isfinite(usual) and usual > 0:
            rows += metric_rows("nearest_pair_ratio", {"profile": nearest_pair_ratio(made, real, truth.group)}, base)
            rows += metric_rows("repeat_share", {"profile": repeat_share(made, usual)}, base)
    return rows


def _mean_rows(
    metric: str,
    values: Mapping[str, np.ndarray],
    floors: Mapping[str, np.ndarray],
    truth: Truth,
    context: Mapping[str, Any],
    seed: int,
    root: bool = False,
) -> list[dict[str, Any]]:
    """Rows of the mean over cells of each cell's mean of values (N,) a signal; `root` of all of it, for squared errors."""
    rows = []
    finish = np.sqrt if root else np.asarray
    for name, value in values.items():
        cells, means = cell_means(value, truth.cells)
        with np.errstate(invalid="ignore"):  # where an error is infinite
            ends = bootstrap_over_cells(means, cells, seed)
        floor = float(finish(np.nanmean(cell_means(floors[name], truth.cells)[1])))
        about = {**context, "n": int(np.isfinite(value).sum()), "floor": floor}
        low, high = (float(finish(end)) for end in ends)
        rows += metric_rows(metric, {name: float(finish(np.nanmean(means)))}, about, {name: (low, high)})
    return rows


def cell_means(values: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names (C,) of the cells, and the mean of each one's values, NaN left out."""
    names = np.unique(cells)
    means = [np.nanmean(v) if not np.isnan(v := values[cells == name]).all() else np.nan for name in names]
    return names, np.array(means)
