import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen import config, overrides
from batgen.build import build
from batgen.cli import CONF
from batgen.data.unseen_soc import UnseenSoc
from batgen.data.unseen_soc_json import members_from_json, members_to_json
from batgen.data.unseen_soc_member import Member, check_members
from batgen.errors import ConfigError, DataError
from tests.data.pulse_table_fixture import CASES, SOCS, measured, only, pulse_table

TABLE = pulse_table()
GRID = (TABLE["test_set"] == "grid").to_numpy()
CELL = TABLE["cell_id"].to_numpy(str)


def split(**fields: object) -> UnseenSoc:
    return UnseenSoc(**{"cases": CASES, "cells": "disjoint", "calibration": ["none", "quantile", "random"]} | fields)  # type: ignore[arg-type]


def by_hand(member: Member, table: pd.DataFrame, socs: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Train and test rows of a published protocol, by a loop over rows."""
    train, test = [], []
    for i, (soc, cell, kind) in enumerate(zip(table["soc"], table["cell_id"], table["test_set"], strict=True)):
        if kind != "grid":
            continue
        at = any(abs(soc - s) < 1e-9 for s in socs)
        if at or cell in member.calibration_cells:
            train.append(i)
        else:
            test.append(i)
    return np.array(train), np.array(test)


@pytest.mark.parametrize("calibration", [["none"], ["quantile", "random"]])
def test_shared_cells_are_the_published_protocol(calibration: list[str]) -> None:
    members = split(cells="shared", calibration=calibration).members(TABLE, 0)
    assert len(members) == 4 + 4 * len(calibration)
    for m in members:
        train, test = by_hand(m, TABLE, CASES[m.case])
        np.testing.assert_array_equal(m.train, train)
        np.testing.assert_array_equal(m.test, test)
        assert m.fold == 0
        assert m.train.dtype == m.test.dtype == m.random.dtype == np.int64
        assert m.extrapolates == (m.case in "4567")
        assert m.calibration == "none" or m.extrapolates
        assert set(m.random) == set(np.flatnonzero(~GRID & ~np.isin(CELL, m.calibration_cells)))


def test_disjoint_folds_test_every_row_at_an_unseen_soc_once() -> None:
    members = split(folds=4, calibration=["none"]).members(TABLE, 1)
    assert [(m.case, m.fold) for m in members] == [(case, fold) for case in CASES for fold in range(4)]
    for case, socs in CASES.items():
        of_case = [m for m in members if m.case == case]
        unseen = np.flatnonzero(GRID & ~np.isin(TABLE["soc"].to_numpy(), socs))
        np.testing.assert_array_equal(np.sort(np.concatenate([m.test for m in of_case])), unseen)
        np.testing.assert_array_equal(np.sort(np.concatenate([m.random for m in of_case])), np.flatnonzero(~GRID))
        for m in of_case:
            assert not set(CELL[m.train]) & set(CELL[np.concatenate([m.test, m.random])])
            assert set(TABLE["soc"].iloc[m.train]) == set(socs)


def test_stages_of_a_cell_stay_together_and_folds_are_balanced_within_each_type() -> None:
    for seed in range(5):
        members = split(use=["3"], folds=3, calibration=["none"]).members(TABLE, seed)
        for battery, sizes in (("AAA_1Ah", [2, 2, 3]), ("BBB_2Ah", [3, 3, 4])):
            tested = [set(CELL[m.test[TABLE["battery"].to_numpy()[m.test] == battery]]) for m in members]
            assert sorted(map(len, tested)) == sizes
    one = only("AAA_1Ah", TABLE)
    for m in split(use=["3"], folds=3).members(one, 0):
        stages = one["stage_id"].to_numpy(str)
        assert len(set(stages[m.test])) == 3 * len(set(one["cell_id"].to_numpy(str)[m.test]))


def test_folds_are_balanced_in_rows_when_cells_differ_in_size() -> None:
    """16 cells of 1 to 8 ageing stages, two of each: 72 stages, so 14 or 15 in each of five folds at best."""
    table = only("AAA_1Ah", pulse_table(cells=(16, 2), stages=8, random_rows=False))
    cell, stage = (table["stage_id"].str[1:].str.split("-").str[k].astype(int) for k in (0, 1))
    uneven = table[stage <= cell % 8].reset_index(drop=True)
    for seed in range(5):
        members = split(cases={"a": [0.05, 0.1]}, calibration=["none"]).members(uneven, seed)
        stages = [uneven["stage_id"].iloc[m.test].nunique() for m in members]
        assert sum(stages) == 72
        assert max(stages) - min(stages) <= 2, stages


def test_same_seed_same_split_whatever_the_row_order_and_other_seed_another() -> None:
    shuffled = TABLE.sample(frac=1, random_state=0)
    key = TABLE["stage_id"] + "@" + TABLE["soc"].astype(str) + TABLE["test_set"]

    def sets(members: list[Member], keys: np.ndarray) -> list[tuple[frozenset[str], ...]]:
        return [tuple(frozenset(keys[rows]) for rows in (m.train, m.test, m.random)) for m in members]

    one = sets(split().members(TABLE, 3), key.to_numpy(str))
    assert one == sets(split().members(shuffled.reset_index(drop=True), 3), key.loc[shuffled.index].to_numpy(str))
    assert one == sets(split(seed=3).members(TABLE, 99), key.to_numpy(str))
    assert len({tuple(split(use=["3"]).members(TABLE, seed)[0].test) for seed in range(8)}) == 8
    chosen = {
        split(use=["7"], cells="shared", calibration=["random"]).members(TABLE, s)[0].calibration_cells
        for s in range(8)
    }
    assert len(chosen) > 4


def test_calibration_cells_are_of_each_type_trained_at_all_socs_and_not_tested() -> None:
    for cells in ("shared", "disjoint"):
        for m in split(cells=cells, calibration=["quantile", "random"], calibration_cells=2).members(TABLE, 0):
            if not m.extrapolates:
                assert m.calibration_cells == ()
                continue
            assert sorted(c[0] for c in m.calibration_cells) == ["A", "A", "B", "B"]
            for cell in m.calibration_cells:
                assert set(m.train) >= set(np.flatnonzero(GRID & (cell == CELL)))
                assert cell not in CELL[m.test]
                assert cell not in CELL[m.random]
            others = m.train[~np.isin(CELL[m.train], m.calibration_cells)]
            assert set(TABLE["soc"].iloc[others]) == set(CASES[m.case])


def test_quantile_cells_lie_at_the_quantiles_of_the_training_cells() -> None:
    """BBB has cells of SOH 1, 0.96, ... 0.64: 1/6, 1/2 and 5/6 of ten are 0.70, 0.82 and 0.94."""
    one = only("BBB_2Ah", TABLE)
    (m,) = split(use=["7"], cells="shared", calibration=["quantile"]).members(one, 0)
    soh = one.groupby("cell_id")["soh"].first()
    np.testing.assert_allclose(np.sort(soh[list(m.calibration_cells)]), [0.70, 0.82, 0.94], atol=0.0201)
    (few,) = split(use=["7"], cells="shared", calibration=["quantile"], calibration_cells=9).members(one, 0)
    assert len(set(few.calibration_cells)) == 9


def test_calibration_cells_come_from_training_cells_of_the_fold() -> None:
    for m in split(use=["7"], calibration=["quantile", "random"]).members(TABLE, 0):
        assert not set(m.calibration_cells) & set(CELL[m.test])
        assert set(m.calibration_cells) <= set(CELL[m.train])


def test_a_random_row_at_a_training_soc_is_no_unseen_soc() -> None:
    table = TABLE.copy()
    first = int(np.flatnonzero(~GRID)[0])
    table.loc[first, "soc"] = 0.25
    (m,) = split(use=["3"], cells="shared").members(table, 0)
    assert first not in m.random
    (m,) = split(use=["1"], cells="shared").members(table, 0)
    assert first in m.random


def test_cells_with_random_rows_only_are_tested_once_too() -> None:
    extra = TABLE[~GRID].iloc[:3].assign(cell_id=["A90", "A91", "A92"], stage_id=["A90", "A91", "A92"])
    table = pd.concat([TABLE, extra], ignore_index=True)
    members = split(use=["3"]).members(table, 0)
    assert sorted(r for m in members for r in m.random) == np.flatnonzero(table["test_set"] != "grid").tolist()


@pytest.mark.parametrize("cells", ["shared", "disjoint"])
def test_saved_members_mean_the_same_rows(cells: str) -> None:
    made = split(cells=cells)
    members = made.members(TABLE, 5)
    saved = json.loads(json.dumps(members_to_json(made, TABLE, members, 5)))
    assert saved["members"][0]["training_soc"] == CASES["0"]
    back = members_from_json(saved, TABLE)
    assert len(back) == len(members)
    for a, b in zip(members, back, strict=True):
        for part in ("train", "test", "random"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
        assert (a.case, a.fold, a.calibration, a.calibration_cells) == (
            b.case,
            b.fold,
            b.calibration,
            b.calibration_cells,
        )
    shuffled = TABLE.sample(frac=1, random_state=2)
    again = members_from_json(saved, shuffled.reset_index(drop=True))
    assert set(shuffled.index[again[3].test]) == set(members[3].test)


def test_saved_members_of_other_data_are_refused() -> None:
    made = split(use=["3"])
    saved = members_to_json(made, TABLE, made.members(TABLE, 0), 0)
    with pytest.raises(DataError, match="the data have .* train again"):
        members_from_json(saved, TABLE.iloc[1:].reset_index(drop=True))
    with pytest.raises(DataError, match="stage A0-0 at SOC 0.1 and .* do not have"):
        members_from_json(saved, TABLE.assign(stage_id=TABLE["stage_id"].replace("A0-0", "other")))
    leaky = json.loads(json.dumps(saved))
    leaky["members"][0]["parts"]["test"] = leaky["members"][0]["parts"]["train"]
    with pytest.raises(DataError, match="leaks"):
        members_from_json(leaky, TABLE)


def test_planted_leaks_are_caught() -> None:
    m = split(use=["7"], calibration=["quantile"]).members(TABLE, 0)[0]
    own = np.flatnonzero(GRID & (CELL[m.test[0]] == CELL))
    at_training_soc = own[TABLE["soc"].to_numpy()[own] == 0.05]
    calibrating = np.flatnonzero(GRID & (m.calibration_cells[0] == CELL))
    cases = {
        "row .* is there twice": replace(m, test=np.append(m.test, m.train[-1])),
        "cell .* is trained on and tested": replace(m, train=np.append(m.train, at_training_soc[0])),
        "calibration cell .* is tested": replace(
            m, train=np.setdiff1d(m.train, calibrating[-1:]), test=np.append(m.test, calibrating[-1])
        ),
        "SOC 0.05 is tested, but": replace(m, test=np.append(m.test, at_training_soc[0])),
        "rows of the grid": replace(m, test=np.append(m.test, m.random[0]), random=m.random[1:]),
    }
    check_members([m], TABLE, "disjoint")
    for message, leaky in cases.items():
        with pytest.raises(DataError, match=message):
            check_members([leaky], TABLE, "disjoint")
    shared = split(use=["3"], cells="shared", calibration=["none"]).members(TABLE, 0)
    with pytest.raises(DataError, match=r"cell \w+ is trained on and tested"):
        check_members(shared, TABLE, "disjoint")
    doubled = TABLE.copy()  # the same stage and SOC again, as another row
    doubled.loc[m.test[0], ["stage_id", "soc"]] = doubled.loc[m.train[0], ["stage_id", "soc"]].to_numpy()
    with pytest.raises(DataError, match=r"stage .* at SOC .* is trained on and tested"):
        check_members([m], doubled, "disjoint")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cases": {"a": [5, 25]}}, r"split\.cases\.a: 5 is no fraction.*write 0\.05"),
        ({"cases": {"a": [0.05, 0.05]}}, "SOC 0.05 is in the list twice"),
        ({"cases": {"a": [-0.1]}}, "below 0"),
        ({"cases": {"a": ["low"]}}, "'low' is not a number"),
        ({"cases": {"a": []}}, "must be a list of training SOCs"),
        ({"cases": {}}, r"split\.cases is empty"),
        ({"use": ["9"]}, r"split\.use=\[9\]: there is no case 9.*0, 1, 2"),
        ({"use": ["1", "1"]}, "named twice"),
        ({"use": []}, "no case is named"),
        ({"use": 3}, r"a list, such as split\.use=\[3\]"),
        ({"cells": "apart"}, r"split\.cells=apart: it must be shared or disjoint"),
        ({"folds": 1}, r"split\.folds=1"),
        ({"calibration": ["best"]}, r"'best' is none of none, quantile, random"),
        ({"calibration": []}, "must be a list"),
        ({"calibration": "random"}, "must be a list"),
        ({"calibration_cells": 0}, r"split\.calibration_cells=0: give 1 or more"),
    ],
)
def test_wrong_options(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split(**fields)


@pytest.mark.parametrize(
    ("table", "fields", "error", "message"),
    [
        (TABLE, {"cases": {"a": [0.05, 0.12]}}, DataError, r"split\.cases\.a.*not measured at SOC 0\.12.*0\.05, 0\.1, 0\.15"),
        (TABLE, {"cases": {"a": list(SOCS)}}, DataError, "all SOCs at which AAA_1Ah was measured"),
        (TABLE[CELL == "A0"], {}, DataError, "AAA_1Ah has one physical cell only, A0"),
        (TABLE, {"folds": 8}, ConfigError, r"split\.folds=8: AAA_1Ah has 7 physical cells only. Use split\.folds=7"),
        (TABLE, {"cells": "shared", "calibration_cells": 7}, ConfigError, "AAA_1Ah has 7 training cells, one .* Use 6 or fewer"),
        (TABLE, {"calibration_cells": 6}, ConfigError, r"AAA_1Ah has 5 training cells. Use 5 or fewer"),
        (TABLE[~GRID], {}, DataError, "none of the .* is on the SOC grid"),
        (TABLE[(TABLE["soc"] <= 0.1) | (CELL != "A0")], {"use": ["7"], "folds": 7, "calibration": ["none"]}, DataError,
         "calibration none: AAA_1Ah has no test rows left"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_split(table: pd.DataFrame, fields: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        split(**fields).members(table.reset_index(drop=True), 0)


@pytest.mark.parametrize(
    ("choice", "cases"),
    [
        ("split=unseen_soc", "0"),
        ("experiment=pulse_interpolation", "0123"),
        ("experiment=pulse_extrapolation", "4567"),
        ("experiment=pulse_all", "01234567"),
    ],
)
def test_configs_choose_the_published_cases(choice: str, cases: str) -> None:
    beside = [] if choice.startswith("experiment") else ["model=cross_attention_cvae"]
    cfg = overrides.compose([*beside, choice], CONF)
    config.validate(cfg)
    paper, honest = (build(config.resolved(cfg, protocol, 0)["split"]) for protocol in ("paper", "honest"))
    assert (paper.cells, honest.cells) == ("shared", "disjoint")
    assert honest.chosen == {case: CASES[case] for case in cases}
    if choice.startswith("experiment"):
        assert (cfg.protocol, list(cfg.seed)) == ("both", [0, 1, 2, 3, 4])


def test_cases_of_ones_own_replace_the_published_ones() -> None:
    typed = ["split=unseen_soc", "+split.cases.mine=[0.05,0.3]", "split.use=[mine,3]"]
    overrides.check(typed, CONF)
    made = build(config.resolved(overrides.compose(typed, CONF), "honest", 0)["split"])
    assert made.chosen == {"mine": [0.05, 0.3], "3": CASES["3"]}


@pytest.mark.parametrize(("battery", "cells", "stages"), [("NMC_2.1Ah", 12, 67), ("LMO_10Ah", 95, 95)])
def test_measured_cells_are_never_on_both_sides(data_dir: Path, battery: str, cells: int, stages: int) -> None:
    """The 67 IDs of NMC 2.1 Ah are ageing stages of 12 cells: the part of the ID before the dash."""
    table = measured(data_dir, battery)
    assert (table["cell_id"].nunique(), table["stage_id"].nunique()) == (cells, stages)
    physical = table["stage_id"].str.replace("-.*", "", regex=True).to_numpy(str)
    for seed in range(5):
        members = split().members(table, seed)
        assert len(members) == 5 * (4 + 4 * 3)
        for m in members:
            assert not set(physical[m.train]) & set(physical[m.test])
        tested = np.concatenate([m.test for m in members if m.case == "3"])
        assert len(tested) == len(set(tested)) == 7 * stages
    counts = {
        m.case: (len(m.train), len(m.test)) for m in split(cells="shared", calibration=["none"]).members(table, 0)
    }
    assert counts == {case: (len(socs) * stages, (10 - len(socs)) * stages) for case, socs in CASES.items()}


@pytest.mark.parametrize("cells", ["shared", "disjoint"])
def test_train_share_keeps_the_tested_rows_and_is_nested(cells: str) -> None:
    whole = split(cells=cells, calibration=["none"]).members(TABLE, 3)
    before = [np.array([], dtype=np.int64)] * len(whole)
    for share in (0.03, 0.1, 0.3, 0.6):
        members = split(cells=cells, calibration=["none"], train_share=share).members(TABLE, 3)
        for m, w, b in zip(members, whole, before, strict=True):
            np.testing.assert_array_equal(m.test, w.test)
            np.testing.assert_array_equal(m.random, w.random)
            for battery in TABLE["battery"].unique():
                of_type = {
                    c for c, t in zip(CELL[w.train], TABLE["battery"].iloc[w.train], strict=True) if t == battery
                }
                kept = of_type & set(CELL[m.train])
                assert len(kept) == max(1, round(share * len(of_type)))
            np.testing.assert_array_equal(m.train, w.train[np.isin(CELL[w.train], list(set(CELL[m.train])))])
            assert set(b) <= set(m.train)
        before = [m.train for m in members]
    with pytest.raises(ConfigError, match=r"split\.train_share=0"):
        split(train_share=0.0)
