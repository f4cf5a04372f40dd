"""Nearest rows of a table, a block of queries at a time."""

import torch
from torch import Tensor


def nearest_label(query: Tensor, table: Tensor, weight: float, block: int = 1024) -> Tensor:
    """(Q,) index of the row of `table` (L, 2) nearest to each row of `query` (Q, 2), columns (EOL, ECL) in cycles.

    Eq. 14 of the RCVAE paper: weight |EOL1 - EOL2| + (1 - weight) |ECL1 - ECL2|. Of equally near labels the first in
    the table is taken. Memory: `block` x L floats.
    """
    scale = torch.tensor([weight, 1.0 - weight], device=query.device, dtype=query.dtype)
    scaled = table * scale
    parts = [torch.cdist(rows * scale, scaled, p=1).argmin(1) for rows in query.split(block)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64, device=query.device)


def nearest_rows(query: Tensor, table: Tensor, k: int, block: int = 1024) -> Tensor:
    """(Q, k') indices of the rows of `table` (L, C) nearest to `query` (Q, C), nearest first; k' = min(k, L).

    Euclidean distances are taken directly, not through |a|^2 - 2ab + |b|^2, whose rounding would make near rows equal.
    """
    parts = []
    for rows in query.split(block):
        distance = torch.cdist(rows, table, compute_mode="donot_use_mm_for_euclid_dist")
        if k == 1:
            parts.append(distance.argmin(1, keepdim=True))
        else:
            parts.append(distance.topk(min(k, len(table)), largest=False, sorted=True).indices)
    return torch.cat(parts) if parts else torch.empty(0, min(k, len(table)), dtype=torch.int64, device=query.device)
