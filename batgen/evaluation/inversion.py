"""SOH from pulse voltages by Bayes' rule: a generator's Gaussian p(U | SOC, SOH), turned round on a grid of SOH.

Plain functions on float64 arrays. F voltages a row, G grid points of SOH (a fraction, evenly spaced), S of SOC. A grid
point stands for the cell of the grid around it, so posteriors are masses that sum to 1.
"""

import numpy as np
from scipy.linalg import solve_triangular

#: What a prior gives SOHs outside its range, relative to those inside: next to nothing, yet no hard wall.
OUTSIDE = 1e-12


def posterior(volts: np.ndarray, mean: np.ndarray, cov: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Posterior masses over the grid for each row: (N, G), rows sum to 1.

    p(g | u) is proportional to prior(g) N(u; mean(g), cov(g)), in logarithms throughout (Cholesky, log-sum-exp), so
    that rows far from every grid point keep their digits.

    Args:
        volts: (N, F) in V; several SOCs are several calls.
        mean, cov: (G, F) in V and (G, F, F) in V^2, the generator's at each grid point.
        prior: (G,) not negative, need not be normalised.

    Raises ValueError for other shapes, NaN or infinity, a negative or empty prior, and a covariance that is not
    symmetric and positive definite (naming its grid point).
    """
    volts, mean, cov, prior = (np.asarray(a, dtype=np.float64) for a in (volts, mean, cov, prior))
    if volts.ndim != 2 or mean.ndim != 2 or mean.shape[1] != volts.shape[1]:
        raise ValueError(f"need volts (N, F) and mean (G, F), got {volts.shape} and {mean.shape}")
    points, features = mean.shape
    if cov.shape != (points, features, features) or prior.shape != (points,):
        raise ValueError(f"mean {mean.shape} needs cov (G, F, F) and prior (G,), got {cov.shape} and {prior.shape}")
    if not all(np.isfinite(a).all() for a in (volts, mean, cov, prior)):
        raise ValueError("volts, mean, cov and prior must be finite")
    if (prior < 0).any() or prior.sum() <= 0:
        raise ValueError("the prior must not be negative anywhere and needs some mass")
    with np.errstate(divide="ignore"):
        log_mass = np.tile(np.log(prior), (len(volts), 1))
    for g in range(points):
        factor = _cholesky(cov[g], g)
        white = solve_triangular(factor, (volts - mean[g]).T, lower=True)
        log_mass[:, g] -= 0.5 * (white**2).sum(axis=0) + np.log(np.diag(factor)).sum()
    log_mass -= log_mass.max(axis=1, keepdims=True)
    mass = np.exp(log_mass)
    return mass / mass.sum(axis=1, keepdims=True)


def _cholesky(cov: np.ndarray, point: int) -> np.ndarray:
    """Lower factor of one covariance (F, F); ValueError that names the grid point where there is none."""
    if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * np.abs(cov).max()):
        raise ValueError(f"the covariance at grid point {point} is not symmetric")
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError as error:
        smallest = np.linalg.eigvalsh(cov)[0]
        raise ValueError(
            f"the covariance at grid point {point} is not positive definite (smallest eigenvalue {smallest:.3g} V^2); "
            "add the noise of the measurement to its diagonal"
        ) from error


def marginal(volts: np.ndarray, mean: np.ndarray, cov: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Posterior masses over SOH where SOC is not known: (N, G), summed over the S SOCs.

    As `posterior`, with stacked grids: mean (S, G, F), cov (S, G, F, F) and the joint prior (S, G) of SOC and SOH.
    """
    mean, cov, prior = (np.asarray(a, dtype=np.float64) for a in (mean, cov, prior))
    if mean.ndim != 3 or prior.shape != mean.shape[:2] or cov.shape != (*mean.shape, mean.shape[2]):
        raise ValueError(
            f"need mean (S, G, F), cov (S, G, F, F), prior (S, G): {mean.shape}, {cov.shape}, {prior.shape}"
        )
    socs, points, features = mean.shape
    flat = posterior(volts, mean.reshape(-1, features), cov.reshape(-1, features, features), prior.reshape(-1))
    return flat.reshape(len(flat), socs, points).sum(axis=1)


def posterior_summary(
    masses: np.ndarray, grid: np.ndarray, level: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and equal-tailed interval of posteriors (N, G) on an evenly spaced grid (G,): mean, low, high, each (N,).

    The mass of a grid point is spread evenly over its cell (half a step to either side) and the quantiles
    (1 -+ level) / 2 are read off that distribution, so ends are not rounded to grid points; they may lie half a step
    beyond the grid. The grid must resolve the posterior: with a standard deviation of one step the interval is 4 % too
    wide, of two steps 1 %. Raises ValueError for other shapes, an uneven grid and a level outside (0, 1).
    """
    masses, grid = np.asarray(masses, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    step = _step(grid)
    if masses.ndim != 2 or masses.shape[1] != len(grid) or not 0 < level < 1:
        raise ValueError(f"need posteriors (N, {len(grid)}) and 0 < level < 1, got {masses.shape} and {level}")
    if (masses < 0).any() or not np.allclose(masses.sum(axis=1), 1.0):
        raise ValueError("each row of a posterior must sum to 1 with no negative mass")
    below = np.cumsum(masses, axis=1)
    return masses @ grid, *(_quantile(masses, below, grid, step, tail) for tail in ((1 - level) / 2, (1 + level) / 2))


def _quantile(masses: np.ndarray, below: np.ndarray, grid: np.ndarray, step: float, tail: float) -> np.ndarray:
    """Where the distribution reaches `tail`; `below` (N, G) is the mass up to the right edge of each cell."""
    cell = np.minimum((below < tail).sum(axis=1), len(grid) - 1)
    rows = np.arange(len(masses))
    share = (tail - (below - masses)[rows, cell]) / masses[rows, cell]
    return grid[cell] + step * (share - 0.5)


def _step(grid: np.ndarray) -> float:
    """Distance of the grid's points; ValueError where they are not evenly spaced and rising."""
    steps = np.diff(grid)
    if grid.ndim != 1 or len(grid) < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6):
        raise ValueError("the grid must have at least two points, rising and evenly spaced")
    return float(steps[0])


def soh_prior(train_soh: np.ndarray, grid: np.ndarray, margin: float = 0.05) -> np.ndarray:
    """Prior over the SOH grid (G,), summing to 1: flat from the lowest to the highest training SOH, `margin` beyond.

    Elsewhere `OUTSIDE` times as much. It knows nothing else of the training SOHs: neither where most of them are nor,
    of course, anything of the test rows. Raises ValueError where the grid has no point in that range.
    """
    train_soh, grid = np.asarray(train_soh, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    if not len(train_soh) or not np.isfinite(train_soh).all():
        raise ValueError("train_soh must have numbers, all of them finite")
    low, high = train_soh.min() - margin, train_soh.max() + margin
    inside = (grid >= low) & (grid <= high)
    if not inside.any():
        raise ValueError(f"no point of the SOH grid lies between {low:.3g} and {high:.3g}, the range of training SOHs")
    prior = np.where(inside, 1.0, OUTSIDE)
    return prior / prior.sum()
