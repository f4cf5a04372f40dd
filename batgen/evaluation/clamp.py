"""The clamp metric: errors up to a fixed cycle, with everything after the end of life counted as the threshold.

RMSE over the observed part rewards forecasts that never die: where a cell has ended, nobody asks what was forecast.
"""

from collections.abc import Sequence

import numpy as np

from batgen.evaluation.forecast import Forecast, per_cell


def held_forecast(forecast: Forecast) -> np.ndarray:
    """(H,) the median, held at the threshold from the first cycle at which it is at or below it."""
    median = forecast.median
    reached = np.logical_or.accumulate(median <= forecast.eol_value)
    return np.where(reached, forecast.eol_value, median)


def held_truth(forecast: Forecast) -> np.ndarray:
    """(H,) the truth, at the threshold from its end of life on, whether or not the record goes on.

    The end of life is `truth_eol_cycle`, the sustained crossing: a single low cycle before it does not end the cell.
    A censored cell is NaN after its record.
    """
    ended = forecast.cycle >= forecast.truth_eol_cycle  # all False where it is NaN
    return np.where(ended, forecast.eol_value, forecast.truth)


def clamp_rmse(forecasts: Sequence[Forecast], until: int) -> np.ndarray:
    """(cells,) RMSE between held truth and held forecast, cycles cut + 1 to `until`; lower is better.

    Unit of the target: give forecasts in % of nominal for a figure that cells can share. Source: ours (issue 4).
    Cells of which nothing is known in that range (a censored one) are NaN. Raises ValueError for a forecast that
    ends before `until` (for a censored cell: before its record and `until`), starts after it, or has no threshold.
    """

    def one(forecast: Forecast) -> float:
        if np.isnan(forecast.eol_value):
            raise ValueError(f"{forecast.target} has no threshold at which a cell ends: no clamp metric")
        needed = until if np.isfinite(forecast.truth_eol_cycle) else min(until, forecast.truth_last_cycle)
        if forecast.cycle[-1] < needed:
            raise ValueError(
                f"{forecast.cell_id}: the forecast ends at cycle {forecast.cycle[-1]}, the clamp metric needs it to "
                f"cycle {needed}"
            )
        if forecast.cut_cycle >= until:
            raise ValueError(f"{forecast.cell_id}: observed to cycle {forecast.cut_cycle}, beyond cycle {until}")
        truth = held_truth(forecast)
        at = np.isfinite(truth) & (forecast.cycle <= until)
        error = held_forecast(forecast)[at] - truth[at]
        return float(np.sqrt(np.mean(np.square(error)))) if at.any() else float("nan")

    return per_cell(forecasts, one)
