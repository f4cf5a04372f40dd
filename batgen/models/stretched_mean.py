"""Baseline: the mean training curve over the share of life, stretched to a life predicted from early statics."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import RidgeCV

from batgen.models.trajectory import Trajectory, training_cells

_SHARES = np.linspace(0.0, 1.0, 201)
_ALPHAS = np.logspace(-3, 2, 11)
#: The last known values that decide about the shift; the last known statics of which the median counts.
_LAST_VALUES, _LAST_STATICS = 10, 5


class StretchedMean:
    """Value at cycle t: mean curve at t / L, plus a shift to the last observed values that fades to zero at L.

    log L is a ridge regression on standardised statics at the cut (in the manner of Severson et al. 2019; alpha by
    leave-one-out), fitted anew for each cut. After L the mean curve goes on as a line with the mean slope of the second
    half of life: its last slope, twice as steep on MIT, would take L for certain. Training cells with an unknown end of
    life are left out; so are, at a cut, those that lack a static. A forecast cell that lacks one gets the training mean
    of it. statics: names; empty: all that the training cells have in common.
    """

    ACCEPTS = ("sequences",)

    def __init__(self, statics: Sequence[str] = ()) -> None:
        self.statics = list(statics)
        self.cells: list[Trajectory] = []
        self.names: list[str] = []
        self.shape = np.empty(0)

    def fit(self, cells: list[Trajectory]) -> None:
        """Keep the training cells with a known end of life, and their mean curve over the share of life.

        Raises ValueError when there are fewer than three of them, or a static is missing, or there is none at all.
        """
        self.cells = [cell for cell in training_cells(cells) if np.isfinite(cell.eol_cycle)]
        if len(self.cells) < 3:
            raise ValueError(f"{len(self.cells)} training cells with a known end of life: stretched_mean needs three")
        self.names = self.statics or sorted(set.intersection(*(set(cell.statics) for cell in self.cells)))
        if not self.names:
            raise ValueError(
                "stretched_mean predicts the life from statics, and the training cells have none in common"
            )
        for cell in self.cells:
            self._check(cell)
        lives = [np.interp(_SHARES * cell.eol_cycle, *cell.known()) for cell in self.cells]
        self.shape = np.mean(lives, axis=0)

    def life(self, cell: Trajectory, cut_cycle: int) -> float:
        """Predicted end of life in cycles, at least one after the cut. Raises ValueError without its statics."""
        self._check(cell)
        table = np.array([self._at(c, cut_cycle) for c in self.cells])
        whole = np.isfinite(table).all(axis=1)
        if whole.sum() < 3:
            missing = [name for name, column in zip(self.names, table.T, strict=True) if np.isnan(column).any()]
            raise ValueError(
                f"{whole.sum()} training cells have all statics at cycle {cut_cycle} (not all have {missing[0]}): "
                "stretched_mean needs three"
            )
        mean, spread = table[whole].mean(axis=0), table[whole].std(axis=0)
        spread[spread == 0] = 1.0
        lives = np.array([c.eol_cycle for c in self.cells])[whole]
        ridge = RidgeCV(_ALPHAS).fit((table[whole] - mean) / spread, np.log(lives))
        asked = np.nan_to_num((self._at(cell, cut_cycle) - mean) / spread, nan=0.0)
        return max(float(np.exp(ridge.predict(asked[None])[0])), cut_cycle + 1.0)

    def forecast(self, cell: Trajectory, cut_cycle: int, cycles: np.ndarray) -> np.ndarray:
        """(H,) the stretched curve. Raises ValueError when the cell lacks a static, or nothing is known at the cut."""
        seen = cell.until(cut_cycle)
        life = self.life(seen, cut_cycle)
        known, values = (each[-_LAST_VALUES:] for each in seen.known())
        shift = (values - self._curve(known / life)).mean()
        fade = np.clip((life - np.asarray(cycles)) / (life - cut_cycle), 0.0, 1.0)
        return self._curve(np.asarray(cycles) / life) + shift * fade

    def _curve(self, share: np.ndarray) -> np.ndarray:
        slope = 2 * (self.shape[-1] - self.shape[len(self.shape) // 2])
        beyond = self.shape[-1] + slope * (share - 1)
        return np.where(share > 1, beyond, np.interp(share, _SHARES, self.shape))

    def _at(self, cell: Trajectory, cut_cycle: int) -> np.ndarray:
        """(names,) the median of the last known values of each static at or before the cut; NaN without any."""
        seen = cell.cycle <= cut_cycle
        result = []
        for name in self.names:
            values = cell.statics[name][seen]
            values = values[np.isfinite(values)][-_LAST_STATICS:]
            result.append(np.median(values) if values.size else np.nan)
        return np.array(result, dtype=np.float64)

    def _check(self, cell: Trajectory) -> None:
        missing = [name for name in self.names if name not in cell.statics]
        if missing:
            raise ValueError(f"{cell.cell_id} has no static {missing[0]}, which stretched_mean predicts the life from")
