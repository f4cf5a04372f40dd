"""MMD in closed form, 0 for one law, an interval that holds its estimate, and planted failures."""

import numpy as np
import pytest

from batgen.evaluation.mmd import bandwidth, mmd, mmd_interval, unlike
from batgen.evaluation.pair_sums import pair_sums


def test_mmd_in_closed_form() -> None:
    x, y = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [6.0]])

    def k(d: float) -> float:
        return float(np.exp(-(d**2) / 8))

    cross = np.mean([k(d) for d in (2, 6, 1, 5, 1, 3)])
    assert mmd(x, y, 2.0) == pytest.approx(np.mean([k(1), k(3), k(2)]) + k(4) - 2 * cross)


def test_mmd_of_shifted_normal_values_in_closed_form() -> None:
    """E k(X, Y) = w / sqrt(w^2 + 2) exp(-m^2 / (2 (w^2 + 2))) for N(0, 1), N(m, 1) and width w."""
    rng, width, shift = np.random.default_rng(0), 1.5, 0.8
    found = [mmd(rng.normal(size=(200, 1)), shift + rng.normal(size=(200, 1)), width) for _ in range(30)]
    scale = width / np.sqrt(width**2 + 2)
    assert np.mean(found) == pytest.approx(2 * scale * (1 - np.exp(-(shift**2) / 2 / (width**2 + 2))), rel=0.1)
    same = [mmd(rng.normal(size=(100, 3)), rng.normal(size=(100, 3)), width) for _ in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)


def test_the_width_is_the_median_distance_of_measured_pairs() -> None:
    assert bandwidth(np.array([[0.0], [1.0], [3.0]])) == 2.0
    assert bandwidth(np.zeros((4, 2))) == 1.0
    with pytest.raises(ValueError, match="two rows"):
        bandwidth(np.zeros((1, 2)))
    np.testing.assert_allclose(unlike(2.0)(np.array([0.0, 2.0])), [0.0, 1 - np.exp(-0.5)])


@pytest.mark.parametrize("planted", ["mean curve", "half the spread", "two clusters of three"])
def test_planted_failures_stand_out_of_the_floor(planted: str) -> None:
    rng = np.random.default_rng(1)
    centres = np.array([[-3.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    x, again = (centres[rng.integers(0, 3, 150)] + rng.normal(size=(150, 2)) for _ in range(2))
    made = {
        "mean curve": np.repeat(x.mean(0, keepdims=True), 150, 0),
        "half the spread": 0.5 * again,
        "two clusters of three": centres[rng.integers(0, 2, 150)] + rng.normal(size=(150, 2)),
    }[planted]
    width, cells = bandwidth(x), np.arange(150) // 5
    assert abs(mmd(x, again, width)) < 0.01
    assert mmd(x, made, width) > 0.03
    assert mmd_interval(x, made, cells, cells, width, 0, 200)[0] > 0.01


def test_the_interval_holds_the_estimate_though_rows_of_a_cell_are_alike() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = np.repeat(np.arange(12), 5)
        x, y = (rng.normal(size=(12, 8))[cells] + 0.1 * rng.normal(size=(60, 8)) for _ in range(2))
        low, high = mmd_interval(x, y, cells, cells, 3.0, seed, 300)
        assert low <= mmd(x, y, 3.0) <= high
    assert np.isnan(mmd_interval(x, y, np.zeros(60), np.zeros(60), 3.0, 0)).all()


def test_bad_input_and_rows_that_are_not_finite() -> None:
    x = np.zeros((3, 2))
    assert mmd(x, np.full((2, 2), np.nan), 1.0) == np.inf
    assert mmd_interval(x, np.full((2, 2), np.nan), np.arange(3), np.arange(2), 1.0, 0) == (np.inf, np.inf)
    with pytest.raises(ValueError, match="two rows"):
        mmd(x, x[:1], 1.0)
    with pytest.raises(ValueError, match="need real"):
        mmd(x, np.zeros((3, 4)), 1.0)


def test_long_vectors_take_another_way_to_the_same_distances() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 40, 90)) + 50.0
    cells = np.arange(40) // 4
    short = pair_sums(x, y, cells, cells, (np.asarray, unlike(10.0)))
    long = pair_sums(
        np.c_[x, np.zeros((40, 30))], np.c_[y, np.zeros((40, 30))], cells, cells, (np.asarray, unlike(10.0))
    )
    for a, b in zip(short, long, strict=True):
        assert a.value() == pytest.approx(b.value(), rel=1e-6)
        np.testing.assert_allclose(a.interval(0, 50), b.interval(0, 50), rtol=1e-6)
