"""Profiles of the datasets themselves: measured NASA and CALCE cells, the embedded simulation, the MIT structure."""

from pathlib import Path

import numpy as np
import pytest

from batgen.data.sources.calce import Calce
from batgen.data.sources.mit import Mit
from batgen.data.sources.nasa import Nasa
from batgen.data.sources.sim import Sim
from batgen.data.sources.tju import Tju
from batgen.data.store import open_store
from batgen.errors import DataError
from batgen.preprocessing.profile_protocol import protocols
from tests.data.mit_fixture import write_dataset
from tests.data.test_calce import made, workbook
from tests.preprocessing.profile_store import CONDITIONS, make


def test_nasa_discharges_peak_where_the_issue_says(data_dir: Path) -> None:
    store = open_store(Nasa(), None, progress=False)
    prep = make(points=64)
    ps, notes = prep.read(store, None)
    assert len(ps) == 855
    assert notes == []
    peak = ps.table.assign(peak=ps.curves[:, 0].max(axis=1)).groupby("cell_id")["peak"].mean()
    for cell, degC in {"B0005": 39.7, "B0018": 37.6, "B0029": 59.7, "B0038": 50.9}.items():
        assert peak[cell] == pytest.approx(degC, abs=0.06)
    table = ps.table.assign(loads=ps.table["protocol"])
    cells = {p: set(rows["cell_id"]) for p, rows in table.groupby("loads")}
    assert cells["24 degC, 1.0 C"] == {"B0005", "B0006", "B0007", "B0018"}
    assert cells["24 degC, 1.0 C (rms 1.4 C)"] == {"B0025", "B0026"}
    assert {p for p, who in cells.items() if who == {"B0038"}} == {"24 degC, 2.0 C", "43 degC, 0.5 C", "43 degC, 1.0 C"}
    assert prep.fit(ps) == []
    drawn = prep.inverse(prep.transform(ps), ps.base, ps.base_duration_s)
    np.testing.assert_allclose(drawn.curves, ps.curves, atol=1e-5)


def test_nasa_charges_and_windows(data_dir: Path) -> None:
    store = open_store(Nasa(), None, progress=False)
    ps, notes = make(part="charge", signals=["temperature_degC", "soc"]).read(store, None)
    assert len(ps) == 384
    assert notes == ["3 of 10 cells have no charge and give no samples"]
    assert np.isfinite(ps.curves).all()
    assert np.median(ps.curves[:, 1, -1]) == pytest.approx(1.0, abs=0.03), "what goes in comes out in the discharge"
    assert ps.table.groupby("protocol")["cell_id"].nunique().tolist() == [4, 4]
    windows, _ = make(part="charge", start="random", window_s=1200.0, windows=2).read(store, 30)
    assert np.ptp(windows.table["soc"]) > 0.8


def test_nasa_with_the_first_records_given(data_dir: Path) -> None:
    conditions = ["ecl", "soh_change", "start_temperature_change_degC"]
    prep = make(relative="reference", conditions=conditions, points=64)
    ps, _ = prep.read(open_store(Nasa(), None, progress=False), None)
    assert ps.table["given"].sum() == 50
    # one cell, one protocol: the reference alone is closer than the mean of its protocol
    rows = (ps.table["cell_id"] == "B0018").to_numpy() & ~ps.table["given"].to_numpy()
    others = ps.table["cell_id"].isin(["B0005", "B0006", "B0007"]).to_numpy()
    of_cell = np.abs(ps.base[rows, 0].max(axis=1) - ps.curves[rows, 0].max(axis=1)).mean()
    of_protocol = np.abs(ps.curves[others, 0].max(axis=1).mean() - ps.curves[rows, 0].max(axis=1)).mean()
    assert of_cell < 0.5 * of_protocol


def test_nasa_charges_forget_where_they_started(data_dir: Path) -> None:
    store = open_store(Nasa(), None, progress=False)
    error = {}
    for decay_s in (None, 1600.0):
        prep = make(
            part="charge", relative="reference", points=64, start_decay_s=decay_s, where={"ambient_degC": [40, 50]}
        )
        ps, _ = prep.read(store, None)
        late = ps.time_s >= 1800
        measured, known = (np.where(late, c[:, 0], -99).max(axis=1) for c in (ps.curves, ps.base))
        error[decay_s] = np.abs(known - measured)[~ps.table["given"]].mean()
    assert error[1600.0] < 0.6
    assert error[None] > 3


@pytest.mark.parametrize("part", ["discharge", "charge"])
def test_sim_has_both_parts_at_two_ambients(part: str) -> None:
    store = open_store(Sim(), 40, progress=False)
    prep = make(
        part=part, signals=["temperature_degC", "voltage_V", "current_A"], conditions=[*CONDITIONS, "chemistry"]
    )
    if part == "discharge":
        prep = make(signals=["temperature_degC", "voltage_V"], conditions=[*CONDITIONS, "chemistry"])
    ps, notes = prep.read(store, 40)
    assert notes == []
    assert set(ps.table["ambient_degC"]) == {30.0, 40.0}
    assert prep.fit(ps) == ["chemistry is the same in all training profiles: its effect cannot be learnt"]
    assert ps.table["protocol"].nunique() == {"discharge": 4, "charge": 24}[part]
    assert np.isfinite(prep.transform(ps)).all()


def test_mit_files_give_both_parts(tmp_path: Path) -> None:
    write_dataset(tmp_path / "mit", cells=(1, 1, 1), cycles=6)
    store = open_store(Mit(folder=str(tmp_path / "mit"), download=False), None, progress=False)
    for part, sign in (("discharge", -1), ("charge", 1)):
        ps, _ = make(part=part, signals=["temperature_degC", "current_A"]).read(store, None)
        assert set(ps.table["cell_id"]) == {"b1c0", "b2c0", "b3c0"}
        assert (sign * ps.curves[:, 1, 5] > 0).all()
        assert ((ps.table["c_rate_rms"] >= ps.table["c_rate"]) & (ps.table["c_rate"] > 0.5)).all()
        assert (ps.table["ambient_degC"] == 30).all()
        assert ps.table["protocol"].nunique() == {"discharge": 1, "charge": 3}[part]


def test_calce_measured_no_temperature(data_dir: Path) -> None:
    with pytest.raises(DataError, match="calce has not measured temperature_degC: it holds no curves"):
        make().read(open_store(Calce(), None, progress=False), None)


def test_tju_has_voltage_and_no_temperature(data_dir: Path) -> None:
    store = open_store(Tju(), None, progress=False)
    with pytest.raises(DataError, match="tju has not measured temperature_degC .it has voltage_V"):
        make().read(store, None)
    ps, notes = make(signals=["voltage_V", "soc"], conditions=["ecl", "soh", "ambient_degC"]).read(store, None)
    assert notes == []
    assert ps.table["cell_id"].nunique() == 8
    assert set(ps.table["protocol"]) == {"25 degC, 1.0 C"}
    np.testing.assert_allclose(ps.curves[:, 0, -1], 2.65, atol=0.01)
    assert np.abs(ps.curves[:, 1, -1]).max() < 1e-3, "its own integral of the current is the cycler's capacity"


def test_calce_workbooks_give_voltage_and_refuse_temperature(tmp_path: Path) -> None:
    workbook(tmp_path / "CS2_99" / "CS2_99_9_30_10.xlsx", [made(1.1), made(1.0), made(0.9)])
    store = open_store(Calce(folder=str(tmp_path), form="raw"), None, progress=False)
    with pytest.raises(DataError, match="calce has not measured temperature_degC .it has voltage_V, current_A"):
        make().read(store, None)
    with pytest.raises(DataError, match="'ambient_degC' is missing for 3 of 3 profiles"):
        make(signals=["voltage_V"], conditions=["ambient_degC"]).read(store, None)
    for part, ends in (("discharge", (4.025, 2.7)), ("charge", (3.3, 4.2))):
        ps, _ = make(part=part, signals=["voltage_V", "soc"], conditions=["ecl", "soh", "c_rate"]).read(store, None)
        np.testing.assert_allclose(ps.curves[:, 0][:, [0, -1]], np.broadcast_to(ends, (3, 2)), atol=1e-3)
        assert abs(ps.curves[:, 1, -1] - (part == "charge")).max() < 0.02
        assert ps.table["soh"].to_numpy() == pytest.approx(np.array([1.1, 1.0, 0.9]) / 1.1, abs=0.01)


def test_protocols_do_not_cut_what_drifts() -> None:
    rate = np.array([0.24, 0.26, 0.3, 0.37, 1.0, 1.04])
    labels = protocols(np.array([24, 24, 24.4, 24, 24, 43.0]), rate, rate, None)
    assert labels.tolist() == ["24 degC, 0.3 C"] * 4 + ["24 degC, 1.0 C", "43 degC, 1.0 C"]
    rms = np.array([1.0, 1.4])
    assert protocols(np.array([-20.0, -20.0]), np.ones(2), rms).tolist() == [
        "-20 degC, 1.0 C",
        "-20 degC, 1.0 C (rms 1.4 C)",
    ]
    two = protocols(np.array([30.0, 30.0]), np.ones(2), np.ones(2), np.array(["A", "B"]))
    assert two.tolist() == ["30 degC, A", "30 degC, B"]
