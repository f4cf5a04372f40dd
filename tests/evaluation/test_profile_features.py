"""Features of profiles whose peak is known, with ends, ties and failures planted."""

import numpy as np
import pytest

from batgen.evaluation.profile_features import FEATURES, profile_features

TIME = np.arange(6) * 60.0
ALL = np.ones(6, dtype=bool)


def test_a_discharge_in_closed_form() -> None:
    found = profile_features(np.array([[24.0, 25, 29, 31, 31, 28]]), np.array([300.0]), ALL[None], TIME[None])
    assert {name: float(v[0]) for name, v in found.items()} == {
        "peak_temperature_degC": 31.0,
        "peak_time_s": 180.0,  # the first of two equal points
        "temperature_rise_degC": 7.0,
        "final_temperature_degC": 28.0,
        "duration_s": 300.0,
    }
    assert tuple(found) == FEATURES


def test_the_peak_of_a_charge_counts_after_its_hot_start() -> None:
    charge = np.array([33.0, 30, 27, 26, 28, 25])
    start = profile_features(charge, np.array(300.0), ALL, TIME)
    later = profile_features(charge, np.array(300.0), ALL, TIME, after_s=120.0)
    assert (start["peak_temperature_degC"], start["peak_time_s"], start["temperature_rise_degC"]) == (33.0, 0.0, 0.0)
    assert (later["peak_temperature_degC"], later["peak_time_s"], later["temperature_rise_degC"]) == (28.0, 240.0, -5.0)


def test_points_behind_the_end_do_not_count() -> None:
    mask = np.array([True, True, True, True, False, False])
    found = profile_features(np.array([24.0, 25, 26, 25, 90, 91]), np.array(180.0), mask, TIME)
    assert found["peak_temperature_degC"] == 26.0
    assert found["final_temperature_degC"] == 25.0


def test_a_record_that_ends_too_early_and_one_with_nan_have_no_peak() -> None:
    curves = np.array([[24.0, 30, 0, 0, 0, 0], [24.0, np.nan, 26, 27, 28, 25], [24.0, 25, 26, 27, 28, 25]])
    mask = np.array([[True, True, False, False, False, False], ALL, ALL])
    found = profile_features(curves, np.array([60.0, 300, 300]), mask, np.tile(TIME, (3, 1)), after_s=60.5)
    np.testing.assert_array_equal(found["peak_temperature_degC"], [np.nan, 28.0, 28.0])
    np.testing.assert_array_equal(found["peak_time_s"], [np.nan, 240.0, 240.0])
    early = profile_features(curves, np.array([60.0, 300, 300]), mask, np.tile(TIME, (3, 1)))
    np.testing.assert_array_equal(early["peak_temperature_degC"], [30.0, np.nan, 28.0])
    np.testing.assert_array_equal(early["peak_time_s"], [60.0, np.nan, 240.0])


def test_draws_have_any_leading_axes() -> None:
    rng = np.random.default_rng(0)
    draws, duration = rng.normal(30, 3, (5, 4, 6)), rng.uniform(200, 400, (5, 4))
    found = profile_features(draws, duration, ALL, duration[..., None] * np.linspace(0, 1, 6))
    np.testing.assert_allclose(found["peak_temperature_degC"], draws.max(-1))
    np.testing.assert_allclose(found["peak_time_s"], duration * draws.argmax(-1) / 5)
    assert found["duration_s"].shape == (5, 4)


@pytest.mark.parametrize(
    ("duration", "mask", "words"),
    [(np.zeros(3), ALL, "one duration"), (np.array(1.0), np.zeros(6, bool), "no measured point"),
     (np.array(1.0), ALL[:4], "must match")],
)  # fmt: skip
def test_bad_shapes(duration: np.ndarray, mask: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        profile_features(np.zeros(6), duration, mask, TIME)
