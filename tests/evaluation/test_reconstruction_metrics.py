"""Errors against measured curves: closed forms, the six-slice identity, and failures that must show."""

import numpy as np
import pytest

from batgen.evaluation.reconstruction import (
    TOTAL,
    absolute_error,
    mean_absolute_error,
    r2,
    root_mean_squared_error,
    squared_error,
    total_weights,
    with_total,
)

PAPER = ("voltage_V", "charge_capacity_Ah", "current_A", "charge_capacity_Ah", "temperature_degC", "charge_capacity_Ah")


def curves(n: int = 6, slices: int = 6, points: int = 40, seed: int = 0) -> np.ndarray:
    """Smooth rising curves (N, S, P)."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.uniform(0.5, 1.5, (n, slices, points)), axis=-1).astype(np.float32)


def test_closed_form() -> None:
    real = np.zeros((2, 1, 2), np.float32)
    generated = np.array([[[1, -1]], [[0, 3]]], np.float32)
    assert absolute_error(real, generated, ["voltage_V"])["voltage_V"].tolist() == [1.0, 1.5]
    assert squared_error(real, generated, ["voltage_V"])["voltage_V"].tolist() == [1.0, 4.5]
    assert mean_absolute_error(absolute_error(real, generated, ["voltage_V"])) == {"voltage_V": 1.25}
    rmse = root_mean_squared_error(squared_error(real, generated, ["voltage_V"]))
    assert rmse["voltage_V"] == pytest.approx(2.75**0.5)


def test_perfect_copies_have_no_error() -> None:
    real = curves()
    assert set(mean_absolute_error(with_total(absolute_error(real, real.copy(), PAPER))).values()) == {0.0}
    assert set(r2(real, real.copy(), PAPER).values()) == {1.0}


def test_total_is_the_mean_over_the_six_slices() -> None:
    real, rng = curves(), np.random.default_rng(1)
    generated = real + rng.normal(size=real.shape).astype(np.float32)
    generated[:, 3], generated[:, 5] = generated[:, 1], generated[:, 1]
    real[:, 3], real[:, 5] = real[:, 1], real[:, 1]
    gap = (generated - real).astype(np.float64)
    mae = mean_absolute_error(with_total(absolute_error(real, generated, PAPER)))
    rmse = root_mean_squared_error(with_total(squared_error(real, generated, PAPER)))
    assert mae[TOTAL] == pytest.approx(np.abs(gap).mean(), rel=1e-6)
    assert rmse[TOTAL] == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-6)
    parts = [mae[s] for s in ("voltage_V", "current_A", "temperature_degC")]
    assert mae[TOTAL] == pytest.approx((sum(parts) + 3 * mae["charge_capacity_Ah"]) / 6, rel=1e-12)


def test_total_goes_by_name_not_by_layout() -> None:
    channels = ("voltage_V", "current_A", "temperature_degC", "time_s", "charge_capacity_Ah")
    assert total_weights(channels) == pytest.approx(total_weights(PAPER))
    assert "time_s" not in total_weights(channels)
    assert total_weights(["discharge_capacity_Ah"]) == {"discharge_capacity_Ah": 1.0}
    assert total_weights(["voltage_V", "time_s", "current_A"]) == {"voltage_V": 0.5, "current_A": 0.5}


def test_points_that_were_not_measured_do_not_count() -> None:
    real, generated = np.zeros((2, 1, 4), np.float32), np.ones((2, 1, 4), np.float32)
    real[0, 0, :2], generated[0, 0, :2], real[1] = np.nan, 99.0, np.nan
    error = absolute_error(real, generated, ["voltage_V"])["voltage_V"]
    assert error[0] == 1.0
    assert np.isnan(error[1])
    assert mean_absolute_error({"voltage_V": error})["voltage_V"] == 1.0


def test_nan_from_the_generator_is_not_forgiven() -> None:
    real = curves()
    generated = real.copy()
    generated[2, 0, 5] = np.nan
    assert mean_absolute_error(absolute_error(real, generated, PAPER))["voltage_V"] == float("inf")
    assert root_mean_squared_error(squared_error(real, generated, PAPER))["voltage_V"] == float("inf")


def test_shuffled_time_and_the_mean_curve_are_worse_than_a_copy() -> None:
    rng = np.random.default_rng(2)
    real = curves(30) * rng.uniform(0.5, 1.5, (30, 1, 1)).astype(np.float32)
    near = real * 1.01
    shuffled = real[..., rng.permutation(real.shape[-1])]
    mean = np.broadcast_to(real.mean(axis=0), real.shape)
    errors = [mean_absolute_error(absolute_error(real, g, PAPER))["voltage_V"] for g in (near, mean, shuffled)]
    assert errors[0] < 0.1 * errors[1] < errors[2]
    assert r2(real, shuffled, PAPER)["voltage_V"] < 0.5 < r2(real, near, PAPER)["voltage_V"]


def test_r2_of_the_overall_mean_is_zero_and_of_a_constant_signal_unknown() -> None:
    real = curves(3, 1)
    assert r2(real, np.full_like(real, real.mean()), ["voltage_V"])["voltage_V"] == pytest.approx(0, abs=1e-6)
    flat = np.ones((2, 1, 5), np.float32)
    assert np.isnan(r2(flat, flat, ["voltage_V"])["voltage_V"])


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="need two arrays"):
        absolute_error(curves(), curves(slices=5), PAPER)
