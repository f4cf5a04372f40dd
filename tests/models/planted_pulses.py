"""A small planted pulse world: a surface in SOC and SOH per battery type, few directions of common noise, and cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from batgen.models.base import Batch, DataShape, MaskedBatch
from batgen.models.cross_attention_cvae import CrossAttentionCVAE
from batgen.models.layers.surface_fit import TERMS
from batgen.preprocessing.pulse_steps import descriptors

FEATURES = 9
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4)


def shape_of(features: int = FEATURES, types: int = 1) -> DataShape:
    names = ("soc", "soh", *(("chemistry=LMO", "nominal_capacity_Ah") if types > 1 else ()))
    tokens = tuple(map(tuple, descriptors(features).tolist()))
    return DataShape((features,), tuple(f"U{k + 1}" for k in range(features)), names, tokens)


@dataclass
class World:
    """coef (types, terms, F) of powers of (SOC - 0.2)/0.2 and (SOH - 0.8)/0.1; rank directions (F, rank) of the noise.

    noise: standard deviation along these; floor: of each voltage by itself; offset: of each voltage
    of a cell, at all its SOCs and ages.
    """

    coef: Tensor
    directions: Tensor
    noise: float = 0.2
    floor: float = 0.02
    offset: float = 0.0

    def mean(self, cond: Tensor) -> Tensor:
        """(N, F) at cond (N, C)."""
        s, h = (cond[:, 0] - 0.2) / 0.2, (cond[:, 1] - 0.8) / 0.1
        basis = torch.stack([s**i * h**j for i, j in TERMS], 1)
        kind = cond[:, 2].long() if cond.shape[1] > 2 else torch.zeros(len(cond), dtype=torch.long)
        return torch.einsum("bt,btf->bf", basis, self.coef.to(basis)[kind])

    def batch(self, seed: int = 0, cells: int = 12, stages: int = 3, levels: Sequence[float] = LEVELS) -> Batch:
        """Every cell at some SOHs, each stage at all SOC levels; of as many types as there are, cell by cell."""
        g = torch.Generator().manual_seed(seed)
        types = len(self.coef)
        cell, _, level = torch.meshgrid(
            torch.arange(cells), torch.arange(stages), torch.arange(len(levels)), indexing="ij"
        )
        soh = (0.6 + 0.4 * torch.rand(cells, stages, 1, generator=g)).expand(-1, -1, len(levels))
        cond = torch.stack([torch.tensor(levels)[level.flatten()], soh.flatten()], 1)
        cell = cell.flatten()
        if types > 1:
            kind = (cell % types).float()
            cond = torch.cat([cond, torch.stack([kind, 2.1 + 7.9 * kind], 1)], 1)
        rank = self.directions.shape[1]
        scores = self.noise * torch.randn(len(cond), rank, generator=g)
        own = self.floor * torch.randn(len(cond), len(self.directions), generator=g)
        own = own + self.offset * torch.randn(cells, len(self.directions), generator=g)[cell]
        return Batch(self.mean(cond) + scores @ self.directions.T + own, cond, cell)


def world(features: int = FEATURES, types: int = 1, powers: int = 2, seed: int = 0, **changes: float) -> World:
    """A world of random coefficients of orders below `powers` (2: a plane, which the ridge fits without shrinking it)."""
    g = torch.Generator().manual_seed(1000 + seed)
    keep = torch.tensor([i + j < powers for i, j in TERMS])
    coef = torch.randn(types, len(TERMS), features, generator=g) * keep[:, None]
    return World(coef, torch.randn(features, 2, generator=g), **changes)


def whole(rows: Batch) -> MaskedBatch:
    """All rows, each counted."""
    return MaskedBatch(rows.x, rows.cond, torch.ones(len(rows.x)))


def small(variant: str, **changes: float) -> Callable[[DataShape], CrossAttentionCVAE]:
    """A CVAE at a size that a test can pay."""
    settings = {"latent": 3, "width": 8, **changes}
    return lambda shape: CrossAttentionCVAE(shape, variant=variant, **settings)  # type: ignore[arg-type]


def fitted_to(rows: Batch, variant: str, types: int = 1, seed: int = 0, **changes: float) -> CrossAttentionCVAE:
    """Fitted in closed form, not trained."""
    torch.manual_seed(seed)
    model = small(variant, **changes)(shape_of(rows.x.shape[1], types))
    model.fit(rows.x, rows.cond, rows.cell)
    return model.eval()


def trained_on(rows: Batch, variant: str, steps: int = 150, lr: float = 3e-3, **changes: float) -> CrossAttentionCVAE:
    """Trained by plain full-batch steps, its rows remembered."""
    model = fitted_to(rows, variant, **changes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    g = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimiser.zero_grad()
        model.loss(whole(rows), torch.randn(len(rows.x), model.noise_size, generator=g))["loss"].backward()
        optimiser.step()
    model.remember(rows.x, rows.cond)
    return model
