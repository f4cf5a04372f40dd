"""Precision, recall, density and coverage: do generated curves lie where measured ones do, and reach all of them?"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

#: Neighbours that a ball reaches to.
NEIGHBOURS = 5
#: Distance of a row that is not finite to every other one; a ball that reaches so far is none.
_FAR = 1e150


@dataclass(frozen=True)
class Manifold:
    """Distances (N, N), (M, M) and (N, M) of measured and generated rows, infinite between rows that must not meet."""

    real: np.ndarray
    made: np.ndarray
    cross: np.ndarray

    def scores(self, rows_real: np.ndarray, rows_made: np.ndarray, k: int = NEIGHBOURS) -> dict[str, float]:
        """The four metrics of these rows; {} where fewer than half of the rows have `k` neighbours that count.

        A ball around a row reaches to its k-th nearest neighbour of its own side. precision: share of generated rows in the
        ball of some measured row. recall: share of measured rows in the ball of some generated row. Both 0 to 1, higher is
        better, Kynkaanniemi et al. 2019. density: mean number of generated rows in a measured ball, over `k`; 1 for one
        law, above 1 where generated rows crowd the middle; coverage: share of measured rows with a generated row in their
        ball, 0 to 1, higher is better, 1 - 2^-k for one law; Naeem et al. 2020. One far measured row makes a large ball
        that lets precision pass; density does not fall for it.
        """
        own, cross = self.real[np.ix_(rows_real, rows_real)], self.cross[np.ix_(rows_real, rows_made)]
        reach_real, reach_made = _reach(own, k), _reach(self.made[np.ix_(rows_made, rows_made)], k)
        kept_real, kept_made = np.isfinite(reach_real), np.isfinite(reach_made)
        if min(kept_real.sum() / len(own), kept_made.sum() / len(reach_made)) < 0.5:
            return {}
        # As many generated rows as measured ones may meet a ball, but for cells of unequal size: those are made up for.
        share = np.isfinite(cross).sum(axis=1) / np.maximum(np.isfinite(own).sum(axis=1), 1)
        share, cross = share[kept_real], cross[np.ix_(kept_real, kept_made)]
        in_real = cross <= reach_real[kept_real, None]
        in_made = cross <= np.where(reach_made < _FAR, reach_made, -1.0)[kept_made]
        return {
            "precision": float(in_real.any(axis=0).mean()),
            "recall": float(in_made.any(axis=1).mean()),
            "density": float((in_real.sum(axis=1) / (k * np.maximum(share, 1e-9))).mean()),
            "coverage": float(in_real.any(axis=1).mean()),
        }


def manifold(
    real: np.ndarray,
    generated: np.ndarray,
    groups_real: np.ndarray,
    groups_generated: np.ndarray,
    drawn_for: np.ndarray,
) -> Manifold:
    """Distances of measured (N, D) and generated (M, D) rows in which rows of one group do not meet.

    Rows of a cell follow one another in small steps: their balls would reach to the next cycle, no further, and a perfect
    generator, which cannot know the cell, would stand outside all of them. So a ball reaches to the k-th nearest row of
    *other* groups: `groups_real` (N,), `groups_generated` (M,), cells as a rule, blocks of cycles where there are few cells.
    The same between the sides: a generated row does not meet the measured rows of the group it was drawn for
    (`drawn_for` (M,), in the names of `groups_real`), so that two sets of one law are treated alike. Coverage is then
    1 - 2^-k where rows of different groups are independent, and less where the k nearest rows are all of one cell: read it
    beside the floor. Give both sides as many rows: balls shrink as rows become many. Euclidean, unit of the inputs. Rows
    that are not finite meet nobody's ball: neither precise nor covering. Raises ValueError for shapes that do not fit.
    """
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(f"need real (N, D) and generated (M, D), got {real.shape} and {generated.shape}")
    if len(groups_real) != len(real) or not len(groups_generated) == len(drawn_for) == len(generated):
        raise ValueError("need one group for each row")
    broken = ~np.isfinite(generated).all(axis=1)
    centre = real.mean(axis=0)
    x, y = real - centre, np.where(broken[:, None], 0.0, generated - centre)
    cross, own, made = euclidean_distances(x, y), euclidean_distances(x), euclidean_distances(y)
    cross[:, broken], made[broken], made[:, broken] = _FAR, _FAR, _FAR
    own[np.asarray(groups_real)[:, None] == np.asarray(groups_real)] = np.inf
    made[np.asarray(groups_generated)[:, None] == np.asarray(groups_generated)] = np.inf
    cross[np.asarray(groups_real)[:, None] == np.asarray(drawn_for)] = np.inf
    return Manifold(own, made, cross)


def _reach(distance: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row of (n, n) to its k-th nearest; infinite where fewer may be met."""
    if len(distance) < k:
        return np.full(len(distance), np.inf)
    found: np.ndarray = np.partition(distance, k - 1, axis=1)[:, k - 1]
    return found
