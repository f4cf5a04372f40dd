"""A table of one's own: every way in, every unit, and one clear error for each way it can be wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen.data.percycle_table import read_table
from batgen.data.schema import check_cell
from batgen.data.sources.percycle_csv import PercycleCsv
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError

COLUMNS = {"cell_id": "cell", "cycle": "cycle", "discharge_capacity_Ah": "capacity"}


def table(n: int = 6) -> pd.DataFrame:
    """Two cells of n cycles, 2 Ah and 1.5 Ah, which lose 0.01 Ah a cycle; the first reaches 80 % nowhere."""
    cycle = np.tile(np.arange(1, n + 1), 2)
    return pd.DataFrame(
        {"cell": ["007"] * n + ["b"] * n, "cycle": cycle, "capacity": np.repeat([2.0, 1.5], n) - 0.01 * cycle}
    )


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.xlsx", "t.parquet"])
def test_every_format_reads_the_same(tmp_path: Path, name: str) -> None:
    read = read_table(write(table(), tmp_path / name), COLUMNS, {})
    assert read["cell_id"].tolist() == ["007"] * 6 + ["b"] * 6
    assert read["cycle"].dtype == np.int64
    np.testing.assert_array_equal(read["cycle"], table()["cycle"])
    np.testing.assert_allclose(read["discharge_capacity_Ah"], table()["capacity"], rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "unit", "raw", "ours"),
    [
        ("discharge_capacity_Ah", "mAh", 1500.0, 1.5),
        ("charge_time_s", "min", 2.0, 120.0),
        ("rest_s", "h", 0.5, 1800.0),
        ("relaxation_voltage_drop_V", "mV", 30.0, 0.03),
        ("internal_resistance_Ohm", "mOhm", 17.0, 0.017),
        ("temperature_mean_degC", "K", 298.15, 25.0),
        ("temperature_max_degC", "degF", 104.0, 40.0),
        ("coulombic_efficiency", "percent", 99.5, 0.995),
        ("humidity", "percent", 40.0, 0.4),
    ],
)
def test_units(tmp_path: Path, name: str, unit: str, raw: float, ours: float) -> None:
    path = write(table().assign(x=raw), tmp_path / "t.csv")
    read = read_table(path, COLUMNS | {name: "x"}, {name: unit})
    np.testing.assert_allclose(read[name], ours, rtol=1e-12)


def test_cells_info_and_own_columns(tmp_path: Path) -> None:
    frame = table(60).assign(capacity=lambda f: f["capacity"] + 0.004, p=3.0, T=300.15)
    frame["charge"] = frame["capacity"] / 0.99
    frame.loc[3, "T"] = np.nan
    columns = COLUMNS | {"charge_capacity_Ah": "charge", "pressure_bar": "p", "temperature_mean_degC": "T"}
    source = PercycleCsv(
        path=str(write(frame, tmp_path / "t.csv")),
        columns=columns,
        units={"temperature_mean_degC": "K"},
        nominal_capacity_Ah={"007": 2.0, "b": 1.5},
        discharge_c_rate=0.5,
    )
    first, second = map(check_cell, source.cells())
    assert (first.info.cell_id, first.info.nominal_capacity_Ah, first.info.discharge_c_rate) == ("007", 2.0, 0.5)
    assert first.summary["temperature_mean_degC"].isna().tolist() == [k == 3 for k in range(60)]
    np.testing.assert_allclose(first.summary["temperature_mean_degC"].dropna(), 27.0)
    np.testing.assert_allclose(first.summary["coulombic_efficiency"], 0.99)
    assert first.summary["pressure_bar"].eq(3.0).all()
    assert first.summary["internal_resistance_Ohm"].isna().all()
    # below 80 % of each cell's nominal: 2.004 - 0.01 k < 1.6 from cycle 41 on, 1.504 - 0.01 k < 1.2 from cycle 31 on
    assert (first.info.eol_cycle, second.info.eol_cycle, second.info.last_cycle) == (41, 31, 60)
    held = open_store(source)
    assert held.info("b").eol_cycle == 31
    assert held.summary("b")["pressure_bar"].eq(3.0).all()


def test_nominal_capacity_from_a_column(tmp_path: Path) -> None:
    path = write(table().assign(rated=lambda f: np.where(f["cell"] == "b", 1500, 2000)), tmp_path / "t.csv")
    source = PercycleCsv(
        path=str(path),
        columns=COLUMNS | {"rated_Ah": "rated"},
        units={"rated_Ah": "mAh"},
        nominal_capacity_Ah="rated_Ah",
        eol_capacity_Ah=1.47,
    )
    assert [c.info.nominal_capacity_Ah for c in source.cells()] == [2.0, 1.5]
    assert [c.info.eol_cycle for c in source.cells()][1] == 4


def test_rows_of_cells_may_alternate_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("cell,cycle,capacity\nb,1,1.5\na,1,2\n,,\n\nb,101,1.4\na,2,\n")
    read = read_table(path, COLUMNS, {})
    assert read["cell_id"].tolist() == ["b", "b", "a", "a"]
    assert read["cycle"].tolist() == [1, 101, 1, 2]
    assert np.isnan(read["discharge_capacity_Ah"].iloc[3])


def test_one_cell_named_after_its_file(tmp_path: Path) -> None:
    path = write(table().iloc[:6], tmp_path / "cell.A1.csv.gz")
    assert set(read_table(path, COLUMNS | {"cell_id": None}, {})["cell_id"]) == {"cell.A1"}


def change(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame

    return changed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(2, "cycle", 2), r"cell 007 has cycle 2 in line 3 and in line 4. Keep one row"),
        (lambda f: f.iloc[[0, 2, 1, *range(3, 12)]], r"line 4: cycle 2 of cell 007 comes after cycle 3. Sort"),
        (change(1, "cycle", 2.5), r"line 3: the cycle of cell 007 is 2.5; .* whole numbers"),
        (change(0, "cycle", 0), r"line 2: the cycle of cell 007 is 0;"),
        (change(7, "cycle", None), r"line 9: the cycle of cell b is empty"),
        (change(4, "capacity", "bad"), r"line 6: capacity is 'bad', not a number"),
        (change(4, "capacity", "inf"), r"line 6: capacity is infinite"),
        (change(3, "cell", None), r"line 5: the cell is not named"),
        (lambda f: f.iloc[:0], r"no row in it"),
        (lambda f: f.assign(capacity=f["capacity"].where(f["cell"] != "b")), r"cell b has no discharge_capacity_Ah in"),
        (lambda f: f.rename(columns={"capacity": "capacty"}), r"no column 'capacity', .* Did you mean capacty\?"),
        (
            lambda f: f.assign(capacity=f["capacity"] * np.where(f["cell"] == "b", 1000, 1)),
            r"mixed units: the capacity of cell b is typically 1465 Ah and that of cell 007 1.965 Ah",
        ),
        (
            lambda f: f.assign(capacity=f["capacity"] * 1000),
            r"in all 2 cells. Set data.units.discharge_capacity_Ah=mAh",
        ),
        (lambda f: f.assign(capacity=f["capacity"] / 1000), r"in all 2 cells. Set data.units.discharge_capacity_Ah=Ah"),
    ],
)
def test_bad_tables(tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str) -> None:
    path = write(spoil(table()), tmp_path / "t.csv")
    with pytest.raises(DataError, match=rf"t\.csv.*{message}"):
        list(PercycleCsv(path=str(path), nominal_capacity_Ah=1.8).cells())


def test_percent_taken_for_a_fraction(tmp_path: Path) -> None:
    path = write(table().assign(ce=99.0), tmp_path / "t.csv")
    columns = COLUMNS | {"coulombic_efficiency": "ce"}
    with pytest.raises(DataError, match=r"typically 99, .*units.coulombic_efficiency=percent"):
        list(PercycleCsv(path=str(path), columns=columns, nominal_capacity_Ah=1.8).cells())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nominal_capacity_Ah": None}, r"data.nominal_capacity_Ah is not set"),
        ({"nominal_capacity_Ah": -1.0}, r"data.nominal_capacity_Ah=-1.0"),
        ({"nominal_capacity_Ah": {"007": 2.0, "b": "x"}}, r"data.nominal_capacity_Ah.b=x"),
        ({"nominal_capacity_Ah": {"007": 2.0, "bb": 1.5}}, r"nominal_capacity_Ah has no cell b, .* Did you mean bb\?"),
        ({"nominal_capacity_Ah": "cycel"}, r"nominal_capacity_Ah=cycel: .* Did you mean cycle\?"),
        ({"eol_capacity_Ah": 0.0}, r"data.eol_capacity_Ah=0"),
        ({"columns": {"cell_id": "cell", "cycle": "cycle"}}, r"data.columns.discharge_capacity_Ah is not set"),
        ({"columns": COLUMNS | {"cycle": None}}, r"data.columns.cycle is not set"),
        ({"units": {"discharge_capacity_Ah": "mah"}}, r"=mah: unknown; .* Did you mean mAh\?"),
        ({"units": {"discharge_capacity_Ah": "mV"}}, r"is in Ah; its file may have Ah, mAh"),
        ({"columns": COLUMNS | {"heat": "cycle"}, "units": {"heat": "K"}}, r"heat names no unit, .* such as heat_degC"),
        ({"units": {"discharge_capacity": "mAh"}}, r"no such column .* Did you mean discharge_capacity_Ah\?"),
        ({"path": None}, r"data.path is not set. .*data.path=cells.csv"),
    ],
)
def test_bad_config(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"path": str(write(table(), tmp_path / "t.csv")), "nominal_capacity_Ah": 1.8}
    with pytest.raises(ConfigError, match=message):
        list(PercycleCsv(**given | options).cells())


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    for name, message in (
        ("t.xlsx", "not a readable .xlsx"),
        ("t.parquet", "readable .parquet"),
        ("t.txt", "must end"),
    ):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(DataError, match=message):
            read_table(tmp_path / name, COLUMNS, {})
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"not a readable .csv"):
        read_table(tmp_path / "t.csv", COLUMNS, {})
    (tmp_path / "t.csv").write_text("cell,cycle,capacity,capacity\na,1,2,3\n")
    with pytest.raises(DataError, match=r"column capacity is there twice"):
        read_table(tmp_path / "t.csv", COLUMNS, {})


def test_where_the_table_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PercycleCsv(path="t.csv", folder="own", nominal_capacity_Ah=1.8)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"data.path=t.csv: there is no .*t.csv\. Name"):
        source.files()
    raw = tmp_path / "raw" / "own"
    raw.mkdir(parents=True)
    monkeypatch.setenv("BATGEN_DATA_DIR", str(raw.parent))
    with pytest.raises(DataError, match=r"t.csv nor .*own/t.csv"):
        source.files()
    write(table(), raw / "t.csv")
    assert source.files() == [raw / "t.csv"]
    write(table(), tmp_path / "t.csv")
    assert source.files() == [tmp_path / "t.csv"]


def test_real_calce_and_oxford(data_dir: Path, tmp_path: Path) -> None:
    source = PercycleCsv(
        path="CS2_35.csv",
        folder="calce_cs2/per_cycle",
        columns=COLUMNS | {"cell_id": None, "internal_resistance_Ohm": "resistance"},
        nominal_capacity_Ah=1.1,
    )
    (cell,) = map(check_cell, source.cells())
    raw = pd.read_csv(data_dir / "calce_cs2/per_cycle/CS2_35.csv")
    assert (cell.info.cell_id, len(cell.summary)) == ("CS2_35", len(raw))
    np.testing.assert_array_equal(cell.summary["discharge_capacity_Ah"], raw["capacity"])
    assert cell.summary["internal_resistance_Ohm"].median() == pytest.approx(raw["resistance"].median())
    assert not cell.info.censored

    wide = pd.read_excel(data_dir / "other_per_cycle/Oxford_Dataset_1.xlsx")
    long = wide.melt(var_name="cell", value_name="capacity").dropna()
    long["cycle"] = 1 + 100 * long.groupby("cell").cumcount()
    path = str(write(long, tmp_path / "oxford.csv"))
    with pytest.raises(DataError, match=r"all 8 cells. Set data.units.discharge_capacity_Ah=mAh"):
        list(PercycleCsv(path=path, nominal_capacity_Ah=0.74).cells())
    cells = [
        check_cell(c)
        for c in PercycleCsv(path=path, nominal_capacity_Ah=0.74, units={"discharge_capacity_Ah": "mAh"}).cells()
    ]
    assert len(cells) == 8
    assert cells[0].summary["discharge_capacity_Ah"].iloc[0] == pytest.approx(0.739110921)
    assert cells[0].summary["cycle"].tolist()[:3] == [1, 101, 201]
