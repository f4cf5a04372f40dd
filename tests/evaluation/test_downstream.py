"""A generator that adds what is missing is seen to help; one with wrong labels, or a single curve, is seen not to."""

import numpy as np
import pytest

from batgen.evaluation.downstream import (
    BOTH,
    CONSTANT,
    JITTERED,
    NO_CHOICE,
    REAL,
    SYNTHETIC,
    downstream_errors,
    gain,
    joined,
    mean_interval,
    paired_gain,
    regression_inputs,
    trials_of,
)
from batgen.evaluation.labelled_rows import LabelledRows, jittered_copies

STRETCHES = np.linspace(0, 1, 24)


def curves(soh: np.ndarray, own: np.ndarray, seed: int) -> np.ndarray:
    """(N, 2, 24): the first signal bends with SOH and is offset by the cell, the second tells nothing."""
    rng = np.random.default_rng(seed)
    first = soh[:, None] * STRETCHES**2 + own[:, None] * (1 + STRETCHES) + rng.normal(0, 0.002, (len(soh), 24))
    return np.stack([first, rng.normal(0, 1.0, (len(soh), 24))], axis=1)


def rows(cells: int, seed: int, low: float = 0.7, high: float = 1.0, each: int = 15) -> LabelledRows:
    rng = np.random.default_rng(seed)
    soh = rng.uniform(low, high, cells * each)
    own = np.repeat(rng.normal(0, 0.1, cells), each)
    name = np.repeat([f"s{seed}c{k}" for k in range(cells)], each)
    return LabelledRows.of(regression_inputs(curves(soh, own, seed)), soh, name)


REAL_ROWS, TEST_ROWS, GOOD = rows(2, 1), rows(12, 2), rows(40, 3)


def error_of(synthetic: LabelledRows, real: LabelledRows = REAL_ROWS) -> dict[str, float]:
    found = downstream_errors(real, synthetic, TEST_ROWS, 2, 0)
    return {r["source"]: r["value"] for r in found if r["regressor"] in ("chosen", "none")}


def drawn_for(synthetic: LabelledRows, real: LabelledRows = REAL_ROWS) -> LabelledRows:
    """The same rows, named by kept cells, as a generator's are."""
    names = np.resize(np.unique(real.cells), len(synthetic.cells))
    return LabelledRows.of(synthetic.inputs, synthetic.target, names)


def copies(real: LabelledRows, n: int, seed: int) -> LabelledRows:
    """The control: copies of `real` with the noise of neighbours, whose age is their SOH here."""
    made = jittered_copies(real.inputs, real.cells, -real.target, n, seed)
    assert made is not None
    return LabelledRows.of(made[1], real.target[made[0]], real.cells[made[0]])


def test_a_generator_that_knows_other_cells_helps_beyond_the_control() -> None:
    found = downstream_errors(REAL_ROWS, drawn_for(GOOD), TEST_ROWS, 2, 0, copies(REAL_ROWS, 600, 0))
    error = {r["source"]: r["value"] for r in found if r["regressor"] in ("chosen", "none")}
    assert error[BOTH] < 0.6 * error[REAL]
    assert error[SYNTHETIC] < 0.6 * error[REAL]
    assert error[BOTH] < 0.6 * error[JITTERED]


def test_planted_copies_with_noise_do_not_beat_the_control() -> None:
    """A generator that has nothing but noise to add is as good as the control, whatever its gain over measured rows."""
    found = downstream_errors(REAL_ROWS, copies(REAL_ROWS, 600, 5), TEST_ROWS, 2, 0, copies(REAL_ROWS, 600, 0))
    error = {r["source"]: r["value"] for r in found if r["regressor"] in ("chosen", "none")}
    assert error[BOTH] == pytest.approx(error[JITTERED], rel=0.1)
    n = {r["source"]: r["n"] for r in found}
    assert n[BOTH] == n[JITTERED] == 630


def test_planted_wrong_labels_are_seen() -> None:
    shuffled = np.random.default_rng(0).permutation(GOOD.target)
    error = error_of(drawn_for(LabelledRows.of(GOOD.inputs, shuffled, GOOD.cells)))
    assert error[SYNTHETIC] > 0.8 * error[CONSTANT]
    assert error[BOTH] > error_of(drawn_for(GOOD))[BOTH]


def test_planted_mean_curve_is_no_better_than_a_constant() -> None:
    good = GOOD
    flat = LabelledRows.of(np.tile(good.inputs.mean(axis=0), (len(good.target), 1)), good.target, good.cells)
    error = error_of(drawn_for(flat))
    assert error[SYNTHETIC] == pytest.approx(error[CONSTANT], rel=0.1)


def test_copies_of_the_measured_rows_add_nothing() -> None:
    error = error_of(REAL_ROWS)
    assert error[BOTH] == pytest.approx(error[REAL], rel=0.15)
    assert error[SYNTHETIC] == pytest.approx(error[REAL], rel=0.15)


def test_the_constant_is_the_mean_of_the_measured_targets() -> None:
    by_cell = [
        np.abs(TEST_ROWS.target - REAL_ROWS.target.mean())[TEST_ROWS.cells == c].mean() for c in set(TEST_ROWS.cells)
    ]
    assert error_of(drawn_for(rows(4, 3)))[CONSTANT] == pytest.approx(np.mean(by_cell))


def test_nothing_is_learnt_from_test_rows() -> None:
    """Other test targets leave every estimate as it is: errors of shifted targets differ by no more than the shift."""
    synthetic = drawn_for(rows(10, 3))
    shifted = LabelledRows.of(TEST_ROWS.inputs, TEST_ROWS.target + 10.0, TEST_ROWS.cells)
    for r in downstream_errors(REAL_ROWS, synthetic, shifted, 2, 0):
        assert 9.0 < r["value"] < 11.0


def test_one_cell_and_repeatable() -> None:
    one = rows(1, 5)
    synthetic = drawn_for(rows(10, 3), one)
    first = downstream_errors(one, synthetic, TEST_ROWS, 2, 0)
    assert first == downstream_errors(one, synthetic, TEST_ROWS, 2, 0)
    assert {(r["source"], r["regressor"]) for r in first} == {
        *((s, g) for s in (REAL, BOTH, SYNTHETIC) for g in ("ridge", "forest", "chosen")), (CONSTANT, "none"),
    }  # fmt: skip
    assert all(np.isfinite(r["value"]) for r in first)
    value = {(r["source"], r["regressor"]): r["value"] for r in first}
    for r in first:  # of one cell nothing can be left out: said, not picked silently
        assert r["note"] == (NO_CHOICE if r["regressor"] == "chosen" else "")
        if r["regressor"] == "chosen":
            assert r["value"] == value[r["source"], "ridge"]
    assert {r["note"] for r in downstream_errors(REAL_ROWS, synthetic, TEST_ROWS, 2, 0) if r["source"] == REAL} == {""}


def test_failed_curves_are_left_out_and_bad_shapes_refused() -> None:
    inputs = np.array([[1.0, np.nan], [1.0, 2.0]])
    assert len(LabelledRows.of(inputs, np.ones(2), np.array(["a", "b"])).target) == 1
    with pytest.raises(ValueError, match="none of 1 rows is finite"):
        LabelledRows.of(inputs[:1], np.ones(1), np.array(["a"]))
    with pytest.raises(ValueError, match="need"):
        LabelledRows.of(inputs, np.ones(3), np.array(["a", "b"]))
    with pytest.raises(ValueError, match="one width"):
        downstream_errors(REAL_ROWS, REAL_ROWS, TEST_ROWS, 5, 0)


def test_both_sides_weigh_the_same() -> None:
    both = REAL_ROWS.beside(rows(10, 3))
    assert both.weight[both.scored].sum() == pytest.approx(both.weight[~both.scored].sum())


def test_mean_interval_by_hand() -> None:
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, high - mean) == (2.0, pytest.approx(4.302653 / np.sqrt(3), rel=1e-5))
    assert mean - low == pytest.approx(high - mean)
    assert np.isnan(mean_interval(np.array([1.0]))[1])


def test_shared_cells_widen_the_interval() -> None:
    """Planted overlap: trials of one correlation and no true gain. Taken as independent, far more than 5 % of intervals leave
    out 0; with the ratio that this correlation means, n_test/n_train = rho/(1 - rho), 5 % do."""
    rng, rho, trials = np.random.default_rng(0), 0.5, 5
    values = np.sqrt(rho) * rng.normal(size=(3000, 1)) + np.sqrt(1 - rho) * rng.normal(size=(3000, trials))

    def wrong(ratio: float) -> float:
        ends = [mean_interval(v, ratio)[1:] for v in values]
        return float(np.mean([low > 0 or high < 0 for low, high in ends]))

    assert wrong(0.0) > 0.25
    assert wrong(rho / (1 - rho)) == pytest.approx(0.05, abs=0.015)


def test_gain_is_paired() -> None:
    """A gain far smaller than the spread between repeats is seen; none where there is none, or where cells are shared."""
    real = {(0, 0): 1.0, (1, 0): 5.0, (2, 0): 9.0}
    after = {(0, 0): 0.9, (1, 0): 4.88, (2, 0): 8.91}
    mean, low, _ = paired_gain(real, after, 0.0)
    assert mean == pytest.approx(0.10333, rel=1e-3)
    assert low > 0
    assert paired_gain(real, after, 6.0)[1] < 0
    _, low, high = paired_gain(real, {(0, 0): 1.1, (1, 0): 4.9, (2, 0): 9.0}, 0.0)
    assert low < 0 < high
    with pytest.raises(ValueError, match="no repeat"):
        paired_gain({(0, 0): 1.0}, {(1, 0): 1.0}, 0.0)


def test_gain_of_rows_takes_its_ratio_from_their_cells() -> None:
    made = [
        {"share": 0.1, "source": source, "regressor": "chosen", "repeat": 0, "fold": k, "value": value, "cells": 4}
        for k in range(3) for source, value in ((REAL, 1.0 + k), (BOTH, 0.8 + 1.1 * k))
    ]  # fmt: skip
    values = np.array([0.2, 0.1, 0.0])
    assert gain(made, 0.1) == pytest.approx(mean_interval(values, 1.0)), "unknown: as many tested as kept"
    assert gain([{**r, "test_cells": 8} for r in made], 0.1) == pytest.approx(mean_interval(values, 2.0))
    assert np.isnan(gain(made, 0.1, JITTERED)).all()


def test_joined_takes_the_chosen_regressor_alone() -> None:
    made = [
        {"share": 0.1, "source": REAL, "regressor": g, "repeat": k, "value": v, "cells": 4 + k}
        for k, v, g in ((0, 1.0, "chosen"), (1, 3.0, "chosen"), (0, 9.0, "ridge"))
    ]
    assert trials_of(made, 0.1, REAL) == {(0, 0): 1.0, (1, 0): 3.0}
    (one,) = joined(made)
    assert (one.source, one.value, one.low) == (REAL, 2.0, 0.0), "no error is below 0"
