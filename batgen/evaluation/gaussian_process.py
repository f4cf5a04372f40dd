"""Gaussian process regression for a few hundred to a few thousand rows, with groups of inputs and weighted rows.

`batgen.evaluation.utility.gaussian_process` makes an estimator of SOH of it, and says which inputs and which groups.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky
from scipy.optimize import minimize

#: Rows that the hyperparameters are fitted on, and rows that the function itself is conditioned on; more are thinned out
#: by the seed. A likelihood costs n^3 and some 30 are needed; 3000 rows take about a second on one core.
FIT_ROWS, MOST_ROWS = 600, 3000
#: Start (and centre of a weak prior, a factor e^3 at one standard deviation) of length scales, variance of the function
#: and variance of the noise, where inputs and SOH are standardised.
START_LENGTH, START_VARIANCE, START_NOISE = 10.0, 30.0, 0.01
_PRIOR_SD = 3.0
_JITTER = 1e-6
_BOUNDS = (-14.0, 10.0)


def squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a_i - b_j|^2 of rows (N, F) and (M, F): (N, M), never negative."""
    cross = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    return np.maximum(cross, 0.0)


def log_posterior(theta: np.ndarray, distances: Sequence[np.ndarray], target: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log marginal likelihood plus prior of the hyperparameters, and its gradient.

    theta: logarithms of one length scale for each of `distances` ((N, N) squared, one a group of inputs), of the
    function's variance and of the noise variance. Source: Rasmussen & Williams 2006, equations 5.8 and 5.9.
    """
    rows = len(target)
    lengths, variance, noise = theta[:-2], np.exp(theta[-2]), np.exp(theta[-1])
    scaled = [d * np.exp(-2.0 * length) for d, length in zip(distances, lengths, strict=True)]
    smooth = variance * np.exp(-0.5 * np.sum(scaled, axis=0))
    factor = cho_factor(smooth + (noise + _JITTER) * np.eye(rows), lower=True)
    weights = cho_solve(factor, target)
    gap = cho_solve(factor, np.eye(rows)) - np.outer(weights, weights)
    gap_smooth = gap * smooth
    off = (theta - _start(len(lengths))) / _PRIOR_SD**2
    value = 0.5 * target @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * _PRIOR_SD**2 * (off**2).sum()
    slopes = [0.5 * (gap_smooth * d).sum() for d in scaled]
    return value, np.array([*slopes, 0.5 * gap_smooth.sum(), 0.5 * noise * np.trace(gap)]) + off


def _start(groups: int) -> np.ndarray:
    return np.log([START_LENGTH] * groups + [START_VARIANCE, START_NOISE])


def fit_predict(
    inputs: np.ndarray,
    target: np.ndarray,
    test_inputs: np.ndarray,
    groups: Sequence[np.ndarray],
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Predictions (M,) of a Gaussian process with one Gaussian kernel over all inputs, in the unit of `target` (N,).

    Each group of columns of `inputs` (N, F) and `test_inputs` (M, F) has a length scale of its own. Length scales,
    variance and noise maximise the marginal likelihood of the training rows (of `FIT_ROWS` of them, drawn by the seed,
    where there are more; the function then takes up to `MOST_ROWS`). `weights` (N,) > 0 divide the noise variance of a
    row: 0.5 for one that counts half, as generated rows may. Inputs come standardised. Raises ValueError for a weight
    that is not above 0.
    """
    if weights is not None and not (np.asarray(weights) > 0).all():
        raise ValueError("weights must be above 0; leave a row out rather than giving it none")
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(target))[:MOST_ROWS])
    inputs, target = inputs[kept], target[kept]
    share = np.ones(len(kept)) if weights is None else np.asarray(weights, dtype=np.float64)[kept]
    centre, spread = target.mean(), target.std()
    if spread == 0.0:
        return np.full(len(test_inputs), centre)
    scaled = (target - centre) / spread
    # Of weighted rows the heavy ones tell more about the hyperparameters, so they are the likelier draw.
    fitted = np.sort(rng.choice(len(kept), min(FIT_ROWS, len(kept)), replace=False, p=share / share.sum()))
    parts = [squared_distance(inputs[fitted][:, g], inputs[fitted][:, g]) for g in groups]
    found = minimize(
        log_posterior,
        _start(len(groups)),
        args=(parts, scaled[fitted]),
        jac=True,
        method="L-BFGS-B",
        bounds=[_BOUNDS] * (len(groups) + 2),
        options={"maxiter": 60},
    ).x
    scale = np.ones(inputs.shape[1])
    for columns, length in zip(groups, found[:-2], strict=True):
        scale[columns] = np.exp(-length)
    variance, noise = np.exp(found[-2:])
    kernel = variance * np.exp(-0.5 * squared_distance(inputs * scale, inputs * scale))
    factor = cholesky(kernel + np.diag(noise / share + _JITTER), lower=True)
    coefficients = cho_solve((factor, True), scaled)
    cross = variance * np.exp(-0.5 * squared_distance(test_inputs * scale, inputs * scale))
    return centre + spread * (cross @ coefficients)
