"""Baseline: draws from the k nearest training samples."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise
from batgen.models.layers.draw import integers
from batgen.models.layers.nearest import nearest_rows


class NearestNeighbours(nn.Module):
    """Each sample is one of the `neighbours` training curves nearest in standardised conditions (Euclidean), drawn with
    equal probability and put back.

    Neighbouring cycles of one cell are nearly one curve, so `per_cell` limits how many a single cell may give: with 1
    the k neighbours are k different cells, each with the cycle that fits best. 0 sets no limit.
    """

    ACCEPTS = ("curves", "profiles")
    REQUIRES = ()

    curves: Tensor
    table: Tensor
    cell: Tensor

    def __init__(self, shape: DataShape, *, neighbours: int = 10, per_cell: int = 1) -> None:
        super().__init__()
        if neighbours < 1:
            raise ConfigError(f"model.neighbours={neighbours} must be at least 1.")
        if per_cell not in (0, 1):
            raise ConfigError(f"model.per_cell={per_cell} must be 1 (one curve a cell) or 0 (no limit).")
        self.neighbours = neighbours
        self.per_cell = per_cell
        self.standardise = Standardise(shape.cond_names)
        self.register_buffer("curves", torch.empty(0, *shape.x_shape))
        self.register_buffer("table", torch.empty(0, len(shape.cond_names)))
        self.register_buffer("cell", torch.empty(0, dtype=torch.int64))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Keep the training curves x (N, *x_shape) and their standardised conditions (N, C)."""
        self.standardise.fit(cond)
        self.curves = x.clone()
        self.table = self.standardise(cond)
        self.cell = cell.clone()

    def nearest(self, cond: Tensor) -> Tensor:
        """(B, k) indices of training samples, nearest first; k is smaller than `neighbours` where data are few."""
        query = self.standardise(cond)
        if self.per_cell == 0:
            return nearest_rows(query, self.table, self.neighbours)
        rows, distance = [], []
        for cell in self.cell.unique():
            own = torch.nonzero(self.cell == cell)[:, 0]
            best = own[nearest_rows(query, self.table[own], 1)[:, 0]]
            rows.append(best)
            distance.append((query - self.table[best]).square().sum(1))
        k = min(self.neighbours, len(rows))
        order = torch.stack(distance, 1).topk(k, largest=False, sorted=True).indices
        return torch.stack(rows, 1).gather(1, order)

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled: draws with replacement from the neighbours of each row of cond (B, C)."""
        neighbours = self.nearest(cond)
        pick = integers(neighbours.shape[1], (n, len(cond)), self.curves, generator)
        return self.curves[neighbours.gather(1, pick.T).T]
