"""Intervals that respect that cycles of one cell are no independent samples."""

import numpy as np


def bootstrap_over_cells(
    values_per_sample: np.ndarray, cells: np.ndarray, seed: int, n: int = 1000
) -> tuple[float, float]:
    """95 % percentile interval of the mean of `values_per_sample` (N,), resampling whole cells `n` times.

    `cells` (N,) names the cell of each sample (numbers or strings). Each resample draws as many cells as there are,
    with replacement, and takes the mean over all their samples (the cluster bootstrap; Davison & Hinkley 1997). Unit
    of the values; for an RMSE take the square root of both ends of the interval of squared errors.
    Samples whose value is NaN are left out. Cells are resampled, not the training of the model: the spread over seeds
    comes on top. (NaN, NaN) with fewer than two cells, where there is nothing to resample.
    """
    values = np.asarray(values_per_sample, dtype=np.float64)
    cells = np.asarray(cells)
    if values.shape != cells.shape or values.ndim != 1:
        raise ValueError(f"need one cell per value, got {values.shape} and {cells.shape}")
    known = ~np.isnan(values)
    _, index = np.unique(cells[known], return_inverse=True)
    sizes = np.bincount(index)
    if len(sizes) < 2:
        return float("nan"), float("nan")
    sums = np.bincount(index, weights=values[known])
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(sizes), np.full(len(sizes), 1.0 / len(sizes)), size=n)
    means = (counts @ sums) / (counts @ sizes)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
