"""What validates within the training rows of a pulse split is as new to its training as what is tested."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from batgen.data.pulse_holdout import hold_out
from batgen.data.unseen_soc import UnseenSoc
from batgen.data.unseen_soc_member import Member
from batgen.errors import ConfigError, DataError
from tests.pulse_run_fixture import SOCS, table

ALL = {"mid": [0.05, 0.25, 0.5], "low": [0.05, 0.1, 0.25], "high": [0.25, 0.4, 0.5], "two": [0.05, 0.5]}


def _table() -> pd.DataFrame:
    return table().assign(test_set="grid")


def _member(case: str, cells: str = "disjoint", **options: object) -> tuple[Member, pd.DataFrame, list[float]]:
    split, rows = UnseenSoc(cases=ALL, use=[case], cells=cells, folds=4, **options), _table()  # type: ignore[arg-type]
    return split.members(rows, 0)[0], rows, split.chosen[case]


@pytest.mark.parametrize(("case", "held"), [("mid", 0.25), ("low", 0.25), ("high", 0.25)])
def test_neither_the_soc_nor_the_cells_that_validate_are_trained_on(case: str, held: float) -> None:
    member, rows, socs = _member(case)
    made, left = hold_out(member, rows, socs, "disjoint", 0)
    train, val = rows.iloc[made.train], rows.iloc[made.test]
    assert set(val["soc"]) == {held}
    assert set(train["soc"]) == set(left) == set(socs) - {held}
    assert not set(val["cell_id"]) & set(train["cell_id"])
    assert val.groupby("battery")["cell_id"].nunique().to_dict() == {"AAA_1Ah": 2, "BBB_2Ah": 2}  # a fifth of nine
    assert np.isin(np.concatenate([made.train, made.test]), member.train).all()


def test_the_end_beyond_which_is_tested_validates_where_a_case_extrapolates() -> None:
    member, rows, socs = _member("low")
    assert member.extrapolates
    assert hold_out(member, rows, socs, "disjoint", 0)[0].extrapolates
    assert hold_out(member, rows, socs, "disjoint", 0)[1] == [0.05, 0.1]  # tested above
    member, rows, socs = _member("high")
    assert hold_out(member, rows, socs, "disjoint", 0)[1] == [0.4, 0.5]  # tested below


def test_shared_cells_validate_all_at_the_soc_that_is_held_out() -> None:
    member, rows, socs = _member("mid", "shared")
    made, _ = hold_out(member, rows, socs, "shared", 0)
    assert set(rows["cell_id"].iloc[made.test]) == set(rows["cell_id"].iloc[made.train]) == set(rows["cell_id"])
    assert len(made.train) + len(made.test) == len(member.train)


def test_calibration_cells_keep_all_their_rows_and_validate_nothing() -> None:
    member, rows, socs = _member("low", calibration=["quantile"])
    made, _ = hold_out(member, rows, socs, "disjoint", 0)
    assert len(member.calibration_cells) == 6
    assert not set(rows["cell_id"].iloc[made.test]) & set(member.calibration_cells)
    theirs = rows.iloc[made.train][rows["cell_id"].iloc[made.train].isin(member.calibration_cells)]
    assert set(theirs["soc"]) == set(SOCS)
    assert len(theirs) == 6 * 2 * len(SOCS)


def test_the_same_seed_holds_out_the_same_cells() -> None:
    member, rows, socs = _member("mid")
    first, again, other = (hold_out(member, rows, socs, "disjoint", seed)[0].test for seed in (0, 0, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_held_out_is_refused() -> None:
    member, rows, socs = _member("two")
    with pytest.raises(ConfigError, match=r"split\.cases\.two=\[0\.05, 0\.5\]: a search holds out one training SOC"):
        hold_out(member, rows, socs, "disjoint", 0)
    member, rows, socs = _member("mid")
    one = member.train[rows["cell_id"].iloc[member.train].isin(["A1", "B1", "B2"])]
    few = replace(member, train=one)
    with pytest.raises(DataError, match="AAA_1Ah: 1 cell to train on, so a search has none to hold out"):
        hold_out(few, rows, socs, "disjoint", 0)


def test_only_the_first_folds_are_run() -> None:
    rows = _table()
    split = UnseenSoc(cases=ALL, use=["mid"], cells="disjoint", folds=4)
    every, first = split.members(rows, 0), replace(split, run=2).members(rows, 0)
    assert len(every) == 4
    assert len(first) == 2
    for a, b in zip(every, first, strict=False):
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.test, b.test)
    with pytest.raises(ConfigError, match=r"split\.run=0: at least 1"):
        replace(split, run=0)
