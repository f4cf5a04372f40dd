"""Train on generated, test on measured: useful draws help as measured curves do, useless and wrong ones are caught."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from batgen.evaluation import profile_utility
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.curve_utility import utility_rows
from tests.evaluation import planted

Rows = dict[tuple[str, str], dict]


@pytest.fixture(autouse=True)
def few_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three strengths of the ridge in place of eight: seconds, and no number here hangs on it."""
    monkeypatch.setattr(profile_utility, "ALPHAS", np.array([1e-2, 1.0, 1e2]))


def rows_of(comparison: Comparison) -> Rows:
    return {(r["metric"], r["signal"]): r for r in utility_rows(comparison, 0, {"model": "made"})}


def made(name: str, at_train: bool = True) -> Comparison:
    given = planted.comparison(getattr(planted, name), draws=1, cells=12, cycles=8, train_cells=24, at_train=at_train)
    given.real.table["eol"] = given.train.table["eol"] = np.nan  # this law's curves do not tell it: see the last test
    return given


@cache
def soh(name: str, at_train: bool = True) -> tuple[dict, dict]:
    found = rows_of(made(name, at_train))
    assert set(found) == {("TSTR_MAE", "soh"), ("augmented_MAE", "soh")}
    return found["TSTR_MAE", "soh"], found["augmented_MAE", "soh"]


@pytest.mark.parametrize(("name", "at_train"), [("right", True), ("measured", True), ("right", False)])
def test_right_draws_teach_as_much_as_measured_curves(name: str, at_train: bool) -> None:
    synthetic, both = soh(name, at_train)
    assert synthetic["value"] < 1.5 * synthetic["floor"]
    assert both["value"] < 1.3 * both["floor"]
    assert both["floor"] < 0.4 * both["constant"]


def test_training_copies_teach_what_the_training_set_does() -> None:
    row = soh("copies")[0]
    assert row["value"] == pytest.approx(row["floor"])


@pytest.mark.parametrize(
    ("name", "at_train"), [("mean_curve", True), ("wrong_condition", True), ("wrong_condition", False)]
)
def test_curves_that_do_not_know_their_condition_teach_nothing(name: str, at_train: bool) -> None:
    row = soh(name, at_train)[0]
    assert row["low"] > 3 * soh("right", at_train)[0]["high"]
    assert row["value"] > 0.95 * row["constant"]


@pytest.mark.parametrize("name", ["coulomb_imbalance", "voltage_above"])
def test_wrong_curves_teach_wrong_health(name: str) -> None:
    row = soh(name)[0]
    assert row["low"] > soh("right")[0]["high"]
    assert row["low"] > row["floor"]


def test_wrong_labels_spoil_measured_ones() -> None:
    assert soh("wrong_condition")[1]["low"] > 2 * soh("wrong_condition")[1]["floor"]


def test_rows_are_complete_and_the_same_again() -> None:
    row = soh("right")[0]
    assert (row["family"], row["unit"], row["direction"], row["model"], row["n"]) == (
        "utility",
        "1",
        "lower",
        "made",
        96,
    )
    assert rows_of(made("right"))["TSTR_MAE", "soh"] == row


def test_generated_curves_that_are_no_numbers() -> None:
    given = made("right")
    broken = rows_of(replace(given, at_train=np.full_like(given.at_train, np.nan)))
    assert np.isinf(broken["TSTR_MAE", "soh"]["value"])
    assert broken["augmented_MAE", "soh"]["value"] == pytest.approx(broken["augmented_MAE", "soh"]["floor"])


def test_nothing_to_learn_from_gives_no_rows() -> None:
    given = made("right")
    assert rows_of(replace(given, at_train=None, draws=None)) == {}
    one = np.flatnonzero(given.train.cells == given.train.cells[0])
    assert rows_of(replace(given, train=given.train.take(one), at_train=given.at_train[:, one])) == {}
    same = given.train.take(np.arange(len(given.train)))
    same.table["soh"] = 0.9
    assert rows_of(replace(given, train=same)) == {}
    assert rows_of(replace(given, real=given.real.take(np.arange(0)))) == {}


def test_measured_curves_with_gaps_are_left_out() -> None:
    given = made("right")
    gaps = given.real.values.copy()
    gaps[0, 0, 3] = np.nan
    row = rows_of(replace(given, real=given.real.with_values(gaps)))["TSTR_MAE", "soh"]
    assert row["n"] == soh("right")[0]["n"] - 1
    assert row["value"] == pytest.approx(soh("right")[0]["value"], rel=0.1)


def test_rows_of_tested_cells_are_not_learnt_from_where_there_are_others() -> None:
    given = made("right")
    table = given.train.table.assign(
        soh=np.where(given.train.cells == given.train.cells[0], 50.0, given.train.table["soh"])
    )
    train = replace(given.train, table=table)
    own = given.real.table.assign(cell_id=given.train.cells[0])
    found = rows_of(replace(given, train=train, real=replace(given.real, table=own)))
    assert found["TSTR_MAE", "soh"]["value"] < 0.02
    assert np.isnan(found["TSTR_MAE", "soh"]["low"]), "one tested cell has no interval"


def test_a_target_that_curves_do_not_tell_is_named() -> None:
    given = planted.comparison(draws=1, cells=12, cycles=8, train_cells=24, at_train=True)
    found = rows_of(given)
    row = found["TSTR_MAE", "eol"]
    assert row["unit"] == "cycles"
    assert "judges no generator" in row["note"]
    assert "note" not in found["TSTR_MAE", "soh"]
