"""Baseline: nothing changes any more."""

import numpy as np

from batgen.errors import ConfigError
from batgen.models.trajectory import Trajectory


class Persistence:
    """The mean of the last `last` known values at or before the cut, for ever."""

    ACCEPTS = ("sequences",)

    def __init__(self, last: int = 5) -> None:
        if last < 1:
            raise ConfigError(f"last={last} must be at least 1.")
        self.last = last

    def fit(self, cells: list[Trajectory]) -> None:
        """Nothing to learn."""

    def forecast(self, cell: Trajectory, cut_cycle: int, cycles: np.ndarray) -> np.ndarray:
        """(H,) one value. Raises ValueError when nothing is known at the cut."""
        _, values = cell.until(cut_cycle).known()
        return np.full(len(cycles), values[-self.last :].mean())
