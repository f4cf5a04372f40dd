"""One forecast of one cell beside what was measured: what every metric, table and figure of a forecaster reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Forecast:
    """Quantiles of one target of one cell after its last observed cycle, in the target's physical unit.

    test_set: "val", "test", "secondary", "oxford" ...; target: a column name such as "discharge_capacity_Ah";
    cut_cycle: the last cycle that was observed; cycle (H,) int64: forecast cycles, increasing, all after the cut;
    levels (Q,): increasing, within 0..1; quantiles (H, Q); truth (H,): NaN where not observed or masked;
    observed_cycle (n,), observed (n,): the context; nominal_capacity_Ah; eol_value: threshold of the end of life in
    the unit of the target (Ah for a capacity), NaN for a target that has none; truth_eol_cycle: NaN where the record
    ends before it; truth_last_cycle: last cycle of the record.

    Raises ValueError when shapes do not fit, cycles or levels are out of order, or a quantile is not finite.
    """

    cell_id: str
    test_set: str
    target: str
    cut_cycle: int
    cycle: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    truth: np.ndarray
    observed_cycle: np.ndarray
    observed: np.ndarray
    nominal_capacity_Ah: float
    eol_value: float
    truth_eol_cycle: float
    truth_last_cycle: int

    def __post_init__(self) -> None:
        steps, levels = len(self.cycle), len(self.levels)
        if self.quantiles.shape != (steps, levels) or self.truth.shape != (steps,) or not steps or not levels:
            raise ValueError(
                f"{self.cell_id}: {steps} cycles and {levels} levels, but quantiles {self.quantiles.shape} and truth "
                f"{self.truth.shape}"
            )
        if self.observed.shape != self.observed_cycle.shape:
            raise ValueError(f"{self.cell_id}: {self.observed_cycle.shape} cycles for {self.observed.shape} observed")
        if self.cycle[0] <= self.cut_cycle or (np.diff(self.cycle) <= 0).any():
            raise ValueError(f"{self.cell_id}: forecast cycles must increase, all after cycle {self.cut_cycle}")
        if (np.diff(self.levels) <= 0).any() or self.levels[0] <= 0 or self.levels[-1] >= 1:
            raise ValueError(f"{self.cell_id}: levels {self.levels.tolist()} must increase, between 0 and 1")
        if not np.isfinite(self.quantiles).all():
            raise ValueError(f"{self.cell_id}: a forecast of {self.target} is not finite")

    def at(self, level: float) -> np.ndarray:
        """(H,) the quantile of a level, linear between the levels. Raises ValueError outside of them."""
        where = np.flatnonzero(np.isclose(self.levels, level, rtol=0, atol=1e-9))
        if where.size:
            column: np.ndarray = self.quantiles[:, where[0]]
            return column
        if not self.levels[0] < level < self.levels[-1]:
            raise ValueError(f"no quantile {level:g}: the levels are {self.levels[0]:g} to {self.levels[-1]:g}")
        upper = int(np.searchsorted(self.levels, level))
        share = (level - self.levels[upper - 1]) / (self.levels[upper] - self.levels[upper - 1])
        between: np.ndarray = (1 - share) * self.quantiles[:, upper - 1] + share * self.quantiles[:, upper]
        return between

    @property
    def median(self) -> np.ndarray:
        """(H,) the 0.5 quantile."""
        return self.at(0.5)

    @property
    def known(self) -> np.ndarray:
        """(H,) bool: where the truth is known; metrics look nowhere else unless they say so."""
        return np.isfinite(self.truth)

    @property
    def ahead(self) -> np.ndarray:
        """(H,) cycles since the last observed one, from 1 on."""
        return self.cycle - self.cut_cycle


def percent_of_nominal(forecast: Forecast) -> Forecast:
    """The same forecast of a capacity in % of nominal ("discharge_capacity_Ah" -> "discharge_capacity_%").

    Raises ValueError for a target that is not in Ah.
    """
    stem, _, unit = forecast.target.rpartition("_")
    if unit != "Ah":
        raise ValueError(f"{forecast.target} is no capacity in Ah: it has no share of the nominal capacity")
    factor = 100.0 / forecast.nominal_capacity_Ah
    return replace(
        forecast,
        target=f"{stem}_%",
        quantiles=forecast.quantiles * factor,
        truth=forecast.truth * factor,
        observed=forecast.observed * factor,
        eol_value=forecast.eol_value * factor,
    )


def per_cell(forecasts: Sequence[Forecast], score: Callable[[Forecast], float]) -> np.ndarray:
    """(cells,) `score` of each forecast. Raises ValueError when there is none, or a cell has more than one.

    Metrics of a set are means over cells: 2,000 cycles of one long-lived cell are no 2,000 independent samples.
    """
    if not forecasts:
        raise ValueError("no forecasts to score")
    ids = [f.cell_id for f in forecasts]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice is not None:
        raise ValueError(f"{ids.count(twice)} forecasts of cell {twice}: score each cut and target on its own")
    return np.array([score(f) for f in forecasts], dtype=np.float64)


def mean_of_cells(values: np.ndarray) -> float:
    """Mean of values (cells,), NaN (nothing known of a cell) left out; NaN when nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")
