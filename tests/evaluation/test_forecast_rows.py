"""Rows of metrics.json from forecasts: units, signals, horizons, and which rows a line does not have."""

from typing import Any

import numpy as np
import pytest

from batgen.evaluation.forecast_rows import forecast_rows
from tests.evaluation.made_forecasts import made, noisy

ABOUT = {
    "protocol": "honest",
    "seed": 3,
    "role": "model",
    "method": "model",
    "test_set": "test",
    "cut": 10,
    "note": "x",
}
AH, PERCENT = "discharge_capacity_Ah", "discharge_capacity_%"


def of(rows: list[dict[str, Any]], metric: str, signal: str = AH, horizon: str = "all") -> dict[str, Any]:
    found = [r for r in rows if (r["metric"], r["signal"], r["horizon"]) == (metric, signal, horizon)]
    assert len(found) == 1, (metric, signal, horizon)
    return found[0]


def test_capacity() -> None:
    rows = forecast_rows(noisy(20, truth_eol_cycle=500.0, eol_value=1.75), ABOUT, 0, until=400)
    assert all(r["protocol"] == "honest" and r["n"] == 20 for r in rows)
    for metric in ("RMSE", "MAE", "medAE", "CRPS", "sharpness"):
        one, share = of(rows, metric), of(rows, metric, PERCENT)
        assert (one["unit"], share["unit"], one["direction"]) == ("Ah", "%", "lower")
        assert share["value"] == pytest.approx(50 * one["value"])  # 2 Ah nominal
        if metric != "sharpness":  # the same for all cells here
            assert one["low"] < one["value"] < one["high"]
    assert of(rows, "RMSE", horizon="101-300")["value"] == pytest.approx(0.01, rel=0.3)
    assert "1001+" not in {r["horizon"] for r in rows}  # nothing is known so far ahead
    assert of(rows, "MAPE")["unit"] == "%"
    assert of(rows, "clamp_RMSE", PERCENT)["unit"] == "%"
    assert of(rows, "coverage_80")["value"] == pytest.approx(0.8, abs=0.1)
    assert of(rows, "crossing_rate")["value"] == 0
    assert of(rows, "miscalibration_area")["value"] < 0.1
    assert of(rows, "miscalibration_area_normal")["value"] < 0.1
    assert of(rows, "range_ratio")["value"] == pytest.approx(0.9, abs=0.1)
    assert of(rows, "between_cell_ratio")["note"] == "x; at cycle 410"
    # 2.0 to 1.7 Ah over 400 cycles is at 1.75 after 334: 156 before the 500 that was measured
    assert of(rows, "EOL_error_median")["value"] == 156
    assert of(rows, "EOL_error_mean")["unit"] == "cycles"
    assert of(rows, "EOL_never_reached")["value"] == 0
    assert of(rows, "EOL_coverage")["value"] == 0


def test_a_line_has_no_calibration() -> None:
    rows = forecast_rows(noisy(5, 0.0), ABOUT, 0)
    names = {r["metric"] for r in rows}
    assert not names & {
        "coverage_80",
        "sharpness",
        "miscalibration_area",
        "crossing_rate",
        "EOL_coverage",
        "clamp_RMSE",
    }
    assert of(rows, "CRPS")["value"] == pytest.approx(of(rows, "MAE")["value"])


def test_a_target_without_threshold_or_nominal() -> None:
    cells = noisy(5, target="coulombic_efficiency", eol_value=float("nan"))
    rows = forecast_rows(cells, ABOUT, 0, until=400)
    assert {r["signal"] for r in rows} == {"coulombic_efficiency"}
    assert of(rows, "RMSE", "coulombic_efficiency")["unit"] == "1"
    assert not {r["metric"] for r in rows} & {"clamp_RMSE", "EOL_error_median"}


def test_cells_of_other_sizes_are_no_spread() -> None:
    """The same forecast in % of nominal for a small and a large cell is one curve for all."""
    line = np.linspace(1, 0.8, 50)
    cells = [
        made(size * line, size * (line - fall * np.arange(50)), cell_id=str(size), nominal_capacity_Ah=size)
        for size, fall in ((1.0, 0.001), (3.0, 0.002))
    ]
    assert of(forecast_rows(cells, ABOUT, 0), "between_cell_ratio")["value"] == pytest.approx(0, abs=1e-9)


def test_nothing_to_score() -> None:
    with pytest.raises(ValueError, match="no forecasts"):
        forecast_rows([], ABOUT, 0)
