"""A condition is read off a curve where curves show it, and not where they do not."""

import numpy as np
import pytest

from batgen.evaluation.reestimation import fit_estimators


def made(cells: int, rows: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Curves (N, 12) = soh x one shape + cell effect x another + noise; `hidden` is a number that no curve knows."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(cells), rows)
    soh = rng.uniform(0.8, 1.0, len(cell))
    line = np.linspace(0, 1, 12)
    vectors = np.outer(soh, line) + np.outer(0.05 * rng.normal(size=cells)[cell], line**2)
    vectors += 0.001 * rng.normal(size=vectors.shape)
    return vectors, {"soh": soh, "hidden": rng.normal(size=cells)[cell], "constant": np.ones(len(cell))}, cell


def test_a_shown_condition_is_found_on_new_cells_and_a_hidden_one_has_no_estimator() -> None:
    found = fit_estimators(*made(12, 20, 0))
    assert set(found) == {"soh"}
    vectors, conditions, _ = made(6, 20, 1)
    error = np.abs(found["soh"].estimate(vectors) - conditions["soh"])
    assert error.mean() < 0.01
    assert np.abs(found["soh"].estimate(vectors[::-1]) - conditions["soh"]).mean() > 0.05


def test_a_condition_that_belongs_to_the_cell_is_not_learnt_by_knowing_the_cell() -> None:
    vectors, conditions, cell = made(8, 40, 2)
    vectors += np.random.default_rng(3).normal(size=(8, 12))[cell]
    assert "hidden" not in fit_estimators(vectors, conditions, cell)


def test_estimates_stay_near_the_range_of_training_and_failed_curves_are_infinite() -> None:
    vectors, conditions, cell = made(12, 20, 0)
    estimator = fit_estimators(vectors, conditions, cell)["soh"]
    wild = np.stack([1e6 * np.ones(12), np.full(12, np.nan)])
    said = estimator.estimate(wild)
    assert 0.7 - 1e-3 <= said[0] <= 1.1 + 1e-3
    assert np.isinf(said[1])


@pytest.mark.parametrize(("cells", "rows"), [(2, 50), (1, 3)])
def test_too_few_cells_teach_nothing(cells: int, rows: int) -> None:
    assert fit_estimators(*made(cells, rows, 0)) == {}


def test_rows_without_a_condition_are_left_out_of_its_fit() -> None:
    vectors, conditions, cell = made(12, 20, 0)
    conditions["soh"][::3] = np.nan
    assert "soh" in fit_estimators(vectors, conditions, cell)
