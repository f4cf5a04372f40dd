"""Ridge regression in closed form, its penalty chosen by leaving out whole cells."""

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_folds(cell: Tensor, folds: int) -> Tensor:
    """(N,) fold of each sample: cells are dealt out in turn, so that all samples of a cell share a fold."""
    index = torch.unique(cell, return_inverse=True)[1]
    return index % folds


def _normal_equations(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(F, F) and (F, D) in double precision; the target is converted a block at a time, as it may be large."""
    gram = features.T @ features
    cross = torch.zeros(features.shape[1], target.shape[1], dtype=torch.float64, device=target.device)
    for start in range(0, len(target), 1024):
        rows = slice(start, start + 1024)
        cross += features[rows].T @ target[rows].double()
    return gram, cross


def _solve(gram: Tensor, cross: Tensor, count: int, alpha: float) -> Tensor:
    penalty = torch.full((len(gram),), alpha * count, dtype=gram.dtype, device=gram.device)
    penalty[0] = 0.0  # the intercept
    # The floor keeps columns that are constant in training (and so zero) from making the matrix singular.
    return torch.linalg.solve(gram + torch.diag(penalty + 1e-9 * count), cross)


def ridge(
    features: Tensor, target: Tensor, cell: Tensor, alphas: Sequence[float], folds: int = 5
) -> tuple[Tensor, float]:
    """Coefficients (1 + F, D), intercept first, of target (N, D) on features (N, F), and the penalty chosen.

    Minimises mean squared error + alpha |w|^2, the intercept left free. With several `alphas` the one with the lowest
    error over `folds` groups of left-out cells is taken; the error of a fold comes from its normal equations, so that
    the whole search costs one pass over the data.
    """
    design = torch.cat([torch.ones(len(features), 1, device=features.device), features], dim=1).double()
    fold = cell_folds(cell, folds)
    used = [index for index in range(folds) if bool((fold == index).any())]
    parts = [_normal_equations(design[fold == index], target[fold == index]) for index in used]
    counts = [int((fold == index).sum()) for index in used]
    gram = sum((part[0] for part in parts[1:]), parts[0][0])
    cross = sum((part[1] for part in parts[1:]), parts[0][1])
    best = alphas[0]
    if len(alphas) > 1 and len(used) > 1:
        errors = []
        for alpha in alphas:
            error = 0.0
            for (fold_gram, fold_cross), count in zip(parts, counts, strict=True):
                weights = _solve(gram - fold_gram, cross - fold_cross, len(design) - count, alpha)
                # |y - Xw|^2 without the |y|^2 that no alpha changes.
                error += float((weights * (fold_gram @ weights - 2 * fold_cross)).sum())
            errors.append(error)
        best = alphas[min(range(len(alphas)), key=errors.__getitem__)]
    return _solve(gram, cross, len(design), best).to(target.dtype), best


def predict(features: Tensor, weights: Tensor) -> Tensor:
    """(B, F) and (1 + F, D) -> (B, D)."""
    return weights[0] + features @ weights[1:]
