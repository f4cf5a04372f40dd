"""Baseline: copy the training sample whose conditions are nearest."""

from typing import Literal

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.conditions import Standardise
from batgen.models.layers.nearest import nearest_label, nearest_rows


class NearestCopy(nn.Module):
    """All n samples are one and the same training curve: what a model must beat to have learnt more than a lookup.

    metric="conditions": Euclidean over all standardised conditions; metric="label": eq. 14 of the RCVAE paper over
    (eol, ecl) with `label_weight`, which is how that paper maps an unseen label to a seen one.
    Raises ConfigError for metric="label" on data without eol and ecl.
    """

    ACCEPTS = ("curves",)
    REQUIRES = ()

    curves: Tensor
    table: Tensor

    def __init__(
        self, shape: DataShape, *, metric: Literal["conditions", "label"] = "conditions", label_weight: float = 0.5
    ) -> None:
        super().__init__()
        if metric not in ("conditions", "label"):
            raise ConfigError(f"model.metric={metric!r} is unknown; choose 'conditions' or 'label'.")
        missing = {"eol", "ecl"} - set(shape.cond_names)
        if metric == "label" and missing:
            raise ConfigError(f"model.metric=label needs the conditions eol and ecl; data.conditions lacks {missing}.")
        self.shape = shape
        self.metric = metric
        self.label_weight = label_weight
        self.standardise = Standardise(shape.cond_names)
        self.register_buffer("curves", torch.empty(0, *shape.x_shape))
        self.register_buffer("table", torch.empty(0, len(shape.cond_names)))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Keep the training curves x (N, *x_shape) and their conditions (N, C)."""
        self.standardise.fit(cond)
        self.curves = x.clone()
        self.table = cond.clone()

    def nearest(self, cond: Tensor) -> Tensor:
        """(B,) index of the training sample nearest to each row of cond (B, C)."""
        if self.metric == "label":
            columns = [self.shape.cond_names.index(name) for name in ("eol", "ecl")]
            return nearest_label(cond[:, columns], self.table[:, columns], self.label_weight)
        return nearest_rows(self.standardise(cond), self.standardise(self.table), 1)[:, 0]

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled: n equal copies for each row of cond (B, C)."""
        copies = self.curves[self.nearest(cond)]
        return copies.expand(n, *copies.shape)
