"""HDF5, CSV and Parquet: what is read is what was written, old and foreign files are read, damaged and wrong ones are refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from batgen.data.curve_set import CurveSet
from batgen.data.exchange import read, write
from batgen.errors import ConfigError, DataError
from tests.data.made_curves import charges, profiles, pulses, same_set, sequences

KINDS: dict[str, Callable[[], CurveSet]] = {
    "charges": charges,
    "quasi_video": lambda: charges(timed=False),
    "profiles": profiles,
    "pulses": pulses,
    "sequences": sequences,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "digits"), [("a.h5", 0), ("a.parquet", 0), ("a.csv", 1e-6)])
def test_round_trip(kind: str, name: str, digits: float, tmp_path: Path) -> None:
    made = KINDS[kind]()
    assert write(tmp_path / name, made) == tmp_path / name
    same_set(read(tmp_path / name), made, digits)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [name], "nothing else is left behind"


def test_nobody_can_miss_that_curves_are_synthetic(tmp_path: Path) -> None:
    for name in ("a.h5", "a.csv", "a.parquet"):
        write(tmp_path / name, charges())
    with h5py.File(tmp_path / "a.h5") as file:
        assert bool(file.attrs["synthetic"])
        assert file.attrs["model"] == "RCVAE"
        assert {n: d.attrs["unit"] for n, d in file["curves"].items()}["temperature_degC"] == "degC"
        assert file["conditions/ecl"].attrs["unit"] == "cycles"
        assert file["cell/nominal_capacity_Ah"].attrs["unit"] == "Ah"
        assert file.attrs["condition_ambient_degC"] == 30
        assert "condition_ecl" not in file.attrs, "it differs from curve to curve"
    for frame in (pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")):
        assert frame["synthetic"].all()
        assert len(frame) == 6 * 9
    assert set(pd.read_csv(tmp_path / "a.csv")["model"]) == {"RCVAE"}


# ---- files of other tools and of before the schema --------------------------------------------------------------------
def foreign(path: Path, name: str = "voltage_V", values: object = None, **attrs: object) -> Path:
    with h5py.File(path, "w") as file:
        made = file.create_dataset(f"curves/{name}", data=np.full((3, 4), 3.5) if values is None else values)
        made.attrs.update(attrs)
    return path


def test_the_smallest_files(tmp_path: Path) -> None:
    found = read(foreign(tmp_path / "a.h5"))
    assert found.values.shape == (3, 1, 4)
    assert found.axis_name == "point"
    assert set(found.cells) == {"unnamed"}
    (tmp_path / "a.csv").write_text("sample,point,voltage_V,soh\nx,1,3.1,0.9\nx,0,3.0,0.9\ny,0,3.2,0.8\ny,1,3.3,0.8\n")
    found = read(tmp_path / "a.csv")
    np.testing.assert_allclose(found.signal("voltage_V"), [[3.0, 3.1], [3.2, 3.3]], rtol=1e-6)
    assert list(found.column("soh")) == [0.9, 0.8]


def test_units_that_the_caller_tells_are_converted(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.h5", values=np.full((3, 4), 3500.0))
    with pytest.raises(DataError, match=r"voltage_V is typically 3500: this is mV.*units=\{'voltage_V': 'mV'\}"):
        read(path)
    np.testing.assert_allclose(read(path, {"voltage_V": "mV"}).values, 3.5)
    path = foreign(tmp_path / "b.h5", "temperature_degC", np.full((3, 4), 303.15), unit="K")
    np.testing.assert_allclose(read(path, {"temperature_degC": "K"}).values, 30, atol=1e-4)
    with pytest.raises(DataError, match="units names 'voltage', which is not there"):
        read(path, {"voltage": "mV"})


def old_h5(path: Path) -> None:
    """As generate.py wrote it before there was a schema."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"synthetic": True, "model": "RCVAE", "seed": 4, "grid": "record", "notes": '["a"]'})
        file.attrs.update({"condition_eol": 800.0, "condition_chemistry=LFP": 1.0})
        file["axis"] = np.linspace(0, 1, 5)
        file["axis"].attrs["name"] = "record"
        for name, value in {"eol": 800.0, "soc": 0.3, "chemistry=LFP": 1.0, "chemistry=NMC": 0.0}.items():
            file.create_dataset(f"conditions/{name}", data=np.full(2, value)).attrs["unit"] = {
                "eol": "cycles", "soc": "fraction"
            }.get(name, "category")  # fmt: skip
        file.create_dataset("curves/voltage_V", data=np.full((2, 5), 3.3, np.float32)).attrs["unit"] = "V"


def test_files_of_before_the_schema_are_read(tmp_path: Path) -> None:
    old_h5(tmp_path / "a.h5")
    found = read(tmp_path / "a.h5")
    assert found.axis_name == "record"
    assert list(found.column("eol")) == [800, 800]
    assert list(found.table["chemistry"]) == ["LFP", "LFP"]
    assert found.facts == {"synthetic": True, "model": "RCVAE", "seed": 4, "notes": '["a"]'}
    with h5py.File(tmp_path / "p.h5", "w") as file:  # pulse tests had a data set a voltage
        file.attrs["synthetic"] = True
        file["axis"] = np.zeros(1)
        for k in range(1, 13):
            file[f"curves/U{k}"] = np.full((4, 1), 3 + k / 100, np.float32)
    found = read(tmp_path / "p.h5")
    assert (found.signals, found.axis_name, found.values.shape) == (("voltage_V",), "pulse_step", (4, 1, 12))
    np.testing.assert_allclose(found.values[0, 0], 3 + np.arange(1, 13) / 100, rtol=1e-6)
    text = "sample,point,axis_record,voltage_V,eol,chemistry=LFP,synthetic,model,data,protocol,checkpoint\n"
    text += "".join(f"0,{k},{k / 2},3.{k},800,1,True,RCVAE,sim,honest,a.ckpt\n" for k in range(3))
    (tmp_path / "a.csv").write_text(text)
    found = read(tmp_path / "a.csv")
    assert found.facts["protocol"] == "honest"
    assert "protocol" not in found.table, "how the model was tested is no condition of the cell"
    assert list(found.axis) == [0, 0.5, 1]


# ---- refusals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "values", "attrs", "message"),
    [
        ("voltage", None, {}, "signal 'voltage' says no unit.*call it voltage_V"),
        ("x", None, {}, "signal 'x' says no unit.*such as voltage_V"),
        ("soh", None, {}, "'soh' is a condition, not a signal"),
        ("voltage_V", None, {"unit": "mV"}, "in 'mV' by the file's attribute.*units="),
        ("voltage_V", None, {"unit": "furlong"}, "in 'furlong' there, and in V by its name. It may be in V, mV"),
        ("temperature_degC", np.full((3, 4), 298.0), {}, "this is K"),
        ("voltage_V", np.full((3, 4), np.inf), {}, r"infinite \(curve 0, point 0; 12 in all\)"),
        ("voltage_V", [[3.0, np.nan, 3.2]], {}, r"NaN within a curve \(curve 0, point 1.*synthetic=false"),
        ("voltage_V", [[3.0, 3.1], [np.nan, np.nan]], {}, "no value in curve 1"),
        ("voltage_V", np.zeros((0, 4)), {}, "no curves in it"),
        ("voltage_V", np.zeros(4), {}, "ragged"),
    ],
)
def test_wrong_hdf5_is_refused(name: str, values: object, attrs: dict[str, str], message: str, tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.h5", name, values, **attrs)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_measured_data_may_have_gaps(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.h5", values=[[3.0, np.nan, 3.2]])
    with h5py.File(path, "a") as file:
        file.attrs["synthetic"] = False
    assert np.isnan(read(path).values[0, 0, 1])


def test_other_schemas_ragged_and_unknown_parts_are_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.h5")
    for change, message in (
        (lambda f: f.attrs.update({"schema": "curves 7"}), "schema is 'curves 7'"),
        (lambda f: f.create_dataset("curves/current_A", data=np.zeros((3, 5))), "ragged"),
        (lambda f: f.create_dataset("curves/current_A", (3,), h5py.vlen_dtype(np.float32)), "ragged .rows of"),
        (lambda f: f.create_dataset("conditions/sohh", data=np.ones(3)), "'sohh'; did you mean soh"),
        (lambda f: f.create_dataset("conditions/soh", data=np.ones(2)), "soh has 2 values for 3 curves"),
        (lambda f: f.create_dataset("conditions/soh", data=np.full(3, 90.0)), "soh is typically 90: this is percent"),
        (lambda f: f.create_dataset("axis", data=np.zeros(9)), "its axis has shape"),
        (lambda f: f.attrs.update({"facts": "{"}), "damaged"),
        (lambda f: f.attrs.update({"facts": '{"schema": "batgen curves 1", "curves": 9}'}), "written with 9 curves"),
    ):
        foreign(path)
        with h5py.File(path, "a") as file:
            change(file)
        with pytest.raises(DataError, match=message):
            read(path)


@pytest.mark.parametrize("name", ["a.h5", "a.csv", "a.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_shortened_file_is_refused(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / name
    write(path, charges(40, 30))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=re.escape(str(path))):
        read(path)


def test_a_csv_cut_between_two_curves_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, charges(4, 5))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:11]))
    with pytest.raises(DataError, match="written with 4 curves and has 2"):
        read(path)


HEAD = "sample,point,voltage_V"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("point,voltage_V\n0,3\n", "no column `sample`"),
        ("sample,voltage_V\n0,3\n", "no column `point`"),
        ("sample,point,soh\n0,0,1\n", "no signal among its columns"),
        (f"{HEAD}\n", "no rows"),
        (f"{HEAD}\n0,0,3\n0,1,3\n1,0,3\n2,0,3\n2,1,3\n", "ragged: sample 1 has 1 points"),
        (f"{HEAD}\n0,0,3\n0,1,3\n0,1,3\n", "sample 0 has point 1 more than once"),
        (f"{HEAD}\n0,0,3\n0,1,3\n1,0,3\n1,2,3\n", "does not count alike"),
        (f"{HEAD}\n0,0,3\n0,one,3\n", "`point` must count"),
        (f"{HEAD}\n0,0,high\n", "voltage_V must hold numbers"),
        (f"{HEAD}\n0,0,inf\n", "infinite"),
        (f"{HEAD},soh\n0,0,3,1\n0,1,3,0.9\n", "soh must be one value a curve"),
        (f"{HEAD},current\n0,0,3,1\n", "'current' says no unit.*current_A"),
        (f"{HEAD},stuff\n0,0,3,1\n", "unknown condition 'stuff'"),
        (f"{HEAD},synthetic\n0,0,3,True\n1,0,3,False\n", "Keep generated and measured curves apart"),
        (f'{HEAD},facts\n0,0,3,"[1]"\n', "not a JSON object"),
        ('"sample,point\n0,0', "not a readable .csv"),
    ],
)
def test_wrong_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv")


def test_pickles_and_unknown_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.pkl", "a.pickle"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
        with pytest.raises(DataError, match="pickles are not read.*JSON instead"):
            read(tmp_path / name)
    for path, message in ((tmp_path / "a.txt", "curves are read from .h5"), (tmp_path / "no.csv", "no such file")):
        with pytest.raises(DataError, match=message):
            read(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty folder"):
        read(tmp_path / "empty")
    with pytest.raises(ConfigError, match="one of .h5, .csv, .parquet"):
        write(tmp_path / "a.pdf", charges())
    with pytest.raises(ConfigError, match="format=arrow: choose among batgen, bdf, batteryml"):
        write(tmp_path / "a.h5", charges(), "arrow")


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    made = charges()
    with pytest.raises(DataError, match="infinite"):
        write(tmp_path / "a.h5", made.with_values(np.full_like(made.values, np.inf)))
    assert not list(tmp_path.glob("a*"))
    with pytest.raises(DataError, match="no curves to write"):
        write(tmp_path / "a.h5", made.take(np.arange(0)))


def test_facts_stay_plain(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", charges(worst=np.float32(0.5), missing=float("nan"), path=Path("x")))
    facts = read(tmp_path / "a.csv").facts
    assert (facts["worst"], facts["missing"], facts["path"]) == (0.5, None, "x")
    assert json.loads(pd.read_csv(tmp_path / "a.csv")["facts"][0])["schema"] == "batgen curves 1"
