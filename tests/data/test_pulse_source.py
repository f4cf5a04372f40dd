"""The published workbooks: sheets and names as they drift between files, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.describe import report
from batgen.data.pulse_table import PULSE_COLUMNS, voltage_columns
from batgen.data.sources.pulse import Pulse
from batgen.data.sources.pulse_workbook import read_workbook
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError
from tests.data.pulse_fixture import LEVELS, by_level, sheet, voltage, write
from tests.data.test_describe import text


def pulse(folder: Path, battery: str | list[str] = "NMC_2.1Ah", **keys: object) -> Pulse:
    return Pulse(folder=str(folder), battery=battery, **keys)  # type: ignore[arg-type]


def assert_closed_form(table: pd.DataFrame) -> None:
    for k, name in enumerate(voltage_columns(table), start=1):
        expected = [voltage(k, soc, soh) for soc, soh in zip(table["soc"], table["soh"], strict=True)]
        np.testing.assert_allclose(table[name], expected, atol=1e-9)


def test_rows_cells_and_stages(tmp_path: Path) -> None:
    write(tmp_path, by_level(sheet()) | {"Sheet1": pd.DataFrame({"SOC": [99]})})
    table = pulse(tmp_path).pulses()
    assert list(table.columns) == [*PULSE_COLUMNS, *(f"U{k}" for k in range(1, 22))]
    assert len(table) == 9
    assert set(table["cell_id"]) == {"D3", "E1"}
    assert set(table["stage_id"]) == {"D3-100", "D3-200", "E1-100"}
    assert set(table["soc"]) == {0.05, 0.1, 0.15}
    assert dict(zip(table["stage_id"], table["soh"].round(9), strict=True)) == {
        "D3-100": 0.95,
        "D3-200": 0.9,
        "E1-100": 0.85,
    }
    first = table.iloc[0]
    assert (first["battery"], first["chemistry"], first["nominal_capacity_Ah"]) == ("NMC_2.1Ah", "NMC", 2.1)
    assert (first["pulse_width_s"], first["test_set"]) == (5.0, "grid")
    assert_closed_form(table)


@pytest.mark.parametrize(
    "drift",
    [
        {"names": ("Idx", "W", "SOCR")},
        {"names": ("Idx", "W", "SOCR"), "width": 5000},
        {"names": ("id", "Pt", "SOE"), "percent": False},
        {"n": 41},
    ],
)
def test_names_and_units_drift(tmp_path: Path, drift: dict) -> None:
    everything = sheet(ids=(1.0, 2.0, 3.0), mat="LFP", nominal=35.0, **drift)
    write(tmp_path, {"SOC ALL": everything.drop(columns="File_Name")}, "LFP_35Ah")
    table = pulse(tmp_path, "LFP_35Ah").pulses()
    assert set(table["cell_id"]) == set(table["stage_id"]) == {"1", "2", "3"}
    assert set(table["soc"]) == {level / 100 for level in LEVELS}
    assert set(table["pulse_width_s"]) == {5.0}
    assert len(voltage_columns(table)) == drift.get("n", 21)
    assert_closed_form(table)


def test_sheets_by_level_are_joined_where_there_is_no_soc_all(tmp_path: Path) -> None:
    sheets = by_level(sheet())
    del sheets["SOC ALL"]
    sheets["SOC20"] = sheet().iloc[:1].map(lambda value: None)  # a level without tests is one empty row
    write(tmp_path / "in a folder", sheets)
    table = pulse(tmp_path).pulses()
    assert len(table) == 9
    assert_closed_form(table)


@pytest.mark.parametrize("percent", [True, False])
def test_random_soc_sheet(tmp_path: Path, percent: bool) -> None:
    """Its SOC is its column SOC, never SOCR or SOE; it may be in another unit than the grid's."""
    random = sheet(levels=(7.3, 11.9), names=("ID", "Pt", "SOCR"), percent=percent)
    write(tmp_path, by_level(sheet()) | {"SOC TEST RANDOM": random})
    table = pulse(tmp_path).pulses()
    assert table["test_set"].value_counts().to_dict() == {"grid": 9, "random_soc": 6}
    found = table[table["test_set"] == "random_soc"]
    np.testing.assert_allclose(sorted(found["soc"].unique()), [0.073, 0.119])
    assert_closed_form(table)


def test_all_types_and_a_common_number_of_voltages(tmp_path: Path) -> None:
    write(tmp_path, by_level(sheet()))
    write(tmp_path, by_level(sheet(ids=("D3", "x"), n=41, mat="LMO", nominal=10.0)), "LMO_10Ah")
    (tmp_path / "~$LMO_10Ah_W_5000.xlsx").write_bytes(b"open in Excel")
    with pytest.raises(DataError, match=r"NMC_2.1Ah has 21 voltages and LMO_10Ah has 41: set data\.voltages=21"):
        pulse(tmp_path, "all").pulses()
    with pytest.raises(DataError, match=r"data\.voltages=30, but NMC_2.1Ah has 21"):
        pulse(tmp_path, "all", voltages=30).pulses()
    table = pulse(tmp_path, "all", voltages=21).pulses()
    assert list(table["battery"].unique()) == ["LMO_10Ah", "NMC_2.1Ah"]
    assert set(table["cell_id"]) == {"LMO_10Ah/D3", "LMO_10Ah/x", "NMC_2.1Ah/D3", "NMC_2.1Ah/E1"}
    assert len(table) == 15
    assert_closed_form(table)
    both = pulse(tmp_path, ["NMC_2.1Ah", "LMO_10Ah"], voltages=21)
    pd.testing.assert_frame_equal(both.pulses(), table)
    assert [path.name for path in both.files()] == ["LMO_10Ah_W_5000.xlsx", "NMC_2.1Ah_W_5000.xlsx"]


def test_store_of_pulses_only(tmp_path: Path) -> None:
    random = sheet(levels=(7.3, 11.9))
    write(tmp_path / "raw", by_level(sheet()) | {"SOC TEST RANDOM": random})
    source = pulse(tmp_path / "raw")
    store = open_store(source, cycles=100, progress=False)
    assert store.infos == []
    pd.testing.assert_frame_equal(store.pulses(), source.pulses(), check_dtype=False)
    stamp = store.path.stat().st_mtime_ns
    assert open_store(source, cycles=None, progress=False).path.stat().st_mtime_ns == stamp  # not built again
    said = text(report(store))
    for words in ("15 rows", "NMC, 2.1 Ah", "3: 5, 10, 15", "6, 7.3 to 11.9 %", "0.850 to 0.950", "U1 to U21", "5 s"):
        assert words in said, words
    assert "policies" not in said
    assert "nan" not in said


def swapped(table: pd.DataFrame) -> pd.DataFrame:
    columns = list(table.columns)
    i, j = columns.index("U4"), columns.index("U9")
    columns[i], columns[j] = columns[j], columns[i]
    return table[columns]


def with_cell(table: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    table = table.astype(object)
    for name, value in values.items():
        table.loc[row, name] = value
    return table


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        ({"SOC ALL": swapped(sheet())}, "sheet SOC ALL: .*order U1..U21: U9 stands where U4"),
        ({"SOC ALL": sheet().drop(columns="U7")}, "sheet SOC ALL: .*U7 missing"),
        ({"SOC ALL": sheet().rename(columns={"U7": "U6"})}, "sheet SOC ALL: column U6 is there twice"),
        ({"SOC ALL": sheet().drop(columns="ID")}, r"sheet SOC ALL: no column ID or Idx \(stage_id\); it has File_Name"),
        ({"SOC ALL": sheet().drop(columns="SOC")}, r"no column SOC \(soc\)"),
        ({"SOC ALL": with_cell(sheet(), 2, U3="?")}, r"sheet SOC ALL, row 4 \(E1-100\): U3 is '\?'"),
        ({"SOC ALL": with_cell(sheet(), 2, SOH="=F4/E4")}, r"row 4 \(E1-100\): soh is empty \(a formula"),
        ({"SOC ALL": with_cell(sheet(), 2, SOC="five")}, r"row 4 \(E1-100\): soc is 'five', not a number"),
        ({"SOC ALL": with_cell(sheet(), 2, SOC=0.05)}, "grid rows: soc runs from 0.05 to 15: .* are mixed"),
        ({"SOC ALL": with_cell(sheet(), 2, Q=2.0)}, r"row 4 \(E1-100\): soh is 0.85, but capacity .* is 0.9524"),
        ({"SOC ALL": with_cell(sheet(), 2, Mat="LMO")}, "NMC_2.1Ah has chemistry NMC and LMO: these are two types"),
        ({"SOC ALL": with_cell(sheet(), 2, ID="-")}, r"row 4.*finds no cell in the ID '-'"),
        ({"SOC ALL": pd.concat([sheet(), sheet().iloc[3:4]])}, r"row 11 \(D3-100\): .* D3-100 at SOC 0.1 already"),
        ({"SOC ALL": sheet(ids=("D3-100", "D3-200"))}, "one physical cell, D3"),
        ({"SOC ALL": sheet().iloc[:0]}, "no row in 'SOC ALL'"),
        ({"SOC ALL": sheet(width=3)}, "its pulses last 3 s, but the file name says 5000 ms"),
        (by_level(sheet()) | {"SOC10": sheet(levels=(10,)).iloc[1:]}, "'SOC10' has 2 rows, but 'SOC ALL' has 3 at 10 %"),
        ({"SOC ALL": sheet(), "SOC TEST RANDOM": sheet(levels=(7,), n=20)}, r"differ in their columns \(U21; .*RANDOM"),
        ({"Sheet1": sheet(), "SOC TEST RANDOM": sheet()}, "no sheet SOC ALL.*it has Sheet1, SOC TEST RANDOM"),
    ],
)  # fmt: skip
def test_faults(tmp_path: Path, sheets: dict[str, pd.DataFrame], words: str) -> None:
    write(tmp_path, sheets)
    with pytest.raises(DataError, match=words):
        pulse(tmp_path).pulses()


def test_damaged_workbooks(tmp_path: Path) -> None:
    path = write(tmp_path, by_level(sheet()))
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (b"", b"U1,U2\n3,4\n", whole[:100], whole[:middle], whole[:-30], flipped):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"NMC_2.1Ah_W_5000.xlsx: not a readable .xlsx workbook"):
            read_workbook(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No workbook \*_W_5000.xlsx below .*data=sim"):
        pulse(tmp_path).files()
    write(tmp_path, by_level(sheet()))
    with pytest.raises(DataError, match=r"data\.battery=NMC2.1Ah: .* which has NMC_2.1Ah\. Did you mean NMC_2.1Ah\?"):
        pulse(tmp_path, "NMC2.1Ah").files()
    with pytest.raises(ConfigError, match=r"data\.battery is empty"):
        pulse(tmp_path, []).files()
    write(tmp_path / "again", by_level(sheet()))
    with pytest.raises(DataError, match="are both the workbook of NMC_2.1Ah"):
        pulse(tmp_path).files()
    with pytest.raises(ConfigError, match=r"data\.cell_of_id\.X='\(' is not a regular expression"):
        Pulse(cell_of_id={"X": "("})


def test_measured(data_dir: Path) -> None:
    """The 67 IDs of NMC 2.1 Ah are stages of 12 physical cells; the 95 of LMO are cells."""
    table = Pulse(battery="all").pulses()
    count = table.groupby("battery")[["cell_id", "stage_id"]].nunique()
    assert list(count.loc["NMC_2.1Ah"]) == [12, 67]
    assert list(count.loc["LMO_10Ah"]) == [95, 95]
    assert table["battery"].value_counts().to_dict() == {"LMO_10Ah": 950, "NMC_2.1Ah": 670}
    assert sorted(table["soc"].unique()) == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    assert (table.groupby("stage_id")["soc"].nunique() == 10).all()
    nmc = table[table["battery"] == "NMC_2.1Ah"]
    assert sorted(nmc["cell_id"].unique()) == sorted({s.split("-")[0] for s in nmc["stage_id"]})
    row = nmc[(nmc["stage_id"] == "D3-100") & (nmc["soc"] == 0.05)].iloc[0]
    assert (row["U1"], row["U2"], row["U21"]) == (3.4858, 3.5072, 3.4923)  # read off the sheet by eye
    assert row["soh"] == pytest.approx(1.9155 / 2.1)
