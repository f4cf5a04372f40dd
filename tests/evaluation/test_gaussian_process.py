"""Gaussian process regression: gradient of its likelihood, planted truths and wrong rows, thinning out."""

import numpy as np
import pytest

from batgen.evaluation.gaussian_process import FIT_ROWS, fit_predict, log_posterior, squared_distance


def test_likelihood_has_the_gradient_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    inputs, target = rng.normal(size=(40, 3)), rng.normal(size=40)
    parts = [squared_distance(inputs[:, g], inputs[:, g]) for g in ([0], [1, 2])]
    theta = np.array([0.5, 1.0, 0.3, -1.0])
    gradient = log_posterior(theta, parts, target)[1]
    for k, step in enumerate(1e-5 * np.eye(4)):
        slope = (log_posterior(theta + step, parts, target)[0] - log_posterior(theta - step, parts, target)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_gaussian_process_learns_a_curved_truth() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (120, 2))
    truth = 0.8 + 0.1 * np.sin(3 * inputs[:, 0]) * inputs[:, 1]
    found = fit_predict(inputs[:80], truth[:80], inputs[80:], [np.array([0]), np.array([1])], 0)
    assert np.abs(found - truth[80:]).max() < 1e-3


def test_weights_of_a_gaussian_process() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (80, 2))
    truth = 0.8 + 0.1 * inputs[:, 0]
    groups, tests = [np.arange(2)], rng.uniform(-1, 1, (30, 2))
    noisy = truth + 0.002 * rng.normal(size=80)
    noisy[:20] += 0.1  # planted: a quarter of the rows is wrong
    weights = np.where(np.arange(80) < 20, 1e-4, 1.0)

    def error(w: np.ndarray | None) -> float:
        return float(np.abs(fit_predict(inputs, noisy, tests, groups, 0, w) - 0.8 - 0.1 * tests[:, 0]).mean())

    assert error(weights) < 0.25 * error(None)
    assert error(np.ones(80)) == pytest.approx(error(None), abs=1e-12)
    with pytest.raises(ValueError, match="above 0"):
        error(np.zeros(80))


def test_gaussian_process_thins_out_by_the_seed_and_copes_with_one_soh() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(FIT_ROWS + 100, 2))
    target = 0.8 + 0.05 * np.tanh(inputs[:, 0]) + 0.002 * rng.normal(size=len(inputs))
    groups = [np.arange(2)]
    first, again, other = (fit_predict(inputs, target, inputs[:50], groups, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert 0 < np.abs(first - other).max() < 2e-3
    np.testing.assert_array_equal(fit_predict(inputs[:9], np.full(9, 0.7), inputs[:2], groups, 0), [0.7, 0.7])
