"""Every fault that a table of pulse tests can have is refused, with the row named."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from batgen.data.pulse_table import PULSE_COLUMNS, check_pulses, check_rows, check_voltage_order, voltage_columns
from batgen.data.pulse_units import to_fraction, to_seconds, to_volt
from batgen.errors import DataError


def table(n: int = 4) -> pd.DataFrame:
    """Two cells, one of them at two stages, three SOCs."""
    stages = [("a", "a-1", 0.9), ("a", "a-2", 0.8), ("b", "b-1", 0.7)]
    rows = [
        {"battery": "NMC_2Ah", "chemistry": "NMC", "cell_id": cell, "stage_id": stage, "soc": soc, "soh": soh}
        | {"nominal_capacity_Ah": 2.0, "pulse_width_s": 5.0, "test_set": "grid"}
        | {f"U{k}": 3 + soc + 0.1 * k for k in range(1, n + 1)}
        for cell, stage, soh in stages
        for soc in (0.05, 0.1, 0.5)
    ]
    return pd.DataFrame(rows)


def test_order_of_columns_and_rows() -> None:
    shuffled = table(12).sample(frac=1, random_state=0)
    shuffled.loc[shuffled["soc"] == 0.5, "test_set"] = "random_soc"
    checked = check_pulses(shuffled[["U1", *shuffled.columns.drop("U1")]], "t")
    assert list(checked.columns) == [*PULSE_COLUMNS, *(f"U{k}" for k in range(1, 13))]
    assert list(checked["test_set"]) == ["grid"] * 6 + ["random_soc"] * 3
    assert list(checked["stage_id"][:6]) == ["a-1", "a-1", "a-2", "a-2", "b-1", "b-1"]
    assert list(checked["soc"][:4]) == [0.05, 0.1, 0.05, 0.1]
    assert list(checked.index) == list(range(9))
    np.testing.assert_allclose(checked["U12"], 3 + checked["soc"] + 1.2)
    assert voltage_columns(checked[checked.columns[::-1]]) == [f"U{k}" for k in range(1, 13)]


def change(row: int, **values: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(t: pd.DataFrame) -> pd.DataFrame:
        t = t.astype(dict.fromkeys(values, object))
        for name, value in values.items():
            t.loc[row, name] = value
        return t

    return apply


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda t: t.drop(columns="U2"), "where: .*U2 missing"),
        (lambda t: t.drop(columns=["U3", "U4"]), "3 or more: only U1, U2 there"),
        (lambda t: t.drop(columns=["U1", "U2", "U3", "U4"]), "only none there"),
        (lambda t: t[[*PULSE_COLUMNS, "U1", "U3", "U2", "U4"]], "order U1..U4: U3 stands where U2 should"),
        (change(4, U3="abc"), r"row 5 \(a-2\): U3 is 'abc', not a number"),
        (change(4, U3=None), r"row 5 \(a-2\): U3 is empty"),
        (change(4, U3=np.inf), r"row 5 \(a-2\): U3 is inf"),
        (lambda t: t.assign(U2=t["U2"] * 1000), r"row 1 \(a-1\): U2 is 3250, outside 1 to 5 V; this looks like mV"),
        (change(8, U4=0.3), r"row 9 \(b-1\): U4 is 0.3, outside 1 to 5 V; no pulse"),
        (change(2, soc=50), "soc runs from 0.05 to 50: fractions and percent are mixed"),
        (lambda t: t.assign(soc=t["soc"] * 100), "soc runs from 5 to 50: this looks like percent"),
        (change(2, soc=-0.05), r"row 3 \(a-1\): soc is -0.05, outside 0 to 1"),
        (change(2, soc=1.04), r"row 3 \(a-1\): soc is 1.04, outside 0 to 1"),
        (change(2, soc="half"), r"row 3 \(a-1\): soc is 'half'"),
        (lambda t: t.assign(soh=t["soh"] * 100), r"row 1 \(a-1\): soh is 90.*looks like percent.* 8 more rows"),
        (lambda t: t.assign(soh=t["soh"] + 0.5), r"row 1 \(a-1\): soh is 1.4, not a fraction"),
        (change(6, soh=0.2), r"row 7 \(b-1\): soh is 0.2"),
        (change(7, soh=0.71), r"row 8 \(b-1\): soh is 0.71, but b-1 has another"),
        (change(1, soc=0.05), r"row 2 \(a-1\): there is a row of a-1 at SOC 0.05 already"),
        (change(1, stage_id="b-1", soh=0.7, soc=0.2), r"stage b-1 belongs to two cells"),
        (lambda t: t.assign(cell_id="a"), "all 9 rows are of one physical cell, a"),
        (change(3, nominal_capacity_Ah=10.0), "NMC_2Ah has nominal_capacity_Ah 2.0 and 10.0: these are two types"),
        (change(3, chemistry="LMO"), "NMC_2Ah has chemistry NMC and LMO: these are two types"),
        (lambda t: t.assign(nominal_capacity_Ah=0.0), "nominal_capacity_Ah is 0; it must be above 0"),
        (lambda t: t.assign(pulse_width_s=-5.0), "pulse_width_s is -5"),
        (change(3, cell_id=" "), r"row 4 \(a-2\): cell_id is empty"),
        (change(3, test_set="gird"), "test_set is 'gird', it must be grid or random_soc"),
        (lambda t: t.iloc[:0], "there is no pulse test in it"),
        (lambda t: t.drop(columns="battery"), "needs the column battery"),
        (lambda t: t.assign(capacity_Ah=2 * t["soh"] + 0.02), r"row 1 \(a-1\): soh is 0.9, but capacity .* is 0.91"),
    ],
)  # fmt: skip
def test_faults(fault: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    check_pulses(table(), "where")
    with pytest.raises(DataError, match=words) as caught:
        check_pulses(fault(table()), "where")
    assert str(caught.value).startswith("where")
    assert "\n" not in str(caught.value)


def test_a_doubled_column_is_a_gap_or_two() -> None:
    with pytest.raises(DataError, match="U2 missing"):
        check_voltage_order(["U1", "U3", "U3.1"], "w")


def test_capacity_that_fits_is_left_out() -> None:
    t = table()
    assert "capacity_Ah" not in check_rows(t.assign(capacity_Ah=2 * t["soh"] + 0.008), "w")


def test_ids_that_two_types_share_get_the_type_in_front() -> None:
    other = table().assign(battery="LMO_10Ah", chemistry="LMO", nominal_capacity_Ah=10.0)
    checked = check_pulses(pd.concat([table(), other]), "w")
    assert set(checked["cell_id"]) == {"NMC_2Ah/a", "NMC_2Ah/b", "LMO_10Ah/a", "LMO_10Ah/b"}
    assert checked["stage_id"].nunique() == 6
    apart = other.assign(cell_id="x" + other["cell_id"], stage_id="x" + other["stage_id"])
    assert set(check_pulses(pd.concat([table(), apart]), "w")["cell_id"]) == {"a", "b", "xa", "xb"}


@pytest.mark.parametrize(
    ("values", "name", "found"),
    [
        ([0.0, 0.5, 1.0], "soc", [0.0, 0.5, 1.0]),
        ([5, 10, 90], "soc", [0.05, 0.1, 0.9]),
        ([0, 2, 100], "soc", [0, 0.02, 1.0]),
        ([0.01, 0.02], "soc", [0.01, 0.02]),
        ([60.0, 115.0], "soh", [0.6, 1.15]),
        ([0.6, 1.15], "soh", [0.6, 1.15]),
    ],
)
def test_percent_is_told_by_the_whole_column(values: list[float], name: str, found: list[float]) -> None:
    np.testing.assert_allclose(to_fraction(pd.Series(values), name, "w"), found)


@pytest.mark.parametrize("values", [[0.05, 10, 50], [1, 5, 10], [1.0, 1.5]])
def test_mixed_percent_is_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="w: soc runs from .* are mixed"):
        to_fraction(pd.Series(values, dtype=float), "soc", "w")


def test_units_that_were_stated_wrongly() -> None:
    with pytest.raises(DataError, match=r"which is percent, but data\.soc_unit=fraction"):
        to_fraction(pd.Series([5.0, 10.0]), "soc", "w", "fraction")
    with pytest.raises(DataError, match=r"which is fraction, but data\.soh_unit=percent"):
        to_fraction(pd.Series([0.9, 0.8]), "soh", "w", "percent")
    volts = pd.DataFrame({"U1": [3.2, 3.3]})
    with pytest.raises(DataError, match=r"which is V, but data\.voltage_unit=mV"):
        to_volt(volts, "w", "mV")
    with pytest.raises(DataError, match=r"which is mV, but data\.voltage_unit=V"):
        to_volt(volts * 1000, "w", "V")
    np.testing.assert_allclose(to_volt(volts * 1000, "w", "mV"), volts)


def test_widths() -> None:
    assert list(to_seconds(pd.Series([0.03, 5.0, 30.0, 5000.0]))) == [0.03, 5.0, 0.03, 5.0]
