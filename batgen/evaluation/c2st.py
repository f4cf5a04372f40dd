"""Classifier two-sample test: can anything tell generated profiles from measured ones?"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 5
COMPONENTS = 16
#: Longer vectors get their principal components by a randomised SVD: the same ones, in a tenth of the time.
_LONG = 300
#: Scores beyond this many standard deviations count as this, so that one outlier does not decide a fit.
_CLIP = 6.0


def blocks(cycles: np.ndarray, length: int = 10) -> np.ndarray:
    """Group label of each row by its cycle (N,), from 1: cycles 1 to `length` are block 0, the next ones 1, ...

    For tests within one cell, where neighbouring cycles are nearly the same curve: left out block by block, neighbours
    stay together. Raises ValueError for a length below 1.
    """
    if length < 1:
        raise ValueError(f"length={length} must be 1 or more")
    return (np.asarray(cycles).astype(np.int64) - 1) // length


def c2st(
    real: np.ndarray, generated: np.ndarray, groups_real: np.ndarray, groups_generated: np.ndarray, seed: int
) -> float:
    """Cross-validated balanced accuracy of telling generated (M, D) from real (N, D) rows: 0.5 is best, 1 the worst.

    No unit. Rows as from `profile_vector`. `groups_real` (N,) and `groups_generated` (M,) name the cell, or the block of
    cycles of a cell (`blocks`), that a row was measured on or drawn for; a group is left out as a whole, its measured
    and its generated rows together, in up to 5 folds. Give both sides the same names where they stand for the same
    cells, else a classifier could know a row by its twin on the other side. Between different cells the test says
    nothing: two measured cells of one protocol score 0.94-1.00 (NASA). Random halves of one cell are its floor, 0.47-0.65
    there with 168 records; alternate records score below 0.5, for the likest rows are always on the other side.

    The classifier is the mean of two, on the same inputs: a logistic regression on scores and squared scores (the
    optimum for a shift of the mean or another variance) and extremely randomised trees (products of scores, clusters,
    repeats). Inputs are the first 16 whitened principal components and the length of the rest (ripple and noise that no
    component has). PCA and standardisation are fitted inside each fold, on training rows of both sides: fitted on the
    measured ones alone they tell two sets of one law apart, for they overfit the measured side. Both sides weigh the
    same, whatever their numbers. The deviation by chance is about 0.5 / sqrt(min(N, M)), more where rows hang together.
    Source: Lopez-Paz & Oquab 2017. A row of NaN or infinity can be told at sight: 1.0. Raises ValueError for shapes that
    do not match and fewer than two groups on a side.
    """
    return float(np.mean([side.mean() for side in c2st_correct(real, generated, groups_real, groups_generated, seed)]))


def c2st_correct(
    real: np.ndarray, generated: np.ndarray, groups_real: np.ndarray, groups_generated: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each measured (N,) and each generated row (M,) was told for what it is: 1, 0, or 0.5 where undecided.

    Of the classifier of `c2st`, which did not see the row's group; arguments and errors are those of `c2st`, which is the
    mean of the two means. Resampling these over cells gives its interval.
    """
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(f"need real (N, D) and generated (M, D), got {real.shape} and {generated.shape}")
    groups = [np.asarray(groups_real), np.asarray(groups_generated)]
    if groups[0].shape != (len(real),) or groups[1].shape != (len(generated),):
        raise ValueError(f"need one group for each row, got {groups[0].shape} and {groups[1].shape}")
    folds = min(FOLDS, *(len(np.unique(g)) for g in groups))
    if folds < 2:
        raise ValueError("need two groups or more on each side, to leave one out")
    if not np.isfinite(generated).all():
        return np.ones(len(real)), np.ones(len(generated))
    rows = np.concatenate([real, generated]).astype(np.float64)
    made = np.r_[np.zeros(len(real), int), np.ones(len(generated), int)]
    _, group = np.unique(np.concatenate(groups), return_inverse=True)
    chance = np.empty(len(rows))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in splits.split(rows, made, group):
        chance[test] = _chance(rows[train], made[train], rows[test], seed)
    correct = 0.5 + 0.5 * np.sign(chance - 0.5) * np.where(made == 1, 1.0, -1.0)
    return correct[made == 0], correct[made == 1]


def _chance(train: np.ndarray, made: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Probability that each test row is generated; (0.5 where training rows are of one kind only)."""
    if len(np.unique(made)) < 2:
        return np.full(len(test), 0.5)
    inputs, tests = _inputs(train, test, seed)
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=500)
    trees = ExtraTreesClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=seed)
    logistic.fit(np.c_[inputs, np.square(inputs) - 1], made)
    trees.fit(inputs, made)
    found = logistic.predict_proba(np.c_[tests, np.square(tests) - 1])[:, 1] + trees.predict_proba(tests)[:, 1]
    mean: np.ndarray = found / 2
    return mean


def _inputs(train: np.ndarray, test: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whitened principal components and log length of the residual, all standardised on the training rows."""
    count = max(1, min(COMPONENTS, train.shape[1], len(train) // 10))
    solver = "full" if train.shape[1] <= _LONG else "randomized"
    pca = PCA(count, whiten=True, svd_solver=solver, random_state=seed).fit(train)
    # Residuals of training rows are a little shorter than those of new ones; both sides share that, so it tells nothing.
    smallest = 1e-9 * (1.0 + np.linalg.norm(train - train.mean(axis=0), axis=1).max())

    def of(rows: np.ndarray) -> np.ndarray:
        scores = pca.transform(rows)
        rest = np.linalg.norm(rows - pca.inverse_transform(scores), axis=1)
        return np.c_[np.clip(scores, -_CLIP, _CLIP), np.log(rest + smallest)]

    inputs, tests = of(train), of(test)
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return (inputs - centre) / spread, np.clip((tests - centre) / spread, -_CLIP, _CLIP)
