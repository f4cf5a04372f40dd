"""Battery Data Format and BatteryML: names and structure are theirs, what is read is what was written."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen.data.exchange import read, write
from batgen.errors import DataError
from tests.data.made_curves import charges, profiles, pulses, same_set, sequences

BATTERY = {
    "cell_id", "cycle_data", "form_factor", "anode_material", "cathode_material", "electrolyte_material",
    "nominal_capacity_in_Ah", "depth_of_charge", "depth_of_discharge", "already_spent_cycles", "charge_protocol",
    "discharge_protocol", "max_voltage_limit_in_V", "min_voltage_limit_in_V", "max_current_limit_in_A",
    "min_current_limit_in_A", "reference", "description",
}  # fmt: skip
CYCLE = {
    "cycle_number", "voltage_in_V", "current_in_A", "charge_capacity_in_Ah", "discharge_capacity_in_Ah", "time_in_s",
    "temperature_in_C", "internal_resistance_in_ohm",
}  # fmt: skip


class OnlyBuiltIns(pickle.Unpickler):
    """A pickle that asks for any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise AssertionError(f"the pickle asks for {module}.{name}")


def unpickled(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = OnlyBuiltIns(io.BytesIO(path.read_bytes())).load()
    return found


# ---- Battery Data Format ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "digits"), [("a.bdf.csv", 1e-8), ("a.bdf", 1e-8), ("a.bdf.parquet", 0.0)])
@pytest.mark.parametrize("made", [charges(cells=1), profiles()], ids=["charges", "profiles"])
def test_bdf_round_trip(name: str, digits: float, made: Any, tmp_path: Path) -> None:
    made = made.take(np.flatnonzero(made.cells == "c0"))
    assert write(tmp_path / name, made, "bdf") == tmp_path / name
    same_set(read(tmp_path / name), made, digits)


def test_bdf_has_the_formats_columns(tmp_path: Path) -> None:
    made = charges(4, 5, cells=1)
    write(tmp_path / "a.bdf.csv", made, "bdf")
    table = pd.read_csv(tmp_path / "a.bdf.csv")
    assert list(table)[:4] == ["Test Time / s", "Voltage / V", "Current / A", "Step Time / s"]
    assert {"Cycle Count / 1", "Step Count / 1", "Temperature T1 / degC", "Cycle Charging Capacity / Ah"} <= set(table)
    assert (table["Ambient Temperature / degC"] == 30).all()
    assert table["synthetic"].all()
    assert (table["Test Time / s"].diff().dropna() >= 0).all(), "one test: time runs on from curve to curve"
    assert list(table["Cycle Count / 1"].unique()) == [7, 14, 21, 28], "the cells' own cycles, going up"
    own = made.signal("time_s").astype(float)
    assert table["Test Time / s"].max() == pytest.approx((own[:, -1] - own[:, 0]).sum(), rel=1e-6)
    draws = made.table.assign(ecl=50.0)
    write(tmp_path / "b.bdf.csv", type(made)(made.values, made.signals, made.axis, "charge", draws), "bdf")
    assert list(pd.read_csv(tmp_path / "b.bdf.csv")["Cycle Count / 1"].unique()) == [1, 2, 3, 4]


@pytest.mark.parametrize("names", [("Test Time / s", "Voltage / V", "Current / A", "Cycle Count / 1"),
                                   ("test_time_second", "voltage_volt", "current_ampere", "cycle_count")])  # fmt: skip
def test_bdf_of_another_tool(names: tuple[str, ...], tmp_path: Path) -> None:
    time, voltage, current, cycle = names
    table = pd.DataFrame({time: [0, 10, 20, 100, 110, 130], voltage: 3.3, current: 1.0, cycle: [4, 4, 4, 9, 9, 9]})
    table = table.assign(**{"Power / W": 3.3, "Ambient Temperature / degC": [25, 26, 27, 30, 30, 30]})
    table.to_csv(tmp_path / "Lab__A01__1.bdf.csv", index=False)
    found = read(tmp_path / "Lab__A01__1.bdf.csv")
    assert set(found.signals) == {"voltage_V", "current_A", "time_s"}
    np.testing.assert_allclose(found.signal("time_s"), [[0, 10, 20], [0, 10, 30]])
    assert list(found.column("ecl")) == [4, 9]
    assert list(found.column("ambient_degC")) == [26, 30]
    assert set(found.cells) == {"Lab__A01__1"}


def test_bdf_refusals(tmp_path: Path) -> None:
    made = charges(cells=1)
    for curves, message in (
        (charges(cells=1, timed=False), "bdf cannot hold this: it needs.*no time_s. Write it with format=batgen"),
        (pulses(), "no time_s and no current_A"),
        (sequences(), "no time_s and no voltage_V and no current_A"),
        (made.with_values(made.values[:, :, ::-1].copy()), "time that runs backwards"),
    ):
        with pytest.raises(DataError, match=message):
            write(tmp_path / "x.bdf.csv", curves, "bdf")
    assert not (tmp_path / "x.bdf.csv").exists()
    write(tmp_path / "a.bdf.csv", made, "bdf")
    table = pd.read_csv(tmp_path / "a.bdf.csv")
    for change, message in (
        (table.drop(columns="Current / A"), "no column 'Current / A', which the Battery Data Format requires"),
        (table.drop(columns=["Cycle Count / 1", "sample"]), "no column 'Cycle Count / 1'"),
        (table.assign(voltage_volt=1.0), "'Voltage / V' is there twice"),
        (table.iloc[:-1], "written with 54 rows, it has 53: cut short"),
        (table.iloc[:-1].drop(columns=["facts", "sample"]), "ragged"),
    ):
        change.to_csv(tmp_path / "b.bdf.csv", index=False)
        with pytest.raises(DataError, match=message):
            read(tmp_path / "b.bdf.csv")


# ---- BatteryML ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("made", [charges(cells=1), charges(cells=1, timed=False)], ids=["timed", "quasi_video"])
def test_batteryml_round_trip(made: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.json", made, "batteryml")
    same_set(read(tmp_path / "a.json"), made)


def test_batteryml_is_what_its_loader_takes(tmp_path: Path) -> None:
    """Every key that `BatteryData` and `CycleData` know is there; the pickle holds built-in types alone."""
    made = charges(4, 5, cells=1, timed=False)
    write(tmp_path / "a.pkl", made, "batteryml")
    battery = unpickled(tmp_path / "a.pkl")
    assert set(battery) - {"synthetic", "batgen"} == BATTERY
    assert battery["charge_protocol"] == []
    assert not [name for name in set(battery) - BATTERY if "protocol" in name], (
        "to_dict takes these for lists of objects"
    )
    assert (battery["nominal_capacity_in_Ah"], battery["max_voltage_limit_in_V"]) == (1.1, 3.6)
    assert battery["cathode_material"] == "LFP"
    assert [cycle["cycle_number"] for cycle in battery["cycle_data"]] == [7, 14, 21, 28]
    assert all(set(cycle) >= CYCLE for cycle in battery["cycle_data"])
    assert battery["cycle_data"][0]["time_in_s"] is None
    assert battery["cycle_data"][0]["voltage_in_V"] == made.signal("voltage_V")[3].astype(float).tolist()
    write(tmp_path / "a.json", made, "batteryml")
    assert json.loads((tmp_path / "a.json").read_text()) == battery
    with pytest.raises(DataError, match="pickles are not read"):
        read(tmp_path / "a.pkl")


def test_synthetic_cells_bear_another_name(tmp_path: Path) -> None:
    write(tmp_path / "a.pkl", charges(cells=1), "batteryml")
    battery = unpickled(tmp_path / "a.pkl")
    assert battery["cell_id"] == "synthetic_c0"
    assert battery["synthetic"] is True
    assert battery["description"].startswith("SYNTHETIC")
    write(tmp_path / "b.pkl", charges(cells=1, synthetic=False), "batteryml")
    assert unpickled(tmp_path / "b.pkl")["cell_id"] == "c0"


@pytest.mark.parametrize(
    ("form", "name"), [("batteryml", "set.json"), ("batteryml", "set.pkl"), ("bdf", "set.parquet")]
)
def test_several_cells_are_a_folder(form: str, name: str, tmp_path: Path) -> None:
    made = charges(7, 5, cells=3)
    folder = write(tmp_path / name, made, form)
    assert folder == tmp_path / "set"
    files = sorted(path.name for path in folder.iterdir())
    ending = name.removeprefix("set").replace(".parquet", ".bdf.parquet")
    assert files == [f"synthetic_c{k}{ending}" for k in range(3)]
    if name != "set.pkl":
        same_set(read(folder), made)
    with pytest.raises(DataError, match="there is something already"):
        write(tmp_path / name, made, form)


def test_a_folder_of_what_does_not_belong_together(tmp_path: Path) -> None:
    write(tmp_path / "f" / "a.h5", charges())
    write(tmp_path / "f" / "b.h5", charges(synthetic=False))
    with pytest.raises(DataError, match="do not belong together"):
        read(tmp_path / "f")


def test_measured_curves_that_end_early_and_have_gaps(tmp_path: Path) -> None:
    made = charges(3, 8, cells=1, synthetic=False)
    values = made.values.copy()
    values[1, :, 6:] = np.nan
    values[2, 3, 2] = np.nan
    made = made.with_values(values)
    write(tmp_path / "a.json", made, "batteryml")
    battery = json.loads((tmp_path / "a.json").read_text())
    assert sorted(len(cycle["voltage_in_V"]) for cycle in battery["cycle_data"]) == [6, 8, 8]
    same_set(read(tmp_path / "a.json"), made)


def test_batteryml_of_another_tool_and_refusals(tmp_path: Path) -> None:
    cycles = [{"cycle_number": k, "voltage_in_V": [3.0, 3.1], "current_in_A": [1.0, 1.0]} for k in (3, 5)]
    battery = {"cell_id": "MATR_b1c0", "cycle_data": cycles, "nominal_capacity_in_Ah": 1.1}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([battery, battery | {"cell_id": "MATR_b1c1"}]))
    found = read(path)
    assert list(found.cells) == ["MATR_b1c0"] * 2 + ["MATR_b1c1"] * 2
    assert list(found.column("ecl")) == [3, 5, 3, 5]
    assert set(found.column("nominal_capacity_Ah")) == {1.1}
    for wrong, message in (
        ({"cycle_data": []}, "must be a list of cycles"),
        ({"cycles": 3}, "it needs cell_id and cycle_data"),
        (battery | {"cycle_data": [cycles[0], cycles[1] | {"voltage_in_V": [3.0]}]}, "ragged: voltage_in_V of cycle 5"),
        (battery | {"cycle_data": [cycles[0] | {"voltage_in_V": ["a", "b"]}]}, "not a list of numbers"),
        (battery | {"cycle_data": [{"cycle_number": 1}]}, "there is no signal in it"),
        (battery | {"batgen": 3}, "not a JSON object"),
        (battery | {"batgen": {"schema": "batgen curves 1", "axis": 3}}, "its axis is not what batgen writes"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=message):
            read(path)
    path.write_text(json.dumps(battery)[:-9])
    with pytest.raises(DataError, match="not a readable JSON"):
        read(path)
    for curves in (pulses(), sequences(), profiles().only(("temperature_degC", "time_s"))):
        with pytest.raises(DataError, match="batteryml cannot hold this: it needs voltage_V and current_A"):
            write(tmp_path / "b.pkl", curves, "batteryml")
