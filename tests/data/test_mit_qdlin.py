"""The measured Qd(V) of the MIT cells: small files for the errors, the real ones for the counts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.sources.mit_qdlin import GRID_V, MitQdlin, crosswalk_ids, read_crosswalk
from batgen.errors import ConfigError, DataError


def curve(end_Ah: float) -> np.ndarray:
    return end_Ah * (1 - (GRID_V - 2.0) / 1.5) ** 0.5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cells of 99 cycles; the first has three glitches."""
    folder = tmp_path / "qdlin"
    (folder / "train").mkdir(parents=True)
    for k in (1, 2):
        table = np.stack([curve(1.06 - 0.0002 * k * n) for n in range(2, 101)], axis=1)
        if k == 1:
            table[:, 3] = curve(48.8)
            table[:, 5] = curve(0.3)
            table[17, 6] = np.nan
        pd.DataFrame(table.round(6)).to_csv(folder / f"train/cell{k}.csv.gz", header=False, index=False)
    rows = [
        ("train/cell1.csv.gz", "2017-05-12", 2, "3.6C(80%)-3.6C", 3.6, 80.0, 3.6, 2160),
        ("train/cell2.csv.gz", "2018-04-12", 46, "4.36C(80%)-4.36C", 4.36, 80.0, 4.36, 1801),
    ]
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
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "severson_crosswalk_DERIVED.csv", index=False)
    return folder


def test_cells_cycles_and_glitches(folder: Path) -> None:
    first, second = MitQdlin(folder=str(folder)).cells()
    assert (first.info.cell_id, second.info.cell_id) == ("b1c1", "b3c45")
    assert (second.info.c1, second.info.q1, second.info.c2, second.info.eol_cycle) == (4.36, 0.8, 4.36, 1801)
    assert not first.info.censored
    assert [r.record for r in first.rejected] == ["cycle 5", "cycle 7", "cycle 8"]
    assert "48.8" in first.rejected[0].reason
    assert len(first.cycles) == len(first.summary) == 96
    cycle = second.cycles[0]
    assert (cycle.cycle, cycle.charge, cycle.discharge) == (2, (0, 0), (0, 1000))
    np.testing.assert_allclose(cycle.signals["voltage_V"][[0, -1]], [3.5, 2.0])
    np.testing.assert_allclose(cycle.signals["discharge_capacity_Ah"], curve(1.06 - 0.0008), atol=1e-6)
    assert second.summary["discharge_capacity_Ah"].iloc[0] == pytest.approx(1.0592)
    assert second.summary["cycle"].tolist() == list(range(2, 101))


def test_cycles_limits_curves_but_not_the_summary(folder: Path) -> None:
    _, second = MitQdlin(folder=str(folder)).cells(20)
    assert [c.cycle for c in second.cycles] == list(range(2, 21))
    assert len(second.summary) == 99


def test_bad_input(folder: Path) -> None:
    source = MitQdlin(folder=str(folder))
    with pytest.raises(ConfigError, match=r"eol_capacity_Ah=0.9"):
        next(MitQdlin(folder=str(folder), eol_capacity_Ah=0.9).cells())
    path = folder / "train/cell2.csv.gz"
    pd.DataFrame(np.ones((500, 99))).to_csv(path, header=False, index=False)
    with pytest.raises(DataError, match=r"cell2.csv.gz: 500 rows"):
        list(source.cells())
    path.write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"cell2.csv.gz: not a readable"):
        list(source.cells())
    path.unlink()
    with pytest.raises(DataError, match=r"1 of 2 .*cell2.csv.gz"):
        source.files()
    table = folder.parent / "severson_crosswalk_DERIVED.csv"
    table.write_text("barcode\nx\n")
    with pytest.raises(DataError, match=r"no column qdlin_file"):
        source.files()
    table.unlink()
    with pytest.raises(DataError, match=r"severson_crosswalk_DERIVED.csv is missing"):
        source.files()
    with pytest.raises(DataError, match=r"BATGEN_DATA_DIR"):
        MitQdlin().files()


def test_real_cells(data_dir: Path) -> None:
    source = MitQdlin()
    assert len(source.files()) == 125
    cells = list(source.cells())
    assert len(cells) == 124
    assert Counter(c.info.cell_id[:2] for c in cells) == {"b1": 41, "b2": 43, "b3": 40}
    assert sum(len(c.cycles) for c in cells) == 124 * 99 - 7
    assert sorted((c.info.cell_id, r.record) for c in cells for r in c.rejected) == [
        ("b1c0", "cycle 12"),
        ("b1c20", "cycle 13"),
        ("b1c21", "cycle 13"),
        ("b1c3", "cycle 12"),
        ("b1c36", "cycle 73"),
        ("b1c4", "cycle 12"),
        ("b2c40", "cycle 74"),
    ]
    # the published lists of lives, one per part of the paper's split, in the order of the files
    lives = {c.info.cell_id: c.info.eol_cycle for c in cells}
    frame = read_crosswalk(data_dir / "severson_crosswalk_DERIVED.csv").assign(cell_id=lambda f: crosswalk_ids(f))
    for part, n in (("train", 41), ("test1", 43), ("test2", 40)):
        published = np.loadtxt(data_dir / f"severson_qdlin_first100/cycle_lives/{part}_cycle_lives.csv")
        rows = frame[frame["split"] == part]
        number = rows["qdlin_file"].str.extract(r"cell(\d+)\.csv")[0].astype(int)
        ids = rows["cell_id"].to_numpy()[np.argsort(number.to_numpy())]
        assert len(ids) == n
        assert [lives[i] for i in ids] == published.tolist()
    assert all(0 < c.info.q1 <= 0.8 and 1 <= c.info.c1 <= 8 for c in cells)
