"""Batches as index slices of whole tensors, in an order that is a function of (seed, epoch) alone."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from batgen.models.base import Batch
from batgen.training.shares import Share, shares

#: Data up to this size stays on the device whole; beyond it batches travel.
RESIDENT_BYTES = 2 * 1024**3
#: Minibatches per Lightning step: its bookkeeping per step costs a fifth of a small model's time.
BLOCK = 32


def epoch_batches(rows: int, batch_size: int, seed: int) -> list[Tensor]:
    """Index tensors of the minibatches of one epoch, the same for the same seed, in every process."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return list(order.split(batch_size))


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch: what a resumed run repeats."""
    return (seed * 1_000_003 + epoch) % (2**31 - 1)


class CurveData(pl.LightningDataModule):
    """Training and validation rows. `train` and `val` are Batches of whole tensors; `val` may be empty.

    resident=True moves them to the training device once; otherwise they stay in host memory and each minibatch is sent.
    """

    def __init__(self, train: Batch, val: Batch, batch_size: int, seed: int, resident: bool | None = None):
        super().__init__()
        self.parts = {"train": train, "val": val}
        self.batch_size, self.seed = batch_size, seed
        self._cell = train.cell.cpu()  # asked for every minibatch, which must not wait for a GPU
        size = sum(t.numel() * t.element_size() for part in self.parts.values() for t in part)
        self.resident = size <= RESIDENT_BYTES if resident is None else resident

    def on_device(self, device: torch.device) -> None:
        if self.resident:
            self.parts = {k: Batch(*(t.to(device) for t in part)) for k, part in self.parts.items()}

    def rows(self, part: str, index: Tensor, device: torch.device) -> Batch:
        """The rows `index` of a part, on `device`."""
        whole = self.parts[part]
        index = index.to(whole.x.device)
        return Batch(*(t.index_select(0, index).to(device, non_blocking=True) for t in whole))

    def batches(self, epoch: int) -> list[Tensor]:
        """The minibatches of an epoch, whole: `share` says which of their rows are this process's."""
        return epoch_batches(len(self.parts["train"].x), self.batch_size, epoch_seed(self.seed, epoch))

    def share(self, index: Tensor) -> Share:
        """What this process takes of a minibatch."""
        assert self.trainer is not None
        return shares(self._cell[index], self.trainer.world_size)[self.trainer.global_rank]

    def train_dataloader(self) -> DataLoader:
        """Numbers of blocks only: Lightning reads ahead, when a resumed run does not yet know its epoch."""
        steps = -(-len(self.parts["train"].x) // self.batch_size)
        return DataLoader(list(range(-(-steps // BLOCK))), batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # indices: they go where the data is

    def val_dataloader(self) -> DataLoader:
        """Every process scores all validation rows: none is padded, counted twice or left out."""
        chunks = torch.arange(len(self.parts["val"].x)).split(1024)
        return DataLoader(list(chunks), batch_size=None)  # type: ignore[arg-type]
