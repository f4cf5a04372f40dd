"""One cell as the baseline forecasters see it: one value a cycle, and what a forecast may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Trajectory:
    """cycle (T,) int, increasing; value (T,), NaN where masked; eol_cycle: NaN where unknown; statics: name -> (T,).

    The value is in any unit that all cells of a fit share (% of nominal, say). A static of cycle t uses nothing after t.
    """

    cell_id: str
    cycle: np.ndarray
    value: np.ndarray
    eol_cycle: float = float("nan")
    statics: Mapping[str, np.ndarray] = field(default_factory=dict)

    def until(self, cut_cycle: int) -> "Trajectory":
        """What is known at a cut: cycles up to it, no end of life. Raises ValueError when no value is known by then."""
        seen = self.cycle <= cut_cycle
        if not np.isfinite(self.value[seen]).any():
            raise ValueError(f"{self.cell_id}: no value is known up to cycle {cut_cycle}")
        statics = {name: values[seen] for name, values in self.statics.items()}
        return Trajectory(self.cell_id, self.cycle[seen], self.value[seen], float("nan"), statics)

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Cycles (n,) and values (n,) that are not masked, as floats. Raises ValueError when there is none."""
        at = np.isfinite(self.value)
        if not at.any():
            raise ValueError(f"{self.cell_id}: every value is masked")
        return self.cycle[at].astype(np.float64), self.value[at].astype(np.float64)


def continued(cell: Trajectory, cycles: np.ndarray, after: str) -> np.ndarray:
    """(H,) values of a training cell at any cycles, linear between known ones, its first one before them.

    after: what follows its last known cycle: "held" (its last value), "extended" (a line with the slope of its last
    10 % of life, without bound) or "alive" (NaN: the cell is gone).
    """
    known, values = cell.known()
    result = np.interp(cycles, known, values)
    beyond = np.asarray(cycles) > known[-1]
    if after == "alive":
        return np.where(beyond, np.nan, result)
    if after == "extended":
        return np.where(beyond, values[-1] + last_slope(known, values) * (cycles - known[-1]), result)
    return result


def last_slope(cycle: np.ndarray, value: np.ndarray) -> float:
    """Least-squares slope of the last 10 % of the span of cycle (n,), of two points at least; 0 for a single one."""
    if len(cycle) < 2:
        return 0.0
    late = cycle >= min(cycle[-1] - 0.1 * (cycle[-1] - cycle[0]), cycle[-2])
    return float(np.polyfit(cycle[late], value[late], 1)[0])


def training_cells(cells: list[Trajectory]) -> list[Trajectory]:
    """The cells, if there are any: raises ValueError otherwise."""
    if not cells:
        raise ValueError("no training cells to fit a baseline on")
    return list(cells)
