"""Rows that a regression learns from: inputs, target and cells; and jittered copies of measured ones, the cheap control."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class LabelledRows:
    """Inputs (N, F), target (N,), cell (N,) of each row and its second cell (N,), which differs where the row was drawn
    between two; weight (N,) of a row; scored (N,) bool: rows whose error chooses the regressor (the measured ones, where
    there are any)."""

    inputs: np.ndarray
    target: np.ndarray
    cells: np.ndarray
    others: np.ndarray
    weight: np.ndarray
    scored: np.ndarray

    @classmethod
    def of(
        cls, inputs: np.ndarray, target: np.ndarray, cells: np.ndarray, others: np.ndarray | None = None
    ) -> "LabelledRows":
        """Rows that weigh the same; those with NaN or infinity (a generator's failures) are left out.

        Raises ValueError for shapes that do not match and where no row is left.
        """
        others = cells if others is None else others
        if inputs.ndim != 2 or {target.shape, np.shape(cells), np.shape(others)} != {(len(inputs),)}:
            raise ValueError(f"need (N, F), (N,) and (N,), got {inputs.shape}, {target.shape}, {np.shape(cells)}")
        fine = np.isfinite(inputs).all(axis=1) & np.isfinite(target)
        if not fine.any():
            raise ValueError(f"none of {len(fine)} rows is finite")
        count = int(fine.sum())
        first, second = np.asarray(cells)[fine], np.asarray(others)[fine]
        return cls(inputs[fine], target[fine], first, second, np.ones(count), np.ones(count, bool))

    def without(self, cells: np.ndarray) -> "LabelledRows":
        """The rows that none of these cells has a part in; either side weighs as much as the other again."""
        kept = ~(np.isin(self.cells, cells) | np.isin(self.others, cells))
        left = LabelledRows(*(getattr(self, part.name)[kept] for part in fields(self)))
        measured, added = int(left.scored.sum()), int((~left.scored).sum())
        if measured and added:
            left.weight[~left.scored] = measured / added
        return left

    def beside(self, synthetic: "LabelledRows") -> "LabelledRows":
        """These measured rows and synthetic ones: either side weighs as much as the other, the measured ones choose."""
        share = len(self.target) / len(synthetic.target)
        return LabelledRows(
            np.r_[self.inputs, synthetic.inputs],
            np.r_[self.target, synthetic.target],
            np.r_[self.cells, synthetic.cells],
            np.r_[self.others, synthetic.others],
            np.r_[self.weight, synthetic.weight * share],
            np.r_[self.scored, np.zeros(len(synthetic.target), bool)],
        )


def neighbour_noise(inputs: np.ndarray, groups: np.ndarray, age: np.ndarray) -> np.ndarray:
    """By how much measured rows depart from their neighbours: inputs (N, F) -> (M, F), M <= N, in the unit of the inputs.

    Rows of one group (a cell, or a cell at one SOC) are ordered by age (N,), such as ECL. Each that has a neighbour on
    both sides gives its difference from the line between these two. The trend of ageing cancels: a copy that keeps its
    label must not be moved along it. Rows with NaN are no neighbours. Of groups below three rows nothing is known.
    """
    fine = np.isfinite(inputs).all(axis=1) & np.isfinite(age)
    inputs, groups, age = inputs[fine], np.asarray(groups)[fine], np.asarray(age, dtype=np.float64)[fine]
    found = [np.empty((0, inputs.shape[1]))]
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        rows = rows[np.argsort(age[rows], kind="stable")]
        before, here, after = rows[:-2], rows[1:-1], rows[2:]
        span = age[after] - age[before]
        place = np.divide(age[here] - age[before], span, out=np.full(len(here), 0.5), where=span > 0)[:, None]
        found.append(inputs[here] - (1 - place) * inputs[before] - place * inputs[after])
    return np.concatenate(found)


def jittered_copies(
    inputs: np.ndarray, groups: np.ndarray, age: np.ndarray, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """n copies of measured rows with `neighbour_noise` of a random row and sign: (row numbers (n,), inputs (n, F)).

    Each row is copied as often as another, give or take one. The cheap control of a generator: what such copies gain too
    is regularisation (training with noise; Bishop 1995), not knowledge of cells. None where no row has two neighbours.
    """
    noise = neighbour_noise(inputs, groups, age)
    if not len(noise):
        return None
    rng = np.random.default_rng([seed, 11])
    picked = np.resize(rng.permutation(len(inputs)), n)
    sign = rng.choice([-1.0, 1.0], n)
    return picked, inputs[picked] + sign[:, None] * noise[rng.integers(len(noise), size=n)]
