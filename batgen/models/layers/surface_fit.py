"""Fitting a smooth voltage surface over SOC and SOH, and how far it can be trusted: pure functions in float64.

A surface is a polynomial in SOC (up to cubic) and SOH (up to quadratic) for every feature. How wrong it is between and
beyond the training SOCs is measured by leaving training SOCs out; how much wider than its own residuals the errors on
new cells are, by leaving cells out. Both come from training rows alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

#: (order in SOC, order in SOH) of the terms; (3, 2) is left out: a few SOC levels cannot place it.
TERMS = tuple((i, j) for i in range(4) for j in range(3) if i + j <= 4)
#: Ridge penalty per row on a term of order 2; ten times that for each order more, nothing below.
PENALTY = 0.01
#: SOC distance over which rows share their covariance, and the weight that all others keep.
SOC_SCALE, FAR = 0.1, 1e-2
#: With fewer rows a feature than this a covariance is drawn towards its diagonal: 21 voltages of 24 rows are no estimate.
ENOUGH = 4
#: Ridge on a covariance, as a fraction of its mean variance: keeps it invertible, no more.
JITTER = 1e-6
#: Two SOCs closer than this are one level.
SAME_SOC = 5e-3
PRIORS = ("none", "slope")
#: Leave-cells-out folds, SOH grid and its margin around the training range in the check of the spread.
FOLDS, GRID, MARGIN = 4, 121, 0.05
#: Normal quantile of the central 90 %.
Z90 = 1.6449


@dataclass(frozen=True)
class SurfaceFit:
    """centre (4,): mean SOC, mean SOH, their spreads; levels (L,) of training SOC; coef, slope (terms, F): the surface,
    and the one that is linear in SOC."""

    centre: Tensor
    levels: Tensor
    coef: Tensor
    slope: Tensor

    def mean(self, soc: Tensor, soh: Tensor, prior: str = "none") -> Tensor:
        """(N, F). Beyond the training SOCs, "none" follows the polynomial; "slope" goes on straight, with the slope over
        SOC that the training rows have as a whole (a quadratic in SOH)."""
        return surface_mean(soc, soh, self.centre, self.coef, self.slope, self.levels[0], self.levels[-1], prior)


def surface_mean(
    soc: Tensor, soh: Tensor, centre: Tensor, coef: Tensor, slope: Tensor, low: Tensor, high: Tensor, prior: str
) -> Tensor:
    """The mean of rows (N,): coef, slope (terms, F), or (N, terms, F) for a surface of each row's own."""
    if prior == "none":
        return _apply(terms(soc, soh, centre), coef)
    inside = torch.maximum(torch.minimum(soc, high), low)
    at_edge = terms(inside, soh, centre)
    return _apply(at_edge, coef) + _apply(terms(soc, soh, centre) - at_edge, slope)


def terms(soc: Tensor, soh: Tensor, centre: Tensor) -> Tensor:
    """(N, terms) from SOC and SOH (N,); centre (4,) or (4, N)."""
    s, h = (soc - centre[0]) / centre[2], (soh - centre[1]) / centre[3]
    return torch.stack([s**i * h**j for i, j in TERMS], 1)


def fit_surface(x: Tensor, soc: Tensor, soh: Tensor) -> SurfaceFit:
    """Ridge on x (N, F). As many powers of SOC are used as there are levels to tell them apart."""
    levels = torch.unique((soc / SAME_SOC).round()) * SAME_SOC
    centre = torch.stack([soc.mean(), soh.mean(), soc.std().clamp_min(1e-3), soh.std().clamp_min(1e-3)])
    basis = terms(soc, soh, centre)
    coef, slope = (_ridge(basis, x, min(len(levels), most)) for most in (4, 2))
    return SurfaceFit(centre, levels, coef, slope)


def _ridge(basis: Tensor, x: Tensor, powers: int) -> Tensor:
    """(terms, F), zero for terms with `powers` or more of SOC."""
    keep = [k for k, (i, _) in enumerate(TERMS) if i < powers]
    order = torch.tensor([sum(TERMS[k]) for k in keep], dtype=x.dtype)
    penalty = torch.where(order < 2, 1e-9, PENALTY * 10.0 ** (order - 2)) * len(x)
    found = torch.linalg.solve(basis[:, keep].T @ basis[:, keep] + penalty.diag(), basis[:, keep].T @ x)
    coef = torch.zeros(len(TERMS), x.shape[1], dtype=x.dtype)
    coef[keep] = found
    return coef


def local_covariance(left: Tensor, soc: Tensor, at: Tensor) -> Tensor:
    """(F, F) covariance of residuals `left` (N, F) near SOC `at`."""
    weight = torch.exp(-0.5 * ((soc - at) / SOC_SCALE) ** 2) + FAR
    weight = weight / weight.sum()
    found = (left * weight[:, None]).T @ left
    thin = max(0.0, 1 - len(left) / (ENOUGH * left.shape[1]))
    found = (1 - thin) * found + thin * found.diagonal().diag()
    return found + JITTER * found.diagonal().mean().clamp_min(1e-12) * torch.eye(len(found), dtype=found.dtype)


def nearest_level(soc: Tensor, levels: Tensor) -> Tensor:
    """Distance of soc (N,) to the nearest of levels (L,) or (N, L)."""
    return (soc[:, None] - levels).abs().amin(1)


def lack_of_fit(fit: SurfaceFit, x: Tensor, soc: Tensor, soh: Tensor) -> Tensor:
    """(1 + priors, F, F): covariance of the surface's own error per squared SOC distance to the nearest training SOC,
    between the training SOCs and, for each of PRIORS, beyond them.

    Every inner (outer) level is left out, the surface fitted to the others, and the second moment of what that changes
    at the level's rows divided by its squared distance to the others: the error of a smooth interpolant grows at least
    linearly with the gap. Zero where there is no level to leave out.
    """
    found = torch.zeros(1 + len(PRIORS), x.shape[1], x.shape[1], dtype=x.dtype)
    count = [0] * (1 + len(PRIORS))
    if len(fit.levels) < 3:
        return found
    number = (soc[:, None] - fit.levels).abs().argmin(1)
    for k in range(len(fit.levels)):
        out, edge = number == k, k in (0, len(fit.levels) - 1)
        part = fit_surface(x[~out], soc[~out], soh[~out])
        distance = nearest_level(fit.levels[k : k + 1], part.levels)
        for slot, prior in enumerate(PRIORS, 1) if edge else ((0, "none"),):
            change = fit.mean(soc[out], soh[out]) - part.mean(soc[out], soh[out], prior)
            found[slot] += change.T @ change / len(change) / distance**2
            count[slot] += 1
    return found / torch.tensor(count).clamp_min(1)[:, None, None]


def spread_of_new_cells(x: Tensor, soc: Tensor, soh: Tensor, cell: Tensor) -> float:
    """By which factor the spread has to grow for the central 90 % interval of an inferred SOH to hold 90 % of cells that
    the surface never saw; 1 at least. Cells are left out in four folds, at the training SOCs."""
    owners = torch.unique(cell)
    if len(owners) < FOLDS:
        return 1.0
    fold = torch.empty(len(owners), dtype=torch.long)
    fold[torch.randperm(len(owners), generator=torch.Generator().manual_seed(0))] = torch.arange(len(owners)) % FOLDS
    of_row = fold[torch.searchsorted(owners, cell)]
    grid = torch.linspace(float(soh.min()) - MARGIN, float(soh.max()) + MARGIN, GRID, dtype=x.dtype)
    step = grid[1] - grid[0]
    ratios = []
    for k in range(FOLDS):
        new = of_row == k
        fit = fit_surface(x[~new], soc[~new], soh[~new])
        left = x[~new] - fit.mean(soc[~new], soh[~new])
        for level in torch.unique(soc[new]):
            rows = new & (soc == level)
            root = torch.linalg.cholesky(local_covariance(left, soc[~new], level))
            miss = x[rows][:, None] - fit.mean(level.expand(GRID), grid)
            scaled = torch.linalg.solve_triangular(root, miss.flatten(0, 1).T, upper=False)
            share = (-0.5 * scaled.square().sum(0)).view(-1, GRID).softmax(1)
            mean = share @ grid
            sd = (share @ grid**2 - mean**2 + step**2 / 12).sqrt()  # a place of the grid stands for all around it
            ratios.append((mean - soh[rows]).abs() / sd)
    return max(1.0, float(torch.cat(ratios).quantile(0.9)) / Z90)


def _apply(basis: Tensor, coef: Tensor) -> Tensor:
    return basis @ coef if coef.ndim == 2 else torch.einsum("bt,btf->bf", basis, coef)
