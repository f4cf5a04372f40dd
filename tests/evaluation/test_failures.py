"""Failure counts: none on good draws, all on planted flat curves, repeats, scatter and impossible values."""

from pathlib import Path

import numpy as np
import pytest

from batgen.evaluation.distances import profile_vector
from batgen.evaluation.failures import (
    flat_share,
    nearest_pair_ratio,
    nearest_pairs,
    out_of_range_share,
    real_nearest_pair,
    repeat_share,
)
from tests.evaluation.made_profiles import nasa_discharges, profiles


def test_flat_curves_are_counted() -> None:
    rng = np.random.default_rng(0)
    train, made = (profiles(40, 5, rng)[0] for _ in range(2))
    assert flat_share(made, train) == 0.0
    made[:50] = made[:50].mean(axis=-1, keepdims=True) + 0.1 * (made[:50] - made[:50].mean(axis=-1, keepdims=True))
    assert flat_share(made, train) == 0.25
    assert flat_share(made.reshape(10, 20, *made.shape[1:]), train) == 0.25  # draws


def test_a_signal_that_is_constant_in_training_is_not_flat() -> None:
    rng = np.random.default_rng(1)
    temperature, current = profiles(20, 5, rng)[0], np.full((100, 1, 48), -2.0)
    train = np.concatenate([temperature, current], axis=1)
    assert flat_share(train, train) == 0.0
    dead = train.copy()
    dead[:, 0] = 24.0
    assert flat_share(dead, train) == 1.0
    with pytest.raises(ValueError, match="training profiles"):
        flat_share(dead[:, :1], train)


def test_out_of_range_and_nan_are_counted_up_to_the_end_of_a_record() -> None:
    curves = np.full((4, 2, 5), 3.0)
    slices, limits = ("voltage_V", "temperature_degC"), {"voltage_V": (2.0, 4.2)}
    curves[:, 1] = 500.0  # no limit given: any number will do
    assert out_of_range_share(curves, slices, limits) == 0.0
    curves[0, 0, 1], curves[1, 1, 2], curves[2, 0, 4] = 4.3, np.nan, 1.0
    assert out_of_range_share(curves, slices, limits) == 0.75
    mask = np.ones((4, 5), dtype=bool)
    mask[2, 4] = False
    assert out_of_range_share(curves, slices, limits, mask) == 0.5


def vectors(rng: np.random.Generator, cells: int = 6, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    curves, duration, cell = profiles(cells, each, rng)
    return profile_vector(curves, duration, np.array([1.0])), cell


def conditional_draws(rng: np.random.Generator, draws: int, conditions: int) -> np.ndarray:
    """(K, N, D): rows of one cell each, the law of `vectors` within a cell."""
    x, _ = vectors(rng, conditions, draws)
    return x.reshape(conditions, draws, -1).swapaxes(0, 1)


@pytest.mark.parametrize("draws", [4, 10, 40])
def test_draws_as_different_as_measured_rows_have_a_ratio_of_one(draws: int) -> None:
    rng = np.random.default_rng(2)
    real, cell = vectors(rng, 12, 30)
    assert nearest_pair_ratio(conditional_draws(rng, draws, 20), real, cell) == pytest.approx(1.0, abs=0.15)


def test_collapse_and_scatter_show_in_the_ratio() -> None:
    rng = np.random.default_rng(3)
    real, cell = vectors(rng)
    good = conditional_draws(rng, 20, 10)
    centre = good.mean(axis=0)
    assert nearest_pair_ratio(centre + 0.1 * (good - centre), real, cell) < 0.15
    assert nearest_pair_ratio(centre + 4 * (good - centre), real, cell) > 3
    assert nearest_pair_ratio(np.repeat(centre[None], 20, 0), real, cell) == 0.0
    assert np.isnan(nearest_pair_ratio(good, real[:6], np.arange(6)))  # no two rows of one cell


def test_neighbouring_rows_are_compared_so_that_ageing_is_no_scatter() -> None:
    rng = np.random.default_rng(4)
    drift = np.linspace(0, 100, 200)[:, None]
    real = drift + rng.normal(size=(200, 3))
    usual = real_nearest_pair(real, np.zeros(200))
    shuffled = real_nearest_pair(rng.permutation(real), np.zeros(200))
    assert usual < 0.5 * shuffled
    assert np.isnan(real_nearest_pair(real, np.arange(200)))


def test_repeats_are_counted() -> None:
    rng = np.random.default_rng(5)
    real, cell = vectors(rng)
    usual, good = real_nearest_pair(real, cell), conditional_draws(rng, 20, 10)
    assert repeat_share(good, usual) == 0.0
    copied = good.copy()
    copied[10:15] = copied[5:10]  # planted: 10 of 20 draws belong to a pair
    assert repeat_share(copied, usual) == 0.5
    assert repeat_share(np.repeat(good[:1], 20, 0), usual) == 1.0
    np.testing.assert_allclose(nearest_pairs(np.array([[0.0], [1.0], [5.0]])), [1.0, 1.0, 4.0])
    for bad, at in ((good[:1], usual), (good, 0.0)):
        with pytest.raises(ValueError, match=r"two draws|above 0"):
            repeat_share(bad, at)


def test_measured_rows_pass(data_dir: Path) -> None:
    curves, duration, _ = nasa_discharges(data_dir, "B0005")
    other, _, _ = nasa_discharges(data_dir, "B0006")
    assert flat_share(other, curves) == 0.0
    assert out_of_range_share(other, ("temperature_degC",), {"temperature_degC": (-20.0, 60.0)}) == 0.0
    x = profile_vector(curves, duration, curves.std(axis=(0, 2)))
    usual = real_nearest_pair(x, np.zeros(len(x)))
    windows = x[:160].reshape(16, 10, -1).swapaxes(0, 1)  # ten neighbouring records as the draws of one condition
    assert repeat_share(windows, usual) == 0.0
    assert nearest_pair_ratio(windows, x, np.zeros(len(x))) == pytest.approx(1.0, abs=0.05)
