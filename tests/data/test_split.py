import json

import numpy as np
import pandas as pd
import pytest

from batgen.data.split import KINDS, PARTS, Split, check_split, from_json, to_json
from batgen.errors import ConfigError, DataError

PAPER = {"train": 75.2, "val": 18.8, "test": 30}


def table(cells: int = 12, cycles: int = 20, policies: int = 5) -> pd.DataFrame:
    cell = np.repeat(np.arange(cells), cycles)
    return pd.DataFrame(
        {
            "cell_id": [f"c{k:02d}" for k in cell],
            "ecl": np.tile(np.arange(1, cycles + 1), cells),
            "policy": [f"p{k % policies}" for k in cell],
            "ambient_degC": np.where(cell % 3 == 0, 24.0, np.where(cell % 3 == 1, 35.0, 44.0)),
        }
    )


def split(kind: str, **fields) -> Split:
    weights = {"train": 0.6, "val": 0.15, "test": 0.25} | fields
    return Split(kind, by="ambient_degC" if kind == "condition" else None, **weights)


def test_paper_counts():
    """94/124 of 124 cells x 100 cycles, then 4:1."""
    parts = Split("sample", **PAPER).assign(table(124, 100), 0)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 7520, "val": 1880, "test": 3000}


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_once_seeded_and_typed(kind):
    samples = table()
    parts = split(kind).assign(samples, 3)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(samples)))
    assert all(rows.dtype == np.int64 and len(rows) for rows in parts.values())
    again = split(kind).assign(samples, 3)
    fixed = split(kind, seed=3).assign(samples, 99)
    for name in PARTS:
        np.testing.assert_array_equal(parts[name], again[name])
        np.testing.assert_array_equal(parts[name], fixed[name])


@pytest.mark.parametrize("kind", ["sample", "cell", "policy"])
def test_seeds_differ(kind):
    tests = {tuple(split(kind).assign(table(24, policies=9), seed)["test"]) for seed in range(8)}
    assert len(tests) > 4


@pytest.mark.parametrize(("kind", "column"), [("cell", "cell_id"), ("policy", "policy"), ("condition", "ambient_degC")])
@pytest.mark.parametrize("seed", range(10))
def test_no_group_on_two_sides(kind, column, seed):
    samples = table()
    parts = split(kind).assign(samples, seed)
    sides = [set(samples[column].iloc[parts[name]]) for name in PARTS]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_balanced_by_samples(seed):
    """Cells of very different size: parts are near their weights all the same."""
    sizes = [5, 10, 20, 40, 80, 15, 30, 25, 60, 35, 45, 50, 12, 9]
    samples = pd.DataFrame(
        {
            "cell_id": np.repeat([f"c{k}" for k in range(len(sizes))], sizes),
            "ecl": np.concatenate([*map(np.arange, sizes)]),
        }
    )
    parts = split("cell").assign(samples, seed)
    share = np.array([len(parts[name]) for name in PARTS]) / len(samples)
    np.testing.assert_allclose(share, [0.6, 0.15, 0.25], atol=0.08)


@pytest.mark.parametrize("cells", [3, 4, 7])
@pytest.mark.parametrize("seed", range(10))
def test_few_cells_leave_no_part_empty(cells, seed):
    parts = split("cell").assign(table(cells), seed)
    assert all(len(rows) >= 20 for rows in parts.values())


def test_row_order_does_not_matter_for_groups():
    samples = table()
    shuffled = samples.sample(frac=1, random_state=0).reset_index(drop=True)
    for kind in ("cell", "policy"):
        one = samples["cell_id"].iloc[split(kind).assign(samples, 0)["test"]]
        other = shuffled["cell_id"].iloc[split(kind).assign(shuffled, 0)["test"]]
        assert set(one) == set(other)


def test_chronological_goes_forward_in_every_cell():
    samples = table().sample(frac=1, random_state=1).reset_index(drop=True)
    parts = split("chronological").assign(samples, 0)
    for cell in samples["cell_id"].unique():
        chosen = [samples.iloc[parts[name]] for name in PARTS]
        ecl = [rows.loc[rows["cell_id"] == cell, "ecl"] for rows in chosen]
        assert ecl[0].max() < ecl[1].min() <= ecl[1].max() < ecl[2].min()
        assert [len(e) for e in ecl] == [12, 3, 5]


@pytest.mark.parametrize(
    ("kind", "samples", "counts"),
    [
        ("cell", table(2), "2 values of cell_id"),
        ("policy", table(policies=1), "1 values of policy"),
        ("sample", table(1, 2), "2 samples of 1 cells"),
        ("chronological", table(5, 1), "test 0"),
    ],
)
def test_empty_part_is_refused_with_counts_and_remedy(kind, samples, counts):
    with pytest.raises(ConfigError, match=f"split={kind} leaves .* empty.*{counts}.*use another split"):
        split(kind).assign(samples, 0)


def test_wrong_configuration():
    with pytest.raises(ConfigError, match=r"split\.kind=cells: it must be one of sample, cell"):
        split("cells")
    with pytest.raises(ConfigError, match=r"split\.val=0"):
        split("cell", val=0)
    with pytest.raises(ConfigError, match=r"split\.by"):
        Split("cell", 1, 1, 1, by="policy")
    with pytest.raises(ConfigError, match=r"split\.by=colour"):
        Split("condition", 1, 1, 1, by="colour").assign(table(), 0)


def test_planted_leaks_are_caught():
    samples = table()
    parts = split("cell").assign(samples, 0)
    moved = {**parts, "test": np.append(parts["test"], parts["train"][0]), "train": parts["train"][1:]}
    with pytest.raises(DataError, match="cell split leaks: cell_id c"):
        check_split(samples, moved, "cell")
    check_split(samples, moved, "sample")
    twice = {**parts, "test": np.append(parts["test"], parts["train"][0])}
    with pytest.raises(DataError, match="each must be there once"):
        check_split(samples, twice, "sample")
    forward = split("chronological").assign(samples, 0)
    with pytest.raises(DataError, match="later than some it tests on"):
        check_split(samples, {**forward, "train": forward["test"], "test": forward["train"]}, "chronological")


@pytest.mark.parametrize("kind", KINDS)
def test_saved_split_means_the_same_rows(kind):
    samples = table()
    made = split(kind)
    parts = made.assign(samples, 5)
    saved = json.loads(json.dumps(to_json(made, samples, parts, 5)))
    assert saved["seed"] == 5
    shuffled = samples.sample(frac=1, random_state=2)
    back = from_json(saved, shuffled.reset_index(drop=True))
    for name in PARTS:
        assert set(shuffled.index[back[name]]) == set(parts[name])


def test_saved_split_of_other_data_is_refused():
    samples = table()
    saved = to_json(split("cell"), samples, split("cell").assign(samples, 0), 0)
    with pytest.raises(DataError, match="that the data do not have"):
        from_json(saved, table(11))
    with pytest.raises(DataError, match="each must be there once"):
        from_json(saved, table(13))


def cells_of(samples: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(samples["cell_id"].iloc[rows])


SHARED = [kind for kind in KINDS if kind != "chronological"]


@pytest.mark.parametrize("kind", SHARED)
def test_train_share_keeps_the_test_set_and_is_nested(kind):
    samples = table(40)
    whole = split(kind).assign(samples, 4)
    before: dict[str, np.ndarray] = {}
    for share in (0.03, 0.05, 0.1, 0.2, 0.5, 0.9):
        parts = split(kind, train_share=share).assign(samples, 4)
        np.testing.assert_array_equal(parts["test"], whole["test"])
        for name in ("train", "val"):
            all_cells, kept = cells_of(samples, whole[name]), cells_of(samples, parts[name])
            if kind != "sample":  # there a cell is on every side
                assert len(kept) == max(1, round(share * len(all_cells)))
            np.testing.assert_array_equal(parts[name], [i for i in whole[name] if samples["cell_id"][i] in kept])
            assert set(before.get(name, [])) <= set(parts[name])
        before = parts
        if kind == "sample":  # a cell that is left out gives no validation rows either
            both = cells_of(samples, np.concatenate([parts["train"], parts["val"]]))
            assert len(both) == max(1, round(share * 40))


def test_train_share_differs_between_seeds_and_is_checked():
    kept = {
        tuple(sorted(cells_of(table(40), split("cell", train_share=0.1).assign(table(40), k)["train"])))
        for k in range(5)
    }
    assert len(kept) == 5
    for share in (0.0, -0.1, 1.5):
        with pytest.raises(ConfigError, match=r"split\.train_share="):
            split("cell", train_share=share)
    with pytest.raises(ConfigError, match="kind=chronological tests every cell"):
        split("chronological", train_share=0.5)


@pytest.mark.parametrize("kind", SHARED)
def test_a_saved_share_means_the_same_rows(kind):
    samples = table(20)
    made = split(kind, train_share=0.2)
    parts = made.assign(samples, 1)
    saved = json.loads(json.dumps(to_json(made, samples, parts, 1)))
    assert saved["train_share"] == 0.2
    back = from_json(saved, samples)
    assert set(back) == set(PARTS)
    for name in PARTS:
        np.testing.assert_array_equal(back[name], parts[name])
    with pytest.raises(DataError, match="each must be there once"):
        from_json(saved, table(21))
    assert "left_out" not in to_json(split(kind), samples, split(kind).assign(samples, 1), 1)["parts"]
