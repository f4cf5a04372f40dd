"""Collapse checks: does a forecaster forecast anything, and does it tell one cell from another?"""

from collections.abc import Sequence

import numpy as np

from batgen.evaluation.forecast import Forecast, per_cell


def range_ratio(forecasts: Sequence[Forecast]) -> np.ndarray:
    """(cells,) range (max - min) of the median over that of the truth, same cycles; no unit, 1 is right, 0 is flat.

    Over the observed part only, NaN for a cell with fewer than two known points or a truth that does not move.
    Measurement noise widens the range of the truth a little. Source: ours (issue 4): the published forecaster gave
    flat lines at larger settings.
    """

    def one(forecast: Forecast) -> float:
        truth, median = forecast.truth[forecast.known], forecast.median[forecast.known]
        extent = float(np.ptp(truth)) if truth.size else 0.0
        return float(np.ptp(median)) / extent if extent > 0 else float("nan")

    return per_cell(forecasts, one)


def between_cell_ratio(forecasts: Sequence[Forecast], at: int | None = None) -> tuple[float, int]:
    """Standard deviation over cells of the median at cycle `at` over that of the truth there, and that cycle.

    No unit; 1 is right, 0 is one curve for all cells, however well it falls. Values at the cycle are linear between
    forecast cycles and between known ones; only cells known up to it count. `at` None: the last cycle to which at least
    half of the cells are known (0 if none is). The ratio is NaN with fewer than two such cells or a truth that does not
    differ. Source: ours.
    """
    last = per_cell(forecasts, lambda f: float(f.cycle[f.known][-1]) if f.known.any() else float("nan"))
    first = per_cell(forecasts, lambda f: float(f.cycle[f.known][0]) if f.known.any() else float("nan"))
    reach = np.sort(last[np.isfinite(last)])[::-1]
    if not reach.size:
        return float("nan"), 0 if at is None else at
    cycle = int(reach[(len(reach) + 1) // 2 - 1]) if at is None else at
    counted = [f for f, a, b in zip(forecasts, first, last, strict=True) if a <= cycle <= b]
    if len(counted) < 2:
        return float("nan"), cycle
    made = np.std([np.interp(cycle, f.cycle, f.median) for f in counted])
    real = np.std([np.interp(cycle, f.cycle[f.known], f.truth[f.known]) for f in counted])
    return (float(made / real) if real > 0 else float("nan")), cycle
