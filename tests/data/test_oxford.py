"""Oxford: mAh become Ah, rows become cycles, and a table of something else is refused."""

import numpy as np
import pandas as pd
import pytest

from batgen.data.schema import check_cell
from batgen.data.sources.oxford import Oxford
from batgen.data.store import open_store
from batgen.errors import DataError


def workbook(folder, **changes) -> Oxford:
    """8 cells of 4 rows each, the second one row shorter, as Excel."""
    table = pd.DataFrame({f"CapacityCell_{k}": np.array([740.0, 700.0, 650.0, 600.0]) - k for k in range(1, 9)})
    table.loc[3, "CapacityCell_2"] = np.nan
    for name, values in changes.items():
        table[name] = values
    table.dropna(axis=1, how="all").to_excel(folder / "Oxford_Dataset_1.xlsx", index=False)
    return Oxford(folder=str(folder))


def test_units_cycles_and_ends(tmp_path):
    cells = [check_cell(cell) for cell in workbook(tmp_path).cells()]
    assert [cell.info.cell_id for cell in cells] == [f"oxford_{k}" for k in range(1, 9)]
    assert cells[0].summary["cycle"].tolist() == [1, 101, 201, 301]
    np.testing.assert_allclose(cells[0].summary["discharge_capacity_Ah"], [0.739, 0.699, 0.649, 0.599])
    assert cells[1].summary["cycle"].tolist() == [1, 101, 201]
    assert cells[1].rejected == []  # the end of its record, not a missing one
    assert cells[7].summary["coulombic_efficiency"].isna().all()
    assert [cell.info.eol_cycle for cell in cells][7] == pytest.approx(np.nan, nan_ok=True)


def test_a_hole_is_reported(tmp_path):
    cell = next(iter(workbook(tmp_path, CapacityCell_1=[740.0, np.nan, 650.0, 600.0]).cells()))
    assert cell.summary["cycle"].tolist() == [1, 201, 301]
    assert [(r.record, r.reason) for r in cell.rejected] == [("row 3", "no capacity")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CapacityCell_3": np.nan}, "no column 'CapacityCell_3'.*data.file"),
        ({"CapacityCell_3": [740.0, "x", 1.0, 1.0]}, "column 'CapacityCell_3', line 3: 'x'"),
    ],
)
def test_another_table(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        list(workbook(tmp_path, **changes).cells())


def test_missing_or_truncated(tmp_path):
    with pytest.raises(DataError, match=r"Oxford_Dataset_1.xlsx is missing.*data.file"):
        Oxford(folder=str(tmp_path)).files()
    source = workbook(tmp_path)
    path = source.files()[0]
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match="Oxford_Dataset_1.xlsx: not a readable table"):
        list(source.cells())


def test_measured(data_dir):
    store = open_store(Oxford(), progress=False)
    summaries = [store.summary(info.cell_id) for info in store.infos]
    assert [len(table) for table in summaries] == [78, 73, 76, 47, 46, 46, 77, 76]
    assert all(0.72 < table["discharge_capacity_Ah"].iloc[0] < 0.745 for table in summaries)
    lives = [info.eol_cycle for info in store.infos]
    # cell 5 ends with one fall of 149 mAh, which is no fade
    np.testing.assert_equal(lives, [5301, 4501, 5501, 4101, np.nan, 4301, 6901, 5301])
    assert store.rejected == []
