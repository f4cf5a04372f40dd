"""The sliced Wasserstein distance: closed forms, POT's own, an interval over cells, planted failures."""

import numpy as np
import ot  # type: ignore[import-untyped]
import pytest
from ot.sliced import get_random_projections  # type: ignore[import-untyped]

from batgen.evaluation.sliced import sliced_wasserstein, sliced_wasserstein_interval


def test_a_shift_scores_its_length() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1))
    assert sliced_wasserstein(x, x[::-1] + 0.7, 0) == pytest.approx(0.7)
    x = rng.normal(size=(50, 40))
    step = np.zeros(40)
    step[[3, 8]] = 0.3, 0.4
    assert sliced_wasserstein(x, x[::-1] + step, 0, count=4000) == pytest.approx(0.5, rel=0.05)
    assert sliced_wasserstein(x, 2 * x, 0, 500) == pytest.approx(np.linalg.norm(x, axis=1).mean(), rel=0.05)


def test_it_is_what_pot_gives_for_the_same_directions() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 6)), 1 + rng.normal(size=(45, 6))
    expected = ot.sliced_wasserstein_distance(x, y, projections=get_random_projections(6, 128, 5))
    assert sliced_wasserstein(x, y, 5) == pytest.approx(np.sqrt(6) * expected)
    assert sliced_wasserstein(x, y, 5) == sliced_wasserstein(x, y, 5)


def test_planted_failures_stand_out_of_the_floor_and_the_interval_holds_the_estimate() -> None:
    rng = np.random.default_rng(2)
    cells = np.repeat(np.arange(30), 5)
    x, again = (0.5 * rng.normal(size=(30, 4))[cells] + rng.normal(size=(150, 4)) for _ in range(2))
    floor = sliced_wasserstein(x, again, 0)
    low, high = sliced_wasserstein_interval(x, again, cells, cells, 0)
    assert 0 <= low <= floor <= high
    for made in (np.repeat(x.mean(0, keepdims=True), 150, 0), 0.4 * again, again + 0.8):
        low, high = sliced_wasserstein_interval(x, made, cells, cells, 0)
        assert low <= sliced_wasserstein(x, made, 0) <= high
        assert sliced_wasserstein(x, made, 0) > 2 * floor
        assert low > floor


def test_bad_input_and_rows_that_are_not_finite() -> None:
    x, broken = np.zeros((3, 2)), np.full((3, 2), np.inf)
    assert sliced_wasserstein(x, broken, 0) == np.inf
    assert sliced_wasserstein_interval(x, broken, np.arange(3), np.arange(3), 0) == (np.inf, np.inf)
    assert np.isnan(sliced_wasserstein_interval(x, x, np.zeros(3), np.zeros(3), 0)).all()
    with pytest.raises(ValueError, match="one row"):
        sliced_wasserstein(x, x[:0], 0)
    with pytest.raises(ValueError, match="need real"):
        sliced_wasserstein(x, np.zeros((3, 3)), 0)
