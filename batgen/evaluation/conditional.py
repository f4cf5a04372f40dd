"""How well draws from the prior fit the measured curve of their condition, x never shown to the model.

`generated` is (K, N, S, P): K draws for each of N test conditions. Values come back per sample, so that a caller who
can't hold all draws at once streams over chunks of conditions and joins the results.
"""

from collections.abc import Sequence

import numpy as np

from batgen.evaluation.reconstruction import mean_by_signal

#: Floats that one pass of `crps` sorts at a time (32 MB in float32): what keeps memory flat for any N.
_CHUNK = 1 << 23


def conditional_mean(generated: np.ndarray) -> np.ndarray:
    """Mean over the K draws: (K, N, S, P) -> (N, S, P), the model's point forecast for each condition.

    Its MAE and RMSE are `absolute_error` and `squared_error` of `batgen.evaluation.reconstruction`, lower is better.
    """
    return generated.mean(axis=0, dtype=np.float64)


def crps(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, np.ndarray]:
    """Continuous ranked probability score of each sample, mean over its points: name -> (N,).

    CRPS = mean_k |X_k - y| - sum_{j<k} |X_j - X_k| / (K (K - 1)), from K draws X of the point and the measurement y.
    Unit of the signal, lower is better. Source: Gneiting & Raftery 2007, section 4.2, with the unbiased ("fair") estimator
    of Ferro 2014 for the second term: the plug-in K^2 in its place would punish small K by E|X - X'| / (2 K). The fair
    score can be slightly negative for one sample. The double sum is taken over sorted draws in O(K log K), through the
    gaps between neighbours: sum_k k (K - k) (X_(k+1) - X_(k)). Draws that are all equal (a deterministic model, or
    K = 1) score their absolute error.
    """
    draws, samples = generated.shape[0], generated.shape[1]
    if draws < 1 or generated.shape[1:] != real.shape or real.ndim != 3 or real.shape[1] != len(slices):
        raise ValueError(f"need real (N, {len(slices)}, P) and generated (K, N, S, P): {real.shape}, {generated.shape}")
    rank = np.arange(1, draws)
    weights = (rank * (draws - rank) / max(draws * (draws - 1), 1)).astype(generated.dtype)
    step = max(1, _CHUNK // max(1, draws * real.shape[1] * real.shape[2]))
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, samples, step):
        y = real[start : start + step]
        # Distances from y rather than values: float32 then keeps its digits for signals far from zero.
        distance = np.ascontiguousarray(np.moveaxis(generated[:, start : start + step] - y, 0, -1))
        pointwise = np.abs(distance).mean(axis=-1)
        if draws > 1:
            distance.sort(axis=-1)
            pointwise -= np.diff(distance, axis=-1) @ weights
        parts.append(mean_by_signal(pointwise, np.isnan(y), slices))
    if not parts:
        return {name: np.empty(0) for name in dict.fromkeys(slices)}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
