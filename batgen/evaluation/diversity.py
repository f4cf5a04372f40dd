"""Whether draws for one condition differ as much as measured curves of that condition do."""

from collections.abc import Sequence

import numpy as np

from batgen.evaluation.reconstruction import check_arrays, mean_by_signal, mean_of_known


def spread_and_skill(
    real: np.ndarray, generated: np.ndarray, slices: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The two sides of the variance ratio for real (N, S, P) and generated (K, N, S, P), per sample: name -> (N,) each.

    First the variance of the K draws about their mean (divisor K - 1, mean over points), then the squared error of that
    mean. Both in the signal's unit squared. Chunks of conditions may be joined before `variance_ratio`. The variance of
    a single draw is unknown: NaN.
    """
    draws = generated.shape[0]
    centre = generated.mean(axis=0, dtype=np.float64)
    check_arrays(real, centre, slices)
    missing = np.isnan(real)
    skill = mean_by_signal(np.square(centre - real), missing, slices)
    if draws < 2:
        return {name: np.full(len(real), np.nan) for name in skill}, skill
    # One draw at a time: the difference of all K at once would double the memory of the largest array of a run.
    variance = np.zeros_like(centre)
    for draw in generated:
        variance += np.square(draw - centre)
    return mean_by_signal(variance / (draws - 1), missing, slices), skill


def variance_ratio(spread: dict[str, np.ndarray], skill: dict[str, np.ndarray], draws: int) -> dict[str, float]:
    """Within-condition variance ratio = (1 + 1/K) mean(spread) / mean(skill) per signal. No unit; 1 is calibrated.

    If the measured curve is one more draw from the model, the squared error of the mean of K draws is (1 + 1/K) times
    their variance on average. Below 1 the draws are too alike (0: all equal, the mode collapse that a mean curve or a
    collapsed latent shows), above 1 too wide. Source: spread-skill relation of ensemble forecasts, Fortin et al. 2014,
    as a ratio of variances. Infinite where the mean is exact and the draws are not; NaN where both are zero.
    """
    result = {}
    for name in spread:
        top, bottom = (1.0 + 1.0 / draws) * mean_of_known(spread[name]), mean_of_known(skill[name])
        if bottom > 0 or np.isnan(bottom):
            result[name] = top / bottom
        else:
            result[name] = float("inf") if top > 0 else float("nan")
    return result
