"""Failure cases of generators, counted: flat curves, repeats, collapsed or scattered draws, values that cannot be."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.distance import cdist

#: A profile is flat below this share of the range that 99 % of the training profiles exceed.
FLAT = 0.5
#: A draw repeats another one that is closer than this share of the usual distance between like measured profiles.
REPEAT = 0.01
#: Rows a set from which nearest pairs are taken, at most: the nearest of many is nearer than the nearest of few.
SET_SIZE = 10


def flat_share(curves: np.ndarray, train: np.ndarray) -> float:
    """Share of the profiles of `curves` (..., S, P) in which some signal is flat; a fraction, 0 is best.

    Flat: its range (max - min over the points) is below FLAT times the 1 % quantile of the ranges of that signal in the
    training profiles `train` (N, S, P), in the same units. A signal that the training data hold constant (the current of
    a constant-current record) has a limit near 0 and is hardly ever flat. Source: ours (issue 5). Raises ValueError for
    shapes that differ or no profiles at all.
    """
    if train.ndim != 3 or curves.ndim < 2 or curves.shape[-2] != train.shape[1] or not len(train) or not curves.size:
        raise ValueError(f"need curves (..., S, P) and training profiles (N, S, P): {curves.shape}, {train.shape}")
    limit = FLAT * np.quantile(np.ptp(train.astype(np.float64), axis=-1), 0.01, axis=0)
    return float((np.ptp(curves, axis=-1) < limit).any(axis=-1).mean())


def out_of_range_share(
    curves: np.ndarray, slices: Sequence[str], limits: Mapping[str, tuple[float, float]], mask: np.ndarray | None = None
) -> float:
    """Share of the profiles of `curves` (..., S, P) with a point outside the limits, or NaN or infinite; 0 is best.

    `limits`: signal -> (low, high) in its unit, ends allowed; signals without are only checked to be finite. `mask`
    (..., P): points that count, all if None. Source: ours (issue 5). Raises ValueError where shapes differ.
    """
    if curves.ndim < 2 or curves.shape[-2] != len(slices) or not curves.size:
        raise ValueError(f"need curves (..., {len(slices)}, P), got {curves.shape}")
    low, high = (np.array([limits.get(s, (-np.inf, np.inf))[end] for s in slices])[:, None] for end in (0, 1))
    bad = ~np.isfinite(curves) | (curves < low) | (curves > high)
    if mask is not None:
        bad &= mask[..., None, :]
    return float(bad.any(axis=(-2, -1)).mean())


def nearest_pairs(rows: np.ndarray) -> np.ndarray:
    """Distance of each row of (n, D) to the nearest other one: (n,), Euclidean, unit of the inputs; n of 2 or more."""
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"need two rows or more, got {rows.shape}")
    distance = cdist(rows, rows)
    np.fill_diagonal(distance, np.inf)
    nearest: np.ndarray = distance.min(axis=1)
    return nearest


def real_nearest_pair(real: np.ndarray, groups: np.ndarray, size: int = SET_SIZE) -> float:
    """Median nearest-pair distance in sets of `size` neighbouring measured rows of one group; unit of the inputs.

    `real` (N, D) as from `profile_vector`, in order of cycles; `groups` (N,) names cell and protocol of each row. A set is
    `size` rows of a group that follow one another: as like in condition as measured rows get, so that ageing does not
    pass for scatter. NaN where no group has `size` rows.
    """
    if real.ndim != 2 or np.shape(groups) != (len(real),) or size < 2:
        raise ValueError(f"need rows (N, D), one group each, and sets of 2 or more: {real.shape}, {np.shape(groups)}")
    labels = np.asarray(groups)
    found = [_in_sets(real[labels == label], size) for label in np.unique(labels)]
    every = np.concatenate([f for f in found if len(f)] or [np.array([np.nan])])
    return float(np.median(every))


def nearest_pair_ratio(draws: np.ndarray, real: np.ndarray, groups: np.ndarray) -> float:
    """Median nearest-pair distance among draws of one condition over that among like measured rows; 1 is right.

    `draws` (K, N, D): K draws for each of N conditions; `real` and `groups` as in `real_nearest_pair`. Near 0 the draws
    are copies of one another (mode collapse), far above 1 they scatter. Both sides come from sets of the same size, at
    most SET_SIZE, since the nearest of many is nearer. Measured neighbours differ a little in condition, so that exact
    draws may score slightly below 1. Source: ours (issue 5). NaN where no group has as many rows as a set. Raises
    ValueError with fewer than two draws.
    """
    if draws.ndim != 3 or len(draws) < 2:
        raise ValueError(f"need two draws or more of each condition, (K, N, D), got {draws.shape}")
    largest = int(np.unique(np.asarray(groups), return_counts=True)[1].max()) if len(groups) else 0
    size = min(SET_SIZE, len(draws), largest)
    usual = real_nearest_pair(real, groups, size) if size >= 2 else float("nan")
    made = np.concatenate([_in_sets(draws[:, row], size) for row in range(draws.shape[1])]) if size >= 2 else [np.nan]
    return float(np.median(made) / usual) if usual > 0 else float("nan")


def repeat_share(draws: np.ndarray, usual: float) -> float:
    """Share of `draws` (K, N, D) that repeat another draw of their condition; a fraction, 0 is best.

    A repeat is closer to another draw than REPEAT times `usual`, the distance `real_nearest_pair` of the measured rows
    in the same inputs. A mean curve, drawn K times, scores 1. Source: ours (issue 5). Raises ValueError with fewer than
    two draws and for a `usual` that is no positive number.
    """
    if draws.ndim != 3 or len(draws) < 2:
        raise ValueError(f"need two draws or more of each condition, (K, N, D), got {draws.shape}")
    if not (np.isfinite(usual) and usual > 0):
        raise ValueError(f"the usual distance of measured pairs must be above 0, got {usual}")
    return float(np.mean([nearest_pairs(draws[:, row]) < REPEAT * usual for row in range(draws.shape[1])]))


def _in_sets(rows: np.ndarray, size: int) -> np.ndarray:
    """Nearest-pair distances within each whole set of `size` rows that follow one another; empty if there is none."""
    count = len(rows) // size
    sets = rows[: count * size].reshape(count, size, rows.shape[1])
    return np.concatenate([nearest_pairs(one) for one in sets]) if count else np.empty(0)
