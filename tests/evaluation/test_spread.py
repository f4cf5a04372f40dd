"""The spread of conditional means: 1 for the right law however noisy, 0 for one curve, known factors in between."""

import numpy as np
import pytest

from batgen.evaluation.spread import between, between_condition_ratio

SLICES = ("voltage_V", "temperature_degC")
SHAPE = np.linspace(0.0, 1.0, 16)


def measured(level: np.ndarray, rng: np.random.Generator, copies: int = 1, factor: float = 1.0) -> np.ndarray:
    """(copies, N, 2, 16): the condition moves the curve by `factor` x `level`; each cell scatters as much on its own."""
    own = rng.normal(size=(copies, len(level), 2, 1))
    return ((factor * level[:, None, None] + own) * SHAPE + 0.1 * rng.normal(size=(*own.shape[:3], 16))).astype(
        np.float32
    )


@pytest.mark.parametrize("draws", [2, 20])
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.5])
def test_the_factor_is_found_whatever_the_scatter_and_the_number_of_draws(factor: float, draws: int) -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=3000)
    real, again = measured(level, rng)[0], measured(level, rng, 4)
    found = between_condition_ratio(real, measured(level, rng, draws, factor), again, SLICES)
    for value in found.values():
        assert value == pytest.approx(factor, abs=0.2 if factor == 0 else 0.07)


def test_the_mean_curve_scores_zero_and_permuted_conditions_go_unseen() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(size=500)
    real, again = measured(level, rng)[0], measured(level, rng, 4)
    mean = np.broadcast_to(real.mean(0), (5, *real.shape))
    assert between_condition_ratio(real, mean, again, SLICES)["voltage_V"] == pytest.approx(0.0, abs=1e-4)
    permuted = measured(rng.permutation(level), rng, 20)
    assert between_condition_ratio(real, permuted, again, SLICES)["voltage_V"] == pytest.approx(1.0, abs=0.15)


def test_of_some_rows_and_without_some_points() -> None:
    rng = np.random.default_rng(2)
    level = rng.normal(size=400)
    real, again, draws = measured(level, rng)[0], measured(level, rng, 2), measured(level, rng, 6)
    one = between(real, draws, again, SLICES)["voltage_V"]
    assert one.shared() == pytest.approx(1 / np.sqrt(2 * 1.5), abs=0.1)  # variances 1 + 1 and 1 + 1 / 2, covariance 1
    rows = np.arange(0, 400, 2)
    part = between_condition_ratio(real[rows], draws[:, rows], again[:, rows], SLICES)["voltage_V"]
    assert one.ratio(rows) == pytest.approx(part)
    real[3, 0, 8:] = np.nan
    draws[:, :, 0, 8:] = 1e6 * rng.normal(size=(6, 400, 8))
    short = [between_condition_ratio(real[..., :8], draws[..., :8], again[..., :8], SLICES)["voltage_V"]]
    assert between_condition_ratio(real, draws, again, SLICES)["voltage_V"] == pytest.approx(short[0])


def test_conditions_that_do_nothing_and_draws_that_are_not_finite() -> None:
    rng = np.random.default_rng(3)
    level = rng.normal(size=50)
    real, again, draws = measured(level, rng)[0], measured(level, rng, 2), measured(level, rng, 3)
    opposite = -real[None]
    assert np.isnan(between_condition_ratio(real, draws, opposite, SLICES)["voltage_V"])
    draws[1, 4, 0, 2] = np.nan
    assert between_condition_ratio(real, draws, again, SLICES)["voltage_V"] == np.inf
    real[:, 0] = np.nan
    assert np.isnan(between_condition_ratio(real, draws, again, SLICES)["voltage_V"])
    with pytest.raises(ValueError, match="need two arrays"):
        between_condition_ratio(real, draws[:, :9], again, SLICES)
