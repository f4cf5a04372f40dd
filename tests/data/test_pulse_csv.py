"""A user's own csv of pulse tests, by a map of its columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.pulse_table import voltage_columns
from batgen.data.sources.pulse_csv import PulseCsv
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError
from tests.data.pulse_fixture import sheet, voltage

COLUMNS = {"cell_id": "ID", "soc": "SOC", "soh": "SOH", "chemistry": "Mat", "nominal_capacity_Ah": "Qn"}


def source(path: Path, table: pd.DataFrame, **keys: object) -> PulseCsv:
    table.to_csv(path / "mine.csv", index=False)
    settings = {"columns": COLUMNS, "soc_unit": "percent"} | keys
    return PulseCsv(file=str(path / "mine.csv"), **settings)  # type: ignore[arg-type]


def test_a_published_sheet_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = COLUMNS | {"pulse_width_s": "Pt", "capacity_Ah": "Q", "stage_id": None}
    made = source(tmp_path, sheet(), columns=columns)
    table = made.pulses()
    assert len(table) == 9
    assert set(table["battery"]) == {"NMC_2.1Ah"}
    assert set(table["cell_id"]) == set(table["stage_id"]) == {"D3-100", "D3-200", "E1-100"}
    assert set(table["soc"]) == {0.05, 0.1, 0.15}
    np.testing.assert_allclose(
        table["U21"], [voltage(21, *pair) for pair in zip(table["soc"], table["soh"], strict=True)]
    )
    store = open_store(made, progress=False)
    pd.testing.assert_frame_equal(store.pulses(), table, check_dtype=False)
    monkeypatch.setenv("BATGEN_DATA_DIR", str(tmp_path))
    below = PulseCsv(file="mine.csv", columns=columns, soc_unit="percent")
    pd.testing.assert_frame_equal(below.pulses(), table)


def test_defaults_units_and_a_list_of_voltages(tmp_path: Path) -> None:
    """No columns but cell, SOC, SOH; voltages in mV, listed in an order that is not the file's; ids keep their zeros."""
    table = sheet(ids=("007", "010"), n=3)[["ID", "SOC", "SOH", "U3", "U1", "U2"]]
    table[["U1", "U2", "U3"]] *= 1000
    table["SOH"] *= 100
    made = source(
        tmp_path,
        table,
        columns={"cell_id": "ID", "soc": "SOC", "soh": "SOH", "battery": None},
        voltages=["U1", "U2", "U3"],
        voltage_unit="mV",
        soh_unit="percent",
        chemistry="LMO",
        nominal_capacity_Ah=10,
        pulse_width_s=1.0,
    ).pulses()
    assert set(made["battery"]) == {"LMO_10Ah"}
    assert set(made["cell_id"]) == {"007", "010"}
    assert set(made["pulse_width_s"]) == {1.0}
    for k in (1, 2, 3):
        np.testing.assert_allclose(
            made[f"U{k}"], [voltage(k, *pair) for pair in zip(made["soc"], made["soh"], strict=True)], atol=1e-9
        )


def test_pattern_and_count(tmp_path: Path) -> None:
    table = sheet(n=9).rename(columns={f"U{k}": f"v_{k}_volt" for k in range(1, 10)})
    assert len(voltage_columns(source(tmp_path, table, voltages="v_{k}_volt").pulses())) == 9
    some = source(tmp_path, table, voltages="v_{k}_volt", count=5).pulses()
    assert voltage_columns(some) == ["U1", "U2", "U3", "U4", "U5"]
    with pytest.raises(DataError, match=r"9 columns fit data\.voltages=v_\{k\}_volt, 21 wanted"):
        source(tmp_path, table, voltages="v_{k}_volt", count=21).pulses()
    with pytest.raises(DataError, match=r"0 columns fit data\.voltages=U\{k\}"):
        source(tmp_path, table).pulses()


def test_stages_numbered_anew_in_every_cell(tmp_path: Path) -> None:
    table = sheet().drop(columns="SOE")
    table["stage"] = table["ID"].str.split("-").str[1]
    table["cell"] = table["ID"].str.split("-").str[0]
    made = source(tmp_path, table, columns=COLUMNS | {"cell_id": "cell", "stage_id": "stage"}).pulses()
    assert set(made["stage_id"]) == {"D3/100", "D3/200", "E1/100"}


def test_two_types(tmp_path: Path) -> None:
    both = pd.concat([sheet(), sheet(ids=("x", "y"), mat="LMO", nominal=10.0)])
    with pytest.raises(DataError, match=r"NMC_2.1Ah has chemistry NMC and LMO: these are two types.*columns\.battery"):
        source(tmp_path, both).pulses()
    same_mat = both.assign(Mat="NMC")
    with pytest.raises(DataError, match=r"nominal_capacity_Ah 2.1 and 10.0: these are two types"):
        source(tmp_path, same_mat).pulses()
    named = both.assign(type=["A"] * 9 + ["B"] * 6)
    table = source(tmp_path, named, columns=COLUMNS | {"battery": "type"}).pulses()
    assert table["battery"].value_counts().to_dict() == {"A": 9, "B": 6}


@pytest.mark.parametrize(
    ("change", "keys", "words"),
    [
        (lambda t: t, {"columns": COLUMNS | {"soc": "soc"}}, r"no column 'soc'; it has File_Name, .* Set data\.columns\.soc to"),
        (lambda t: t, {"columns": COLUMNS | {"soh": "SOHH"}}, r"data\.columns\.soh .*Did you mean SOH\?"),
        (lambda t: t, {"voltages": ["U1", "U2", "U22"]}, r"no column 'U22', which data\.voltages lists.*Did you mean U2"),
        (lambda t: t, {"soc_unit": "fraction"}, r"which is percent, but data\.soc_unit=fraction"),
        (lambda t: t, {"soh_unit": "percent"}, r"which is fraction, but data\.soh_unit=percent"),
        (lambda t: t, {"voltage_unit": "mV"}, r"which is V, but data\.voltage_unit=mV"),
        (lambda t: t.assign(SOC=[0.05, *t["SOC"][1:]]), {}, "soc runs from 0.05 to 15: .* are mixed"),
        (lambda t: t.assign(SOH=t["SOH"] * 100), {}, r"which is percent, but data\.soh_unit=fraction"),
        (lambda t: t[[c for c in t if c != "U2"] + ["U2"]], {}, "order U1..U21: U3 stands where U2"),
        (lambda t: t.drop(columns="U5"), {}, "U5 missing"),
        (lambda t: t.rename(columns={"U5": "U4"}), {}, "column U4 is there twice"),
        (lambda t: t.astype(object).replace({"U2": {t["U2"][4]: "n/k"}}), {}, "line 6.*: U2 is 'n/k', not a number"),
        (lambda t: t.assign(Qn="big"), {}, "line 2.*nominal_capacity_Ah is 'big'"),
        (lambda t: t.assign(ID="one"), {}, "already|another"),
        (lambda t: t.iloc[::3], {}, "one physical cell, D3-100"),
        (lambda t: t.iloc[:0], {}, "no pulse test in it"),
        (lambda t: pd.concat([t, t.iloc[:1]]), {}, r"line 11 \(D3-100\): there is a row of D3-100 at SOC 0.05 already"),
    ],
)  # fmt: skip
def test_faults(tmp_path: Path, change, keys: dict, words: str) -> None:
    source(tmp_path, sheet()).pulses()
    with pytest.raises(DataError, match=words) as caught:
        source(tmp_path, change(sheet()), **keys).pulses()
    assert "mine.csv" in str(caught.value)


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.columns\.cel_id: unknown; .*Did you mean cell_id\?"):
        PulseCsv(columns={"cel_id": "x"})
    with pytest.raises(ConfigError, match=r"data\.columns\.soh is not set"):
        PulseCsv(columns={"cell_id": "x", "soc": "y"})
    with pytest.raises(ConfigError, match=r"data\.soc_unit=%: it must be fraction or percent"):
        PulseCsv(soc_unit="%")
    with pytest.raises(ConfigError, match=r"data\.voltages=U: a pattern"):
        PulseCsv(voltages="U")
    with pytest.raises(ConfigError, match=r"data\.file is not set"):
        PulseCsv().files()
    with pytest.raises(DataError, match=r"nothing\.csv does not exist"):
        PulseCsv(file=str(tmp_path / "nothing.csv")).files()
    bare = {"cell_id": "ID", "soc": "SOC", "soh": "SOH"}
    with pytest.raises(ConfigError, match=r"chemistry of the cells is not known. Set data\.chemistry"):
        source(tmp_path, sheet(), columns=bare).pulses()
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="not a readable csv file"):
        PulseCsv(file=str(tmp_path / "mine.csv")).pulses()
    (tmp_path / "mine.csv").write_bytes(b"")
    with pytest.raises(DataError, match="not a readable csv file"):
        PulseCsv(file=str(tmp_path / "mine.csv")).pulses()
