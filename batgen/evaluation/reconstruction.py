"""Point-by-point errors of generated curves against measured ones, per signal and in total.

Every function takes physical arrays (N, S, P): N samples, S slices of P points, and the slice names. A name that occurs
several times (charge capacity, three times in the paper's layout) is one signal. Points where the measured curve is NaN
(not measured) are left out; a NaN in a generated curve is a failure of the generator: its error is infinite.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

#: Weights of the six slices of the paper's array {V, I, T} x {the channel, Qc}: Qc stands in it three times.
PAPER_WEIGHTS = {"voltage_V": 1.0, "current_A": 1.0, "temperature_degC": 1.0, "charge_capacity_Ah": 3.0}
TOTAL = "Total"


def group_slices(slices: Sequence[str]) -> dict[str, list[int]]:
    """Signal name -> the indices of its slices, in order of first occurrence."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(slices):
        groups.setdefault(name, []).append(index)
    return groups


def mean_by_signal(pointwise: np.ndarray, missing: np.ndarray, slices: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean of `pointwise` (N, S, P) over the slices and points of each signal that are not `missing`: name -> (N,).

    NaN for a sample without a single measured point of the signal; infinite where a point that counts is NaN.
    """
    result = {}
    for name, index in group_slices(slices).items():
        keep = ~missing[:, index]
        count = keep.sum(axis=(1, 2))
        values = np.nan_to_num(pointwise[:, index], nan=np.inf, posinf=np.inf)
        total = np.where(keep, values, 0.0).sum(axis=(1, 2), dtype=np.float64)
        result[name] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return result


def absolute_error(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean absolute error of each sample, mean_p |x_p - x^_p|: name -> (N,). Unit of the signal, lower is better.

    Source: RCVAE paper, eq. 18, before its mean over samples.
    """
    check_arrays(real, generated, slices)
    return mean_by_signal(np.abs(generated - real), np.isnan(real), slices)


def squared_error(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean squared error of each sample, mean_p (x_p - x^_p)^2: name -> (N,). Unit squared, lower is better.

    Source: RCVAE paper, eq. 19, before its mean over samples and its root.
    """
    check_arrays(real, generated, slices)
    return mean_by_signal(np.square(generated - real), np.isnan(real), slices)


def mean_absolute_error(absolute: Mapping[str, np.ndarray]) -> dict[str, float]:
    """MAE = mean over samples of `absolute_error`. Unit of the signal, lower is better. RCVAE paper, eq. 18."""
    return {name: mean_of_known(values) for name, values in absolute.items()}


def root_mean_squared_error(squared: Mapping[str, np.ndarray]) -> dict[str, float]:
    """RMSE = sqrt(mean over samples of `squared_error`). Unit of the signal, lower is better. RCVAE paper, eq. 19."""
    return {name: float(np.sqrt(mean_of_known(values))) for name, values in squared.items()}


def r2(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, float]:
    """R2 = 1 - sum (x - x^)^2 / sum (x - mean x)^2 over all samples and points of a signal. No unit, higher is better.

    Source: RCVAE paper, fig. 4 (there for one curve; pass one sample for that). The mean is one number for the signal,
    so most of the variance is the common shape of the curves and even the mean curve scores high: read it beside the
    baselines. NaN where the measured signal is constant.
    """
    check_arrays(real, generated, slices)
    result = {}
    for name, index in group_slices(slices).items():
        x, y = real[:, index].astype(np.float64), generated[:, index].astype(np.float64)
        keep = ~np.isnan(x)
        x, y = x[keep], y[keep]
        spread = float(np.sum((x - x.mean()) ** 2)) if x.size else 0.0
        result[name] = 1.0 - float(np.sum((x - y) ** 2)) / spread if spread > 0 else float("nan")
    return result


def total_weights(signals: Sequence[str]) -> dict[str, float]:
    """Weights, summing to 1, with which the signals enter the Total.

    With V, I, T and Qc all there: (V + I + T + 3 Qc) / 6, the plain mean over the six slices of the paper's array, as
    its Tables 1, 2 and S2 obey; other signals (time, ...) weigh nothing. One signal alone is its own Total. Otherwise
    all signals but `time_s` weigh the same.
    """
    names = list(dict.fromkeys(signals))
    if set(PAPER_WEIGHTS) <= set(names):
        weights = {name: PAPER_WEIGHTS.get(name, 0.0) for name in names}
    elif len(names) == 1:
        weights = {names[0]: 1.0}
    else:
        weights = {name: float(name != "time_s") for name in names}
    scale = sum(weights.values())
    return {name: weight / scale for name, weight in weights.items() if weight > 0}


def with_total(per_sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same values per signal, and their Total by `total_weights`: name -> (N,).

    Give it absolute errors for the MAE of the Total, squared errors for its RMSE (so that RMSE_total^2 is the weighted
    mean of squares), CRPS for its CRPS. The Total adds V, A, degC and Ah: it has no unit and compares with the paper's
    alone.
    """
    weights = total_weights(list(per_sample))
    total = sum(weight * np.asarray(per_sample[name], dtype=np.float64) for name, weight in weights.items())
    return {**per_sample, TOTAL: np.asarray(total)}


def check_arrays(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> None:
    """Raise ValueError unless both arrays are (N, S, P) of one shape, with one name per slice."""
    if real.ndim != 3 or real.shape != generated.shape or real.shape[1] != len(slices):
        raise ValueError(f"need two arrays (N, {len(slices)}, P), got {real.shape} and {generated.shape}")


def mean_of_known(values: ArrayLike) -> float:
    """Mean of what is not NaN (samples whose signal was measured), NaN where nothing is left."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(array.mean()) if array.size else float("nan")
