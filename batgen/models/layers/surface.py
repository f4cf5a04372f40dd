"""The closed-form part of pulse models: a smooth mean over SOC and SOH, and a frame in which what it leaves is white.

In whitened space directions of 0.1 mV count as much as those of 100 mV, and the small ones tell SOH apart. Everything a
network adds is said there. Training sees the spread of the training rows; generation the wider one that new cells and
untested SOCs have.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from batgen.errors import DataError
from batgen.models.layers.surface_fit import (
    PRIORS,
    TERMS,
    fit_surface,
    lack_of_fit,
    local_covariance,
    nearest_level,
    spread_of_new_cells,
    surface_mean,
)

#: Anchors of the covariance over the training range of SOC; between them its Cholesky factor is interpolated.
ANCHORS = 11
#: Training SOCs that can be told apart: half percents from 0 to 1.
LEVELS = 201
_BUFFERS = ("coef", "slope", "centre", "levels", "axes", "factor", "lack", "spread")


class Surface(nn.Module):
    """mean(cond) (B, F) and a whitening frame for x (B, F), in closed form; `fit` sets all of it.

    cond (B, C) has the columns "soc" and "soh" (fractions); the others say the battery type, and each combination of them
    seen in training has a surface of its own (a type never seen takes the nearest one).
    """

    coef: Tensor
    slope: Tensor
    centre: Tensor
    levels: Tensor
    axes: Tensor
    factor: Tensor
    lack: Tensor
    spread: Tensor
    kinds: Tensor
    kind_scale: Tensor

    def __init__(self, features: int, names: Sequence[str]) -> None:
        super().__init__()
        self.soc, self.soh = list(names).index("soc"), list(names).index("soh")
        self.rest = [i for i, n in enumerate(names) if n not in ("soc", "soh")]
        for name, size in (
            ("coef", (1, len(TERMS), features)),
            ("slope", (1, len(TERMS), features)),
            ("centre", (1, 4)),
            ("levels", (1, LEVELS)),  # training SOCs, the last one repeated
            ("axes", (1, features, features)),  # principal axes of the residuals, as columns, widest first
            ("factor", (1, ANCHORS, features, features)),  # Cholesky factors of their covariance, in these axes
            ("lack", (1, 1 + len(PRIORS), features, features)),  # covariance of the surface's own error
            ("spread", (1,)),  # how much wider the residuals of new cells are
            ("kinds", (1, len(self.rest))),
            ("kind_scale", (len(self.rest),)),
        ):
            self.register_buffer(name, torch.zeros(size))

    @torch.no_grad()
    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """x (N, F), cond (N, C) and cell (N,) of the training rows. Raises DataError for a type with fewer than 8 rows."""
        device = self.coef.device
        x, cond, cell = x.detach().double().cpu(), cond.detach().double().cpu(), cell.cpu()
        kinds = torch.unique(cond[:, self.rest], dim=0) if self.rest else cond.new_zeros(1, 0)
        scale = kinds.std(0) if len(kinds) > 1 else cond.new_ones(len(self.rest))
        self.kinds, self.kind_scale = _store(kinds, device), _store(scale.clamp_min(1e-9), device)
        which = self.kind(cond.to(self.kinds)).cpu()
        parts = [self._fit_kind(x[which == k], cond[which == k], cell[which == k]) for k in range(len(kinds))]
        for part in parts:  # one size for all, so that models of other training SOCs can be stacked
            part["levels"] = torch.cat([part["levels"], part["levels"][-1:].expand(LEVELS - len(part["levels"]))])
        for name in _BUFFERS:
            setattr(self, name, _store(torch.stack([part[name] for part in parts]), device))

    def _fit_kind(self, x: Tensor, cond: Tensor, cell: Tensor) -> dict[str, Tensor]:
        soc, soh = cond[:, self.soc], cond[:, self.soh]
        if len(x) < 8:
            raise DataError(
                f"{len(x)} training rows of one battery type are too few for a surface: 8 are needed at least."
            )
        fit = fit_surface(x, soc, soh)
        left = x - fit.mean(soc, soh)
        axes = torch.linalg.eigh(left.T @ left)[1].flip(1)
        places = torch.linspace(0, 1, ANCHORS, dtype=x.dtype) * (fit.levels[-1] - fit.levels[0]) + fit.levels[0]
        return {
            "coef": fit.coef,
            "slope": fit.slope,
            "centre": fit.centre,
            "levels": fit.levels,
            "axes": axes,
            "factor": torch.linalg.cholesky(torch.stack([local_covariance(left @ axes, soc, at) for at in places])),
            "lack": lack_of_fit(fit, x, soc, soh),
            "spread": torch.tensor(spread_of_new_cells(x, soc, soh, cell)),
        }

    def kind(self, cond: Tensor) -> Tensor:
        """(B,) int64: the number of the type of each row."""
        return ((cond[:, None, self.rest] - self.kinds) / self.kind_scale).square().sum(-1).argmin(1)

    def mean(self, cond: Tensor, prior: str = "none") -> Tensor:
        """(B, F); see SurfaceFit.mean."""
        k = self.kind(cond)
        low, high = self.levels[k, 0], self.levels[k, -1]
        soc, soh = cond[:, self.soc], cond[:, self.soh]
        return surface_mean(soc, soh, self.centre[k].T, self.coef[k], self.slope[k], low, high, prior)

    def features(self, cond: Tensor) -> Tensor:
        """(B, C): SOC (kept within the training range), SOH, then the columns of the type, of about zero mean and unit
        spread in training. Networks see these: what they add goes on unchanged beyond the training SOCs."""
        k = self.kind(cond)
        both = torch.stack([self._inside(cond, k), cond[:, self.soh]], 1)
        standardised = (both - self.centre[k, :2]) / self.centre[k, 2:]
        return torch.cat([standardised, (cond[:, self.rest] - self.kinds.mean(0)) / self.kind_scale], 1)

    def rotation(self, cond: Tensor) -> Tensor:
        """(B, F, F): principal axes as columns; w @ rotation.T speaks of single voltages."""
        return self.axes[self.kind(cond)]

    def _inside(self, cond: Tensor, kind: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(cond[:, self.soc], self.levels[kind, -1]), self.levels[kind, 0])

    def frame(self, cond: Tensor) -> Tensor:
        """(B, F, F), lower triangular, in principal axes: its product with its transpose is the covariance of residuals."""
        k = self.kind(cond)
        low, high = self.levels[k, 0], self.levels[k, -1]
        place = (self._inside(cond, k) - low) / (high - low).clamp_min(1e-6) * (ANCHORS - 1)
        left = place.floor().clamp(0, ANCHORS - 2)
        share, at = (place - left)[:, None, None], left.long()
        return self.factor[k, at] * (1 - share) + self.factor[k, at + 1] * share

    def whiten(self, x: Tensor, cond: Tensor) -> Tensor:
        """x (B, F) -> w (B, F), of about zero mean and unit covariance over the training rows."""
        scores = torch.einsum("bf,bfg->bg", x - self.mean(cond), self.axes[self.kind(cond)])
        return torch.linalg.solve_triangular(self.frame(cond), scores[..., None], upper=False)[..., 0]

    def root(self, cond: Tensor, prior: str = "none") -> Tensor:
        """(B, F, F) float64: x = mean + root @ w has the spread of new cells at these SOCs, tested or not."""
        k, soc = self.kind(cond), cond[:, self.soc]
        axes = self.axes[k].double()
        known = self.frame(cond).double()
        beyond = (soc < self.levels[k, 0]) | (soc > self.levels[k, -1])
        slot = torch.where(beyond, 1 + PRIORS.index(prior), 0)
        gap = nearest_level(soc, self.levels[k]).double().square()[:, None, None]
        unknown = axes.mT @ self.lack[k, slot].double() @ axes * gap
        factor = torch.linalg.cholesky(known @ known.mT + unknown)
        return self.spread[k].double()[:, None, None] * (axes @ factor)


def _store(value: Tensor, device: torch.device) -> Tensor:
    return value.to(device=device, dtype=torch.float32)
