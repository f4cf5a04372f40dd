"""Train on synthetic, test on real: exact rows serve as well as measured ones, useless ones no better than a constant."""

from pathlib import Path

import numpy as np
import pytest

from batgen.evaluation.profile_utility import (
    TrainingRows,
    cell_mean_error,
    estimate,
    train_synthetic_test_real,
    utility_inputs,
)
from batgen.evaluation.rows import metric_rows
from tests.evaluation.made_profiles import T, nasa_discharges


def aged(cells: int, seed: int, learnt: bool = True) -> TrainingRows:
    """Rows whose duration falls and whose rise grows with soh; `learnt` False: profiles that do not depend on it."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(cells), 20)
    soh = rng.uniform(0.7, 1.0, len(cell))
    shown = soh if learnt else rng.permutation(soh)
    curves = 24 + np.outer(22 - 10 * shown + 0.3 * rng.normal(size=cells)[cell], T)
    curves += 0.02 * rng.normal(size=curves.shape)
    duration = 3600 * shown * np.exp(0.01 * rng.normal(size=len(cell)))
    return TrainingRows(utility_inputs(curves[:, None], duration, np.zeros((len(cell), 1))), soh, cell)


def test_inputs_in_closed_form() -> None:
    curves = np.stack([np.arange(16.0), 10 * np.arange(16.0)])[None]
    found = utility_inputs(curves, np.array([np.e**2]), np.array([[24.0, 1.5]]))
    steps = 0.5 + 2 * np.arange(8)
    np.testing.assert_allclose(found, np.r_[steps, 10 * steps, 2.0, 24.0, 1.5][None])
    assert utility_inputs(curves[..., :5], np.ones(1), np.zeros((1, 0))).shape == (1, 11)
    with pytest.raises(ValueError, match="need"):
        utility_inputs(curves, np.ones(2), np.zeros((1, 0)))


def test_exact_rows_are_as_good_as_measured_ones_and_useless_ones_as_a_constant() -> None:
    test = aged(5, 9)
    found = train_synthetic_test_real(
        {"measured": aged(6, 1), "exact": aged(6, 2), "useless": aged(6, 3, learnt=False)},
        test.inputs,
        test.target,
        test.cells,
    )
    assert found["measured"] < 0.012
    assert found["exact"] == pytest.approx(found["measured"], rel=0.25)
    assert found["useless"] > 0.9 * found["constant"] > 5 * found["measured"]
    assert found["constant"] == pytest.approx(0.075, rel=0.15)  # mean absolute deviation of a uniform law 0.3 wide


def test_cells_count_the_same() -> None:
    cells = np.array(["a", "a", "a", "b"])
    assert cell_mean_error(np.zeros(4), np.array([1.0, -1.0, 1.0, 3.0]), cells) == 2.0


def test_broken_rows_are_left_out_and_too_few_are_refused() -> None:
    rows, test = aged(6, 1), aged(2, 5)
    expected = estimate(rows, test.inputs)
    broken = TrainingRows(
        np.r_[rows.inputs, np.full((3, rows.inputs.shape[1]), np.nan)], np.r_[rows.target, 1, 1, 1], np.r_[rows.cells, 0, 0, 0]
    )  # fmt: skip
    np.testing.assert_allclose(estimate(broken, test.inputs), expected)
    with pytest.raises(ValueError, match="0 of 120"):
        estimate(TrainingRows(rows.inputs * np.nan, rows.target, rows.cells), test.inputs)
    with pytest.raises(ValueError, match="constant"):
        train_synthetic_test_real({}, test.inputs, test.target, test.cells)


def test_the_strength_is_chosen_by_cell() -> None:
    """Planted: inputs are a fingerprint of the cell. Folds by row would trust it and pay for it on other cells."""
    rng = np.random.default_rng(1)
    marks, soh = rng.normal(size=(40, 30)), rng.uniform(0.5, 1.0, 40)
    cell, tests = np.repeat(np.arange(25), 8), np.arange(25, 40)
    inputs = marks[cell] + 0.05 * rng.normal(size=(200, 30))
    by_cell, by_row = (
        cell_mean_error(soh[tests], estimate(TrainingRows(inputs, soh[cell], groups), marks[tests]), tests)
        for groups in (cell, np.arange(200))
    )
    assert by_cell < 0.8 * by_row


def test_one_cell_and_constant_inputs_are_no_obstacle() -> None:
    rows, test = aged(1, 1), aged(3, 5)
    assert cell_mean_error(test.target, estimate(rows, test.inputs), test.cells) < 0.03


def test_measured_profiles_tell_the_capacity_of_another_cell(data_dir: Path) -> None:
    """2 A in both cells: capacity in Ah is the duration; the profile must do better than a constant by far."""
    sides = []
    for number, name in enumerate(("B0005", "B0006", "B0007")):
        curves, duration, _ = nasa_discharges(data_dir, name)
        long = duration > 1000
        inputs = utility_inputs(curves[long], duration[long], np.zeros((long.sum(), 0)))
        sides.append(TrainingRows(inputs, duration[long] * 2 / 3600, np.full(long.sum(), number)))
    a, b, test = sides
    train = TrainingRows(*(np.concatenate(p) for p in zip(*(vars(s).values() for s in (a, b)), strict=True)))
    found = train_synthetic_test_real({"measured": train}, test.inputs, test.target, test.cells)
    assert found["measured"] < 0.25 * found["constant"]


def test_profile_metrics_have_units_and_directions() -> None:
    def row(metric: str, signal: str) -> tuple[str, str]:
        (found,) = metric_rows(metric, {signal: 1.0}, {})
        return found["unit"], found["direction"]

    assert row("TSTR_MAE", "soh") == ("1", "lower")
    assert row("energy_distance", "profile") == row("energy_score", "profile") == ("1", "lower")
    assert row("marginal_distance", "temperature_degC") == ("degC", "lower")
    assert row("spectral_distance", "temperature_degC") == ("dB", "lower")
    assert row("pass_rate", "thermal_balance") == row("permuted_ratio", "ambient_degC+c_rate") == ("1", "higher")
    assert row("nearest_pair_ratio", "profile") == ("1", "one")
    assert row("MAE", "peak_time_s") == ("s", "lower")
    assert row("MAE", "temperature_rise_degC") == ("degC", "lower")
