"""Finding a training row again by its cell and conditions."""

import torch
from torch import Tensor, nn


class RowLookup(nn.Module):
    """(cell, cond) -> row number among the rows given to `fit`. Buffers are not saved: fit makes them anew."""

    cond: Tensor
    cells: Tensor
    rows: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cond", torch.empty(0, 0), persistent=False)
        self.register_buffer("cells", torch.empty(0, dtype=torch.int64), persistent=False)
        self.register_buffer("rows", torch.empty(0, 0, dtype=torch.int64), persistent=False)

    def fit(self, cond: Tensor, cell: Tensor) -> None:
        """Remember cond (N, C) and cell (N,)."""
        self.cond = cond.clone()
        self.cells, slot, count = cell.unique(return_inverse=True, return_counts=True)
        order = slot.argsort(stable=True)
        place = torch.arange(len(cell), device=cell.device) - (count.cumsum(0) - count)[slot[order]]
        self.rows = torch.zeros(len(count), int(count.max()), dtype=torch.int64, device=cell.device)
        self.rows[slot[order], place] = order

    def forward(self, cond: Tensor, cell: Tensor) -> Tensor | None:
        """(B,) row numbers, or None when any row of cond (B, C), cell (B,) is not one of those given to `fit`."""
        if len(self.cells) == 0:
            return None
        slot = torch.searchsorted(self.cells, cell.contiguous()).clamp_max(len(self.cells) - 1)
        rows = self.rows[slot]
        same = (self.cond[rows] == cond[:, None]).all(2) & (self.cells[slot] == cell)[:, None]
        if not bool(same.any(1).all()):
            return None
        return rows.gather(1, same.int().argmax(1, keepdim=True))[:, 0]
