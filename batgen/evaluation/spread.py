"""Whether the mean of the draws moves with the condition as much as measured curves do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batgen.evaluation.reconstruction import check_arrays


@dataclass(frozen=True)
class Between:
    """One signal at the same N conditions: measured curves `real` (N, P), mean of other measured cells there `again` (N, P),
    mean of the draws `mean` (N, P) and what K draws leave of their scatter in it, `scatter` (N,): variance / K, summed over
    the points."""

    real: np.ndarray
    again: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray

    def measured(self, rows: np.ndarray) -> float:
        """B_real of `between_condition_ratio`, from these rows: unit of the signal squared, NaN with fewer than two."""
        return _covariance(self.real[rows], self.again[rows])

    def shared(self) -> float:
        """Correlation of the measured curve with `again` over rows: what share of the scatter the condition explains."""
        size = _covariance(self.real, self.real) * _covariance(self.again, self.again)
        return self.measured(np.arange(len(self.real))) / float(np.sqrt(size)) if size > 0 else float("nan")

    def ratio(self, rows: np.ndarray) -> float:
        """`between_condition_ratio` of these rows."""
        measured = self.measured(rows)
        if not measured > 0:
            return float("nan")
        if not np.isfinite(self.mean[rows]).all():
            return float("inf")
        made = _covariance(self.mean[rows], self.mean[rows]) - float(self.scatter[rows].mean())
        return float(np.sqrt(max(made, 0.0) / measured))


def between_condition_ratio(
    real: np.ndarray, draws: np.ndarray, again: np.ndarray, slices: Sequence[str]
) -> dict[str, float]:
    """Spread between conditions of the conditional mean over that of measured curves: signal -> number; 1 is right.

    real (N, S, P); draws (K, N, S, P), at the conditions of `real`; again (R, N, S, P), measured curves of other cells at
    nearly the same conditions. No unit; 0 is one curve for all conditions (the mean curve), above 1 a generator that
    overstates what the condition does. sqrt(B_made / B_real), each a mean over rows and summed over points:

    B_made = variance over rows of the mean of the draws, less what K draws leave of their own scatter in it, variance / K.
    B_real = covariance over rows of the measured curve and the mean of `again`. What two cells share at one condition is
    what the condition does; the scatter of cells and charges, which the variance of measured curves would hold as well, has
    no covariance. Cells at not quite the same condition leave B_real a little small.

    A single draw counts as a mean. Points that are NaN in `real` or `again` in some row are left out. NaN where no point is
    left or B_real is not above 0: the condition does nothing that could be measured. Infinite for draws that are not
    finite. Source: ours, analysis of variance; the covariance is that of test and retest in reliability theory. Raises
    ValueError for shapes that do not fit.
    """
    return {name: one.ratio(np.arange(len(real))) for name, one in between(real, draws, again, slices).items()}


def between(real: np.ndarray, draws: np.ndarray, again: np.ndarray, slices: Sequence[str]) -> dict[str, Between]:
    """What `between_condition_ratio` needs of each signal, once for all rows: its interval leaves out cells."""
    check_arrays(real, draws[0], slices)
    check_arrays(real, again[0], slices)
    found = {}
    for place, name in enumerate(slices):
        keep = np.isfinite(real[:, place]).all(axis=0) & np.isfinite(again[:, :, place]).all(axis=(0, 1))
        mean = draws[:, :, place].mean(axis=0, dtype=np.float64)[:, keep]
        scatter = np.zeros(len(real))
        for draw in draws if len(draws) > 1 else ():
            scatter += np.square(draw[:, place][:, keep] - mean).sum(axis=1) / (len(draws) - 1) / len(draws)
        other = again[:, :, place].mean(axis=0, dtype=np.float64)[:, keep]
        found[name] = Between(real[:, place][:, keep].astype(np.float64), other, mean, scatter)
    return found


def _covariance(a: np.ndarray, b: np.ndarray) -> float:
    """Covariance over rows of (n, P) and (n, P), summed over points, divisor n - 1."""
    if len(a) < 2 or not a.shape[1]:
        return float("nan")
    return float(((a - a.mean(axis=0)) * (b - b.mean(axis=0))).sum() / (len(a) - 1))
