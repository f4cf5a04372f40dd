"""CRPS, variance ratio, latent diagnostics, bootstrap: closed forms and planted failures."""

import numpy as np
import pytest

from batgen.evaluation import conditional
from batgen.evaluation.conditional import conditional_mean, crps
from batgen.evaluation.diversity import spread_and_skill, variance_ratio
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.latent import latent_diagnostics
from batgen.evaluation.reconstruction import absolute_error

S = ["voltage_V"]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ratio(real: np.ndarray, generated: np.ndarray) -> float:
    return variance_ratio(*spread_and_skill(real, generated, S), len(generated))["voltage_V"]


@pytest.mark.parametrize("draws", [2, 3, 7])
def test_crps_equals_its_definition(draws: int) -> None:
    real, generated = normal(4, 1, 5), normal(draws, 4, 1, 5, seed=1)
    pairs = np.abs(generated[:, None] - generated[None]).sum(axis=(0, 1)) / 2
    expected = np.abs(generated - real).mean(axis=0) - pairs / (draws * (draws - 1))
    assert crps(real, generated, S)["voltage_V"] == pytest.approx(expected.mean(axis=(1, 2)), abs=1e-6)


@pytest.mark.parametrize("draws", [2, 50])
def test_crps_of_a_standard_normal_is_unbiased_for_any_number_of_draws(draws: int) -> None:
    # E CRPS of N(0, 1) against its own draws: E|X - Y| - E|X - X'| / 2 = 1 / sqrt(pi).
    values = crps(normal(400, 1, 50), normal(draws, 400, 1, 50, seed=1), S)["voltage_V"]
    assert values.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)


def test_crps_of_equal_draws_is_the_absolute_error() -> None:
    real, one = normal(5, 1, 8) + 30, normal(5, 1, 8, seed=1) + 30
    error = absolute_error(real, one, S)["voltage_V"]
    for draws in (1, 4):
        repeated = np.repeat(one[None], draws, axis=0)
        assert crps(real, repeated, S)["voltage_V"] == pytest.approx(error, rel=1e-6)


def test_crps_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated, slices = normal(9, 2, 6), normal(5, 9, 2, 6, seed=1), ["voltage_V", "current_A"]
    real[3, 1, 2] = np.nan
    whole = crps(real, generated, slices)
    monkeypatch.setattr(conditional, "_CHUNK", 5 * 2 * 6 * 2)
    for name, values in crps(real, generated, slices).items():
        assert np.array_equal(values, whole[name])
    assert np.isfinite(whole["current_A"]).all()


def test_crps_prefers_the_true_law() -> None:
    real, calibrated = normal(500, 1, 20), normal(30, 500, 1, 20, seed=1)
    true = crps(real, calibrated, S)["voltage_V"].mean()
    for failure in (0 * calibrated, 3 * calibrated, calibrated + 1):  # the mean curve, too wide, shifted
        assert crps(real, failure, S)["voltage_V"].mean() > 1.2 * true


def test_crps_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="need real"):
        crps(normal(3, 1, 4), normal(5, 2, 1, 4), S)


def test_crps_of_nan_draws_is_infinite() -> None:
    generated = normal(5, 3, 1, 4)
    generated[0, 1] = np.nan
    assert np.isinf(crps(normal(3, 1, 4), generated, S)["voltage_V"]).tolist() == [False, True, False]


def test_conditional_mean() -> None:
    assert conditional_mean(np.array([[[[1.0]]], [[[3.0]]]])).tolist() == [[[2.0]]]


@pytest.mark.parametrize("draws", [2, 20])
def test_variance_ratio_is_one_when_calibrated(draws: int) -> None:
    assert ratio(normal(800, 1, 40), normal(draws, 800, 1, 40, seed=1)) == pytest.approx(1, abs=0.05)


def test_variance_ratio_shows_collapse_and_excess() -> None:
    real, generated = normal(300, 1, 40), normal(20, 300, 1, 40, seed=1)
    assert ratio(real, 0 * generated) == 0.0
    assert ratio(real, np.repeat(real[None], 3, axis=0) + 0.1) == pytest.approx(0, abs=1e-9)
    assert ratio(real, 0.5 * generated) == pytest.approx(0.26, abs=0.03)
    assert ratio(real, 2 * generated) > 3
    assert np.isnan(ratio(real, generated[:1]))
    assert np.isnan(ratio(real, np.repeat(real[None], 2, axis=0)))


def test_latent_closed_form() -> None:
    found = latent_diagnostics(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, np.log(4)], [0.0, np.log(4)]]))
    assert found.kl_per_unit == pytest.approx([0.5, -0.5 * (1 + np.log(4) - 4)])
    assert found.kl_nats == pytest.approx(found.kl_per_unit.sum())
    assert found.active_units == 1
    assert found.variance_per_unit.tolist() == [1.0, 0.0]


def test_a_collapsed_latent_is_seen() -> None:
    noise = 0.05 * normal(200, 8)
    collapsed = latent_diagnostics(noise, np.zeros((200, 8)))
    assert collapsed.active_units == 0
    assert collapsed.kl_nats < 0.05
    alive = latent_diagnostics(np.concatenate([noise[:, :6], normal(200, 2)], axis=1), np.full((200, 8), -2.0))
    assert alive.active_units == 2
    assert alive.kl_nats > 1


def test_latent_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="need mu"):
        latent_diagnostics(np.zeros((0, 3)), np.zeros((0, 3)))


def test_bootstrap_resamples_cells_not_cycles() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=40)
    cells = np.repeat([f"c{i}" for i in range(40)], 50)
    values = np.repeat(level, 50) + 0.01 * rng.normal(size=2000)
    low, high = bootstrap_over_cells(values, cells, seed=0)
    assert low < level.mean() < high
    # The standard error of 40 levels, not of 2000 independent values.
    assert (high - low) / 3.92 == pytest.approx(level.std(ddof=1) / np.sqrt(40), rel=0.15)
    assert bootstrap_over_cells(values, cells, seed=0) == (low, high)
    assert bootstrap_over_cells(values, cells, seed=1) != (low, high)


def test_bootstrap_weighs_cells_by_their_samples_and_leaves_nan_out() -> None:
    values, cells = np.array([1.0, 1.0, 1.0, 1.0, np.nan]), np.array([0, 0, 0, 1, 1])
    assert bootstrap_over_cells(values, cells, seed=0) == (1.0, 1.0)
    low, high = bootstrap_over_cells(np.ones(4), np.zeros(4), seed=0)
    assert np.isnan([low, high]).all()
