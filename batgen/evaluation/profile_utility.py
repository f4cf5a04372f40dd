"""What generated profiles are good for: train a regressor on them, test it on measured ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEGMENTS = 8
FOLDS = 5
ALPHAS = np.logspace(-4, 3, 8)


@dataclass(frozen=True)
class TrainingRows:
    """What a regressor learns from: inputs (N, F) as from `utility_inputs`, the target (N,), such as soh, that the rows
    were measured at or generated for, and the cell (N,) of each."""

    inputs: np.ndarray
    target: np.ndarray
    cells: np.ndarray


def utility_inputs(curves: np.ndarray, duration_s: np.ndarray, known: np.ndarray) -> np.ndarray:
    """curves (N, S, P), duration_s (N,), known (N, E) -> (N, F), what a regressor sees of a profile.

    Means of each signal over 8 equal stretches (as many as there are points where that is fewer), the logarithm of the
    duration, and `known`: what a user would know of a record without its target (log c_rate, ambient_degC, ...). Never put
    the target or a condition computed from it among them. Raises ValueError where shapes do not match.
    """
    if curves.ndim != 3 or duration_s.shape != (len(curves),) or known.ndim != 2 or len(known) != len(curves):
        raise ValueError(f"need (N, S, P), (N,) and (N, E), got {curves.shape}, {duration_s.shape}, {known.shape}")
    stretches = np.array_split(curves.astype(np.float64), min(SEGMENTS, curves.shape[-1]), axis=-1)
    means = np.stack([s.mean(axis=-1) for s in stretches], axis=-1).reshape(len(curves), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.c_[means, np.log(duration_s), known]


def estimate(train: TrainingRows, inputs: np.ndarray) -> np.ndarray:
    """Ridge regression on standardised inputs: test inputs (M, F) -> (M,), unit of the target.

    Its strength is chosen by leaving out whole cells of the training rows (up to 5 folds), since rows of one cell in two
    folds would make a fingerprint of the cell look useful; with one cell it is 1. Linear, because held-out cells lie
    beyond the training ones, where trees are constant. Training rows with NaN or infinity (a generator's failures, which
    out_of_range_share counts) are left out. Raises ValueError where fewer than two are left.
    """
    usable = np.isfinite(train.inputs).all(axis=1) & np.isfinite(train.target)
    if usable.sum() < 2:
        raise ValueError(f"need two finite training rows or more, got {int(usable.sum())} of {len(usable)}")
    x, y, cells = train.inputs[usable], train.target[usable], np.asarray(train.cells)[usable]
    model = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
    folds = min(FOLDS, len(np.unique(cells)))
    if folds > 1:
        model = GridSearchCV(
            model,
            {"ridge__alpha": ALPHAS},
            cv=GroupKFold(folds),
            scoring="neg_mean_absolute_error",
            error_score="raise",
        ).fit(x, y, groups=cells)
    else:
        model.fit(x, y)
    found: np.ndarray = model.predict(inputs)
    return found


def train_synthetic_test_real(
    sources: Mapping[str, TrainingRows], inputs: np.ndarray, target: np.ndarray, cells: np.ndarray
) -> dict[str, float]:
    """MAE of the target on held-out measured rows, learnt from each source: name -> number; unit of the target, lower is
    better.

    `sources`: "measured" (the measured training rows), one name for each generator's rows, as many and at the same
    conditions as the measured ones if the comparison is to be fair. `inputs` (M, F), `target` (M,), `cells` (M,): the
    held-out measured rows. "constant" stands beside: the mean target of the first source for all. The MAE is the mean
    over held-out cells of each cell's own, however many rows it has. A generator is of use where its number is near that
    of "measured" and below "constant". Source: TSTR of Esteban et al. 2017. Raises ValueError for no sources, a source
    named "constant" and shapes that do not match.
    """
    if not sources or "constant" in sources:
        raise ValueError('need one source or more, none of them named "constant"')
    if inputs.ndim != 2 or target.shape != (len(inputs),) or np.shape(cells) != (len(inputs),) or not len(inputs):
        raise ValueError(f"need (M, F), (M,) and (M,), got {inputs.shape}, {target.shape}, {np.shape(cells)}")
    first = next(iter(sources.values()))
    result = {name: cell_mean_error(target, estimate(rows, inputs), cells) for name, rows in sources.items()}
    result["constant"] = cell_mean_error(target, np.full(len(target), np.nanmean(first.target)), cells)
    return result


def cell_mean_error(true: np.ndarray, estimated: np.ndarray, cells: np.ndarray) -> float:
    """Mean over cells of the mean absolute error of each; unit of the values, lower is better."""
    _, index = np.unique(np.asarray(cells), return_inverse=True)
    return float((np.bincount(index, weights=np.abs(estimated - true)) / np.bincount(index)).mean())
