"""Bayesian inversion: closed forms of the linear Gaussian case, coverage, planted wrong covariances, bad input."""

import numpy as np
import pytest
from scipy import stats

from batgen.evaluation.inversion import OUTSIDE, marginal, posterior, posterior_summary, soh_prior
from batgen.evaluation.utility import coverage, interval_width

GRID = np.linspace(0.4, 1.1, 281)
FLAT = np.full(len(GRID), 1.0 / len(GRID))
SLOPE = np.array([0.5, -0.3, 0.8, 0.1])
OFFSET = np.array([3.7, 3.5, 3.6, 3.2])


def covariance(scale: float = 0.01) -> np.ndarray:
    """A full covariance (4, 4) in V^2, with correlated noise."""
    mixing = np.random.default_rng(3).normal(size=(4, 4))
    return scale**2 * (mixing @ mixing.T + 0.5 * np.eye(4))


def stacked(cov: np.ndarray, grid: np.ndarray = GRID) -> tuple[np.ndarray, np.ndarray]:
    """Mean (G, 4) and covariance (G, 4, 4) of voltages that are linear in SOH."""
    return OFFSET + np.outer(grid, SLOPE), np.tile(cov, (len(grid), 1, 1))


def measured(n: int, cov: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """SOH (n,) away from the ends of the grid and voltages (n, 4) drawn at them."""
    rng = np.random.default_rng(seed)
    soh = rng.uniform(0.6, 0.9, n)
    return soh, OFFSET + np.outer(soh, SLOPE) + rng.multivariate_normal(np.zeros(4), cov, n)


def analytic(volts: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean (N,) and standard deviation of the posterior under a flat prior: generalised least squares."""
    precision = np.linalg.inv(cov)
    information = SLOPE @ precision @ SLOPE
    return (volts - OFFSET) @ precision @ SLOPE / information, float(information**-0.5)


def test_linear_gaussian_case_has_the_analytic_posterior() -> None:
    cov = covariance()
    _, volts = measured(50, cov)
    masses = posterior(volts, *stacked(cov), FLAT)
    mean, sd = analytic(volts, cov)
    expected = stats.norm.pdf(GRID, mean[:, None], sd)
    np.testing.assert_allclose(masses, expected / expected.sum(axis=1, keepdims=True), atol=1e-10)
    found, low, high = posterior_summary(masses, GRID)
    np.testing.assert_allclose(found, mean, atol=1e-6)
    np.testing.assert_allclose(low, mean - 1.6449 * sd, atol=0.01 * sd)
    np.testing.assert_allclose(high, mean + 1.6449 * sd, atol=0.01 * sd)


def test_prior_and_likelihood_are_multiplied() -> None:
    cov = covariance()
    _, volts = measured(20, cov)
    mean, sd = analytic(volts, cov)
    centre, spread = 0.7, 0.01
    found, _, _ = posterior_summary(posterior(volts, *stacked(cov), stats.norm.pdf(GRID, centre, spread)), GRID)
    weight = sd**-2 / (sd**-2 + spread**-2)
    np.testing.assert_allclose(found, weight * mean + (1 - weight) * centre, atol=1e-6)


def test_a_covariance_that_grows_along_the_grid_costs_its_determinant() -> None:
    """One voltage that says nothing of SOH through its mean: p(g | u) is N(u; 0, s(g)^2), normalised."""
    scale = np.linspace(0.01, 0.05, len(GRID))
    masses = posterior(np.array([[0.0], [0.03]]), np.zeros((len(GRID), 1)), (scale**2)[:, None, None], FLAT)
    expected = stats.norm.pdf(np.array([[0.0], [0.03]]), 0.0, scale)
    np.testing.assert_allclose(masses, expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)


@pytest.mark.parametrize(("factor", "lowest", "highest"), [(1.0, 0.88, 0.92), (1 / 16, 0.25, 0.40), (16.0, 0.999, 1.0)])
def test_coverage_and_planted_wrong_covariances(factor: float, lowest: float, highest: float) -> None:
    """Noise believed 4 x too small covers P(|z| < 1.645 / 4) = 32 %, 4 x too large nearly all."""
    cov = covariance()
    soh, volts = measured(4000, cov)
    _, low, high = posterior_summary(posterior(volts, *stacked(factor * cov), FLAT), GRID)
    assert lowest <= coverage(soh, low, high) <= highest


def test_a_coarse_grid_does_not_bias_coverage() -> None:
    cov = covariance()
    _, sd = analytic(np.zeros((1, 4)), cov)
    soh, volts = measured(4000, cov)
    coarse = np.arange(0.4, 1.1, sd)
    _, low, high = posterior_summary(posterior(volts, *stacked(cov, coarse), np.ones(len(coarse))), coarse)
    assert 0.89 <= coverage(soh, low, high) <= 0.93
    assert interval_width(low, high) == pytest.approx(2 * 1.6449 * sd, rel=0.06)


def test_rows_far_from_every_grid_point_keep_a_posterior() -> None:
    cov = covariance()
    masses = posterior(OFFSET + np.array([[3.0, 3.0, -3.0, 3.0]]), *stacked(cov), FLAT)
    assert np.isfinite(masses).all()
    assert masses.sum() == pytest.approx(1.0)


def test_not_knowing_soc_widens_the_interval() -> None:
    """The mean moves with SOC along SOH's own direction, so a spread of SOCs adds a spread of SOHs."""
    cov = covariance()
    socs = np.linspace(-0.05, 0.05, 5)
    mean = np.stack([stacked(cov)[0] + shift * SLOPE for shift in socs])
    covs = np.broadcast_to(cov, (5, len(GRID), 4, 4))
    _, volts = measured(300, cov)
    unknown = marginal(volts, mean, covs, np.ones((5, len(GRID))))
    known = posterior(volts, mean[2], covs[2], FLAT)
    assert interval_width(*posterior_summary(unknown, GRID)[1:]) > 1.3 * interval_width(
        *posterior_summary(known, GRID)[1:]
    )
    one = np.zeros((5, len(GRID)))
    one[2] = 1.0
    np.testing.assert_allclose(marginal(volts, mean, covs, one), known, atol=1e-12)
    np.testing.assert_allclose(unknown.sum(axis=1), 1.0)


def test_marginal_weighs_socs_by_their_evidence() -> None:
    cov = covariance()
    mean = np.stack([stacked(cov)[0], stacked(cov)[0] + np.array([0.5, 0.5, -0.5, 0.5])])
    _, volts = measured(50, cov)
    covs = np.broadcast_to(cov, (2, len(GRID), 4, 4))
    both = marginal(volts, mean, covs, np.ones((2, len(GRID))))
    np.testing.assert_allclose(both, posterior(volts, mean[0], covs[0], FLAT), atol=1e-9)


def test_prior_is_flat_over_the_widened_training_range() -> None:
    prior = soh_prior(np.array([0.7, 0.9, 0.72]), GRID)
    inside = (GRID > 0.649) & (GRID < 0.951)
    assert prior.sum() == pytest.approx(1.0)
    assert np.ptp(prior[inside]) == 0.0
    np.testing.assert_allclose(prior[~inside] / prior[inside][0], OUTSIDE)
    with pytest.raises(ValueError, match="no point of the SOH grid lies between 1.95 and 2.05"):
        soh_prior(np.array([2.0]), GRID)
    with pytest.raises(ValueError, match="finite"):
        soh_prior(np.array([np.nan]), GRID)


def test_quantiles_of_a_posterior_known_by_hand() -> None:
    masses = np.array([[0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]])
    mean, low, high = posterior_summary(masses, np.array([0.0, 1.0, 2.0, 3.0]), level=0.8)
    np.testing.assert_allclose(mean, [1.5, 0.0])
    np.testing.assert_allclose(low, [0.7, -0.4])
    np.testing.assert_allclose(high, [2.3, 0.4])


def test_bad_covariances_and_shapes() -> None:
    cov = covariance()
    mean, covs = stacked(cov)
    _, volts = measured(2, cov)
    wrong = covs.copy()
    wrong[7] -= 2 * np.linalg.eigvalsh(cov)[0] * np.eye(4)
    with pytest.raises(ValueError, match="grid point 7 is not positive definite"):
        posterior(volts, mean, wrong, FLAT)
    wrong = covs.copy()
    wrong[3, 0, 1] += 1e-3
    with pytest.raises(ValueError, match="grid point 3 is not symmetric"):
        posterior(volts, mean, wrong, FLAT)
    with pytest.raises(ValueError, match="need volts"):
        posterior(volts[:, :3], mean, covs, FLAT)
    with pytest.raises(ValueError, match="needs cov"):
        posterior(volts, mean, cov, FLAT)
    with pytest.raises(ValueError, match="finite"):
        posterior(np.full((1, 4), np.nan), mean, covs, FLAT)
    with pytest.raises(ValueError, match="prior"):
        posterior(volts, mean, covs, 0 * FLAT)
    with pytest.raises(ValueError, match="need mean"):
        marginal(volts, mean, covs, FLAT)


def test_bad_posteriors_and_grids() -> None:
    with pytest.raises(ValueError, match="evenly spaced"):
        posterior_summary(np.ones((1, 3)) / 3, np.array([0.0, 1.0, 3.0]))
    with pytest.raises(ValueError, match="sum to 1"):
        posterior_summary(np.ones((1, 3)), np.arange(3.0))
    with pytest.raises(ValueError, match="level"):
        posterior_summary(np.ones((1, 3)) / 3, np.arange(3.0), level=90)
