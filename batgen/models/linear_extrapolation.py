"""Baseline: the line through the last cycles goes on."""

import numpy as np

from batgen.errors import ConfigError
from batgen.models.trajectory import Trajectory


class LinearExtrapolation:
    """The least-squares line through the last `window` known values at or before the cut; a single one is held."""

    ACCEPTS = ("sequences",)

    def __init__(self, window: int = 20) -> None:
        if window < 2:
            raise ConfigError(f"window={window} must be at least 2: a line has two ends.")
        self.window = window

    def fit(self, cells: list[Trajectory]) -> None:
        """Nothing to learn."""

    def forecast(self, cell: Trajectory, cut_cycle: int, cycles: np.ndarray) -> np.ndarray:
        """(H,) the line at `cycles`. Raises ValueError when nothing is known at the cut."""
        known, values = (each[-self.window :] for each in cell.until(cut_cycle).known())
        if len(known) < 2:
            return np.full(len(cycles), values[-1])
        slope = np.polyfit(known - known.mean(), values, 1)[0]
        line: np.ndarray = values.mean() + slope * (np.asarray(cycles) - known.mean())
        return line
