"""Folds of profiles: who is held out with whom, what validates, and that saved folds neither change nor leak."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from batgen.data.profile_blocks import Blocked, make_folds, single_fold
from batgen.data.profile_split import Fold, HeldOutCells, consecutive
from batgen.data.profile_split_json import check_folds, from_json, to_json
from batgen.data.split import KINDS, Split
from batgen.errors import ConfigError, DataError

COOL, PULSED, WARM = "24 degC, 1.0 C", "24 degC, 1.0 C (rms 1.4 C)", "43 degC, 2.0 C"
NASA = (
    dict.fromkeys(("B0005", "B0006", "B0007", "B0018"), COOL)
    | dict.fromkeys(("B0025", "B0026"), PULSED)
    | dict.fromkeys(("B0029", "B0030", "B0032"), WARM)
    | {"B0038": "44 degC, 0.5 C"}
)


def table(protocols: dict[str, str] = NASA, cycles: int = 30, windows: int = 1) -> pd.DataFrame:
    """One row a window, cells one after the other."""
    rows = [(c, ecl, p, w) for c, p in protocols.items() for ecl in range(1, cycles + 1) for w in range(windows)]
    return pd.DataFrame(rows, columns=["cell_id", "ecl", "protocol", "start_s"])


def many(cells: int, protocols: int) -> dict[str, str]:
    return {f"c{k:02d}": f"p{k % protocols}" for k in range(cells)}


def cells(samples: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(samples["cell_id"].iloc[rows])


def held(samples: pd.DataFrame, folds: list[Fold]) -> list[set[str]]:
    return [cells(samples, fold.tests["cells"]) for fold in folds]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_nasa_in_four_folds(seed):
    samples = table()
    folds = HeldOutCells(folds=4, apart=["B0038"]).divide(samples, seed)
    assert held(samples, folds) == [
        {"B0005", "B0025", "B0029"},
        {"B0006", "B0026", "B0030"},
        {"B0007", "B0032"},
        {"B0018"},
    ]
    assert [fold.name for fold in folds] == ["fold0", "fold1", "fold2", "fold3"]
    assert [sorted(fold.tests) for fold in folds] == [["apart", "cells"], ["cells"], ["cells"], ["cells"]]
    assert cells(samples, folds[0].tests["apart"]) == {"B0038"}
    for fold in folds:
        assert fold.note == ""
        assert "B0038" not in cells(samples, np.concatenate([fold.train, fold.val]))
        assert all(rows.dtype == np.int64 and len(rows) for rows in (fold.train, fold.val, *fold.tests.values()))
        every = np.concatenate([fold.train, fold.val, fold.tests["cells"]])
        assert sorted(every) == list(np.flatnonzero(samples["cell_id"] != "B0038"))
    check_folds(folds, samples, "held_out_cells")


@pytest.mark.parametrize("seed", range(4))
def test_validation_cells_leave_their_protocol_a_training_cell_and_rotate(seed):
    samples = table()
    split = HeldOutCells(folds=4, apart=["B0038"])
    for fold in split.divide(samples, seed):
        train, val = cells(samples, fold.train), cells(samples, fold.val)
        of_val = [NASA[name] for name in val]
        assert not train & val
        assert len(set(of_val)) == len(of_val)
        assert {NASA[name] for name in train} == {COOL, PULSED, WARM}
        assert len(val) <= -(-(len(train) + len(val)) // 3)
    chosen = {frozenset(cells(samples, split.divide(samples, s)[0].val)) for s in range(6)}
    assert len(chosen) == 6, "3 cool cells times 2 warm ones, of which each is one seed's"


def test_one_cell_at_a_time_and_only_the_first_few():
    samples = table()
    alone = HeldOutCells(folds=None, apart=["B0038"]).divide(samples, 0)
    assert sorted(map(sorted, held(samples, alone))) == [[name] for name in NASA if name != "B0038"]
    first = HeldOutCells(folds=None, run=2, apart=["B0038"]).divide(samples, 0)
    assert held(samples, first) == held(samples, alone)[:2]


@pytest.mark.parametrize(("count", "protocols", "folds"), [(72, 16, 4), (72, 16, 6), (30, 3, 5), (24, 24, 8)])
def test_many_cells_are_shuffled_within_their_protocols(count, protocols, folds):
    made = many(count, protocols)
    samples = table(made, cycles=2)
    seen = set()
    for seed in range(4):
        dealt = held(samples, HeldOutCells(folds=folds).divide(samples, seed))
        assert sorted(name for fold in dealt for name in fold) == sorted(made)
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
        for fold in dealt:
            left = {made[name] for name in made if name not in fold}
            assert protocols == count or len(left) == protocols, "a protocol of several cells keeps one to train on"
        seen.add(tuple(map(frozenset, dealt)))
        assert dealt == held(samples, HeldOutCells(folds=folds, seed=seed).divide(samples, 99))
    assert len(seen) == 4 or protocols == count


def test_cells_alone_in_their_protocol_go_where_there_are_fewest():
    made = {"a": "p", "b": "p", "c": "p", "d": "q", "e": "r", "f": "s"}
    samples = table(made)
    assert held(samples, HeldOutCells(folds=3).divide(samples, 0)) == [{"a", "d"}, {"b", "e"}, {"c", "f"}]


def test_the_protocol_of_a_cell_is_that_of_most_of_its_records():
    samples = table()
    samples.loc[(samples["cell_id"] == "B0006") & (samples["ecl"] > 20), "protocol"] = WARM
    assert held(samples, HeldOutCells(folds=4, apart=["B0038"]).divide(samples, 0))[1] == {"B0006", "B0026", "B0030"}


@pytest.mark.parametrize(("asked", "noted"), [("cells", True), ("cycles", False)])
def test_cycles_validate_where_no_protocol_has_a_cell_to_spare(asked, noted):
    samples = table({"a": "p", "b": "q", "c": "r"}, windows=2)
    record = samples.groupby(["cell_id", "ecl"]).ngroup().to_numpy()
    for fold in HeldOutCells(folds=3, val=asked).divide(samples, 0):
        assert ("no protocol has two training cells" in fold.note) == noted
        assert cells(samples, fold.val) == cells(samples, fold.train)
        assert len(fold.val) == len(fold.train) // 4
        assert not set(record[fold.val]) & set(record[fold.train]), "all windows of a record on one side"
        assert not cells(samples, fold.val) & cells(samples, fold.tests["cells"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 4, "apart": ["B0036"]}, r"split\.apart: the data have no cell 'B0036'; they have B0005"),
        ({"folds": 11}, r"split\.folds=11: the data have 10 cells .* split\.folds=10 or fewer"),
        ({"folds": 2, "apart": list(NASA)[1:]}, r"the data have 1 cell to hold out .* split=blocked"),
        ({"folds": None, "apart": list(NASA)}, r"the data have 0 cells"),
        ({"folds": 1}, r"split\.folds=1"),
        ({"folds": 2, "run": 0}, r"split\.run=0"),
        ({"folds": 2, "apart": "B0038"}, r"split\.apart=B0038: it must be a list"),
        ({"folds": 2, "val": "rows"}, r"split\.val=rows: .* cells, cycles"),
    ],
)
def test_wrong_configuration(options, message):
    with pytest.raises(ConfigError, match=message):
        HeldOutCells(**options).divide(table(), 0)


def test_too_few_cycles_to_validate_on_are_refused():
    samples = table({"a": "p", "b": "q"}, cycles=1)
    for seed in range(5):
        with pytest.raises(ConfigError, match=r"split\.val: .* too few cycles"):
            HeldOutCells(folds=2).divide(samples, seed)


def test_blocks_are_consecutive_cycles_of_every_cell():
    samples = table(cycles=60, windows=2)
    fold = Blocked(block=4, train=2).divide(samples, 3)[0]
    parts = {"train": fold.train, "val": fold.val, **fold.tests}
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(samples)))
    assert len(fold.train) == pytest.approx(len(samples) / 2, rel=0.1)
    label = np.empty(len(samples), dtype=object)
    for name, rows in parts.items():
        assert cells(samples, rows) == set(NASA)
        label[rows] = name
    for _, of_cell in samples.assign(part=label).groupby("cell_id"):
        by_cycle = of_cell.groupby("ecl")["part"].agg(["first", "nunique"])
        assert (by_cycle["nunique"] == 1).all(), "both windows of a record on one side"
        ends = [0, *(np.flatnonzero([a != b for a, b in pairwise(by_cycle["first"])]) + 1), len(by_cycle)]
        assert all((b - a) % 4 == 0 for a, b in pairwise(ends))
        assert by_cycle["first"].tolist().count("val") >= 12


def test_blocks_count_recorded_cycles_not_numbers():
    assert consecutive(np.array([7, 3, 3, 50, 90, 91]), 2).tolist() == [0, 0, 0, 1, 1, 2]
    with pytest.raises(ConfigError, match=r"split\.block=5: train, val and test have .* smaller blocks"):
        Blocked().divide(table({"a": "p"}, cycles=8), 0)
    with pytest.raises(ConfigError, match=r"split\.block=0"):
        Blocked(block=0)


@pytest.mark.parametrize("kind", KINDS)
def test_splits_of_curves_are_one_fold_with_windows_together(kind):
    samples = table(windows=3)
    split = Split(kind, 0.6, 0.15, 0.25, by="protocol" if kind == "condition" else None)
    fold = single_fold(split, samples, 0)
    (name,) = fold.tests
    assert (name == "cells") == (kind in ("cell", "policy"))
    assert sorted(np.concatenate([fold.train, fold.val, fold.tests[name]])) == list(range(len(samples)))
    check_folds([fold], samples, split.kind, split.by)
    record = samples.groupby(["cell_id", "ecl"]).ngroup().to_numpy()
    sides = [set(record[rows]) for rows in (fold.train, fold.val, fold.tests[name])]
    assert sum(map(len, sides)) == len(set.union(*sides)), "no record on two sides"
    if kind == "policy":
        assert not set(samples["protocol"].iloc[fold.train]) & set(samples["protocol"].iloc[fold.tests[name]])


def test_an_unknown_column_is_answered_with_those_of_profiles():
    with pytest.raises(ConfigError, match=r"split\.by=colour: .* cell_id, ecl, protocol"):
        single_fold(Split("condition", 1, 1, 1, by="colour"), table(), 0)


SPLITS = [
    HeldOutCells(folds=4, apart=["B0038"]),
    HeldOutCells(folds=None, run=2, val="cycles"),
    Blocked(),
    Split("cell", 0.6, 0.15, 0.25),
    Split("policy", 0.4, 0.3, 0.3),
    Split("chronological", 0.6, 0.15, 0.25),
]


@pytest.mark.parametrize("split", SPLITS, ids=lambda s: s.kind)
def test_saved_folds_mean_the_same_rows(split):
    samples = table(windows=2)
    folds = make_folds(split, samples, 5)
    saved = json.loads(json.dumps(to_json(split, samples, folds, 5)))
    shuffled = samples.sample(frac=1, random_state=2)
    back = from_json(saved, shuffled.reset_index(drop=True))
    assert [(f.name, f.note, list(f.tests)) for f in back] == [(f.name, f.note, list(f.tests)) for f in folds]
    for one, other in zip(folds, back, strict=True):
        for before, after in (
            (one.train, other.train),
            (one.val, other.val),
            *zip(one.tests.values(), other.tests.values(), strict=True),
        ):
            assert after.dtype == np.int64
            assert (np.diff(after) > 0).all()
            assert set(shuffled.index[after]) == set(before)
    with pytest.raises(DataError, match="data have 540: .* train again"):
        from_json(saved, table({k: v for k, v in NASA.items() if k != "B0005"}, windows=2))
    renamed = samples.assign(cell_id=samples["cell_id"].replace("B0007", "B0008"))
    with pytest.raises(DataError, match="of cell B0007 and .* train again"):
        from_json(saved, renamed)


def test_planted_leaks_are_caught():
    samples = table()
    folds = HeldOutCells(folds=4, apart=["B0038"]).divide(samples, 0)
    first = folds[0]
    train, apart = np.append(first.train, first.tests["apart"][0]), first.tests["apart"][1:]
    leaking = replace(first, train=train, tests={**first.tests, "apart": apart})
    with pytest.raises(DataError, match="fold0 leaks: cell B0038 is trained on and in its test set apart"):
        check_folds([leaking], samples, SPLITS[0].kind)
    with pytest.raises(DataError, match="has a profile in two of train, val, cells, apart"):
        check_folds([replace(first, val=np.append(first.val, first.train[0]))], samples, "blocked")
    with pytest.raises(DataError, match="Cell B0005 is tested in two folds, the second is fold0"):
        check_folds([first, first], samples, SPLITS[0].kind)
