"""How several processes share a minibatch, so that together they do what one process would do with the whole of it."""

from typing import NamedTuple

import torch
from torch import Tensor


class Share(NamedTuple):
    """rows: positions in the minibatch, ascending; weight: what the mean loss over them counts.

    The mean over processes of weight * (mean loss of the rows) is the mean loss of the whole minibatch.
    """

    rows: Tensor
    weight: float


def shares(cell: Tensor, world: int) -> list[Share]:
    """One share of a minibatch for each of `world` processes. cell: (B,) int64, which cell each row came from.

    Cells stay whole, as a model may pool what it learns over the rows of a cell: the largest left goes to the process
    with the fewest rows so far, ties to the lower number. A process that is left without rows takes the first at weight
    0, because all must take part in the step.
    """
    _, slot, count = cell.unique(return_inverse=True, return_counts=True)
    sizes, owner = [0] * world, torch.empty_like(count)
    for taken in torch.argsort(count, descending=True, stable=True).tolist():
        least = sizes.index(min(sizes))
        owner[taken] = least
        sizes[least] += int(count[taken])
    owners = owner[slot]
    dealt = [torch.nonzero(owners == rank).flatten() for rank in range(world)]
    return [
        Share(rows, len(rows) * world / len(cell)) if len(rows) else Share(torch.zeros(1, dtype=torch.int64), 0.0)
        for rows in dealt
    ]
