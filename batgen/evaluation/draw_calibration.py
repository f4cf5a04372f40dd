"""Calibration of draws: is the measured curve like one more of them? The rows of the family "calibration".

Everything rests on the rank of the measured value among the K draws of its condition, which is uniform for any K if it
is one more draw. Quantiles estimated from few draws are not: the plain 10-90 % range of 20 exact draws holds 72 %.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from batgen.evaluation.calibration import area_to_diagonal
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import of_other_cells
from batgen.evaluation.reconstruction import mean_by_signal
from batgen.evaluation.score_rows import jackknife, of_set, per_row

#: Fewer draws than this say too little about their tails.
LEAST_DRAWS = 8
LEVELS = np.linspace(0.0, 1.0, 21)
#: Measured neighbours that stand in for draws in the floor, at most.
_NEIGHBOURS = 20
_CHUNK_ROWS = 64


def pit_of_draws(real: np.ndarray, draws: np.ndarray, seed: int) -> np.ndarray:
    """Randomised probability integral transform of each measured value: real (...), draws (K, ...) -> (...) in 0..1.

    (r + u) / (K + 1), with r the number of draws below the value, equal ones counted or not at random, and u uniform on
    0..1: uniform if the value is one more draw, for any K, at values where all draws agree (a constant current) too. NaN
    where `real` is; 0 where a draw is not finite, a failure of the generator that no rank describes. Source: Dawid 1984;
    randomised as by Smith 1985 and Czado, Gneiting & Held 2009. Raises ValueError for shapes that do not match.
    """
    if draws.shape[1:] != real.shape or not len(draws):
        raise ValueError(f"need real (...) and draws (K, ...), got {real.shape} and {draws.shape}")
    below, equal = np.zeros(real.shape, dtype=np.int32), np.zeros(real.shape, dtype=np.int32)
    failed = np.zeros(real.shape, dtype=bool)
    for draw in draws:
        below += draw < real
        equal += draw == real
        failed |= ~np.isfinite(draw)
    rng = np.random.default_rng(seed)
    rank = below + rng.integers(0, equal + 1) + rng.random(real.shape)
    pit: np.ndarray = np.where(failed, 0.0, rank / (len(draws) + 1))
    return np.where(np.isnan(real), np.nan, pit)


def shares_below(pit: np.ndarray) -> np.ndarray:
    """Share of the known points of each row of `pit` (N, P) at or below each of LEVELS: (N, 21); NaN without points."""
    known = ~np.isnan(pit)
    counts = np.stack([(pit <= level).sum(axis=1) for level in LEVELS], axis=1)
    total = known.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def calibration_curve(real: np.ndarray, draws: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Expected (21,) and observed (21,) proportions of measured values at or below the quantile of each level.

    real (N, P), draws (K, N, P) of one signal. The diagonal is right; an S that is flat in the middle is a spread too
    narrow, steep in the middle too wide; a curve on one side is a bias. Every row counts the same; observed is NaN
    without any. Source: Kuleshov et al. 2018, on ranks.
    """
    return LEVELS, _observed(shares_below(pit_of_draws(real, draws, seed)))


def _observed(shares: np.ndarray) -> np.ndarray:
    known = shares[~np.isnan(shares).any(axis=1)]
    observed: np.ndarray = known.mean(axis=0) if len(known) else np.full(len(LEVELS), np.nan)
    return observed


def area(shares: np.ndarray) -> float:
    """Miscalibration area of rows of `shares_below` (N, 21): integral of |observed - level|; 0 is best, 0.5 the worst.

    Points are pooled over rows and along the curve: too narrow here and too wide there can cancel, as can a bias that
    changes its sign. Source: Chung et al. 2021.
    """
    return area_to_diagonal(LEVELS, _observed(shares))


def _area_of(shares: np.ndarray, rows: np.ndarray, same: np.ndarray) -> float:
    """`area` of these rows, in the form that `jackknife` takes; both of its sides are the same rows here."""
    return area(shares[rows])


def interval_width(draws: np.ndarray) -> np.ndarray:
    """Width of the 10-90 % interval of draws (K, ...) at each point (...), in their unit; infinite where one is not finite.

    Ends at the ranks 0.1 (K + 1) and 0.9 (K + 1), linear between neighbours (Weibull's positions), which hold 80 % on
    average from 9 draws on; with 8, their whole range.
    """
    ordered = np.sort(draws, axis=0)
    ends = []
    for level in (0.1, 0.9):
        rank = min(max(level * (len(draws) + 1), 1.0), float(len(draws))) - 1
        under = int(rank)
        upper = min(under + 1, len(draws) - 1)
        ends.append(ordered[under] + (rank - under) * (ordered[upper] - ordered[under]))
    width: np.ndarray = np.where(np.isfinite(draws).all(axis=0), ends[1] - ends[0], np.inf)
    return width


def _scores(real: np.ndarray, draws: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage (N,), shares (N, 21) and width (N,) of one signal: real (N, P), draws (K, N, P)."""
    pit = pit_of_draws(real, draws, seed)
    missing = np.isnan(real)[:, None]
    inside = mean_by_signal(((pit >= 0.1) & (pit <= 0.9)).astype(float)[:, None], missing, ("x",))["x"]
    width = np.empty(real.shape)
    for start in range(0, len(real), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        width[rows] = interval_width(draws[:, rows])
    return inside, shares_below(pit), mean_by_signal(width[:, None], missing, ("x",))["x"]


def calibration_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per signal: coverage_80, the share of measured points with a rank in 10-90 % of the draws (0.8 is right);
    miscalibration_area; sharpness, the mean width of the 80 % interval (lower is better among calibrated ones).

    From 8 draws or more that differ. Interval: over cells. Floor: as many measured training curves, at most 20, each of
    another cell and near in condition, in place of the draws; None where there are fewer than 8 such cells.
    """
    draws, real = comparison.draws, comparison.real
    if draws is None or len(draws) < LEAST_DRAWS or comparison.one_line or not len(real):
        return []
    about = {**context, "family": "calibration"}
    stand_ins = _stand_ins(comparison, min(len(draws), _NEIGHBOURS), seed)
    rows = []
    for index, name in enumerate(comparison.signals):
        measured = real.values[:, index]
        known = ~np.isnan(measured).all(axis=1)
        if not known.any():
            continue
        measured, cells = measured[known], real.cells[known]
        inside, shares, width = _scores(measured, draws[:, known, index], seed)
        floors: dict[str, Any] = {}
        if stand_ins is not None and comparison.train is not None:
            near = comparison.train.values[:, index][stand_ins[:, known]]
            # Where a neighbour was not measured there is nothing to compare; a NaN draw would count as a failure.
            shared = np.where(np.isnan(near).any(axis=0), np.nan, measured)
            floors = dict(zip(("inside", "shares", "width"), _scores(shared, near, seed), strict=True))
        found = area(shares)
        low, high = jackknife(partial(_area_of, shares), found, cells, cells)
        floor = area(floors["shares"]) if floors else None
        rows += per_row("coverage_80", {name: inside}, {name: floors["inside"]} if floors else None, cells, seed, about)
        rows += of_set("miscalibration_area", name, found, (max(low, 0.0), high), floor, len(cells), about)
        rows += per_row("sharpness", {name: width}, {name: floors["width"]} if floors else None, cells, seed, about)
    return rows


def _stand_ins(comparison: Comparison, count: int, seed: int) -> np.ndarray | None:
    """Row numbers (k, N) of training curves of k different cells, 8 <= k <= count, for each row of `real`; else None."""
    if comparison.train is None or not len(comparison.train):
        return None
    cells = np.unique(comparison.train.cells)
    # A split may train on the tested cells, each of which then has one other cell less.
    count = min(count, len(cells) - int(bool(np.isin(cells, comparison.real.cells).any())))
    if count < LEAST_DRAWS:
        return None
    return of_other_cells(comparison.real, comparison.train, comparison.told, count, seed)
