"""The Tongji/KIT cells: columns by closed form on made files, and the eight staged ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.schema import check_cell
from batgen.data.sources.tju import COLUMNS, Tju
from batgen.data.store import open_store
from batgen.errors import DataError


def cycle(number: int, start: float, capacity: float = 3.0, end_V: float = 2.65, part: float = 1.0) -> pd.DataFrame:
    """1C up to 4.2 V, a taper, a rest that loses 60 mV, 1C down (the first sample averages), a rest. 20 s a sample."""
    n = round(capacity / 3.5 * 3600 / 20)
    m = max(3, round(n * part))
    current = np.r_[np.full(n, 3500.0), np.zeros(10), -0.06, np.full(m, -3500.0), np.zeros(5)]
    time = start + 20.0 * np.arange(len(current))
    mAh = np.r_[0, np.cumsum(np.diff(time) * (current[1:] + current[:-1]) / 2)] / 3600
    top = n + 9
    return pd.DataFrame(
        {
            "time": time,
            "current": current,
            "voltage": np.r_[
                np.linspace(3.2, 4.2, n),
                np.linspace(4.19, 4.14, 10),
                4.07,
                np.linspace(4.07, end_V, m),
                np.full(5, 3.0),
            ],
            "charge": np.where(np.arange(len(time)) <= top, mAh, 0.0),
            "discharge": np.where(np.arange(len(time)) > top, mAh[top] - mAh, 0.0),
            "control_V": 0.0,
            "control_mA": np.r_[np.full(n, 3500.0), np.zeros(10), np.full(m + 1, -3500.0), np.zeros(5)],
            "cycle": float(number),
        }
    )


def write(folder: Path, *cycles: pd.DataFrame, name: str = "CY25-1_1-#1.csv.gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pd.concat(cycles).rename(columns=COLUMNS).to_csv(folder / name, index=False)
    return folder / name


def only_cell(folder: Path):
    return check_cell(next(Tju(folder=str(folder)).cells()))


def test_columns_of_a_made_cell(tmp_path: Path) -> None:
    write(tmp_path, cycle(2, 0), cycle(3, 20000, capacity=2.9))
    cell = only_cell(tmp_path)
    assert cell.summary["cycle"].tolist() == [2, 3]
    assert cell.summary["discharge_capacity_Ah"].to_numpy() == pytest.approx([3.0, 2.9], rel=0.01)
    assert cell.summary["coulombic_efficiency"].to_numpy() == pytest.approx([1.0, 1.0], abs=0.01)
    assert cell.summary["relaxation_voltage_drop_V"].to_numpy() == pytest.approx([0.06, 0.06])
    # the mean current of the first sample of the discharge would give 1167 Ohm
    assert cell.summary["internal_resistance_Ohm"].to_numpy() == pytest.approx([0.07 / 3.5] * 2)
    assert cell.summary["charge_time_s"].to_numpy() == pytest.approx([3060, 2960], abs=21)
    assert cell.summary["discharge_c_rate"].to_numpy() == pytest.approx([1.0, 1.0])
    assert np.isnan(cell.summary["temperature_mean_degC"]).all()
    assert (cell.info.cell_id, cell.info.ambient_degC, cell.info.discharge_c_rate) == ("CY25-1_1-#1", 25.0, 1.0)
    assert cell.units.startswith("current mA -> A, time s")
    assert not cell.rejected


def test_cycles_without_a_whole_discharge_are_reported(tmp_path: Path) -> None:
    charge_only = cycle(4, 40000).iloc[:150]
    write(tmp_path, cycle(1, 0), cycle(2, 20000, part=0.05), cycle(3, 30000, end_V=3.4), charge_only)
    cell = only_cell(tmp_path)
    assert cell.summary["cycle"].tolist() == [1]
    said = {r.record: r.reason for r in cell.rejected}
    assert list(said) == ["cycle 2", "cycle 3", "cycle 4"]
    assert "of its discharge" in said["cycle 2"]
    assert "stops at 3.40 V" in said["cycle 3"]
    assert "no discharge" in said["cycle 4"]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file such as CY25-1_1-#1\.csv\.gz"):
        next(Tju(folder=str(tmp_path)).cells())
    write(tmp_path, cycle(2, 0), cycle(1, 20000))
    with pytest.raises(DataError, match="cycle number runs backwards after line"):
        only_cell(tmp_path)
    write(tmp_path, cycle(1, 0).drop(columns="voltage"))
    with pytest.raises(DataError, match="has no column Ecell/V"):
        only_cell(tmp_path)
    write(tmp_path, cycle(1, 0).assign(voltage=np.nan))
    with pytest.raises(DataError, match="gaps in Ecell/V"):
        only_cell(tmp_path)
    write(tmp_path, cycle(1, 0, part=0.05))
    with pytest.raises(DataError, match="no cycle with a whole discharge"):
        only_cell(tmp_path)


def test_measured_cells(data_dir: Path) -> None:
    store = open_store(Tju(), progress=False)
    assert [i.cell_id for i in store.infos] == [f"CY25-1_1-#{k}" for k in range(1, 9)]
    assert [i.last_cycle for i in store.infos] == [36, 37, 29, 31, 33, 29, 35, 30]
    # they all fall below 80 % of nominal, to 72 %
    assert [i.eol_cycle for i in store.infos] == [29, 24, 24, 27, 21, 20, 21, 18]
    # the discharge of cycle 26 is missing in every file
    assert {record for _, record, _ in store.rejected} == {"cycle 26"}
    assert len(store.rejected) == 8
    for info in store.infos:
        table = store.summary(info.cell_id)
        assert table["discharge_capacity_Ah"].iloc[-1] == pytest.approx(2.53, abs=0.03)
        assert table["coulombic_efficiency"].between(0.93, 1.0).all()
        assert table["discharge_c_rate"].to_numpy() == pytest.approx(1.0, abs=0.003)
        assert table["internal_resistance_Ohm"].between(0.025, 0.04).all()
        assert table["relaxation_voltage_drop_V"].between(0.02, 0.07).all()
        assert table["charge_time_s"].between(5500, 7500).all()
        assert 26 not in table["cycle"].to_numpy()
