"""What the models of all folds say of the test rows: measured neighbours that are not of the tested cell, rows for figures,
quantiles of draws, and what generated profiles teach."""

import numpy as np
import pandas as pd
import pytest

from batgen.profile_checks import utility
from batgen.profile_scoring import feature_table, neighbours, sample_tests, shown_rows
from tests.profile_part_fixture import held, part


def test_neighbours_are_of_another_cell_of_the_protocol_at_the_same_cycle() -> None:
    planted = part()
    table, member = planted.profiles.table, planted.members[0]
    rows = member.fold.tests["cells"]
    near = neighbours(table, rows, member.known, np.random.default_rng(0))
    assert np.isin(near, member.known).all(), "never of the tested cell"
    for column in ("protocol", "ecl"):
        assert (table[column].to_numpy()[near] == table[column].to_numpy()[rows]).all(), column
    assert set(table["cell_id"].to_numpy()[near]) == set("abde"), "not always the same cell"


def test_within_cells_neighbours_are_training_records_of_the_cell_itself() -> None:
    table = part().profiles.table
    odd = table["ecl"].to_numpy() % 2 == 1
    rows, known = np.flatnonzero(~odd), np.flatnonzero(odd)
    near = neighbours(table, rows, known, np.random.default_rng(0))
    assert np.isin(near, known).all()
    assert (table["cell_id"].to_numpy()[near] == table["cell_id"].to_numpy()[rows]).all()
    assert np.abs(table["ecl"].to_numpy()[near] - table["ecl"].to_numpy()[rows]).max() < 10


def test_a_neighbour_of_a_protocol_of_its_own_is_of_another_one() -> None:
    planted = part()
    table = planted.profiles.table
    cold = np.flatnonzero(table["ambient_degC"] == 20)
    hot = np.flatnonzero(table["ambient_degC"] == 40)
    near = neighbours(table, hot[:5], cold, np.random.default_rng(0))
    assert set(near) <= set(cold)


def test_shown_rows_are_of_every_cell_and_span_its_cycles() -> None:
    planted = part()
    tests = held(planted)
    table = planted.profiles.table.iloc[tests.rows].reset_index(drop=True)
    places = shown_rows(tests, table, 10)
    shown = table.iloc[places].groupby("cell_id")["ecl"].agg(["min", "max", "size"])
    assert shown.to_dict("index") == {c: {"min": 1, "max": 30, "size": 5} for c in "cf"}


def test_features_leave_the_quantiles_of_one_line_empty() -> None:
    planted = part()
    tests = held(planted)
    table = planted.profiles.table.iloc[tests.rows].reset_index(drop=True)
    draws = np.arange(11.0)[:, None] * np.ones(len(tests.rows))
    for one in (True, False):
        found = feature_table("x", "model", tests, table, {"f": draws[0]}, {"f": draws}, one)
        assert (found["predicted"] == 5).all()
        low = pd.Series([np.nan if one else 1.0] * len(found), name="low")
        pd.testing.assert_series_equal(found["low"], low)


def test_profiles_of_a_deaf_model_teach_nothing_of_health() -> None:
    """State of health moves with the cycle alone: from a model that ignores the cycle nobody learns it."""
    errors = {}
    for deaf in ((), ("ecl",)):
        planted = part(deaf=deaf)
        tests = held(planted)
        errors[deaf] = utility(planted, tests, np.arange(len(tests.rows)), "soh", 0)
    assert errors[()]["generated"] == pytest.approx(errors[()]["measured"], rel=0.5)
    assert errors["ecl",]["generated"] > 2 * errors["ecl",]["measured"]
    assert errors[()]["constant"] > 2 * errors[()]["measured"]


def test_draws_are_of_the_model_of_each_fold() -> None:
    planted = part()
    tests = held(planted)
    one = sample_tests(planted, tests, lambda member: member.trained, 3, 0)
    again = sample_tests(planted, tests, lambda member: member.trained, 3, 0)
    assert one.curves.shape == (3, 60, 1, 24)
    np.testing.assert_array_equal(one.curves, again.curves)
    other = sample_tests(planted, tests, lambda member: member.trained, 3, 1)
    assert np.abs(one.curves - other.curves).max() > 0.1
