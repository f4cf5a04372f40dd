"""Generated curves beside the measured ones they are judged by: what every family of metrics takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from scipy.spatial.distance import cdist

from batgen.data.curve_set import CurveSet
from batgen.evaluation.feature_map import FeatureMap

T = TypeVar("T")

#: Kinds of cells: curves of another kind are no neighbours, whatever their conditions. In standard deviations.
_KINDS, _APART = ("chemistry", "battery"), 10.0
#: Training cells, nearest in condition, of which one is drawn as the measured neighbour of a row.
_CELLS = 5


@dataclass(frozen=True)
class Comparison:
    """N measured curves that a generator never saw, and what it says of them.

    real: N held-out curves. generated: M curves from the generator. draws: (K, N, S, P) float32, K draws for each row of
    `real`, or None where nobody knows which measured curve a generated one was drawn for; with draws, `generated` is
    `real` with the first of them. train: curves the generator was trained on, or None where they are not at hand.
    at_train: (K', rows of train, S, P), draws at the conditions of `train`, or None. told: numeric conditions that the
    generator was told. seed: of everything random in the evaluation. shared: what depends on the measured curves alone
    (floors, estimators), kept for the comparisons of other methods with the same curves.
    """

    real: CurveSet
    generated: CurveSet
    draws: np.ndarray | None
    train: CurveSet | None
    at_train: np.ndarray | None
    told: tuple[str, ...]
    seed: int
    shared: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

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
        """A measured curve of a training cell for each row of `real`, the nearest in condition of a random one of the cells
        that come nearest: what another cell, measured, says of this condition. The real-versus-real floor of every
        metric that compares curves. None without training curves. Of the tested cell's own cycles, where a split trains
        on them, as of any other cell's."""
        train = self.train
        if train is None or not len(train):
            return None
        return self.once("neighbour", lambda: train.take(nearest_rows(self.real, train, self.told, self.seed)))


def condition_matrix(curves: CurveSet, like: CurveSet, names: tuple[str, ...]) -> np.ndarray:
    """(N, C) conditions of `curves` in standard deviations of those of `like`; those that `like` holds constant are left out.
    Chemistry and battery type follow as columns of their own, far apart, where `like` has several."""
    columns = []
    for name in names:
        known = like.column(name)
        spread = float(np.nanstd(known)) if np.isfinite(known).any() else 0.0
        if spread > 0:
            columns.append((curves.column(name) - np.nanmean(known)) / spread)
    for name in _KINDS:
        if name in like.table and name in curves.table:
            kinds = np.unique(like.table[name].to_numpy(str))
            columns += [_APART * (curves.table[name].to_numpy(str) == kind) for kind in kinds[1:]]
    return np.nan_to_num(np.stack(columns, axis=1)) if columns else np.zeros((len(curves), 1))


def nearest_rows(rows: CurveSet, among: CurveSet, names: tuple[str, ...], seed: int) -> np.ndarray:
    """For each of `rows` one of `among` (N,): the nearest in condition of one of the `_CELLS` cells that come nearest."""
    rng = np.random.default_rng(seed)
    own, others = condition_matrix(rows, among, names), condition_matrix(among, among, names)
    cells, index = np.unique(among.cells, return_inverse=True)
    members = [np.flatnonzero(index == number) for number in range(len(cells))]
    best, where = np.empty((len(rows), len(cells))), np.empty((len(rows), len(cells)), dtype=np.int64)
    for number, mine in enumerate(members):
        distance = cdist(own, others[mine])
        place = distance.argmin(axis=1)
        best[:, number], where[:, number] = distance[np.arange(len(rows)), place], mine[place]
    order = np.argsort(best + 1e-9 * rng.random(best.shape), axis=1)[:, :_CELLS]
    chosen = order[np.arange(len(rows)), rng.integers(0, order.shape[1], len(rows))]
    found: np.ndarray = where[np.arange(len(rows)), chosen]
    return found
