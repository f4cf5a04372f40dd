"""Generated curves beside the measured ones they are judged by: what every family of metrics takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.condition_neighbours import nearest_rows
from batgen.evaluation.feature_map import FeatureMap

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """N measured curves that a generator never saw, and what it says of them.

    real: N held-out curves. generated: M curves from the generator. draws: (K, N, S, P) float32, K draws for each row of
    `real`, or None where nobody knows which measured curve a generated one was drawn for; with draws, `generated` is
    `real` with the first of them. train: curves the generator was trained on, or some of them; None where none is at hand.
    at_train: (K', rows of train, S, P), draws at the conditions of `train`, or None. told: numeric conditions that the
    generator was told. seed: of everything random in the evaluation. shared: what depends on the measured curves alone
    (floors, estimators), kept for the comparisons of other methods with the same curves. every: all curves the generator
    was trained on, where `train` is but some of them: a copy of one that is not there would pass for new.
    """

    real: CurveSet
    generated: CurveSet
    draws: np.ndarray | None
    train: CurveSet | None
    at_train: np.ndarray | None
    told: tuple[str, ...]
    seed: int
    shared: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    every: CurveSet | None = None

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What `make` gives, made only once for all comparisons that share `shared`."""
        # by identity: a comparison with other curves that got the same dict must not take these for its own
        key = (what, id(self.real), id(self.train))
        if key not in self.shared:
            self.shared[key] = (make(), self.real, self.train)
        found: T = self.shared[key][0]
        return found

    @property
    def signals(self) -> tuple[str, ...]:
        return self.real.signals

    @property
    def one_line(self) -> bool:
        """Whether all draws of a condition are the same: a deterministic model."""
        return self.draws is not None and (
            len(self.draws) == 1 or bool(np.ptp(self.draws[:, :8], axis=0).max(initial=0.0) < 1e-6)
        )

    @property
    def space(self) -> FeatureMap | None:
        """The feature map of whole curves, from the training and the held-out ones; None where no point is measured in all."""

        def make() -> FeatureMap | None:
            sets = [one for one in (self.train, self.real) if one is not None and len(one)]
            try:
                return FeatureMap.fit(*sets) if len(self.real) else None
            except ValueError:
                return None

        return self.once("space", make)

    @property
    def neighbour(self) -> CurveSet | None:
        """A measured curve of a training cell for each row of `real`, near in condition (`nearest_rows`): what another cell,
        measured, says of this condition. The real-versus-real floor of every metric that compares curves. None without
        training curves. Where a split trains on the tested cells, it may be a curve of the same cell, as for the model."""
        train = self.train
        if train is None or not len(train):
            return None
        return self.once("neighbour", lambda: train.take(nearest_rows(self.real, train, self.told, self.seed)))
