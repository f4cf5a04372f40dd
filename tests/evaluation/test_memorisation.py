"""Distances, ratio, copies and the membership attack, against closed forms and scikit-learn."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from batgen.evaluation.memorisation import (
    COPY,
    is_copy,
    membership_auc,
    membership_interval,
    nearest,
    own_distance,
    ratio_interval,
    resampled,
    train_distance_ratio,
)


def test_nearest_is_the_smallest_distance_and_keeps_apart_what_it_is_told_to() -> None:
    rng = np.random.default_rng(0)
    a, b = 50 + rng.normal(size=(30, 7)), 50 + rng.normal(size=(20, 7))
    cells_a, cells_b = rng.integers(0, 4, 30), rng.integers(0, 4, 20)
    distance, place = nearest(a, b)
    np.testing.assert_allclose(distance, cdist(a, b).min(axis=1), atol=1e-9)
    np.testing.assert_array_equal(place, cdist(a, b).argmin(axis=1))
    far = np.where(cells_a[:, None] == cells_b, np.inf, cdist(a, b))
    np.testing.assert_allclose(nearest(a, b, (cells_a, cells_b))[0], far.min(axis=1), atol=1e-9)
    assert nearest(b[:3], b)[0].max() < 1e-5
    assert np.isinf(nearest(a[:2], b, (np.zeros(2), np.zeros(20)))[0]).all()
    assert np.isinf(nearest(np.full((1, 7), np.nan), b)[0]).all()
    holes = b.copy()
    holes[:19] = np.nan
    np.testing.assert_allclose(nearest(a, holes)[0], cdist(a, b[19:])[:, 0])
    assert np.isinf(nearest(a, np.full((2, 7), np.nan))[0]).all()


def test_the_ratio_is_a_ratio_of_two_ratios() -> None:
    made, other = np.array([1.0, 2.0, np.inf, 3.0]), np.array([4.0, 4.0, 4.0])
    assert train_distance_ratio(made, other, np.array([3.0]), np.array([5.0])) == pytest.approx((2 / 4) / (3 / 5))
    assert train_distance_ratio(np.zeros(3), other, np.ones(2), np.ones(2)) == 0.0
    assert np.isnan(train_distance_ratio(made, np.zeros(3), np.ones(2), np.ones(2)))
    assert np.isnan(train_distance_ratio(np.empty(0), other, np.ones(2), np.ones(2)))


def test_the_interval_of_the_ratio_holds_it_and_needs_two_cells() -> None:
    rng = np.random.default_rng(1)
    cells = np.repeat(np.arange(10), 20)
    four = tuple(np.exp(0.3 * rng.normal(size=10)[cells] + 0.1 * rng.normal(size=200)) for _ in range(4))
    low, high = ratio_interval((four[0], four[1], four[2], four[3]), cells, cells, 0)
    assert low < train_distance_ratio(*four) < high
    assert high - low > 0.1
    assert np.isnan(ratio_interval((four[0], four[1], four[2], four[3]), np.zeros(200), cells, 0)).all()


def test_a_copy_is_much_nearer_than_the_next_training_curve() -> None:
    usual = np.array([1.0, 10.0, 0.0])
    distance = np.array([0.99 * COPY, 1.01 * COPY, 9.9 * COPY, 0.0, 0.1, np.inf])
    assert is_copy(distance, np.array([0, 0, 1, 2, 2, 0]), usual).tolist() == [1, 0, 1, 1, 0, 0]


def test_own_distance_is_to_the_nearest_draw() -> None:
    draws = np.array([[[3.0, 4.0], [np.nan, 0.0]], [[6.0, 8.0], [0.0, 2.0]]])
    np.testing.assert_allclose(own_distance(np.zeros((2, 2)), draws), [5.0, 2.0])


def test_membership_auc_is_the_roc_auc_ties_included() -> None:
    rng = np.random.default_rng(2)
    train, held_out = rng.integers(0, 9, 70).astype(float), rng.integers(1, 11, 40).astype(float)
    label = np.r_[np.ones(70), np.zeros(40)]
    assert membership_auc(train, held_out) == pytest.approx(roc_auc_score(label, -np.r_[train, held_out]))
    assert membership_auc(np.zeros(3), np.ones(2)) == 1.0
    assert membership_auc(np.ones(3), np.ones(2)) == 0.5
    assert np.isnan(membership_auc(np.ones(3), np.empty(0)))


def test_the_interval_of_the_auc_knows_that_rows_of_a_cell_hang_together() -> None:
    rng = np.random.default_rng(3)
    cells = np.repeat(np.arange(12), 30)
    train = rng.normal(size=12)[cells] + 0.1 * rng.normal(size=360)
    held_out = rng.normal(size=12)[cells] + 0.1 * rng.normal(size=360)
    value = membership_auc(train, held_out)
    low, high = membership_interval(train, held_out, cells, cells + 100, 0)
    assert low < value < high
    assert high - low > 0.25
    each = membership_interval(train, held_out, np.arange(360), 1000 + np.arange(360), 0)
    assert each[1] - each[0] < 0.12
    assert np.isnan(membership_interval(train, held_out, np.zeros(360), cells, 0)).all()


def test_cells_that_both_sides_have_are_resampled_together() -> None:
    names = np.array(["a", "b", "c"])
    both = resampled(names, names[::-1], 0, 50)
    apart = resampled(names, np.array(["x", "y", "z"]), 0, 50)
    assert both is not None
    assert apart is not None
    np.testing.assert_array_equal(both[0], both[1][:, ::-1])
    assert (both[0].sum(axis=1) == 3).all()
    assert (apart[0] != apart[1]).any()
