"""How far generated profiles are from measured ones as distributions: whole profiles, marginals, spectra.

All distances are 0 for one law, on average or in the limit of many rows; read them beside the distance between two sets
of measured rows. A NaN or infinity in generated profiles is a failure of the generator: the distance is infinite.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import wasserstein_distance

from batgen.evaluation.pair_sums import check_sets, pair_sums

#: Power below this share of the mean measured power counts as this (80 dB down): a flat curve has none at all.
_POWER_FLOOR = 1e-8


def profile_vector(
    curves: np.ndarray, duration_s: np.ndarray, scale: np.ndarray, log_duration_scale: float = 1.0
) -> np.ndarray:
    """Profiles (..., S, P) and durations (...) in s as vectors (..., S P + 1) whose distance means something.

    Each signal is divided by its scale (S,), in its own unit: one number per signal from the training rows, such as
    their standard deviation, never one per point; then by sqrt(S P). Last comes log(duration / 1 s) over
    `log_duration_scale`. The squared distance of two vectors is the mean over signals and points of their squared
    difference in scales, plus the squared difference of log-durations: 0.1 is a tenth of a scale at every point, or a
    tenth in duration. Raises ValueError for shapes that do not match and scales that are not positive.
    """
    curves, duration_s = np.asarray(curves, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    scale = np.asarray(scale, dtype=np.float64)
    if curves.ndim < 2 or duration_s.shape != curves.shape[:-2] or scale.shape != curves.shape[-2:-1]:
        raise ValueError(f"need (..., S, P), (...) and (S,), got {curves.shape}, {duration_s.shape}, {scale.shape}")
    if not ((scale > 0).all() and log_duration_scale > 0):
        raise ValueError("scales must be above 0")
    flat = (curves / scale[:, None]).reshape(*curves.shape[:-2], -1) / np.sqrt(curves.shape[-2] * curves.shape[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_duration = np.log(duration_s) / log_duration_scale
    return np.concatenate([flat, log_duration[..., None]], axis=-1)


def energy_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| for real (N, D) and generated (M, D); unit of the inputs, lower is better.

    |.| is the Euclidean norm. Means over pairs of two different rows (U-statistic), so that the expectation is 0 for two
    sets of one law, whatever N and M; a single value may be slightly negative, and is on average, by a share 1/N, where
    generated rows are drawn for the conditions of the real ones. The plain form, not its square root, which a negative
    value does not have. Source: Szekely & Rizzo 2013. Rows of one cell are alike: take its interval from
    `energy_distance_interval`. Raises ValueError with fewer than two rows on a side.
    """
    check_sets(real, generated)
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"need two rows or more on each side, got {len(real)} and {len(generated)}")
    if not np.isfinite(generated).all():
        return float("inf")
    return pair_sums(real, generated)[0].value()


def energy_distance_interval(
    real: np.ndarray,
    generated: np.ndarray,
    cells_real: np.ndarray,
    cells_generated: np.ndarray,
    seed: int,
    n: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of `energy_distance`, resampling whole cells of both sets `n` times (`PairSums.interval`).

    `cells_real` (N,), `cells_generated` (M,) name the cell of each row, for generated rows the cell whose conditions they
    were drawn for. Sets with the same cells are resampled together, others each by itself. (NaN, NaN) with fewer than
    two cells in a set.
    """
    check_sets(real, generated)
    if np.shape(cells_real) != (len(real),) or np.shape(cells_generated) != (len(generated),):
        raise ValueError("need one cell for each row")
    if min(len(np.unique(cells_real)), len(np.unique(cells_generated))) < 2:
        return float("nan"), float("nan")
    if not np.isfinite(generated).all():
        return float("inf"), float("inf")
    return pair_sums(real, generated, cells_real, cells_generated)[0].interval(seed, n)


def energy_score(real: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Energy score of each row, mean_k |X_k - y| - sum_{j<k} |X_j - X_k| / (K (K - 1)): real (N, D), draws (K, N, D) -> (N,).

    Unit of the inputs, lower is better; the CRPS of vectors, lowest on average for draws from the true law of the
    condition. Source: Gneiting & Raftery 2007, section 4.3, with the unbiased mean over pairs of two different draws in
    place of K^2, which would punish small K. A single draw (a deterministic model) scores its distance.
    """
    if draws.ndim != 3 or draws.shape[1:] != real.shape or len(draws) < 1:
        raise ValueError(f"need real (N, D) and draws (K, N, D), got {real.shape} and {draws.shape}")
    draws = np.asarray(draws, dtype=np.float64)
    score = np.linalg.norm(draws - real, axis=-1).mean(axis=0)
    if len(draws) > 1:
        score -= np.array([pdist(draws[:, row]).mean() for row in range(len(real))]) / 2
    score[~np.isfinite(draws).all(axis=(0, 2))] = np.inf
    return score


def marginal_distance(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, float]:
    """Wasserstein-1 distance of the values at each point, mean over the points of a signal: name -> number.

    real (N, S, P), generated (M, S, P), physical; unit of the signal, lower is better. W1 = integral |F - G| of the two
    distribution functions of the N and the M values at a point. Blind to how points hang together: see
    `energy_distance`. It is positive for finite sets of one law (about 1.3 sigma sqrt(1/N + 1/M) for normal values):
    read it beside the distance between sets of measured rows of the same sizes. Points that are NaN in `real` are not
    measured and left out there; a point with none of them is left out. Source: Kantorovich; scipy.stats.
    """
    _check_curves(real, generated, slices)
    result = {}
    for index, name in enumerate(slices):
        found = []
        for point in range(real.shape[2]):
            known = real[:, index, point]
            known = known[~np.isnan(known)]
            if len(known):
                made = generated[:, index, point]
                found.append(wasserstein_distance(known, made) if np.isfinite(made).all() else np.inf)
        result[name] = float(np.mean(found)) if found else float("nan")
    return result


def spectral_distance(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> dict[str, float]:
    """RMS over frequencies of the difference of mean log power spectra, in dB: signal -> number, lower is better.

    real (N, S, P), generated (M, S, P), physical. L(f) = mean over rows of 10 log10 |FFT_f|^2 of each profile, less its
    least-squares straight line over the points (so that level and trend, which other metrics see, do not spill over all
    frequencies) and times a Hann window (its ends differ); f is 1 to P / 2 cycles a profile. Curves too smooth, too
    noisy or with a ripple of their own show here first. A power below 1e-8 of the mean measured one counts as this, so
    that a flat curve is far off, not infinitely so. Source: log-spectral distance of speech coding (Gray & Markel 1976)
    on mean spectra. Records that end before a fixed grid does are compared with their last value held, as they come.
    Raises ValueError for NaN in `real` and fewer than 4 points.
    """
    _check_curves(real, generated, slices)
    if real.shape[2] < 4 or np.isnan(real).any():
        raise ValueError("spectra need 4 points or more, all of them measured")
    result = {}
    for index, name in enumerate(slices):
        power = _power(real[:, index])
        floor = max(_POWER_FLOOR * float(power.mean()), np.finfo(float).tiny)
        if not np.isfinite(generated[:, index]).all():
            result[name] = float("inf")
            continue
        gap = _mean_level(power, floor) - _mean_level(_power(generated[:, index]), floor)
        result[name] = float(np.sqrt(np.mean(np.square(gap))))
    return result


def _power(profiles: np.ndarray) -> np.ndarray:
    """(N, P) -> (N, P // 2) squared spectrum of the detrended, windowed profiles at 1 .. P // 2 cycles a profile."""
    values = profiles.astype(np.float64)
    points = values.shape[1]
    line = np.linspace(-1.0, 1.0, points)
    values = values - values.mean(axis=1, keepdims=True)
    values -= np.outer(values @ line / (line @ line), line)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)
    power: np.ndarray = np.square(np.abs(np.fft.rfft(values * window, axis=1)[:, 1:]))
    return power


def _mean_level(power: np.ndarray, floor: float) -> np.ndarray:
    level: np.ndarray = (10 * np.log10(np.maximum(power, floor))).mean(axis=0)
    return level


def _check_curves(real: np.ndarray, generated: np.ndarray, slices: Sequence[str]) -> None:
    if real.ndim != 3 or generated.ndim != 3 or real.shape[1:] != generated.shape[1:] or real.shape[1] != len(slices):
        raise ValueError(f"need (N, {len(slices)}, P) and (M, {len(slices)}, P): {real.shape}, {generated.shape}")
    if not (len(real) and len(generated)):
        raise ValueError("need one profile or more on each side")
