"""RWTH: pairs of columns, cycle numbers that make sense, and what the measured file is like."""

import numpy as np
import pandas as pd
import pytest

from batgen.data.schema import check_cell
from batgen.data.sources.rwth import Rwth
from batgen.data.store import open_store
from batgen.errors import DataError


def workbook(folder, **changes) -> Rwth:
    table = pd.DataFrame()
    for k in (1, 2):
        table[f"CycleCell_{k}"] = np.arange(1.0, 7)
        table[f"CapacityCell_{k}"] = 1.85 - 0.15 * np.arange(6)
    for name, values in changes.items():
        table[name] = values
    table.to_excel(folder / "RWTH_Dataset.xlsx", index=False)
    return Rwth(folder=str(folder))


def test_cells_and_end_of_life(tmp_path):
    cells = [check_cell(cell) for cell in workbook(tmp_path).cells()]
    assert [cell.info.cell_id for cell in cells] == ["rwth_1", "rwth_2"]
    assert cells[0].summary["cycle"].tolist() == [1, 2, 3, 4, 5, 6]
    assert cells[0].info.eol_cycle == 4  # 1.85, 1.7, 1.55, then three records below 1.48
    assert not cells[0].rejected


def test_bad_cycle_numbers_are_rejected_with_a_reason(tmp_path):
    source = workbook(
        tmp_path, CycleCell_1=[0, 1, 1, 2.5, 2, np.nan], CapacityCell_2=[1.85, 1.8, 1.7, 1.6, np.nan, np.nan]
    )
    first, second = (check_cell(cell) for cell in source.cells())
    assert first.summary["cycle"].tolist() == [1, 2]
    np.testing.assert_allclose(first.summary["discharge_capacity_Ah"], [1.7, 1.25])
    assert {r.record: r.reason for r in first.rejected} == {
        "row 2": "cycle number 0 is not a whole number from 1",
        "row 4": "cycle number 1 does not come after 1",
        "row 5": "cycle number 2.5 is not a whole number from 1",
        "row 7": "no cycle number",
    }
    assert [r.reason for r in second.rejected] == ["no capacity", "no capacity"]


def test_another_table(tmp_path):
    pd.DataFrame({"CycleCell_1": [1, 2], "Capacity": [1.0, 2.0]}).to_excel(tmp_path / "RWTH_Dataset.xlsx", index=False)
    with pytest.raises(DataError, match="no column 'CapacityCell_1', so it is not the RWTH table"):
        list(Rwth(folder=str(tmp_path)).cells())
    pd.DataFrame({"a": [1]}).to_excel(tmp_path / "RWTH_Dataset.xlsx", index=False)
    with pytest.raises(DataError, match="no column 'CycleCell_1', 'CapacityCell_1'"):
        list(Rwth(folder=str(tmp_path)).cells())
    (tmp_path / "RWTH_Dataset.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match="not a readable table"):
        list(Rwth(folder=str(tmp_path)).cells())
    with pytest.raises(DataError, match="usable cycle"):
        list(workbook(tmp_path, CycleCell_1=0.5).cells())


def test_measured(data_dir):
    store = open_store(Rwth(), progress=False)
    assert len(store.infos) == 47
    # the padding behind the end of cell 1
    assert {(cell, reason) for cell, _, reason in store.rejected} == {("rwth_1", "no capacity")}
    assert len(store.rejected) == 144
    for info in store.infos:
        capacity = store.summary(info.cell_id)["discharge_capacity_Ah"].to_numpy()
        assert 1.82 < capacity[0] < 1.85
        assert 0.9 <= capacity[-1] < 0.902
        assert (np.diff(capacity) < 0).all()  # drawn, not measured
        assert np.abs(np.diff(capacity, 2)).max() < 1e-3
    lives = [info.eol_cycle for info in store.infos]
    assert (min(lives), np.median(lives), max(lives)) == (904, 1084, 1336)
