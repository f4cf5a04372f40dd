"""Baseline: the mean of the training cells, cycle by cycle."""

import numpy as np

from batgen.errors import ConfigError
from batgen.models.trajectory import Trajectory, continued, training_cells

#: How many of the last known cycles decide by how much the mean is shifted.
_LAST = 5


class MeanTrajectory:
    """The mean training curve, the same for every cell but for a shift.

    after: what a training cell gives after its record: "alive" (nothing: the mean is over cells still alive, and its
    last value is held where none is), "held" (its last value) or "extended" (a line with the slope of its last 10 % of
    life). Means over living cells rise where a poor cell ends. align: shift the curve so that it goes through the last
    5 known values of the cell.
    """

    ACCEPTS = ("sequences",)

    def __init__(self, after: str = "held", align: bool = False) -> None:
        if after not in ("alive", "held", "extended"):
            raise ConfigError(f"after={after!r} must be alive, held or extended.")
        self.after = after
        self.align = align
        self.cells: list[Trajectory] = []

    def fit(self, cells: list[Trajectory]) -> None:
        """Keep the training cells. Raises ValueError for none."""
        self.cells = training_cells(cells)
        self.last = max(float(cell.known()[0][-1]) for cell in self.cells)

    def forecast(self, cell: Trajectory, cut_cycle: int, cycles: np.ndarray) -> np.ndarray:
        """(H,) the mean at `cycles`; of the cell, only what lies at or before the cut is looked at, with `align`."""
        mean = self._mean(cycles)
        if not self.align:
            return mean
        known, values = cell.until(cut_cycle).known()
        return mean + (values[-_LAST:].mean() - self._mean(known[-_LAST:]).mean())

    def _mean(self, cycles: np.ndarray) -> np.ndarray:
        # Without the last training cell there is no mean of living cells any more: its last one is held.
        asked = np.minimum(cycles, self.last) if self.after == "alive" else cycles
        mean: np.ndarray = np.nanmean([continued(cell, asked, self.after) for cell in self.cells], axis=0)
        return mean
