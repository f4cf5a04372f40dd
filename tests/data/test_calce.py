"""CALCE cells: made workbooks with known cycles, the two staged tables, and ten measured workbooks against their table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.schema import check_cell
from batgen.data.sources.calce import Calce
from batgen.data.sources.calce_workbook import COLUMNS, in_order
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError

STEP_S = 30.0


def made(capacity: float = 1.0, charge: float | None = None, end_V: float = 2.7, ohm: float = 0.09) -> pd.DataFrame:
    """A cycle: 0.55 A up with two minutes of rest inside, CV down to 50 mA, a rest, 1.1 A down, a rest; no capacities."""
    up = round((capacity if charge is None else charge) * 3600 / 0.55 / STEP_S)
    down = round(capacity * 3600 / 1.1 / STEP_S)
    half = up // 2
    current = [np.full(half, 0.55), np.zeros(4), np.full(up - half - 1, 0.55), [0.05], np.zeros(3)]
    voltage = [
        np.linspace(3.3, 4.0, half),
        np.full(4, 3.9),
        np.linspace(4.0, 4.2, up - half - 1),
        [4.2],
        [4.195, 4.192, 4.19],
    ]
    current += [np.full(down, -1.1), np.zeros(2)]
    voltage += [np.linspace(4.025, end_V, down), np.full(2, 3.2)]
    table = pd.DataFrame({"current": np.concatenate(current), "voltage": np.concatenate(voltage)})
    table["resistance"] = np.where(np.arange(len(table)) >= up + 5, ohm, 0.0)
    return table


def workbook(path: Path, cycles: list[pd.DataFrame], columns: Mapping[str, str] = COLUMNS) -> None:
    """A workbook of exactly Arbin's structure, whose capacities add up over the file's cycles."""
    table = pd.concat([c.assign(cycle=k) for k, c in enumerate(cycles, 1)], ignore_index=True)
    table["time"] = STEP_S * (1 + table.index)
    part = np.diff(table["time"], prepend=0.0) * table["current"] / 3600
    table["charge"], table["discharge"] = part.clip(lower=0).cumsum(), (-part).clip(lower=0).cumsum()
    path.parent.mkdir(parents=True, exist_ok=True)
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"TEST REPORT": ["CS2_99"]}).to_excel(book, sheet_name="Info", index=False)
        table.rename(columns=columns)[list(columns.values())].to_excel(book, sheet_name="Channel_1-008", index=False)


def raw(folder: Path):
    return check_cell(next(Calce(folder=str(folder), form="raw").cells()))


def test_columns_of_made_workbooks(tmp_path: Path) -> None:
    # the alphabet would put 10_2_10 first
    workbook(tmp_path / "CS2_99" / "CS2_99_9_30_10.xlsx", [made(1.1), made(1.08)])
    workbook(
        tmp_path / "CS2_99" / "CS2_99_10_2_10.xlsx",
        [made(1.0, ohm=0.0), made(0.8, charge=0.84), made(0.82), made(0.81)],
    )
    cell = raw(tmp_path)
    table = cell.summary
    assert table["cycle"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["discharge_capacity_Ah"].to_numpy() == pytest.approx([1.1, 1.08, 1.0, 0.8, 0.82, 0.81], abs=0.006)
    assert table["charge_capacity_Ah"].to_numpy() == pytest.approx([1.1, 1.08, 1.0, 0.84, 0.82, 0.81], abs=0.006)
    assert table["coulombic_efficiency"].iloc[3] == pytest.approx(0.8 / 0.84, abs=0.01)
    assert table["relaxation_voltage_drop_V"].to_numpy() == pytest.approx(0.01)
    # the cycler's pulse; where it made none, the load step (4.19 V to 4.025 V at 1.1 A)
    assert table["internal_resistance_Ohm"].to_numpy() == pytest.approx([0.09, 0.09, 0.15, 0.09, 0.09, 0.09])
    # CC and CV without the rest between: as many intervals as charging samples, less one a stretch
    samples = round(1.1 * 3600 / 0.55 / STEP_S)
    assert table["charge_time_s"].iloc[0] == pytest.approx((samples - 2) * STEP_S)
    assert table["discharge_c_rate"].to_numpy() == pytest.approx(1.0)
    assert cell.info.eol_cycle == 4
    assert (cell.info.chemistry, cell.info.nominal_capacity_Ah, cell.info.discharge_c_rate) == ("LCO", 1.1, 1.0)
    assert not cell.rejected


def test_ends_of_files_are_joined_or_left_out(tmp_path: Path) -> None:
    whole = made(1.0)
    charge_begins, charge_goes_on = whole.iloc[:60], whole.iloc[60:]
    workbook(tmp_path / "CS2_99" / "CS2_99_8_1_10.xlsx", [made(1.0), made(1.0), charge_begins])
    workbook(tmp_path / "CS2_99" / "CS2_99_8_2_10.xlsx", [charge_goes_on, made(0.9, end_V=3.5)])
    workbook(tmp_path / "CS2_99" / "CS2_99_8_3_10.xlsx", [made(1.0, charge=0.7), made(1.0), charge_begins])
    cell = raw(tmp_path)
    assert cell.summary["cycle"].tolist() == [1, 2, 3, 5, 6]
    joined = cell.summary.set_index("cycle").loc[3]
    assert joined["charge_capacity_Ah"] == pytest.approx(1.0, abs=0.01)
    assert joined["charge_time_s"] == pytest.approx(cell.summary["charge_time_s"].iloc[0], abs=STEP_S)
    after = cell.summary.set_index("cycle").loc[5]
    assert after["discharge_capacity_Ah"] == pytest.approx(1.0, abs=0.01)
    assert after[["charge_capacity_Ah", "coulombic_efficiency", "charge_time_s"]].isna().all()
    said = {r.record: r.reason for r in cell.rejected}
    assert "joined with CS2_99_8_2_10.xlsx cycle 1" in said["CS2_99_8_1_10.xlsx cycle 3"]
    assert "stops at 3.50 V; cycle 4 left out" in said["CS2_99_8_2_10.xlsx cycle 2"]
    assert "did not start from an empty cell" in said["CS2_99_8_3_10.xlsx cycle 1"]
    assert "the test ends" in said["CS2_99_8_3_10.xlsx cycle 3"]
    assert len(said) == 4


def test_workbooks_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No CALCE cell in form raw"):
        raw(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.form: 'xlsx'"):
        Calce(form="xlsx")
    path = tmp_path / "CS2_99" / "CS2_99_8_1_10.xlsx"
    workbook(path, [made()], {k: v for k, v in COLUMNS.items() if k != "voltage"})
    with pytest.raises(DataError, match=r"no column Voltage\(V\)"):
        raw(tmp_path)
    workbook(path, [made().assign(voltage=np.nan)])
    with pytest.raises(DataError, match=r"gaps in Voltage\(V\)"):
        raw(tmp_path)
    path.write_bytes(b"not a workbook")
    with pytest.raises(DataError, match="cannot be read as an Excel workbook"):
        raw(tmp_path)
    with pytest.raises(DataError, match=r"named CELL_month_day_year\.xlsx"):
        in_order([tmp_path / "CS2_99_August.xlsx"])


def test_table_form(tmp_path: Path) -> None:
    (tmp_path / "per_cycle").mkdir()
    path = tmp_path / "per_cycle" / "CS2_99.csv"
    table = pd.DataFrame({"cycle": [1.0, 2, 3, 4], "capacity": [1.1, 1.0, 0.9, 0.8], "resistance": 0.09, "SoH": 0.7})
    table["CCCT"], table["CVCT"] = [6600.0, 0.0, 6400, 6300], [2200.0, 2200, 0.0, np.nan]
    table.to_csv(path)
    cell = check_cell(next(Calce(folder=str(tmp_path)).cells()))
    assert cell.summary["charge_time_s"].isna().tolist() == [False, True, True, True]
    assert cell.summary["charge_time_s"].iloc[0] == 8800
    assert cell.summary["cc_charge_time_s"].isna().tolist() == [False, True, False, False]
    assert cell.summary["cv_charge_time_s"].isna().tolist() == [False, False, True, True]
    assert cell.summary["discharge_capacity_Ah"].tolist() == [1.1, 1.0, 0.9, 0.8]
    assert [r.reason.split(" of 0")[0] for r in cell.rejected] == ["CCCT", "CVCT"]
    table.drop(columns="CVCT").to_csv(path)
    with pytest.raises(DataError, match="no column CVCT"):
        next(Calce(folder=str(tmp_path)).cells())


def test_measured_tables(data_dir: Path) -> None:
    store = open_store(Calce(), progress=False)
    assert {i.cell_id: (i.last_cycle, i.eol_cycle) for i in store.infos} == {"CS2_35": (846, 552), "CS2_36": (936, 497)}
    table = store.summary("CS2_35")
    assert table["cc_charge_time_s"].isna().sum() == 2
    assert table["cv_charge_time_s"].isna().sum() == 15 + 11
    assert table["charge_time_s"].min() > 0


def test_measured_workbooks_against_their_table(data_dir: Path) -> None:
    """305 recorded cycles are 304 of which one is truncated; the table is about 1.1 % low, and its rows drift apart."""
    cell = raw(data_dir / "calce_cs2")
    given = next(Calce().cells()).summary
    table = cell.summary
    assert (len(table), cell.info.last_cycle) == (303, 304)
    assert set(range(1, 305)) - set(table["cycle"]) == {104}
    assert len(cell.rejected) == 4
    assert table["discharge_c_rate"].to_numpy() == pytest.approx(1.0, abs=0.001)
    assert table["relaxation_voltage_drop_V"].median() == pytest.approx(0.00858, abs=1e-4)
    assert table["coulombic_efficiency"].between(0.96, 1.02).sum() == 301
    assert table["charge_capacity_Ah"].isna().sum() == 2

    # row n of the table is our cycle n + 1 as long as no row is missing: 57 rows
    ours, theirs = table.iloc[1:58], given.iloc[:57]
    assert ours["charge_time_s"].iloc[:51].to_numpy() == pytest.approx(
        theirs["charge_time_s"].iloc[:51].to_numpy(), abs=0.01
    )
    assert ours["internal_resistance_Ohm"].to_numpy() == pytest.approx(
        theirs["internal_resistance_Ohm"].to_numpy(), abs=1e-6
    )
    ratio = theirs["discharge_capacity_Ah"].to_numpy() / ours["discharge_capacity_Ah"].to_numpy()
    assert ratio.min() > 0.985
    assert ratio.max() < 0.993
    assert np.median(ratio) == pytest.approx(0.990, abs=0.001)
    # later on the resistance of our cycle k stands one row before its charge time
    time = {round(t, 1): k for k, t in enumerate(given["charge_time_s"]) if np.isfinite(t)}
    ohm = given["internal_resistance_Ohm"].to_numpy()
    late = [(time[round(t, 1)], r) for c, t, r in _late(table) if round(t, 1) in time]
    assert len(late) > 180
    before = np.mean([abs(ohm[k - 1] - r) < 1e-6 for k, r in late])
    beside = np.mean([abs(ohm[k] - r) < 1e-6 for k, r in late])
    assert before > 0.9
    assert beside < 0.1


def _late(table: pd.DataFrame) -> list[tuple[float, float, float]]:
    rows = table[(table["cycle"] > 105) & table["charge_time_s"].notna()]
    return list(rows[["cycle", "charge_time_s", "internal_resistance_Ohm"]].itertuples(index=False, name=None))
