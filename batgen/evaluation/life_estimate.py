"""How long a cell will live, read off one of its curves: a regressor from indicators to cycle life."""

from collections.abc import Mapping, Sequence

import numpy as np

from batgen.evaluation.profile_utility import TrainingRows, estimate

#: An indicator that fewer training curves have than this share is no input.
_KNOWN = 0.95
#: Training cells with a known end of life that it takes at least.
LEAST_CELLS = 3

Found = Mapping[str, np.ndarray]


def estimated_life(
    train: Found, life: np.ndarray, cells: np.ndarray, others: Sequence[Found]
) -> list[np.ndarray] | None:
    """Cycle life (N_k,) of the curves of each of `others`, in cycles, from their indicators; None where it can't be learnt.

    `train`: indicator -> (N,) of measured training curves, `life` (N,) the cycle life of their cells, NaN where not known,
    `cells` (N,) their names. Ridge regression, its strength chosen by leaving out whole cells
    (`batgen.evaluation.profile_utility.estimate`), on the indicators that nearly all training curves have; what a curve lacks
    is filled with the training median, and nothing goes beyond the range of the training curves by more than that range.
    With fewer than LEAST_CELLS cells of known life, or all of one life, there is nothing to learn. Source: the idea of
    early prediction from features of Severson et al. 2019, with what any charge shows; ours (issue 6).
    """
    known = np.isfinite(life)
    if len(np.unique(cells[known])) < LEAST_CELLS or not np.ptp(life[known]) > 0:
        return None
    names = [name for name, values in train.items() if np.isfinite(values[known]).mean() >= _KNOWN]
    if not names:
        return None
    inputs = np.stack([train[name][known] for name in names], axis=1).astype(np.float64)
    inputs[~np.isfinite(inputs)] = np.nan
    usual, low, high = np.nanmedian(inputs, axis=0), np.nanmin(inputs, axis=0), np.nanmax(inputs, axis=0)

    def filled(values: np.ndarray) -> np.ndarray:
        return np.clip(np.where(np.isfinite(values), values, usual), 2 * low - high, 2 * high - low)

    rows = TrainingRows(filled(inputs), life[known], cells[known])
    asked = [filled(np.stack([other[name] for name in names], axis=1)) for other in others]
    return np.split(estimate(rows, np.concatenate(asked)), np.cumsum([len(one) for one in asked])[:-1])
