"""The words that models of cycle sequences share with the rest: what a batch is and what its columns mean.

A model of sequences is a `torch.nn.Module` that offers `loss(batch, teacher_forcing, steps) -> {"loss": ...}` and
`forecast(batch) -> (B, M, T, Q)`, quantiles of T targets at M steps ahead, in scaled space.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class SequenceBatch(NamedTuple):
    """B windows, each cut at some cycle; a step is `stride` cycles. float32 unless said otherwise.

    past (B, N, F): steps up to the cut, real ones first, zeros behind them; channels are the T targets, further observed
    inputs (0 where not measured), T flags (1 measured, 0 filled with the value before), K covariates.
    length (B,) int64: real steps. statics (B, S): 0 where unknown; known (B, G): 1 where a group of statics is known.
    future (B, M, K): covariates of the steps ahead. last (B, T): the targets at the cut. target (B, M, T): filled with the
    last known value where nothing is known, where weight (B, M, T) is 0. cell (B,) int64: which cell a window is of.
    """

    past: Tensor
    length: Tensor
    statics: Tensor
    known: Tensor
    future: Tensor
    last: Tensor
    target: Tensor
    weight: Tensor
    cell: Tensor


@dataclass(frozen=True)
class SequenceShape:
    """Names of the columns of a `SequenceBatch`, in order; groups: (name, columns) of the statics; stride in cycles; gains:
    by target, what makes the little that it moved before the cut as large as what it does after it (empty: 1)."""

    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    covariates: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    stride: int
    gains: tuple[float, ...] = ()

    @property
    def past_size(self) -> int:
        return 2 * len(self.targets) + len(self.inputs) + len(self.covariates)

    @property
    def static_size(self) -> int:
        return sum(len(columns) for _, columns in self.groups)

    @property
    def past_names(self) -> tuple[str, ...]:
        flags = (f"{name} measured" for name in self.targets)
        return (*self.targets, *self.inputs, *flags, *self.covariates)
