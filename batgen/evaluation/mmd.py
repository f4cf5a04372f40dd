"""Maximum mean discrepancy of whole curves."""

import numpy as np
from scipy.spatial.distance import pdist

from batgen.evaluation.pair_sums import PairValue, check_sets, pair_sums

#: Measured rows from whose pairs the bandwidth is taken, at most.
_ROWS = 1000


def bandwidth(real: np.ndarray) -> float:
    """Median distance of two measured rows (N, D), in the unit of the inputs; 1 where it would be 0.

    Of at most 1,000 rows, evenly spaced. Source: the median rule of Gretton et al. 2012, on the measured side alone: a
    bandwidth that follows the generated rows would grow with their error. Raises ValueError with fewer than two rows.
    """
    if len(real) < 2:
        raise ValueError(f"need two rows or more for a bandwidth, got {len(real)}")
    some = real[np.linspace(0, len(real) - 1, min(len(real), _ROWS)).astype(int)]
    middle = float(np.median(pdist(some)))
    return middle if middle > 0 else 1.0


def unlike(width: float) -> PairValue:
    """1 - k of a distance d, k = exp(-d^2 / (2 width^2)): MMD^2 is the energy distance with this in place of d."""
    return lambda distance: -np.expm1(-np.square(distance) / (2 * width**2))


def mmd(real: np.ndarray, generated: np.ndarray, width: float) -> float:
    """MMD^2 = E k(X, X') + E k(Y, Y') - 2 E k(X, Y) of real (N, D) and generated (M, D); no unit, lower is better.

    Gaussian kernel k of `unlike` with `width` in the unit of the inputs, `bandwidth(real)` as a rule; the square, not its
    root, from 0 to 2. Means over pairs of two different rows (U-statistic): 0 on average for two sets of one law, so that a
    single value may be negative. It sees what happens at distances near the width; `energy_distance` weighs all distances
    alike. Source: Gretton et al. 2012, eq. 3. Infinite where a generated row is not finite. Raises ValueError with fewer
    than two rows on a side and for shapes that do not fit.
    """
    check_sets(real, generated)
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"need two rows or more on each side, got {len(real)} and {len(generated)}")
    if not np.isfinite(generated).all():
        return float("inf")
    return pair_sums(real, generated, of=(unlike(width),))[0].value()


def mmd_interval(
    real: np.ndarray,
    generated: np.ndarray,
    cells_real: np.ndarray,
    cells_generated: np.ndarray,
    width: float,
    seed: int,
    n: int = 1000,
) -> tuple[float, float]:
    """95 % interval of `mmd` over cells, as `PairSums.interval` has it; (NaN, NaN) with fewer than two cells in a set."""
    if not np.isfinite(generated).all():
        return float("inf"), float("inf")
    return pair_sums(real, generated, cells_real, cells_generated, (unlike(width),))[0].interval(seed, n)
