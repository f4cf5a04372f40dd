"""Whole cells on one side each, or each cell split in time; what cannot be split is refused with a remedy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from batgen.data.published_split import PublishedSplit
from batgen.data.sequence_split import SequenceParts, check_sequence_parts, from_json, sequence_parts, to_json
from batgen.data.source_split import SourceSplit
from batgen.data.split import Split
from batgen.data.store import Store, open_store
from batgen.errors import ConfigError, DataError
from tests.data.fake_source import make_cell

WEIGHTS = {"train": 0.6, "val": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Records:
    """Cells of given numbers of rows; policies and sources in turn."""

    folder: str
    lives: Sequence[int]
    policies: Sequence[str] = ("a", "b", "c")
    sources: Sequence[str] = ("one",)
    split: Mapping[str, Sequence[int]] | None = None
    name: str = "records"
    eol_capacity_Ah: float = 0.88
    censored: str = "drop"
    conditions: Sequence[str] = field(default_factory=list)
    version: int = 1

    def files(self) -> list[Path]:
        return [Path(self.folder) / "raw.txt"]

    def cells(self, cycles: int | None = None):
        for k, life in enumerate(self.lives):
            policy = self.policies[k % len(self.policies)]
            cell = make_cell(f"c{k:02d}", life, 0, policy=policy)
            yield replace(cell, info=replace(cell.info, source=self.sources[k % len(self.sources)]), cycles=[])


class Published(Records):
    def parts(self) -> dict[str, list[str]]:
        assert self.split is not None
        return {name: [f"c{k:02d}" for k in cells] for name, cells in self.split.items()}


def store(folder: Path, lives: Sequence[int] = (30,) * 20, **fields) -> Store:
    (folder / "raw.txt").write_text("raw")
    made = Published if "split" in fields else Records
    return open_store(made(str(folder), list(lives), **fields), 1, progress=False)


def split(kind: str, **fields) -> Split:
    return Split(kind, **(WEIGHTS | fields))


def sides(parts: SequenceParts) -> dict[str, set[str]]:
    return {name: set(ids) for name, ids in parts.cells.items()}


def test_by_cell_every_cell_once_and_seeded(tmp_path):
    cells = store(tmp_path)
    parts = sequence_parts(split("cell"), cells, 3, 10)
    assert sorted(c for ids in parts.cells.values() for c in ids) == [f"c{k:02d}" for k in range(20)]
    assert {name: len(ids) for name, ids in parts.cells.items()} == {"train": 12, "val": 3, "test": 5}
    assert parts == sequence_parts(split("cell"), cells, 3, 10)
    assert len({sequence_parts(split("cell"), cells, s, 10).cells["test"] for s in range(6)}) > 3
    assert parts.stops is None
    assert parts.tests == ("test",)


def test_a_sample_is_a_cell(tmp_path):
    """The published protocol of curves shuffles cycles; here it is the same whole cells as `cell`."""
    cells = store(tmp_path)
    by_sample, by_cell = (sequence_parts(split(kind), cells, 3, 10) for kind in ("sample", "cell"))
    assert by_sample == by_cell


def test_cells_can_be_left_out(tmp_path):
    cells = store(tmp_path)
    parts = sequence_parts(split("cell"), cells, 0, 10, without=["c03", "c07"])
    assert {c for ids in parts.cells.values() for c in ids} == {f"c{k:02d}" for k in range(20)} - {"c03", "c07"}


def test_by_policy_and_by_any_fact(tmp_path):
    cells = store(tmp_path, policies=list("abcdefg"), sources=["x", "y", "z", "w"])
    for made, value in (
        (split("policy"), lambda c: int(c[1:]) % 7),
        (split("condition", by="source"), lambda c: int(c[1:]) % 4),
    ):
        values = [{value(cell) for cell in ids} for ids in sequence_parts(made, cells, 0, 5).cells.values()]
        assert sum(map(len, values)) == len(set.union(*values))


def test_chronological_stops_by_rows(tmp_path):
    """100 rows: 75 train or validate, 60 of them train."""
    parts = sequence_parts(split("chronological"), store(tmp_path, (60, 99, 12)), 0, 20)
    assert parts.stops == {"c00": (36, 45), "c01": (59, 74)}
    assert parts.short == {"c02": 12}
    assert all(ids == ("c00", "c01") for ids in parts.cells.values())


def test_short_cells_are_named_not_dropped(tmp_path):
    cells = store(tmp_path, (30, 10, 30, 11, 30, 30))
    parts = sequence_parts(split("cell"), cells, 0, 10)
    assert parts.short == {"c01": 10}
    assert sum(len(ids) for ids in parts.cells.values()) == 5


@pytest.mark.parametrize(
    ("made", "lives", "cycles", "error", "words"),
    [
        ("cell", (30, 30), 10, ConfigError, "2 cells are fewer than its 3 parts. Use split=chronological"),
        ("cell", (30, 30, 9), 10, ConfigError, "1 more are too short"),
        ("cell", (30, 29, 20), 30, DataError, "the longest, c00, ends at cycle 30. Use fewer, such as cycles=10"),
        ("chronological", (30, 29), 18, DataError, "the first 60% train"),
        ("policy", (30,) * 9, 10, ConfigError, "1 values of policy"),
    ],
)
def test_what_cannot_be_split(tmp_path, made, lives, cycles, error, words):
    with pytest.raises(error, match=words):
        sequence_parts(split(made), store(tmp_path, lives, policies=["p"]), 0, cycles)


def test_by_an_unknown_fact(tmp_path):
    with pytest.raises(ConfigError, match="split.by=colour.*source, policy"):
        sequence_parts(split("condition", by="colour"), store(tmp_path), 0, 10)


def test_published_sets_and_validation_from_training_cells(tmp_path):
    lives = [20 + 3 * k for k in range(20)]
    named = {"train": range(10), "test": range(10, 16), "secondary": range(16, 20)}
    cells = store(tmp_path, lives, split={k: list(v) for k, v in named.items()})
    for seed in range(5):
        parts = sequence_parts(PublishedSplit(0.2), cells, seed, 10)
        assert parts.tests == ("test", "secondary")
        assert parts.cells["test"] == tuple(f"c{k:02d}" for k in range(10, 16))
        assert sides(parts)["train"] | sides(parts)["val"] == {f"c{k:02d}" for k in range(10)}
        # one of the five shorter lives, one of the five longer
        assert sorted(int(c[1:]) // 5 for c in parts.cells["val"]) == [0, 1]
    assert len({sequence_parts(PublishedSplit(0.2), cells, s, 10).cells["val"] for s in range(9)}) > 3


def test_published_split_that_is_not_of_these_cells(tmp_path):
    fine = {"train": [0, 1, 2], "test": [3]}
    with pytest.raises(ConfigError, match="data=mit_summary"):
        sequence_parts(PublishedSplit(0.2), store(tmp_path), 0, 10)
    for bad, words in (
        (fine, "c04 and 0 others are in the published data but not in the split"),
        (fine | {"test": [3, 4, 9]}, "c09 and 0 others are in the published split but not in the data"),
        (fine | {"test": [3, 4], "secondary": [2]}, "leaks: cell_id c02 is in (train|val) and in secondary"),
        ({"train": [0, 1, 2, 3, 4]}, "needs train and test"),
    ):
        with pytest.raises(DataError, match=words):
            sequence_parts(PublishedSplit(0.2), store(tmp_path, (30,) * 5, split=bad), 0, 10)
    with pytest.raises(ConfigError, match=r"without a cell .* fewer cycles.*split=chronological"):
        sequence_parts(PublishedSplit(0.2), store(tmp_path, (30, 30, 30, 8, 8), split=fine | {"test": [3, 4]}), 0, 10)


def test_by_source(tmp_path):
    cells = store(tmp_path, sources=["mit", "nasa", "calce", "oxford"])
    parts = sequence_parts(SourceSplit(["mit", "nasa"], ["calce", "oxford"], 0.2), cells, 0, 10)
    assert parts.tests == ("calce", "oxford")
    assert parts.cells["oxford"] == ("c03", "c07", "c11", "c15", "c19")
    assert len(parts.cells["val"]) == 2
    assert {int(c[1:]) % 4 for c in parts.cells["val"]} == {0, 1}  # one of each training source


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (["mit", "naza"], ["calce"], "did you mean 'nasa'"),
        (["mit"], ["calce"], "no side for source nasa.*data.sources.nasa=null"),
        (["mit", "nasa"], ["calce", "mit"], "both have source mit"),
        ([], ["mit"], "split.train"),
    ],
)
def test_sources_that_cannot_be(tmp_path, train, test, words):
    with pytest.raises(ConfigError, match=words):
        sequence_parts(SourceSplit(train, test, 0.2), store(tmp_path, sources=["mit", "nasa", "calce"]), 0, 10)


def test_a_source_of_short_cells_is_said(tmp_path):
    cells = store(tmp_path, (30, 8) * 5, sources=["mit", "tju"])
    with pytest.raises(ConfigError, match="every cell of tju is too short"):
        sequence_parts(SourceSplit(["mit"], ["tju"], 0.2), cells, 0, 10)


@pytest.mark.parametrize("val", [0.0, 1.0, -0.1])
def test_val_is_a_fraction(val):
    with pytest.raises(ConfigError, match="split.val"):
        PublishedSplit(val)


def test_saved_and_read_back(tmp_path):
    cells = store(tmp_path, sources=["x", "y"], policies=list("abcdef"))
    for made in (split("cell"), split("policy"), split("chronological"), SourceSplit(["x"], ["y"], 0.3)):
        parts = sequence_parts(made, cells, 1, 10)
        assert from_json(json.loads(json.dumps(to_json(parts, 1))), cells) == parts


def test_a_leak_in_a_saved_split_is_refused(tmp_path):
    cells = store(tmp_path, sources=["x", "y"])
    saved = to_json(sequence_parts(split("cell"), cells, 1, 10), 1)
    leaking = saved | {"parts": saved["parts"] | {"test": [*saved["parts"]["test"], saved["parts"]["train"][0]]}}
    with pytest.raises(DataError, match="leaks: cell_id c.. is in train and in test"):
        from_json(leaking, cells)
    with pytest.raises(DataError, match="c99 and 0 others in val"):
        from_json(saved | {"parts": saved["parts"] | {"val": ["c99"]}}, cells)
    by_source = to_json(sequence_parts(SourceSplit(["x"], ["y"], 0.3), cells, 1, 10), 1)
    moved = by_source["parts"]["y"].pop()
    by_source["parts"]["train"].append(moved)
    with pytest.raises(DataError, match="leaks: source y"):
        from_json(by_source, cells)
    in_time = to_json(sequence_parts(split("chronological"), cells, 1, 10), 1)
    in_time["stops"]["c00"] = [25, 20]
    with pytest.raises(DataError, match="cell c00 trains to cycle 25"):
        from_json(in_time, cells)


def test_check_wants_a_stop_for_every_cell(tmp_path):
    cells = store(tmp_path)
    parts = sequence_parts(split("chronological"), cells, 1, 10)
    assert parts.stops is not None
    less = {cell: pair for cell, pair in parts.stops.items() if cell != "c00"}
    with pytest.raises(DataError, match="where its training ends"):
        check_sequence_parts(replace(parts, stops=less), cells)
