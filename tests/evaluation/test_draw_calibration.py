"""Ranks of measured values among draws: uniform for the true law at any K, and each way to miss it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, norm

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.draw_calibration import (
    LEVELS,
    area,
    calibration_curve,
    calibration_rows,
    interval_width,
    pit_of_draws,
    shares_below,
)
from tests.evaluation import planted


def normal(
    count: int, draws: int, spread: float = 1.0, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal measured values (count, 1) and draws (draws, count, 1) of N(shift, spread^2)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 1)), shift + spread * rng.normal(size=(draws, count, 1))


@pytest.mark.parametrize("draws", [1, 8, 20])
def test_pit_of_the_true_law_is_uniform_whatever_the_number_of_draws(draws: int) -> None:
    real, made = normal(20_000, draws)
    pit = pit_of_draws(real, made, 0).ravel()
    assert kstest(pit, "uniform").pvalue > 0.01
    assert np.mean((pit >= 0.1) & (pit <= 0.9)) == pytest.approx(0.8, abs=0.01)


def test_equal_values_are_ranked_at_random_and_gaps_stay_gaps() -> None:
    real = np.full((5000, 2), 4.2)
    real[:, 1] = np.nan
    pit = pit_of_draws(real, np.full((8, 5000, 2), 4.2), 0)
    assert kstest(pit[:, 0], "uniform").pvalue > 0.01
    assert np.isnan(pit[:, 1]).all()
    failed = np.zeros((8, 1, 1))
    failed[3] = np.nan
    assert pit_of_draws(np.zeros((1, 1)), failed, 0) == 0
    with pytest.raises(ValueError, match="need real"):
        pit_of_draws(np.zeros((2, 2)), np.zeros((8, 2, 3)), 0)


def test_shares_and_area_in_closed_form() -> None:
    pit = np.array([[0.05, 0.5, np.nan, 1.0], [np.nan] * 4])
    shares = shares_below(pit)
    assert shares[0, [0, 1, 9, 10, 19, 20]].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert np.isnan(shares[1]).all()
    np.testing.assert_allclose(area(np.tile(LEVELS, (3, 1))), 0.0, atol=1e-12)
    # All ranks 1: the observed proportion is 0 up to level 0.95, then on a line to 1.
    assert area(shares_below(np.ones((2, 5)))) == pytest.approx(0.95**2 / 2 + 0.05 * 0.95 / 2)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_the_area_of_a_wrong_spread_in_closed_form(spread: float) -> None:
    real, made = normal(4000, 200, spread)
    expected, observed = calibration_curve(real, made)
    truth = norm.cdf(spread * norm.ppf(expected))
    np.testing.assert_allclose(observed, truth, atol=0.03)
    fine = np.linspace(0, 1, 20_001)
    exact = np.abs(norm.cdf(spread * norm.ppf(fine)) - fine).mean()
    assert area(shares_below(pit_of_draws(real, made, 0))) == pytest.approx(exact, abs=0.01)


def test_the_interval_holds_80_percent_from_nine_draws_on() -> None:
    for draws, wanted in ((8, 7 / 9), (9, 0.8), (20, 0.8), (99, 0.8)):
        rng = np.random.default_rng(draws)
        made, real = rng.random((draws, 20_000)), rng.random(20_000)
        width = interval_width(made)
        assert width.mean() == pytest.approx(wanted, abs=0.01)
        rows = np.sort(made, axis=0)
        assert np.mean((real > rows[0]) & (real < rows[-1])) >= wanted - 0.01
    assert np.isinf(interval_width(np.array([[1.0], [np.nan], [2.0]])))


def rows_of(generator: planted.Generator, seed: int = 0) -> dict[tuple[str, str], dict]:
    comparison = planted.comparison(generator, draws=20, cells=30, cycles=4, seed=seed)
    return {(row["metric"], row["signal"]): row for row in calibration_rows(comparison, 0, {})}


def about_mean(factor: float) -> planted.Generator:
    """Draws with `factor` times the right spread about the right mean."""

    def generator(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
        centre = planted.draws_of(real, 32, seed + 99).mean(axis=0)
        return centre + factor * (planted.draws_of(real, count, seed) - centre)

    return generator


SIGNALS = ("voltage_V", "temperature_degC", "time_s", "charge_capacity_Ah")


@pytest.mark.parametrize("seed", [0, 1])
def test_true_draws_pass(seed: int) -> None:
    rows = rows_of(planted.right, seed)
    assert {row["family"] for row in rows.values()} == {"calibration"}
    for name in SIGNALS:
        coverage, found = rows["coverage_80", name], rows["miscalibration_area", name]
        assert coverage["low"] - 0.03 <= 0.8 <= coverage["high"] + 0.03
        assert found["value"] < 0.08
        assert found["low"] <= found["value"] <= found["high"]
        assert rows["sharpness", name]["value"] < rows["sharpness", name]["floor"]
        assert rows["sharpness", name]["unit"] == name.rpartition("_")[2]


@pytest.mark.parametrize(("factor", "low", "high"), [(0.4, 0.2, 0.6), (2.0, 0.9, 1.0)])
def test_draws_too_narrow_and_too_wide_are_caught(factor: float, low: float, high: float) -> None:
    right, rows = rows_of(planted.right), rows_of(about_mean(factor))
    for name in SIGNALS:
        assert low < rows["coverage_80", name]["value"] < high
        assert rows["miscalibration_area", name]["value"] > right["miscalibration_area", name]["value"] + 0.03
        scale = rows["sharpness", name]["value"] / right["sharpness", name]["value"]
        assert scale == pytest.approx(factor, rel=0.05)


def test_a_bias_and_a_flat_temperature_are_caught() -> None:
    assert rows_of(planted.voltage_above)["miscalibration_area", "voltage_V"]["value"] > 0.4
    flat = rows_of(planted.flat_temperature)
    assert flat["coverage_80", "temperature_degC"]["value"] < 0.1
    assert flat["miscalibration_area", "time_s"]["value"] < 0.08


def test_no_rows_for_few_draws_or_draws_that_are_all_the_same() -> None:
    assert calibration_rows(planted.comparison(draws=7, cells=3, cycles=2), 0, {}) == []
    assert calibration_rows(planted.comparison(planted.conditional_mean, draws=9, cells=3, cycles=2), 0, {}) == []
    known = planted.comparison(draws=8, cells=3, cycles=2)
    assert calibration_rows(replace(known, draws=None), 0, {}) == []
    alone = {row["metric"]: row for row in calibration_rows(replace(known, train=None), 0, {})}
    assert alone["coverage_80"]["floor"] is None


def test_records_that_end_early_count_where_they_were_measured() -> None:
    rng = np.random.default_rng(0)
    cells = [f"c{number}" for number in range(40)]
    table = pd.DataFrame({"cell_id": cells, "soh": rng.random(40)})
    values = rng.normal(size=(2, 40, 1, 30)).astype(np.float32)
    values[:, np.arange(40), :, :] = np.where(np.arange(30) < rng.integers(5, 31, (2, 40, 1, 1)), values, np.nan)
    table_train = table.assign(cell_id=[f"t{number}" for number in range(40)])
    real, train = (
        CurveSet(v, ("discharge_capacity_Ah",), np.arange(30.0), "cycle", t)
        for v, t in zip(values, (table, table_train), strict=True)
    )
    draws = rng.normal(size=(20, 40, 1, 30)).astype(np.float32)
    comparison = Comparison(real, real.with_values(draws[0]), draws, train, None, ("soh",), 0)
    rows = {row["metric"]: row for row in calibration_rows(comparison, 0, {})}
    assert rows["coverage_80"]["value"] == pytest.approx(0.8, abs=0.05)
    assert rows["coverage_80"]["floor"] == pytest.approx(0.8, abs=0.15)
    assert np.isfinite(rows["sharpness"]["floor"])
