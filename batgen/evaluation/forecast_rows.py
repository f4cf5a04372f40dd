"""From the forecasts of one method on one test set to rows of metrics.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from batgen.evaluation.calibration import miscalibration_area, miscalibration_area_normal
from batgen.evaluation.clamp import clamp_rmse
from batgen.evaluation.collapse import between_cell_ratio, range_ratio
from batgen.evaluation.eol_error import eol_scores
from batgen.evaluation.forecast import Forecast, mean_of_cells, percent_of_nominal
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.point_scores import HORIZONS, POINT_ERRORS, horizon_name, point_errors
from batgen.evaluation.quantile_scores import coverage, crossing_rate, crps, is_deterministic, sharpness
from batgen.evaluation.rows import metric_rows


def forecast_rows(
    forecasts: Sequence[Forecast],
    context: Mapping[str, Any],
    seed: int,
    until: int | None = None,
    horizons: Sequence[tuple[int, int | None]] = HORIZONS,
) -> list[dict[str, Any]]:
    """Every metric of the forecasts of one target and one cut, one a cell, with 95 % bootstrap intervals over cells.

    `context` gives the columns protocol, seed, split, data, model, role, method, test_set, cut, note; here come
    `horizon` ("all", "1-100" ...) and `n` (cells that count). A capacity in Ah has two signals, itself and in % of
    nominal; ratios between cells are then those of the latter, so that cells of other sizes do not pass for spread.
    The clamp metric goes to cycle `until`; none with None or for a target without threshold. Forecasts that are one
    line have no rows of calibration, only CRPS. Raises ValueError as the metrics do, and for an empty list.
    """
    target = forecasts[0].target if forecasts else ""
    signals = [list(forecasts)]
    if target.endswith("_Ah"):
        signals.append([percent_of_nominal(f) for f in forecasts])
    rows: list[dict[str, Any]] = []
    for own in signals:
        rows += _point_rows(own, context, seed, horizons)
        rows += _quantile_rows(own, context, seed)
        if until is not None and np.isfinite(own[0].eol_value) and own[0].target.endswith("%"):
            rows += _mean_row("clamp_RMSE", own, clamp_rmse(own, until), context, seed)
    relative = signals[-1]
    rows += _mean_row("range_ratio", list(forecasts), range_ratio(relative), context, seed)
    ratio, at = between_cell_ratio(relative)
    note = "; ".join(part for part in (context.get("note", ""), f"at cycle {at}") if part)
    rows += _rows("between_cell_ratio", target, ratio, {**context, "note": note}, len(forecasts))
    if np.isfinite(forecasts[0].eol_value):
        rows += _eol_rows(forecasts, context, seed)
    return rows


def _point_rows(
    forecasts: list[Forecast], context: Mapping[str, Any], seed: int, horizons: Sequence[tuple[int, int | None]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for metric in POINT_ERRORS:
        # A relative error is the same in Ah and in % of nominal.
        if metric == "MAPE" and forecasts[0].target.endswith("%"):
            continue
        for horizon in ((1, None), *horizons):
            values = point_errors(forecasts, metric, horizon)
            if np.isfinite(values).any():
                rows += _mean_row(metric, forecasts, values, context, seed, horizon_name(horizon))
    return rows


def _quantile_rows(forecasts: list[Forecast], context: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    rows = _mean_row("CRPS", forecasts, crps(forecasts), context, seed)
    levels = forecasts[0].levels
    if all(is_deterministic(f) for f in forecasts):
        return rows
    if levels[0] <= 0.1 and levels[-1] >= 0.9:
        rows += _mean_row("sharpness", forecasts, sharpness(forecasts), context, seed)
    if forecasts[0].target.endswith("%"):
        return rows  # what follows has no unit: once is enough
    rows += _mean_row("crossing_rate", forecasts, crossing_rate(forecasts), context, seed)
    areas = {"miscalibration_area": miscalibration_area}
    if levels[0] <= 0.1 and levels[-1] >= 0.9:
        rows += _mean_row("coverage_80", forecasts, coverage(forecasts, 0.1, 0.9), context, seed)
        areas["miscalibration_area_normal"] = miscalibration_area_normal
    known = sum(bool(f.known.any()) for f in forecasts)
    for metric, area in areas.items():
        rows += _rows(metric, forecasts[0].target, area(forecasts), context, known)
    return rows


def _eol_rows(forecasts: Sequence[Forecast], context: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    scores, target = eol_scores(forecasts), forecasts[0].target
    cells = np.arange(scores.n)
    interval = bootstrap_over_cells(np.abs(scores.errors), cells, seed)
    rows = _rows("EOL_error_median", target, scores.median_error, context, scores.n)
    rows += _rows("EOL_error_mean", target, scores.mean_error, context, scores.n, interval=interval)
    rows += _rows("EOL_never_reached", target, scores.never_reached, context, scores.n)
    if not all(is_deterministic(f) for f in forecasts):
        rows += _rows("EOL_coverage", target, scores.coverage, context, scores.n)
    return rows


def _mean_row(
    metric: str,
    forecasts: list[Forecast],
    values: np.ndarray,
    context: Mapping[str, Any],
    seed: int,
    horizon: str = "all",
) -> list[dict[str, Any]]:
    """The mean over cells of values (cells,), with its interval."""
    interval = bootstrap_over_cells(values, np.arange(len(values)), seed)
    n = int(np.isfinite(values).sum())
    return _rows(metric, forecasts[0].target, mean_of_cells(values), context, n, horizon, interval)


def _rows(
    metric: str,
    target: str,
    value: float,
    context: Mapping[str, Any],
    n: int,
    horizon: str = "all",
    interval: tuple[float, float] | None = None,
) -> list[dict[str, Any]]:
    of = {**context, "horizon": horizon, "n": n}
    return metric_rows(metric, {target: value}, of, {target: interval} if interval else None)
