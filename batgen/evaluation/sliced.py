"""Sliced Wasserstein distance of whole curves: transport along many random directions."""

import numpy as np

from batgen.evaluation.pair_sums import check_sets
from batgen.evaluation.score_rows import jackknife

PROJECTIONS = 128


def projected(rows: np.ndarray, seed: int, count: int = PROJECTIONS) -> np.ndarray:
    """Rows (N, D) along `count` random directions, (N, count): the same directions for one D and seed."""
    from ot.sliced import get_random_projections  # type: ignore[import-untyped]  # slow: looks for all array libraries

    values: np.ndarray = rows @ get_random_projections(rows.shape[1], count, seed)
    return values


def sliced_wasserstein(real: np.ndarray, generated: np.ndarray, seed: int, count: int = PROJECTIONS) -> float:
    """sqrt(D x mean over directions u of W2^2(u . X, u . Y)) of real (N, D) and generated (M, D), lower is better.

    W2 is the Wasserstein-2 distance of the rows along a direction. Unit of the inputs: one direction sees 1/D of a squared
    length on average, and the factor D makes up for it, so that a shift of all rows by a vector of length s scores s. `count`
    directions, uniform on the sphere, fixed by `seed`. Positive for finite sets of one law, by about 1 / sqrt(N): read it
    beside its floor at the same number of rows. Source: Rabin et al. 2011, Bonneel et al. 2015; by the library POT. Infinite
    where a generated row is not finite. Raises ValueError for shapes that do not fit or no rows.
    """
    check_sets(real, generated)
    if not (len(real) and len(generated)):
        raise ValueError("need one row or more on each side")
    if not np.isfinite(generated).all():
        return float("inf")
    return _distance(projected(real, seed, count), projected(generated, seed, count), real.shape[1])


def sliced_wasserstein_interval(
    real: np.ndarray,
    generated: np.ndarray,
    cells_real: np.ndarray,
    cells_generated: np.ndarray,
    seed: int,
    count: int = PROJECTIONS,
) -> tuple[float, float]:
    """95 % interval of `sliced_wasserstein` by leaving out cells (`jackknife`); (NaN, NaN) with fewer than two cells."""
    check_sets(real, generated)
    if not np.isfinite(generated).all():
        return float("inf"), float("inf")
    x, y, size = projected(real, seed, count), projected(generated, seed, count), real.shape[1]
    low, high = jackknife(lambda a, b: _distance(x[a], y[b], size), _distance(x, y, size), cells_real, cells_generated)
    return max(0.0, low) if np.isfinite(low) else low, high


def _distance(x: np.ndarray, y: np.ndarray, size: int) -> float:
    """From rows along the directions, (N, count) and (M, count), of vectors of length `size`."""
    from ot import wasserstein_1d  # type: ignore[import-untyped]

    return float(np.sqrt(size * np.mean(wasserstein_1d(x, y, p=2))))
