"""The two-sample test gives 0.5 for one law, finds planted failures, and does not fall for the known traps."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from batgen.evaluation.c2st import _chance, blocks, c2st, c2st_correct
from batgen.evaluation.distances import profile_vector
from tests.evaluation.made_profiles import nasa_discharges, profiles

CELLS = 15


def score(seed: int, each: int = 20, **law: float) -> float:
    """Accuracy between profiles of one law and of the law that is asked for, other cells on each side."""
    rng = np.random.default_rng(seed)
    (a, ta, ga), (b, tb, gb) = profiles(CELLS, each, rng), profiles(CELLS, each, rng, **law)
    x, y = (profile_vector(c, t, np.array([3.0])) for c, t in ((a, ta), (b, tb)))
    return c2st(x, y, ga, gb + CELLS, seed)


def test_two_sets_of_one_law_score_one_half() -> None:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(4):
        x, y = rng.normal(size=(2, 300, 49)) * np.geomspace(1, 0.01, 49)
        found.append(c2st(x, y, np.arange(300) // 20, np.arange(300) // 20, seed))
    assert np.mean(found) == pytest.approx(0.5, abs=0.025)
    np.testing.assert_allclose(found, 0.5, atol=0.07)
    assert np.mean([score(seed) for seed in range(3)]) == pytest.approx(0.5, abs=0.06)


def test_more_features_than_rows_tell_nothing_where_a_pca_of_the_measured_rows_would() -> None:
    """The trap: components of the measured rows alone leave them a shorter residual than rows of the same law."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 60, 200))
    groups = np.arange(60) // 6
    pca = PCA(16).fit(x)
    rest = [np.linalg.norm(z - pca.inverse_transform(pca.transform(z)), axis=1) for z in (x, y)]
    middle = np.median(np.r_[rest])
    assert np.mean([(rest[0] < middle).mean(), (rest[1] > middle).mean()]) > 0.95
    ours = [c2st(*rng.normal(size=(2, 60, 200)), groups, groups, seed) for seed in range(6)]
    assert np.mean(ours) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("law", "least"), [({"shift": 1.0}, 0.6), ({"spread": 0.4}, 0.75), ({"noise": 0.01}, 0.9), ({"noise": 0.03}, 0.8)]
)
def test_planted_failures_are_found(law: dict[str, float], least: float) -> None:
    assert score(3, **law) > least


def test_repeats_of_good_rows_are_found() -> None:
    rng = np.random.default_rng(4)
    curves, duration, cell = profiles(CELLS, 20, rng)
    x = profile_vector(curves, duration, np.array([3.0]))
    copies = profile_vector(*profiles(1, 8, rng)[:2], np.array([3.0]))[rng.integers(0, 8, 300)]
    assert c2st(x, copies, cell, cell, 0) > 0.9


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.42, 0.58), (0.4, 0.63, 0.8)])
def test_sides_weigh_the_same_whatever_their_numbers(shift: float, low: float, high: float) -> None:
    """Always saying "measured" would be right for 10 of 11 rows, and scores 0.5; so does a fit that leans that way."""
    groups, found = np.arange(600) % 10, []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        many, few = rng.normal(size=(600, 12)), rng.normal(size=(60, 12))
        found.append(c2st(many, few + shift, groups, groups[:60], seed))
    assert low < np.mean(found) < high


def test_groups_stay_together_so_that_a_fingerprint_of_a_cell_does_not_help() -> None:
    """Planted: one law of cells; a cell's rows are nearly equal. By row, a fold knows each cell and its side."""
    rng = np.random.default_rng(6)
    cell = np.repeat(np.arange(20), 15)
    x, y = (rng.normal(size=(20, 10))[cell] + 0.05 * rng.normal(size=(300, 10)) for _ in range(2))
    by_row = c2st(x, y, np.arange(300), np.arange(300), 0)
    assert by_row > 0.9
    assert c2st(x, y, cell, cell, 0) < 0.7


def test_a_fold_without_one_side_is_a_coin() -> None:
    np.testing.assert_array_equal(_chance(np.zeros((4, 2)), np.ones(4, int), np.zeros((3, 2)), 0), [0.5, 0.5, 0.5])


def test_rows_told_right_average_to_the_score_of_long_vectors_too() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(2, 120, 400))
    y[:40] += 1.0
    groups = np.arange(120) // 6
    right, found = c2st_correct(x, y, groups, groups, 0)
    assert set(np.unique(np.r_[right, found])) <= {0.0, 0.5, 1.0}
    assert (right.mean() + found.mean()) / 2 == c2st(x, y, groups, groups, 0)
    assert found[:40].mean() > found[40:].mean() + 0.3
    np.testing.assert_array_equal(c2st_correct(x, y * np.nan, groups, groups, 0)[0], np.ones(120))


def test_blocks_of_cycles_and_bad_input() -> None:
    np.testing.assert_array_equal(blocks(np.array([1, 10, 11, 20, 21])), [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(blocks(np.array([1.0, 2.0, 3.0]), 2), [0, 0, 1])
    with pytest.raises(ValueError, match="1 or more"):
        blocks(np.array([1]), 0)
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="two groups"):
        c2st(x, x, np.zeros(4), np.arange(4), 0)
    with pytest.raises(ValueError, match="one group"):
        c2st(x, x, np.zeros(3), np.arange(4), 0)
    assert c2st(x, np.full((4, 2), np.nan), np.arange(4), np.arange(4), 0) == 1.0


def test_two_measured_cells_are_told_apart_and_halves_of_one_are_not(data_dir: Path) -> None:
    (a, ta, ca), (b, tb, cb) = (nasa_discharges(data_dir, name) for name in ("B0005", "B0006"))
    scale = a.std(axis=(0, 2))
    x, y = profile_vector(a, ta, scale), profile_vector(b, tb, scale)
    assert c2st(x, y, blocks(ca), blocks(cb), 0) > 0.95
    half = np.random.default_rng(0).random(len(ca)) < 0.5
    found = [c2st(x[half], x[~half], blocks(ca[half]), blocks(ca[~half]), seed) for seed in range(3)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)
