"""Two-sample U-statistics of pairs of rows, and their interval over cells: energy distance and MMD."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import euclidean_distances

#: Cells of a side, at most: where there are more they are resampled in so many groups, for sums are kept for each pair of them.
_GROUPS = 100
#: What a pair of rows counts, from its Euclidean distance: (n, m) -> (n, m).
PairValue = Callable[[np.ndarray], np.ndarray]
_CHUNK_ROWS = 2048
#: Distances of longer vectors come from products of matrices: good to 1e-8 of their length, in a fifth of the time.
_LONG = 100


@dataclass(frozen=True)
class PairSums:
    """Sums of what pairs count, `sums` (3, C, C), and numbers of pairs, `pairs` (3, C, C), by the cells of both rows.

    The first axis: pairs real-generated, real-real and generated-generated, these two without a row and itself. `sets`:
    numbers of the cells that are resampled together; one set where both sides have the same cells, else one a side.
    """

    sums: np.ndarray
    pairs: np.ndarray
    sets: tuple[np.ndarray, ...]

    def value(self) -> float:
        """2 mean(real-generated) - mean(real-real) - mean(generated-generated)."""
        return self._weighted(np.ones(self.sums.shape[1:]))

    def interval(self, seed: int, n: int = 1000) -> tuple[float, float]:
        """95 % percentile interval of `value`, resampling whole cells `n` times; (NaN, NaN) with one cell in a set.

        A cell drawn twice is two cells: pairs of a row with its own copy (distance 0) or of one copy of a cell with
        another would make a resampled set look too alike, and a bootstrap that counts them gives an interval above its
        own estimate. Such pairs are left out, and pairs of different cells weigh C / (C - 1) for C cells, which makes up
        for resamples that drop cells. Source: ours, after the bootstrap of U-statistics of Arcones & Gine 1992.
        """
        if min(len(cells) for cells in self.sets) < 2:
            return float("nan"), float("nan")
        rng = np.random.default_rng(seed)
        values = np.empty(n)
        for k in range(n):
            copies = np.zeros(self.sums.shape[1])
            for cells in self.sets:
                copies[cells] = rng.multinomial(len(cells), np.full(len(cells), 1.0 / len(cells)))
            weight = np.outer(copies, copies)
            for cells in self.sets:
                weight[np.ix_(cells, cells)] *= len(cells) / (len(cells) - 1)
            np.fill_diagonal(weight, copies)
            values[k] = self._weighted(weight)
        low, high = np.nanquantile(values, [0.025, 0.975])
        return float(low), float(high)

    def _weighted(self, weight: np.ndarray) -> float:
        """The value with `weight` (C, C) on the pairs of two cells; NaN where no pair is left."""
        counts = np.tensordot(self.pairs, weight, 2)
        totals = np.tensordot(self.sums, weight, 2)
        cross, real, made = np.divide(totals, counts, out=np.full(3, np.nan), where=counts > 0)
        return float(2 * cross - real - made)


def pair_sums(
    real: np.ndarray,
    generated: np.ndarray,
    cells_real: np.ndarray | None = None,
    cells_generated: np.ndarray | None = None,
    of: Sequence[PairValue] = (np.asarray,),
) -> list[PairSums]:
    """For each of `of` the sums over pairs of real (N, D) and generated (M, D) rows; the distances are taken once for all.

    `cells_real` (N,), `cells_generated` (M,): cell of each row, for generated rows the cell whose conditions they were
    drawn for; both None: one cell for all. Raises ValueError for shapes that do not fit.
    """
    check_sets(real, generated)
    labels_real = np.zeros(len(real), int) if cells_real is None else np.asarray(cells_real)
    labels_made = np.zeros(len(generated), int) if cells_generated is None else np.asarray(cells_generated)
    if labels_real.shape != (len(real),) or labels_made.shape != (len(generated),):
        raise ValueError("need one cell for each row")
    labels_real, labels_made = _merged(labels_real, labels_made)
    names_real, index_real = np.unique(labels_real, return_inverse=True)
    names_made, index_made = np.unique(labels_made, return_inverse=True)
    together = len(names_real) == len(names_made) and bool((names_real == names_made).all())
    total = len(names_real) if together else len(names_real) + len(names_made)
    sets = (
        (np.arange(len(names_real)),) if together else (np.arange(len(names_real)), np.arange(len(names_real), total))
    )
    hot_real = np.eye(total)[index_real]
    hot_made = np.eye(total)[index_made if together else index_made + len(names_real)]
    if real.shape[1] > _LONG:
        centre = real.mean(axis=0)
        real, generated = real - centre, generated - centre
    between = cdist if real.shape[1] <= _LONG else euclidean_distances
    sides = ((real, generated, hot_real, hot_made), (real, real, hot_real, hot_real))
    sums, pairs = np.zeros((len(of), 3, total, total)), np.zeros((3, total, total))
    for place, (a, b, hot_a, hot_b) in enumerate((*sides, (generated, generated, hot_made, hot_made))):
        pairs[place] = np.outer(hot_a.sum(0), hot_b.sum(0)) - (np.diag(hot_a.sum(0)) if place else 0.0)
        for start in range(0, len(a), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            distance = between(a[rows], b)
            for number, count in enumerate(of):
                sums[number, place] += hot_a[rows].T @ (count(distance) @ hot_b)
    return [PairSums(one, pairs, sets) for one in sums]


def _merged(real: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels, or those of groups of cells where there are more than _GROUPS on a side; a cell of both is in one group."""
    if max(len(np.unique(real)), len(np.unique(made))) <= _GROUPS:
        return real, made
    _, index = np.unique(np.concatenate([real, made]), return_inverse=True)
    index = np.random.default_rng(0).permutation(index.max() + 1)[index] % _GROUPS
    return index[: len(real)], index[len(real) :]


def check_sets(real: np.ndarray, generated: np.ndarray) -> None:
    """Raise ValueError unless both are rows of vectors of one length."""
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(f"need real (N, D) and generated (M, D), got {real.shape} and {generated.shape}")
