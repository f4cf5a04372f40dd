"""HNEI: cells told apart, decimal points put back, other rates left out; and that the capacity made of times is credible."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from batgen.data.schema import check_cell
from batgen.data.sources.hnei import CYCLE, NAMES, Hnei
from batgen.data.store import open_store
from batgen.errors import DataError

FILE = "HNEI_Battery_RUL.csv.gz"


def table() -> pd.DataFrame:
    """Two cells of 6 and 5 cycles; discharges of 2200, 2190 ... s at 1.5C, 2.567 Ah and less."""
    n = 11
    rows = pd.DataFrame({CYCLE: [*range(1, 7), *range(1, 6)]})
    rows["Discharge Time (s)"] = 2200.0 - 10 * np.arange(n)
    rows["Decrement 3.6-3.4V (s)"] = 800.5
    rows["Max. Voltage Dischar. (V)"] = 4.044
    rows["Min. Voltage Charg. (V)"] = 3.411
    rows["Time at 4.15V (s)"] = 5000.125
    rows["Time constant current (s)"] = 6000.25
    rows["Charging time (s)"] = 9000.5
    return rows.assign(RUL=0)


def source(folder, rows: pd.DataFrame) -> Hnei:
    rows.to_csv(folder / FILE, index=False)
    return Hnei(folder=str(folder))


def test_cells_and_capacity(tmp_path):
    first, second = (check_cell(cell) for cell in source(tmp_path, table()).cells())
    assert (first.info.cell_id, second.info.cell_id) == ("hnei_1", "hnei_2")
    assert second.summary["cycle"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(first.summary["discharge_capacity_Ah"][:2], [2200 * 4.2 / 3600, 2190 * 4.2 / 3600])
    assert not first.rejected
    assert "RUL" not in first.summary


def test_lost_decimal_points_come_back(tmp_path):
    rows = table().astype(float)
    rows.loc[1, "Max. Voltage Dischar. (V)"] = 4044
    rows.loc[2, "Min. Voltage Charg. (V)"] = 3411
    rows.loc[3, "Time at 4.15V (s)"] = 5000125
    rows.loc[4, "Decrement 3.6-3.4V (s)"] = 800500
    rows.loc[5, "Time at 4.15V (s)"] = -11.4
    rows.loc[0, "Time at 4.15V (s)"] = 9.1e6  # longer than the charge even with its point back
    cell = check_cell(next(source(tmp_path, rows).cells()))
    values = cell.summary
    np.testing.assert_allclose(values["max_discharge_voltage_V"], 4.044)
    np.testing.assert_allclose(values["min_charge_voltage_V"], 3.411)
    np.testing.assert_allclose(values["decrement_3p6_3p4_V_s"], 800.5)
    np.testing.assert_allclose(values["time_at_4p15_V_s"], [np.nan, *[5000.125] * 4, np.nan])
    assert [(r.record, r.reason.split(":")[0]) for r in cell.rejected] == [
        ("decrement_3p6_3p4_V_s", "1 values had lost their decimal point"),
        ("time_at_4p15_V_s", "1 values had lost their decimal point"),
        ("time_at_4p15_V_s", "2 values are impossible"),
    ]


def test_other_rates_and_interruptions_are_left_out_and_said(tmp_path):
    rows = table()
    rows.loc[[0, 1, 4], "Discharge Time (s)"] = [7408.6, 2401.0, 599.0]
    cell = next(source(tmp_path, rows).cells())
    assert cell.summary["cycle"].tolist() == [3, 4, 6]
    assert [r.record for r in cell.rejected] == ["cycle 1", "cycle 2", "cycle 5"]
    assert ["interrupted" in r.reason for r in cell.rejected] == [False, False, True]


def test_another_table(tmp_path):
    with pytest.raises(DataError, match=f"{FILE} is missing"):
        Hnei(folder=str(tmp_path)).files()
    with pytest.raises(DataError, match="no column 'Charging time .s.'"):
        list(source(tmp_path, table().drop(columns="Charging time (s)")).cells())
    with pytest.raises(DataError, match="2 entries of Cycle_Index"):
        list(source(tmp_path, table().astype(float).replace({CYCLE: {3.0: 3.5}})).cells())
    made = source(tmp_path, table())
    path = made.files()[0]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a readable table"):
        list(made.cells())


def test_measured_capacity_is_credible(data_dir):
    store = open_store(Hnei(), progress=False)
    assert len(store.infos) == 14
    rows = lost = 0
    for info in store.infos:
        table = store.summary(info.cell_id)
        q = table["discharge_capacity_Ah"]
        rows += len(q)
        smooth = q.rolling(15, center=True, min_periods=5).median()
        lost += int(((q / smooth - 1).abs() > 0.03).sum())
        assert 2.58 < q.iloc[0] < 2.66
        assert 0.87 < q.iloc[-1] < 1.17
        assert spearmanr(table["cycle"], q)[0] < -0.99
        assert 225 < info.eol_cycle < 275
        assert table[[*NAMES.values()]].isna().sum().sum() <= 2
        assert not (table["time_at_4p15_V_s"] > table["charge_time_s"]).any()
        assert table["max_discharge_voltage_V"].between(3.7, 4.3).all()
        assert table["min_charge_voltage_V"].between(3.3, 4.4).all()
    assert (rows, lost) == (14725, 43)
    assert sum(record.startswith("cycle") for _, record, _ in store.rejected) == 15064 - 14725
    mended = [r for r in store.rejected if "decimal point" in r[2]]
    count = {name: sum(int(r[2].split()[0]) for r in mended if r[1] == name) for name in {r[1] for r in mended}}
    assert count == {"time_at_4p15_V_s": 1731, "decrement_3p6_3p4_V_s": 88}
