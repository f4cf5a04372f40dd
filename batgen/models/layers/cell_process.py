"""Gaussian-process regression for grouped data: a smooth function of the conditions plus an effect of each cell.

Cycles of one cell are nearly repeats: seventy cells of a hundred cycles are seventy observations of how curves depend
on the conditions, not seven thousand. The cell effect in the covariance says so, and that is what keeps the conditional
mean from being overfitted. (Rasmussen & Williams 2006, eqs. 2.25, 2.26, 5.8; random effects: Laird & Ware 1982.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Centre and width of the normal priors on the logarithms of what is learnt (inputs and outputs have unit variance).
PRIOR = {
    "length": (1.0, 0.7),
    "amplitude": (-0.4, 1.0),
    "local_length": (1.0, 0.7),
    "local_amplitude": (-1.0, 1.5),
    "slope": (-2.0, 1.0),
    "cell": (-0.5, 1.5),
    "noise": (-1.0, 1.5),
}
#: The prior centre of `local_length` along the columns that name a group of cells.
LOCAL = -1.5
#: More anchors than this in one cell say nothing new.
MOST_EACH = 8
#: Rows predicted at once: bounds the memory of long requests.
BLOCK = 256
#: Logarithms that further searches start from: all is the policy; all is a smooth function of the conditions.
STARTS: tuple[dict[str, float], ...] = (
    {"local_amplitude": 0.0, "cell": -3.0, "noise": -3.0},
    {"amplitude": 0.0, "slope": -1.0, "cell": -2.5, "noise": -3.0},
)


class CellProcess(nn.Module):
    """y(f) = plane(f) + smooth(f) + local(f) + cell + noise for Q outputs, f of F standardised features.

    smooth and local have squared-exponential covariances with a length for each feature; local is at first short along
    the columns marked in `group`, so that cells under one policy can share what no other policy has. Scales are those of
    largest posterior probability, shared by the outputs of one `kind` (Q,): 0 .. K - 1, relative to each output's own
    spread. State: M anchors (training samples; `anchors` in all, but 1 to 8 of each cell) and matrices over
    them, all buffers.
    """

    kind: Tensor
    place: Tensor
    anchors: Tensor
    members: Tensor
    cells: Tensor
    scale: Tensor
    weights: Tensor
    factor: Tensor
    block: Tensor
    length: Tensor
    amplitude: Tensor
    local_length: Tensor
    local_amplitude: Tensor
    slope: Tensor
    cell: Tensor
    noise: Tensor

    def __init__(
        self, anchors: int, group: Sequence[bool], kind: Sequence[int], learn_from: int = 3, steps: int = 50
    ) -> None:
        super().__init__()
        self.group = tuple(group)
        self.anchor_count = anchors
        self.learn_from = learn_from
        self.steps = steps
        place = [list(kind[:i]).count(k) for i, k in enumerate(kind)]
        self.register_buffer("kind", torch.tensor(kind, dtype=torch.int64), persistent=False)
        self.register_buffer("place", torch.tensor(place, dtype=torch.int64), persistent=False)
        self.register_buffer("members", torch.empty(0, 0, dtype=torch.int64))
        self.register_buffer("cells", torch.empty(0, dtype=torch.int64))
        for name in ("anchors", "scale", "weights", "block", *PRIOR):
            self.register_buffer(name, torch.empty(0, dtype=torch.float64))
        self.register_buffer("factor", torch.empty(0))

    def fit(self, features: Tensor, target: Tensor, cell: Tensor, order: Tensor) -> None:
        """Learn from features (N, F), target (N, Q), cell (N,); anchors are spread evenly over `order` (N,)."""
        self.cells = cell.unique()
        each = min(max(1, self.anchor_count // len(self.cells)), MOST_EACH)
        chosen: list[Tensor] = []
        members = torch.full((len(self.cells), each), -1, dtype=torch.int64, device=cell.device)
        for slot, name in enumerate(self.cells):
            own = torch.nonzero(cell == name)[:, 0]
            own = own[order[own].argsort(stable=True)]
            step = torch.linspace(0, len(own) - 1, min(each, len(own)), device=cell.device).round().long()
            start = sum(len(part) for part in chosen)
            members[slot, : len(step)] = torch.arange(start, start + len(step), device=cell.device)
            chosen.append(own[step])
        rows = torch.cat(chosen)
        self.members = members
        self.anchors = features[rows].double()
        values = target[rows].double()
        self.scale = values.std(0, correction=0).clamp_min(1e-12)
        values = self._by_kind(values / self.scale)
        same = (cell[rows][:, None] == cell[rows][None]).double()
        # The scales need few samples of each cell and cost a hundred times what the prediction does.
        few = min(each, self.learn_from)
        column = torch.linspace(0, each - 1, few, device=cell.device).round().long()
        part = members[:, column].flatten()
        part = part[part >= 0].unique()
        with torch.enable_grad():
            self._maximise(self.anchors[part], values[:, part], same[part][:, part])
        covariance = self._kernel(self.anchors, self.anchors) + self._nugget(same)
        unit = torch.eye(len(rows), dtype=covariance.dtype, device=covariance.device)
        # Single precision halves the checkpoint; the square of the factor stays a covariance whatever the rounding.
        self.factor = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), unit, upper=False).float()
        half = self.factor.double()
        self.weights = half.mT @ (half @ values)
        self.block = self._blocks(half.mT @ half)

    def _by_kind(self, values: Tensor) -> Tensor:
        """(N, Q) -> (K, N, D), outputs of one kind side by side, padded with zeros, which fit anything at no cost."""
        table = values.new_zeros(int(self.kind.max()) + 1, int(self.place.max()) + 1, len(values))
        table[self.kind, self.place] = values.T
        return table.mT

    def _maximise(self, anchors: Tensor, values: Tensor, same: Tensor) -> None:
        """Maximum a posteriori scales by Adam: no randomness, a fixed number of steps.

        Each kind starts from the centres of the priors and from STARTS, and goes on from what is best after half of
        the steps: "every cell is different" and "every group of cells is" are different optima of the same data.
        """
        outputs, width = len(values), anchors.shape[1]
        # Outputs of one kind count by their share of the kind's energy: together they are one curve, not many.
        share = self._by_kind((self.scale / self._by_kind(self.scale[None]).amax((1, 2))[self.kind])[None])
        counts, table = share.square().sum((1, 2)), values * share
        centres, starts = {}, {}
        for name, (centre, _) in PRIOR.items():
            size = (outputs, width) if name in ("length", "local_length", "slope") else (outputs,)
            middle = torch.full(size, centre, dtype=torch.float64, device=values.device)
            if name == "local_length":
                middle[:, torch.tensor(self.group, device=values.device)] = LOCAL
            others = [torch.full_like(middle, start[name]) if name in start else middle for start in STARTS]
            centres[name], starts[name] = middle, torch.cat([middle, *others])
        tries = 1 + len(STARTS)
        many = {name: value.repeat(tries, *[1] * (value.ndim - 1)) for name, value in centres.items()}
        cost, found = self._ascend(
            starts, many, anchors, table.repeat(tries, 1, 1), counts.repeat(tries), same, self.steps // 2
        )
        best = cost.view(tries, outputs).argmin(0) * outputs + torch.arange(outputs, device=cost.device)
        found = {name: value[best] for name, value in found.items()}
        _, found = self._ascend(found, centres, anchors, table, counts, same, self.steps)
        for name, value in found.items():
            setattr(self, name, value.exp())

    def _ascend(
        self,
        start: dict[str, Tensor],
        centres: dict[str, Tensor],
        anchors: Tensor,
        table: Tensor,
        counts: Tensor,
        same: Tensor,
        steps: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log posterior (K,) before the last step, and the logarithms of the scales after `steps` steps."""
        free = {name: value.clone().requires_grad_() for name, value in start.items()}
        optimiser = torch.optim.Adam(free.values(), lr=0.1)
        cost = counts
        for _ in range(max(1, steps)):
            for name, value in free.items():
                setattr(self, name, value.exp())
            factor = torch.linalg.cholesky(self._kernel(anchors, anchors) + self._nugget(same))
            cost = 0.5 * torch.linalg.solve_triangular(factor, table, upper=False).square().sum((1, 2))
            cost = cost + counts * factor.diagonal(dim1=1, dim2=2).log().sum(1)
            for name, (_, wide) in PRIOR.items():
                cost = cost + 0.5 * ((free[name] - centres[name]) / wide).square().reshape(len(cost), -1).sum(1)
            optimiser.zero_grad()
            cost.sum().backward()
            optimiser.step()
        return cost.detach(), {name: value.detach() for name, value in free.items()}

    def _kernel(self, left: Tensor, right: Tensor) -> Tensor:
        """(K, L, R) covariance of what conditions explain: two squared exponentials and a plane."""
        plane = (left * self.slope.square()[:, None]) @ right.T
        return (
            plane
            + _squared_exponential(left, right, self.length, self.amplitude)
            + _squared_exponential(left, right, self.local_length, self.local_amplitude)
        )

    def _nugget(self, same: Tensor) -> Tensor:
        jitter = torch.eye(len(same), dtype=same.dtype, device=same.device)
        return self.cell.square()[:, None, None] * same + (self.noise.square()[:, None, None] + 1e-6) * jitter

    def _blocks(self, precision: Tensor) -> Tensor:
        """(K, cells, E, E) inverses of each cell's block of the precision; rows of absent members are zero."""
        index = self.members.clamp_min(0)
        absent = self.members < 0
        block = precision[:, index[:, :, None], index[:, None, :]]
        lone = absent[:, :, None] | absent[:, None, :]
        block = torch.where(lone, torch.eye(index.shape[1], dtype=block.dtype, device=block.device), block)
        return torch.where(lone, 0.0, torch.linalg.inv(block))

    def forward(self, features: Tensor, leave_out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean (B, Q) of a new cell at features (B, F), and the variance (B, Q) of that mean, in units of the target.

        leave_out (B,): a training cell for each row whose data are to be ignored, in closed form; -1 or an unknown cell
        leaves nothing out. What is left over on a cell's own samples is then what an unseen cell would show.
        """
        cells = [None] * (len(features) // BLOCK + 1) if leave_out is None else leave_out.split(BLOCK)
        blocks = [self._predict(rows.double(), own) for rows, own in zip(features.split(BLOCK), cells, strict=False)]
        mean, variance = (torch.cat(part).to(features.dtype) for part in zip(*blocks, strict=True))
        return mean, variance

    def _predict(self, point: Tensor, leave_out: Tensor | None) -> tuple[Tensor, Tensor]:
        kernel = self._kernel(self.anchors, point)
        half = self.factor.double()
        white = half @ kernel
        mean = kernel.mT @ self.weights
        prior = self.amplitude.square() + self.local_amplitude.square() + point.square() @ self.slope.square().T
        variance = prior.T - white.square().sum(1)
        if leave_out is not None and len(self.cells):
            slot = torch.searchsorted(self.cells, leave_out.contiguous()).clamp_max(len(self.cells) - 1)
            known = self.cells[slot] == leave_out
            index = self.members[slot].clamp_min(0)
            own = (half.mT @ white)[:, index, torch.arange(len(point), device=point.device)[:, None]]
            gain = (self.block[:, slot] @ own[..., None]).mT
            mean = mean - known[:, None] * (gain @ self.weights[:, index])[:, :, 0]
            variance = variance + known * (gain @ own[..., None])[..., 0, 0]
        mean, variance = mean[self.kind, :, self.place].T, variance.clamp_min(0.0)[self.kind].T
        return mean * self.scale, variance * self.scale.square()

    def effects(self) -> tuple[Tensor, Tensor]:
        """Standard deviations (Q,) of the cell effect and of what differs between cycles of a cell."""
        return self.cell[self.kind] * self.scale, self.noise[self.kind] * self.scale


def _squared_exponential(left: Tensor, right: Tensor, length: Tensor, amplitude: Tensor) -> Tensor:
    """(Q, L, R) from left (L, F), right (R, F), length (Q, F), amplitude (Q,)."""
    left, right = left / length[:, None], right / length[:, None]
    square = left.square().sum(2)[:, :, None] + right.square().sum(2)[:, None] - 2 * left @ right.mT
    return amplitude.square()[:, None, None] * torch.exp(-0.5 * square.clamp_min(0.0))
