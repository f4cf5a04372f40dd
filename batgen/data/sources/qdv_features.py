"""Statistics of delta-Q(V), cycle by cycle: how the discharge curve of cycle k differs from that of an early cycle.

Severson et al., Nature Energy 4, 383 (2019), supplementary table 1, take them once, of Q_100(V) - Q_10(V). Here they
are taken of Q_k(V) - Q_10(V) for every k > 10, so that the feature of a cycle uses no later one.
"""

import numpy as np

FEATURES = (
    "delta_q_log10_var",
    "delta_q_log10_abs_min",
    "delta_q_log10_abs_mean",
    "delta_q_skewness",
    "delta_q_kurtosis",
)


def reference_index(numbers: np.ndarray, good: np.ndarray, wanted: int) -> int | None:
    """Index of cycle `wanted` if it is good, else of the last good one before it, else of the first after it.

    `numbers` (cycles,) increase, `good` is (cycles,) bool; None when no cycle is good.
    """
    usable = np.flatnonzero(good)
    if not usable.size:
        return None
    before = usable[numbers[usable] <= wanted]
    return int(before[-1] if before.size else usable[0])


def delta_q_features(curves: np.ndarray, numbers: np.ndarray, good: np.ndarray, wanted: int) -> dict[str, np.ndarray]:
    """The `FEATURES`, each (cycles,), of `curves` (voltages, cycles) in Ah with cycle `numbers` (cycles,).

    With d the differences to the reference curve and means over voltage: log10 of var = mean (d - mean d)^2 in Ah^2,
    log10 |min d|, log10 |mean d| with d in Ah, skewness m3 / m2^1.5 and kurtosis m4 / m2^2 (3 for a normal
    distribution), which Severson et al. use as log10 of their absolute values. NaN up to cycle `wanted`, up to the
    reference where it had to be a later cycle, for cycles that are not `good`, and where a value does not exist (d = 0).
    """
    features = {name: np.full(len(numbers), np.nan) for name in FEATURES}
    reference = reference_index(numbers, good, wanted)
    if reference is None:
        return features
    use = np.flatnonzero(good & (numbers > max(wanted, int(numbers[reference]))))
    delta = curves[:, use] - curves[:, [reference]]
    mean = delta.mean(axis=0)
    centred = delta - mean
    m2, m3, m4 = ((centred**power).mean(axis=0) for power in (2, 3, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (
            np.log10(m2),
            np.log10(np.abs(delta.min(axis=0))),
            np.log10(np.abs(mean)),
            m3 / m2**1.5,
            m4 / m2**2,
        )
    for name, value in zip(FEATURES, values, strict=True):
        features[name][use] = np.where(np.isfinite(value), value, np.nan)
    return features
