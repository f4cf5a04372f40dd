"""The comparison of the raw MIT batches with the published tables, on small files that agree, and then do not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.mit_check import cross_check
from batgen.data.sources.mit import Mit
from batgen.data.store import Store, open_store
from tests.data.mit_fixture import FILES, RawCell, make_cell, write_batch

LIFE = 40


def publish(folder: Path, cells: list[RawCell], shift: int = 0, **changes: object) -> None:
    """The tables that would have been published of these first-batch cells, with `changes` in the first row."""
    (folder / "severson_qdlin_first100/train").mkdir(parents=True, exist_ok=True)
    rows = []
    for i, cell in enumerate(cells):
        columns = [cell.cycles[j + 1 + shift]["Qdlin"] for j in range(30)]  # type: ignore[index]
        name = f"train/cell{i + 1}.csv.gz"
        table = pd.DataFrame(np.stack(columns, axis=1))
        table.to_csv(folder / "severson_qdlin_first100" / name, header=False, index=False)
        rows.append((name, "2017-05-12", i + 1, cell.policy, 5.4, 60.0, 3.6, LIFE))
    names = [
        "qdlin_file",
        "batch_date",
        "batch_index_1based",
        "charging_policy",
        "C1",
        "Q1_percent",
        "C2",
        "cycle_life",
    ]
    table = pd.DataFrame(rows, columns=names)
    for name, value in changes.items():
        table.loc[0, name] = value
    table.to_csv(folder / "severson_crosswalk_DERIVED.csv", index=False)


@pytest.fixture
def cells() -> list[RawCell]:
    return [make_cell(cycles=LIFE - 1, points=900, seed=s, placeholder=True) for s in range(2)]


@pytest.fixture
def store(tmp_path: Path, cells: list[RawCell]) -> Store:
    for name, batch in zip(FILES, (cells, [make_cell(cycles=8)], [make_cell(cycles=8)]), strict=True):
        write_batch(tmp_path / name, batch)
    return open_store(Mit(folder=str(tmp_path)), progress=False)


def test_agreement_and_each_disagreement(tmp_path: Path, cells: list[RawCell], store: Store) -> None:
    published = tmp_path / "published"
    assert cross_check(store, published) == (0, [])
    publish(published, cells)
    assert cross_check(store, published) == (2, [])

    publish(published, cells, cycle_life=LIFE + 9)
    (found,) = cross_check(store, published)[1]
    assert found.startswith("b1c0: life 40 (the file's cycle_life")
    assert found.endswith("published 49")

    publish(published, cells, C1=5.0, charging_policy="5C(60%)-3.6C")
    assert cross_check(store, published)[1] == ["b1c0: policy 5.4C(60%)-3.6C, published 5C(60%)-3.6C"]

    publish(published, cells, shift=1)
    found_shifts = cross_check(store, published)[1]
    assert len(found_shifts) == 2
    assert "fits the published cycle n-1 better" in found_shifts[0]

    publish(published, cells[::-1])
    path = published / "severson_qdlin_first100/train/cell1.csv.gz"
    table = pd.read_csv(path, header=None) + 0.05
    table.to_csv(path, header=False, index=False)
    assert "mAh from the published curves" in cross_check(store, published)[1][0]
