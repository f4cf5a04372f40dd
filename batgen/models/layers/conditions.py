"""Conditions as numbers a model can use: standardised, logarithmic where they span decades, quadratic where asked."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(B, C) conditions in physical units -> (B, C) with zero mean and unit variance over the training set.

    Columns named in `log` are taken as natural logarithms first (lives span a decade). A column that is constant in
    training, all NaN included, becomes 0, and so does a missing (NaN) entry: both say nothing about a sample.
    """

    mean: Tensor
    inverse_std: Tensor
    columns: Tensor

    def __init__(self, names: Sequence[str], log: Sequence[str] = ()) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("inverse_std", torch.zeros(len(names)))
        self.register_buffer("columns", torch.tensor([name in log for name in names], dtype=torch.bool))

    def fit(self, cond: Tensor) -> None:
        """Learn mean and spread from cond (N, C) of the training samples."""
        value = self._scale(cond).double()
        known = torch.isfinite(value)
        count = known.sum(0).clamp_min(1)
        mean = torch.where(known, value, 0.0).sum(0) / count
        std = (torch.where(known, value - mean, 0.0).square().sum(0) / count).sqrt()
        # Float32 columns of one repeated value have a spread of rounding errors, not of zero.
        constant = std <= 1e-5 * mean.abs().clamp_min(1e-6)
        self.mean.copy_(mean)
        self.inverse_std.copy_(torch.where(constant, 0.0, 1.0 / std.clamp_min(1e-30)))

    def _scale(self, cond: Tensor) -> Tensor:
        return torch.where(self.columns, cond.clamp_min(1e-3).log(), cond)

    def forward(self, cond: Tensor) -> Tensor:
        return torch.nan_to_num((self._scale(cond) - self.mean) * self.inverse_std, nan=0.0)


def quadratic(z: Tensor) -> Tensor:
    """(B, C) -> (B, C + C (C + 1) / 2): the columns, then all products of two of them, squares included."""
    row, column = torch.triu_indices(z.shape[1], z.shape[1], device=z.device)
    return torch.cat([z, z[:, row] * z[:, column]], dim=1)


class Features(nn.Module):
    """(B, C) conditions in physical units -> (B, F) standardised features for regression.

    Life is taken as its logarithm. Where their ingredients are among the conditions two more are added: the age ecl/eol,
    and the duration in hours of a two-step fast charge to 80 % of nominal capacity, q1/c1 + (0.8 - q1)/c2.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.standardise = Standardise((*names, *self._derived()), log=("eol",))

    def _derived(self) -> tuple[str, ...]:
        known = set(self.names)
        age = ("age",) if {"eol", "ecl"} <= known else ()
        return (*age, "charge_duration_h") if {"c1", "q1", "c2"} <= known else age

    @property
    def size(self) -> int:
        return len(self.names) + len(self._derived())

    @property
    def group(self) -> tuple[bool, ...]:
        """Which features say how a cell was charged: cells that agree in these are repeats of one experiment."""
        return tuple(name in ("c1", "q1", "c2", "charge_duration_h") for name in (*self.names, *self._derived()))

    def _augment(self, cond: Tensor) -> Tensor:
        column = {name: cond[:, i] for i, name in enumerate(self.names)}
        extra = []
        for name in self._derived():
            if name == "age":
                extra.append(column["ecl"] / column["eol"].clamp_min(1.0))
            else:
                rest = (0.8 - column["q1"]).clamp_min(0.0)
                extra.append(column["q1"] / column["c1"].clamp_min(0.1) + rest / column["c2"].clamp_min(0.1))
        return torch.cat([cond, torch.stack(extra, dim=1)], dim=1) if extra else cond

    def fit(self, cond: Tensor) -> None:
        """Learn mean and spread from cond (N, C) of the training samples."""
        self.standardise.fit(self._augment(cond))

    def forward(self, cond: Tensor) -> Tensor:
        return self.standardise(self._augment(cond))
