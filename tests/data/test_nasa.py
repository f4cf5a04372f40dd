import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

from batgen.data.samples import sample_table
from batgen.data.sources.nasa import Nasa
from batgen.data.store import open_store
from batgen.errors import DataError

START = np.array([2008.0, 4.0, 2.0, 13.0, 8.0, 17.921])


def charge(ah: float = 1.85, rest: int = 30, cut: int | None = None, noise: float = 0.001) -> dict:
    """Two transient samples, 1.5 A, a taper to below 20 mA, a rest; `ah` in all."""
    n = 200
    seconds = ah * 3600 / 0.914
    current = np.concatenate([[0.0, -3.0], np.full(n, 1.5), 1.5 * np.exp(-np.linspace(0, 4.5, n)), np.zeros(rest)])
    time = np.concatenate([[0, 2], 4 + np.linspace(0, seconds, 2 * n), 4 + seconds + 5.0 * np.arange(1, rest + 1)])
    voltage = np.concatenate([[3.5, 3.0], np.linspace(3.4, 4.2, n), np.full(n + rest, 4.2)])
    current = current + noise * np.sin(np.arange(current.size))
    return _data(time[:cut], voltage[:cut], current[:cut])


def discharge(capacity: float | np.ndarray = 1.8, factor: float = 1.0) -> dict:
    """A rest, 2 A to empty, a recovery."""
    n = 200
    size = float(np.ravel(capacity)[0]) if np.size(capacity) and np.ravel(capacity)[0] > 0.1 else 0.01
    ramp = np.linspace(0, 1, n)
    seconds = size / 2 * 3600
    time = np.concatenate([[0, 10], 10.1 + ramp * seconds, 11 + seconds + np.arange(20)])
    current = np.concatenate([[0, 0], np.full(n, -2.0), np.zeros(20)]) * factor
    voltage = np.concatenate([[4.2, 4.2], 4.0 - 1.3 * ramp, np.full(20, 3.2)])
    return _data(time, voltage, current) | {"Capacity": capacity}


def _data(time, voltage, current) -> dict:
    temperature = 24 + 5 * np.linspace(0, 1, len(time))
    return {
        "Voltage_measured": voltage,
        "Current_measured": current,
        "Temperature_measured": temperature,
        "Time": time,
    }


def write_mat(folder: Path, cell: str, records: list[tuple[str, dict]], ambients: list[float] | None = None) -> None:
    """A file of exactly NASA's structure: cell.cycle(k).type, .ambient_temperature, .time, .data."""
    (folder / "mat").mkdir(parents=True, exist_ok=True)
    cycles = np.empty(len(records), dtype=object)
    for k, (kind, data) in enumerate(records):
        ambient = ambients[k] if ambients else 24
        time = START + np.array([0, 0, 0, 0, 0, 0]) + np.array([0, 0, k // 8, 3 * (k % 8) - 9, 0, 0])
        cycles[k] = {"type": kind, "ambient_temperature": ambient, "time": time, "data": data}
    scipy.io.savemat(folder / "mat" / f"{cell}.mat", {cell: {"cycle": cycles}})


def only_cell(folder: Path, **fields):
    return next(Nasa(folder=str(folder), **fields).cells())


def reasons(cell) -> dict[str, str]:
    return {entry.record: entry.reason for entry in cell.rejected}


def test_charges_and_discharges_pair_up(tmp_path):
    write_mat(tmp_path, "B0001", [("charge", charge()), ("discharge", discharge()), ("impedance", {"Re": 0.05})] * 4)
    cell = only_cell(tmp_path)
    assert [c.cycle for c in cell.cycles] == [1, 2, 3, 4]
    first = cell.cycles[0]
    part = slice(*first.charge)
    assert first.charge == (0, 400)
    current, charged = first.signals["current_A"][part], first.signals["charge_capacity_Ah"][part]
    assert current.min() > 0.01
    assert charged[0] == 0
    assert charged[-1] == pytest.approx(1.85, rel=0.01)
    assert np.all(np.diff(charged) > 0)
    assert first.signals["time_s"][0] == 0
    out = first.signals["discharge_capacity_Ah"][slice(*first.discharge)]
    assert out[0] == 0
    assert out[-1] == pytest.approx(1.8, rel=1e-3)
    assert cell.summary["discharge_capacity_Ah"].tolist() == [1.8] * 4
    assert cell.summary["charge_capacity_Ah"].iloc[0] == pytest.approx(charged[-1])
    assert cell.info.discharge_c_rate == pytest.approx(1.0)
    assert "8 transient samples" in reasons(cell)["4 charges"]
    assert "120 of rest" in reasons(cell)["4 charges"]
    assert cell.units.startswith("current A, time s")
    # a charge to 4.2 V, 4.2 V at rest, 4.0 V under 2 A of a 2 Ah cell
    assert cell.summary["relaxation_voltage_drop_V"].to_numpy() == pytest.approx([0.0] * 4, abs=1e-9)
    assert cell.summary["internal_resistance_Ohm"].to_numpy() == pytest.approx([0.1] * 4)
    assert cell.summary["discharge_c_rate"].to_numpy() == pytest.approx([1.0] * 4)
    # the discharge was recorded 3 h after the charge
    assert first.signals["time_s"][first.charge[1]] == pytest.approx(3 * 3600 - 4, abs=1)


def test_truncated_and_nan_records_are_reported(tmp_path):
    cut = charge(cut=100)
    nan_tail = {k: v.copy() for k, v in charge().items()}
    nan_tail["Temperature_measured"][-2:] = np.nan
    lost = {k: v.copy() for k, v in charge().items()}
    lost["Voltage_measured"][50:52] = np.nan
    many = {k: v.copy() for k, v in charge().items()}
    many["Temperature_measured"][50:90] = np.nan
    records = []
    for data in (charge(), cut, nan_tail, lost, many):
        records += [("charge", data), ("discharge", discharge())]
    write_mat(tmp_path, "B0001", records)
    cell = only_cell(tmp_path)
    said = reasons(cell)
    assert "truncated: it ends at 1.5" in said["B0001.mat record 2"]
    assert "truncated: it ends in NaN (temperature)" in said["B0001.mat record 4"]
    assert said["B0001.mat record 6"] == "2 NaN samples dropped (voltage)"
    assert "9% of the samples of this charge are NaN (temperature)" in said["B0001.mat record 8"]
    assert [np.ptp(c.charge) for c in cell.cycles] == [400, 0, 0, 398, 0]
    assert all(np.ptp(c.discharge) for c in cell.cycles)
    assert not any(np.isnan(v).any() for c in cell.cycles for v in c.signals.values())


@pytest.mark.parametrize("capacity", [0.0, 0.05, np.array([]), np.nan])
def test_discharge_of_no_capacity_completes_no_cycle(tmp_path, capacity):
    records = [
        ("charge", charge()),
        ("discharge", discharge(capacity)),
        ("charge", charge(0.3)),
        ("discharge", discharge()),
    ]
    write_mat(tmp_path, "B0001", records)
    cell = only_cell(tmp_path)
    assert len(cell.cycles) == 1
    assert cell.cycles[0].charge == (0, 400)
    assert "no capacity" in reasons(cell)["B0001.mat record 1"]
    assert "beside a fuller one" in reasons(cell)["B0001.mat record 2"]


def test_records_that_do_not_alternate(tmp_path):
    records = [
        ("discharge", discharge()),  # 0: before the first charge
        ("charge", charge()),
        ("charge", charge(0.3)),  # 2: a top-up
        ("discharge", discharge(1.80)),
        ("discharge", discharge(0.4)),  # 4: the rest of the one before
        ("discharge", discharge(1.7)),  # 5: full, so it was charged unseen
        ("charge", charge(0.5)),  # 6: not from empty
        ("discharge", discharge(1.75)),
        ("charge", charge()),  # 8: nothing follows
    ]
    write_mat(tmp_path, "B0001", records)
    cell = only_cell(tmp_path)
    said = {record.removeprefix("B0001.mat record "): reason for record, reason in reasons(cell).items()}
    assert "before the first charge" in said["0"]
    assert "beside a fuller one" in said["2"]
    assert "the rest of the one before" in said["4"]
    assert "its charge was not recorded, cycle 2 has none" in said["5"]
    assert "did not start from an empty cell" in said["6"]
    assert "no discharge follows" in said["8"]
    assert cell.summary["discharge_capacity_Ah"].tolist() == [1.80, 1.7, 1.75]
    assert [bool(np.ptp(c.charge)) for c in cell.cycles] == [True, False, False]
    assert np.isnan(cell.summary["charge_capacity_Ah"]).tolist() == [False, True, True]


def test_current_in_mA_is_mended_and_a_third_unit_refused(tmp_path):
    for name, factor in (("mA", 1000.0), ("odd", 1.7)):
        data = charge() | {"Current_measured": charge()["Current_measured"] * factor}
        write_mat(tmp_path / name, "B0001", [("charge", data), ("discharge", discharge(factor=factor))] * 3)
    cell = only_cell(tmp_path / "mA")
    assert cell.units.startswith("current mA -> A")
    assert cell.cycles[0].signals["current_A"].max() == pytest.approx(1.5, rel=0.01)
    with pytest.raises(DataError, match=r"nasa cell B0001: .*slope 0\.58.*no known unit"):
        only_cell(tmp_path / "odd")


def test_ambients_by_cycle(tmp_path):
    records = [("charge", charge()), ("discharge", discharge())] * 3
    write_mat(tmp_path, "B0001", records, ambients=[24, 24, 44, 44, 44, 44])
    store = open_store(source := Nasa(folder=str(tmp_path)), progress=False)
    samples, _ = sample_table(store, source, 3)
    assert samples["ambient_degC"].tolist() == [24, 44, 44]
    assert store.infos[0].ambient_degC == 44


def test_limit_keeps_the_summary_whole(tmp_path):
    write_mat(tmp_path, "B0001", [("charge", charge()), ("discharge", discharge())] * 5)
    cell = next(Nasa(folder=str(tmp_path)).cells(2))
    assert len(cell.cycles) == 2
    assert len(cell.summary) == 5
    assert cell.info.last_cycle == 5


def write_csv(folder: Path, cell: str, records: list[tuple[str, dict]], skip: int | None = None) -> None:
    (folder / "cleaned_csv" / "data").mkdir(parents=True, exist_ok=True)
    rows = []
    for k, (kind, data) in enumerate(records):
        name = f"{k:05d}.csv"
        rows.append(
            {
                "type": kind,
                "start_time": str(START + np.eye(6)[2] * k),
                "ambient_temperature": 24,
                "battery_id": cell,
                "test_id": k,
                "filename": name,
                "Capacity": data.get("Capacity", np.nan),
            }
        )
        if k != skip:
            columns = {key: value for key, value in data.items() if key != "Capacity"}
            pd.DataFrame(columns).to_csv(folder / "cleaned_csv" / "data" / f"{name}.gz", index=False)
    pd.DataFrame(rows).to_csv(folder / "cleaned_csv" / "metadata.csv.gz", index=False)


def test_csv_form_gives_the_same_as_mat_and_a_missing_file_is_reported(tmp_path):
    records = [("charge", charge()), ("discharge", discharge())] * 3
    write_mat(tmp_path / "a", "B0001", records)
    write_csv(tmp_path / "b", "B0001", records)
    write_csv(tmp_path / "c", "B0001", records, skip=2)
    mat, csv, gap = (only_cell(tmp_path / name) for name in "abc")
    for one, other in zip(mat.cycles, csv.cycles, strict=True):
        for name in ("voltage_V", "current_A", "charge_capacity_Ah", "discharge_capacity_Ah"):
            np.testing.assert_allclose(one.signals[name], other.signals[name], rtol=1e-6)
    assert "its file is missing" in reasons(gap)["00002.csv"]
    assert [bool(np.ptp(c.charge)) for c in gap.cycles] == [True, False, True]


def test_a_cell_in_two_forms_counts_once(tmp_path):
    records = [("charge", charge()), ("discharge", discharge())] * 3
    write_mat(tmp_path, "B0001", records)
    write_csv(tmp_path, "B0001", records)
    assert [cell.info.cell_id for cell in Nasa(folder=str(tmp_path)).cells()] == ["B0001"]


def test_missing_empty_and_damaged_files(tmp_path):
    with pytest.raises(DataError, match="gone does not exist"):
        Nasa(folder=str(tmp_path / "gone")).files()
    with pytest.raises(DataError, match=r"No NASA cell below .*metadata\.csv.*data=sim"):
        Nasa(folder=str(tmp_path)).files()
    write_mat(tmp_path, "B0001", [("charge", charge()), ("discharge", discharge())] * 3)
    path = tmp_path / "mat" / "B0001.mat"
    for content in (path.read_bytes()[:3000], b"no mat file at all", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"B0001\.mat cannot be read"):
            only_cell(tmp_path)
    path.unlink()
    write_csv(tmp_path, "B0001", [("charge", charge()), ("discharge", discharge())] * 3)
    damaged = tmp_path / "cleaned_csv" / "data" / "00001.csv.gz"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(DataError, match=r"00001\.csv\.gz cannot be read"):
        only_cell(tmp_path)
    damaged.write_bytes(gzip.compress(b"Time,Voltage\n1,2\n"))
    with pytest.raises(DataError, match=r"00001\.csv: no column 'Voltage_measured'"):
        only_cell(tmp_path)


def test_measured_cells(data_dir):
    """The staged NASA cells: lives as published, the known bad records reported."""
    store = open_store(source := Nasa(), progress=False)
    infos = {info.cell_id: info for info in store.infos}
    assert list(infos) == ["B0005", "B0006", "B0007", "B0018", "B0025", "B0026", "B0029", "B0030", "B0032", "B0038"]
    lives = {cell: info.eol_cycle for cell, info in infos.items() if not info.censored}
    assert lives == {"B0005": 125, "B0006": 109, "B0018": 97}
    assert len(store.summary("B0005")) == 168
    assert all(words.startswith("current A, time s") for words in store.units.values())
    truncated = {cell for cell, _, reason in store.rejected if "truncated" in reason}
    assert truncated == {"B0025", "B0026", "B0038"}
    for cell in ("B0006", "B0007", "B0018"):
        assert store.cycles_with(cell, "charge").size == 0
        assert store.cycles_with(cell, "discharge").size == infos[cell].last_cycle

    # rates, as the authors give the loads: 2 A, pulses of 4 A, 4 A, 1 to 4 A
    rates = {cell: store.summary(cell)["discharge_c_rate"] for cell in infos}
    assert {cell: round(float(rate.median()), 1) for cell, rate in rates.items()} == {
        **dict.fromkeys(("B0005", "B0006", "B0007", "B0018"), 1.0),
        **dict.fromkeys(("B0025", "B0026", "B0029", "B0030", "B0032"), 2.0),
        "B0038": 0.5,
    }
    assert rates["B0038"].max() == pytest.approx(2.0, abs=0.03)
    for cell in infos:
        table = store.summary(cell)
        assert table["internal_resistance_Ohm"].between(0.07, 0.18).all()
        drop = table["relaxation_voltage_drop_V"]
        assert drop.notna().sum() == store.cycles_with(cell, "charge").size
        assert drop.isna().all() or 0.003 < drop.median() < 0.012

    samples, notes = sample_table(store, Nasa(censored="last_record"), 40, needs_eol=True)
    assert samples["cell_id"].nunique() == 7
    assert samples.groupby("cell_id")["eol"].first()["B0029"] == 39
    assert samples["ambient_degC"].isin([24, 43, 44]).all()
    assert samples["soh"].between(0.4, 1).all()
    assert "6 of 7 cells never cross" in notes[-1]
    dropped, _ = sample_table(store, source, 40, needs_eol=True)
    assert set(dropped["cell_id"]) == {"B0005"}
    for cell in samples["cell_id"].unique():
        curves = store.curves(cell, ["current_A", "voltage_V", "charge_capacity_Ah"], "charge")
        assert curves.columns["current_A"].min() > 0
        assert curves.columns["voltage_V"].max() < 4.25
        starts = curves.columns["charge_capacity_Ah"][curves.offsets[:-1]]
        assert np.all(starts == 0)


def test_rest_and_load_step_by_cycle(tmp_path):
    """Relaxation from the charge to the last sample before the load, resistance over the step; NaN without a charge."""
    relaxed = discharge()
    relaxed["Voltage_measured"][:2] = [4.18, 4.17]
    write_mat(tmp_path, "B0001", [("charge", charge()), ("discharge", relaxed), ("discharge", relaxed)])
    table = only_cell(tmp_path).summary
    assert table["relaxation_voltage_drop_V"].iloc[0] == pytest.approx(4.2 - 4.17)
    assert np.isnan(table["relaxation_voltage_drop_V"].iloc[1])
    assert table["internal_resistance_Ohm"].to_numpy() == pytest.approx([0.17 / 2] * 2)


def test_pulsed_loads_count_where_they_load(tmp_path):
    pulsed = discharge(1.8)
    load = np.flatnonzero(pulsed["Current_measured"] < 0)
    pulsed["Current_measured"][load] = np.where(np.arange(load.size) % 2, 0.0, -4.0)
    write_mat(tmp_path, "B0001", [("charge", charge()), ("discharge", pulsed)] * 2)
    cell = only_cell(tmp_path)
    assert cell.summary["discharge_c_rate"].to_numpy() == pytest.approx([2.0, 2.0])
