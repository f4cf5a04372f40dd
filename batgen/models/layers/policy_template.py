"""What the charging policy commands is the same in all its cells: blend the regression with the policy's own mean."""

import torch
from torch import Tensor, nn


class PolicyTemplate(nn.Module):
    """Two estimates of a curve, blended point by point by their precision.

    Between its steps a policy commands one current. A smooth regression over all policies, expanded in a global basis,
    rings there; the mean of the policy's training curves does not, and where the policy's cells differ (where a step
    falls, the constant-voltage tail) the regression is the better one. With variance t of a cell about the mean of the
    policy's other cells and v about the regression without it, the weight of the regression is t / (t + v). Residuals
    are scaled to the error that the blend makes on left-out cells. For a policy with one training cell t is taken from
    how much its cycles differ, and the error from t v / (t + v); an unseen policy is left as it is.
    """

    policies: Tensor
    template: Tensor
    weight: Tensor
    spread: Tensor

    def __init__(self, columns: int, size: int) -> None:
        super().__init__()
        self.register_buffer("policies", torch.empty(0, columns))
        for name in ("template", "weight", "spread"):
            self.register_buffer(name, torch.empty(0, size))

    def fit(self, policy: Tensor, curves: Tensor, regression: Tensor, cell: Tensor) -> None:
        """From policy (N, columns), curves (N, P), the regression of each row without its cell (N, P), cell (N,).

        Without columns, points, or any policy that has several cells there is nothing to learn and nothing is blended.
        """
        if policy.shape[1] == 0 or curves.shape[1] == 0:
            return
        policies, slot = policy.unique(dim=0, return_inverse=True)
        rows = [torch.nonzero(slot == index)[:, 0] for index in range(len(policies))]
        others = [_mean_of_other_cells(curves[own], cell[own]) for own in rows]
        several = [other is not None for other in others]
        within = [_within(curves[own], cell[own]) for own in rows]
        squared = [
            (curves[own] - other).square().mean(0) if other is not None else None
            for own, other in zip(rows, others, strict=True)
        ]
        if not any(several):
            return
        # How much more than its own cycles do cells differ: from the policies that have several.
        known = sum(float(s.sum()) for s in squared if s is not None)
        ratio = known / max(1e-20, sum(float(w.sum()) for w, s in zip(within, squared, strict=True) if s is not None))
        whole = (curves - regression).square().mean(0)
        weights, spreads = [], []
        for own, other, t, inner in zip(rows, others, squared, within, strict=True):
            v = (curves[own] - regression[own]).square().mean(0)
            t = ratio * inner if t is None else t
            weight = t / (t + v).clamp_min(1e-20)
            error = weight * v
            if other is not None:
                error = (curves[own] - torch.lerp(other, regression[own], weight)).square().mean(0)
            weights.append(weight)
            spreads.append((error / whole.clamp_min(1e-20)).sqrt())
        self.policies, self.template = policies, torch.stack([curves[own].mean(0) for own in rows])
        self.weight, self.spread = torch.stack(weights), torch.stack(spreads)

    def forward(self, policy: Tensor, mean: Tensor, residual: Tensor) -> Tensor:
        """Curves (..., B, P) of policy (B, columns) from the regression mean (B, P) and residuals (..., B, P)."""
        if len(self.policies) == 0:
            return mean + residual
        same = (policy[:, None] == self.policies).all(2)
        known, slot = same.any(1)[:, None], same.int().argmax(1)
        weight = torch.where(known, self.weight[slot], 1.0)
        spread = torch.where(known, self.spread[slot], 1.0)
        return torch.lerp(self.template[slot], mean, weight) + spread * residual


def _mean_of_other_cells(curves: Tensor, cell: Tensor) -> Tensor | None:
    """(N, P): for each row the mean over the rows of the other cells; None where there is one cell."""
    total, names = curves.sum(0), cell.unique()
    if len(names) == 1:
        return None
    result = torch.empty_like(curves)
    for name in names:
        own = cell == name
        result[own] = (total - curves[own].sum(0)) / (~own).sum()
    return result


def _within(curves: Tensor, cell: Tensor) -> Tensor:
    """(P,) variance of curves (N, P) about the mean of their own cell."""
    parts = [curves[cell == name] for name in cell.unique()]
    return torch.cat([part - part.mean(0) for part in parts]).square().mean(0)
