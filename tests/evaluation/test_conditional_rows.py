"""Scores of draws at their own condition: the true law is best, the wrong condition is caught, a library agrees."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from batgen.evaluation.conditional import crps
from batgen.evaluation.conditional_rows import conditional_rows, curve_scores
from batgen.evaluation.distances import energy_score
from tests.evaluation import planted


def rows_of(generator: planted.Generator, seed: int = 0, **changes: Any) -> dict[tuple[str, str], dict[str, Any]]:
    comparison = replace(planted.comparison(generator, draws=8, seed=seed), **changes)
    return {(row["metric"], row["signal"]): row for row in conditional_rows(comparison, 0, {"split": "cell"})}


def test_crps_is_that_of_the_library() -> None:
    library = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(0)
    real, draws = rng.normal(size=(6, 2, 5)), rng.normal(size=(20, 6, 2, 5))
    ours = crps(real, draws, ("voltage_V", "time_s"))
    theirs = library.crps_ensemble(real, np.moveaxis(draws, 0, -1), estimator="fair").mean(axis=-1)
    np.testing.assert_allclose(np.stack([ours["voltage_V"], ours["time_s"]], axis=1), theirs, rtol=1e-10)


def test_energy_score_is_that_of_the_library_and_chunks_change_nothing() -> None:
    library = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(1)
    real, draws = rng.normal(size=(6, 7)), rng.normal(size=(9, 6, 7))
    theirs = library.es_ensemble(real, np.moveaxis(draws, 0, 1), estimator="fair")
    np.testing.assert_allclose(energy_score(real, draws), theirs, rtol=1e-10)
    comparison = planted.comparison(draws=8)
    space = comparison.space
    assert space is not None
    assert comparison.draws is not None
    whole = energy_score(space.vectors(comparison.real.values), space.vectors(comparison.draws))
    np.testing.assert_allclose(curve_scores(space, comparison.real.values, comparison.draws), whole)


@pytest.mark.parametrize("generator", [planted.right, planted.measured])
@pytest.mark.parametrize("seed", [0, 1])
def test_true_draws_and_measured_cells_pass(generator: planted.Generator, seed: int) -> None:
    rows = rows_of(generator, seed)
    assert {row["family"] for row in rows.values()} == {"conditional"}
    assert rows["CRPS", "time_s"]["split"] == "cell"
    for (metric, _), row in rows.items():
        assert row["n"] == 144
        assert row["low"] <= row["value"] <= row["high"]
        if metric == "condition_error":
            assert row["value"] < 1.25 * row["floor"]
        else:
            assert row["value"] < row["floor"]
    shown = {signal for metric, signal in rows if metric == "condition_error"}
    assert shown == {"ecl", "soh", "start_temperature_degC", "c_rate"}
    units = {signal: rows["condition_error", signal]["unit"] for signal in shown}
    assert units == {"ecl": "cycles", "soh": "1", "start_temperature_degC": "degC", "c_rate": "C"}


def test_the_wrong_condition_is_caught_by_every_score() -> None:
    right, wrong = rows_of(planted.right), rows_of(planted.wrong_condition)
    for key, row in wrong.items():
        assert row["value"] > 2 * right[key]["value"]
        assert row["low"] > right[key]["high"]
        if key[0] == "condition_error":
            assert row["low"] > 2 * row["floor"]


def test_the_mean_curve_shows_no_condition() -> None:
    rows = rows_of(planted.mean_curve)
    for name in ("ecl", "soh", "start_temperature_degC", "c_rate"):
        assert rows["condition_error", name]["low"] > 1.5 * rows["condition_error", name]["floor"]


@pytest.mark.parametrize("generator", [planted.two_modes, planted.shuffled_time, planted.copies, planted.mean_curve,
                                       planted.conditional_mean])  # fmt: skip
def test_other_failures_score_worse_than_the_true_law(generator: planted.Generator) -> None:
    right, bad = rows_of(planted.right), rows_of(generator)
    assert bad["energy_score", "curve"]["value"] > 1.4 * right["energy_score", "curve"]["value"]
    assert bad["CRPS", "temperature_degC"]["value"] > 1.2 * right["CRPS", "temperature_degC"]["value"]


def test_what_is_missing_gives_no_row() -> None:
    assert not any(metric != "condition_error" for metric, _ in rows_of(planted.right, draws=None))
    alone = rows_of(planted.right, train=None)
    assert {metric for metric, _ in alone} == {"CRPS", "energy_score"}
    assert all(row["floor"] is None for row in alone.values())
    assert not any(metric == "condition_error" for metric, _ in rows_of(planted.right, told=()))


def test_gaps_in_measured_curves_are_left_out_and_in_neighbours_too() -> None:
    comparison = planted.comparison(draws=8)
    assert comparison.train is not None
    values, near = comparison.real.values.copy(), comparison.train.values.copy()
    values[::2, :, 25:], near[::2, :, 20:] = np.nan, np.nan
    gaps: dict[str, Any] = {"real": comparison.real.with_values(values), "train": comparison.train.with_values(near)}
    rows = rows_of(planted.right, **gaps)
    assert all(np.isfinite([row["value"], row["floor"]]).all() for row in rows.values())
    assert rows["CRPS", "voltage_V"]["value"] < rows["CRPS", "voltage_V"]["floor"]


def test_a_failed_draw_is_an_infinite_score_and_the_same_seed_gives_the_same_numbers() -> None:
    comparison = planted.comparison(draws=8)
    assert comparison.draws is not None
    draws = comparison.draws.copy()
    draws[0, 0] = np.nan
    rows = rows_of(planted.right, draws=draws, generated=comparison.real.with_values(draws[0]))
    assert np.isinf(rows["CRPS", "voltage_V"]["value"])
    assert np.isinf(rows["energy_score", "curve"]["value"])
    assert np.isinf(rows["condition_error", "soh"]["value"])
    assert repr(rows_of(planted.right)) == repr(rows_of(planted.right))
