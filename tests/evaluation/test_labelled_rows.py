"""The jittered control has the noise that neighbours have, and no trend; a row drawn between two cells goes with either."""

import numpy as np
import pytest

from batgen.evaluation.labelled_rows import LabelledRows, jittered_copies, neighbour_noise

CELLS = np.repeat(["a", "b"], 6)
AGE = np.r_[1.0, 2.0, 4.0, 7.0, 8.0, 20.0, np.arange(6.0)]


def test_a_trend_is_no_noise() -> None:
    """Curves on a line of age, another one for each cell, measured at uneven ages and in any order."""
    inputs = AGE[:, None] * [[1.0, -3.0]] + (CELLS == "b")[:, None] * [[50.0, 7.0]]
    order = np.random.default_rng(0).permutation(len(AGE))
    found = neighbour_noise(inputs[order], CELLS[order], AGE[order])
    assert found.shape == (8, 2), "6 rows a cell, 4 between two others"
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


def test_noise_by_hand() -> None:
    """(0, 0), (1, 5), (4, 8): the line between the outer two is 2 at age 1."""
    found = neighbour_noise(np.array([[0.0], [5.0], [8.0]]), np.array(["a"] * 3), np.array([0.0, 1.0, 4.0]))
    assert found.tolist() == [[3.0]]
    same = neighbour_noise(np.array([[0.0], [5.0], [8.0]]), np.array(["a"] * 3), np.ones(3))
    assert same.tolist() == [[1.0]], "of one age: the middle"


def test_copies_have_the_size_of_the_noise_and_keep_their_rows() -> None:
    rng = np.random.default_rng(1)
    age, cells = np.tile(np.arange(200.0), 5), np.repeat(list("abcde"), 200)
    inputs = age[:, None] + rng.normal(0, 0.1, (1000, 3)) * [1.0, 5.0, 0.0]
    found = jittered_copies(inputs, cells, age, 2500, 0)
    assert found is not None
    picked, made = found
    assert set(np.bincount(picked, minlength=1000)) == {2, 3}, "each as often as another"
    np.testing.assert_allclose((made - inputs[picked]).std(axis=0), np.sqrt(1.5) * np.array([0.1, 0.5, 0]), rtol=0.1)
    again = jittered_copies(inputs, cells, age, 2500, 0)
    assert again is not None
    np.testing.assert_array_equal(made, again[1])


def test_no_copies_where_no_row_has_two_neighbours() -> None:
    inputs = np.ones((4, 2))
    cells = np.array(["a", "a", "b", "b"])
    assert jittered_copies(inputs, cells, np.arange(4.0), 10, 0) is None
    inputs[1] = np.nan
    assert len(neighbour_noise(inputs, np.array(["a"] * 4), np.arange(4.0))) == 1, "a failed curve is no neighbour"


def test_a_row_of_two_cells_is_left_out_with_either() -> None:
    names, others = np.array(["a", "a", "b"]), np.array(["a", "b", "b"])
    synthetic = LabelledRows.of(np.ones((3, 1)), np.array([1.0, 2.0, 3.0]), names, others)
    assert synthetic.without(np.array(["b"])).target.tolist() == [1.0]
    assert synthetic.without(np.array(["a"])).target.tolist() == [3.0]
    with pytest.raises(ValueError, match="need"):
        LabelledRows.of(np.ones((3, 1)), np.ones(3), names, others[:2])


def test_sides_weigh_the_same_again_where_a_cell_is_left_out() -> None:
    real = LabelledRows.of(np.ones((4, 1)), np.ones(4), np.array(["a", "a", "b", "b"]))
    names, others = np.array(["a"] * 6 + ["b"]), np.array(["b"] * 5 + ["a", "b"])
    both = real.beside(LabelledRows.of(np.ones((7, 1)), np.ones(7), names, others)).without(np.array(["a"]))
    assert (both.scored.sum(), (~both.scored).sum()) == (2, 1)
    assert both.weight[both.scored].sum() == both.weight[~both.scored].sum() == 2.0
