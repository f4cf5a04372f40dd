"""Baseline: what the training cells of the same protocol did, on average, at about the same cycle."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise
from batgen.models.layers.nearest import nearest_rows

#: Conditions that say how a record was run, and how far apart two cells of one protocol may be: degC, then C twice.
NEAR = {"ambient_degC": 2.0, "c_rate": 0.1, "c_rate_rms": 0.1}
#: A cell whose records are further apart than so many times that was run in two ways, and counts once for each.
_FAR = 5.0


class ProtocolMean(nn.Module):
    """Every draw is one line: the mean over training cells of the same protocol, each with the mean of its `neighbours`
    records nearest in ecl (`by_cycle`), or of all its records.

    The protocol is that of the training cell nearest in standardised ambient_degC, c_rate and c_rate_rms (those that are
    conditions), and of all cells within 2 degC and 0.1 C of that one. Cells count alike, however many records they have.
    """

    ACCEPTS = ("profiles",)
    REQUIRES = ()

    curves: Tensor
    ecl: Tensor
    run: Tensor
    centres: Tensor

    def __init__(self, shape: DataShape, *, by_cycle: bool = True, neighbours: int = 3) -> None:
        super().__init__()
        if neighbours < 1:
            raise ConfigError(f"model.neighbours={neighbours} must be at least 1.")
        if by_cycle and "ecl" not in shape.cond_names:
            raise ConfigError("model.by_cycle=true needs the cycle: add ecl to preprocessing.conditions, or use false.")
        self.title = "protocol_cycle_mean" if by_cycle else "protocol_mean"
        self.by_cycle = by_cycle
        self.neighbours = neighbours
        self.names = shape.cond_names
        self.block = [name for name in NEAR if name in shape.cond_names]
        self.standardise = Standardise(self.block)
        self.register_buffer("curves", torch.empty(0, *shape.x_shape))
        self.register_buffer("ecl", torch.empty(0, 1))
        self.register_buffer("run", torch.empty(0, dtype=torch.int64))
        self.register_buffer("centres", torch.empty(0, len(self.block)))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Keep the training profiles x (N, S + 1, P), and which cell and protocol each is of."""
        how = self._columns(cond, self.block)
        self.standardise.fit(how)
        self.curves = x.clone()
        self.ecl = self._columns(cond, ["ecl"] if self.by_cycle else []).clone()
        self.run = _runs(how / self._near(how), cell)
        count = int(self.run.max()) + 1
        self.centres = torch.stack([torch.nanmean(how[self.run == number], 0) for number in range(count)])

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, S + 1, P), scaled: n times the same; the generator is not used."""
        same = self.same_protocol(cond).to(self.curves.dtype)
        total = torch.zeros(len(cond), *self.curves.shape[1:], dtype=self.curves.dtype, device=self.curves.device)
        for number, weight in enumerate((same / same.sum(1, keepdim=True)).T):
            rows = torch.nonzero(weight)[:, 0]
            own = torch.nonzero(self.run == number)[:, 0]
            if self.by_cycle:
                asked = self._columns(cond[rows], ["ecl"])
                mean = self.curves[own[nearest_rows(asked, self.ecl[own], self.neighbours)]].mean(1)
            else:
                mean = self.curves[own].mean(0, keepdim=True)
            total[rows] += weight[rows, None, None] * mean
        return total.repeat(n, 1, 1, 1)

    def same_protocol(self, cond: Tensor) -> Tensor:
        """(B, R) bool: which of the training cells (once for every way they were run) have the protocol of each row."""
        if not self.block:
            return torch.ones(len(cond), len(self.centres), dtype=torch.bool, device=cond.device)
        nearest = nearest_rows(self.standardise(self._columns(cond, self.block)), self.standardise(self.centres), 1)[
            :, 0
        ]
        apart = (self.centres[nearest, None] - self.centres).abs() / self._near(self.centres)
        # a cell whose ambient is unknown is like any other in it
        return (torch.nan_to_num(apart, nan=0.0) <= 1.0 + 1e-4).all(2)

    def _columns(self, cond: Tensor, names: list[str]) -> Tensor:
        return cond[:, [self.names.index(name) for name in names]]

    def _near(self, like: Tensor) -> Tensor:
        return torch.tensor([NEAR[name] for name in self.block], dtype=like.dtype, device=like.device)


def _runs(how: Tensor, cell: Tensor) -> Tensor:
    """(N,) number of the (cell, way it was run) of each record. Within a cell, records within _FAR of the first that is in
    no run yet are one run; `how` (N, K) is in units of NEAR."""
    how = torch.nan_to_num(how, nan=0.0)
    run = torch.full_like(cell, -1)
    number = 0
    for one in cell.unique():
        while len(left := torch.nonzero((cell == one) & (run < 0))[:, 0]):
            together = ((how[left] - how[left[0]]).abs() <= _FAR).all(1)
            run[left[together]] = number
            number += 1
    return run
