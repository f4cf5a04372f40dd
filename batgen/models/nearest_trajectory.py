"""Baseline: the training cell that looked most alike so far goes on in its place."""

import numpy as np

from batgen.errors import ConfigError
from batgen.models.trajectory import Trajectory, continued, training_cells

#: The first values that a shape is relative to, and the last ones that decide about the shift.
_FIRST, _LAST = 10, 5


class NearestTrajectory:
    """The continuation of the nearest training cell, shifted to go through the last 5 known values of the cell.

    Nearest is by the root mean square distance of shapes, value / mean of the first 10, at the known cycles up to the
    cut. Training cells that end before the cut have no continuation and are left out, unless all do. after: what
    follows the record of the training cell, "held" or "extended" (`batgen.models.trajectory.continued`).
    """

    ACCEPTS = ("sequences",)

    def __init__(self, after: str = "held") -> None:
        if after not in ("held", "extended"):
            raise ConfigError(f"after={after!r} must be held or extended.")
        self.after = after
        self.cells: list[Trajectory] = []

    def fit(self, cells: list[Trajectory]) -> None:
        """Keep the training cells. Raises ValueError for none."""
        self.cells = training_cells(cells)

    def nearest(self, cell: Trajectory, cut_cycle: int) -> Trajectory:
        """The training cell whose shape up to the cut is nearest."""
        known, values = cell.until(cut_cycle).known()
        going_on = [c for c in self.cells if c.known()[0][-1] > cut_cycle] or self.cells
        shapes = [_shape(continued(c, known, self.after)) for c in going_on]
        distance = [np.mean(np.square(shape - _shape(values))) for shape in shapes]
        return going_on[int(np.argmin(distance))]

    def forecast(self, cell: Trajectory, cut_cycle: int, cycles: np.ndarray) -> np.ndarray:
        """(H,) the shifted continuation. Raises ValueError when nothing is known at the cut."""
        other = self.nearest(cell, cut_cycle)
        known, values = (each[-_LAST:] for each in cell.until(cut_cycle).known())
        return continued(other, cycles, self.after) + (values - continued(other, known, self.after)).mean()


def _shape(values: np.ndarray) -> np.ndarray:
    start = values[:_FIRST].mean()
    return values / start if start else values
