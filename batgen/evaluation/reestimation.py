"""The condition that a curve shows, re-estimated from the curve by a regression learnt on measured training curves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

COMPONENTS = 16
FOLDS = 5
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
#: A condition is shown by curves if cells left out are estimated with less than this share of the error of a constant.
SHOWN = 0.8
#: Scores beyond this many standard deviations count as this: a curve unlike any measured one must not decide a mean.
_CLIP = 5.0


@dataclass(frozen=True)
class ConditionEstimator:
    """Ridge regression on principal components and their squares, fitted on measured training curves."""

    pca: PCA
    ridge: Ridge
    low: float
    high: float

    def estimate(self, vectors: np.ndarray) -> np.ndarray:
        """The condition (N,) of curves as vectors (N, D), in its unit, infinite for a curve that is not finite.

        Kept within the range of the training conditions, widened by half of it on each side.
        """
        finite = np.isfinite(vectors).all(axis=1)
        found = np.full(len(vectors), np.inf)
        if finite.any():
            margin = (self.high - self.low) / 2
            said = self.ridge.predict(_inputs(self.pca, vectors[finite]))
            found[finite] = np.clip(said, self.low - margin, self.high + margin)
        return found


def _inputs(pca: PCA, vectors: np.ndarray) -> np.ndarray:
    scores = np.clip(pca.transform(vectors), -_CLIP, _CLIP)
    return np.concatenate([scores, np.square(scores) - 1], axis=1)


def fit_estimators(
    vectors: np.ndarray, conditions: Mapping[str, np.ndarray], cells: np.ndarray
) -> dict[str, ConditionEstimator]:
    """Condition -> its estimator from training curves (T, D) as vectors, for the conditions (T,) that curves show.

    Inputs: whitened scores on up to 16 principal components of the training curves and their squares. The ridge strength
    is the one with the least MAE on cells left out (`cells` (T,), up to 5 folds); the components are fitted once on all
    training curves, of which no condition enters. A condition is shown if these cells are estimated with less than SHOWN
    of the error of a constant, the median. Left out as well: a condition that is constant or known for fewer than three
    cells. Source: ours; the label of a conditional generator checked by a classifier (the auxiliary accuracy of
    conditional GANs), turned into a regression in physical units.
    """
    count = min(COMPONENTS, vectors.shape[1], len(vectors) // 5)
    if count < 1:
        return {}
    pca = PCA(count, whiten=True, svd_solver="full").fit(vectors)
    inputs = _inputs(pca, vectors)
    found = {}
    for name, condition in conditions.items():
        known = np.isfinite(condition)
        ridge = _ridge(inputs[known], condition[known].astype(np.float64), cells[known])
        if ridge is not None:
            low, high = float(condition[known].min()), float(condition[known].max())
            found[name] = ConditionEstimator(pca, ridge, low, high)
    return found


def _ridge(inputs: np.ndarray, condition: np.ndarray, cells: np.ndarray) -> Ridge | None:
    """Fitted with the strength that left-out cells prefer; None where they are no better estimated than by a constant."""
    groups = len(np.unique(cells))
    if groups < 3 or np.ptp(condition) <= 0:
        return None
    errors, constant = np.zeros((len(STRENGTHS), len(condition))), np.zeros(len(condition))
    for fit, left in GroupKFold(min(FOLDS, groups)).split(inputs, groups=cells):
        constant[left] = np.abs(condition[left] - np.median(condition[fit]))
        for number, strength in enumerate(STRENGTHS):
            said = Ridge(strength).fit(inputs[fit], condition[fit]).predict(inputs[left])
            errors[number, left] = np.abs(condition[left] - said)
    best = int(errors.mean(axis=1).argmin())
    if errors[best].mean() >= SHOWN * constant.mean():
        return None
    return Ridge(STRENGTHS[best]).fit(inputs, condition)
