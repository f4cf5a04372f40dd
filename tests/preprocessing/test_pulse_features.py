from pathlib import Path

import numpy as np
import pytest

from batgen.build import build
from batgen.cli import CONF
from batgen.errors import ConfigError, DataError
from batgen.overrides import compose
from batgen.preprocessing.conditions import Conditions
from batgen.preprocessing.pulse_features import PulseFeatures
from batgen.preprocessing.pulse_steps import DESCRIPTORS, descriptors, pulse_steps
from tests.data.pulse_table_fixture import measured, only, pulse_table

TABLE = pulse_table()


def prep(**keys: object) -> PulseFeatures:
    return PulseFeatures(**{"conditions": ["soc", "soh"], **keys})  # type: ignore[arg-type]


# ---- scaling ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("voltages", [None, 1, 5, 21])
@pytest.mark.parametrize("scaler", ["minmax", "zscore"])
def test_reads_scales_and_inverts(voltages: int | None, scaler: str) -> None:
    p = prep(voltages=voltages, scaler=scaler)
    volts = p.read(TABLE)
    size = voltages or 21
    assert volts.shape == (len(TABLE), size)
    assert volts.dtype == np.float64
    p.fit(volts)
    assert p.x_shape == (size,)
    assert p.slices == tuple(f"U{k}" for k in range(1, size + 1))
    x = p.transform(volts)
    assert x.dtype == np.float32
    if scaler == "minmax":
        np.testing.assert_allclose([x.min(0), x.max(0)], [np.zeros(size), np.ones(size)], atol=1e-6)
    else:
        np.testing.assert_allclose([x.mean(0), x.std(0)], [np.zeros(size), np.ones(size)], atol=1e-4)
    back = p.inverse(np.stack([x, x]))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, [volts, volts], atol=1e-6)


def test_scaler_sees_training_rows_only() -> None:
    p, volts = prep(scaler="minmax"), prep().read(TABLE)
    low = TABLE["soc"].to_numpy() <= 0.25
    p.fit(volts[low])
    assert p.transform(volts[low]).max() == pytest.approx(1)
    assert p.transform(volts[~low]).max() > 1.5


def test_state_is_plain_and_restores() -> None:
    p, volts = prep(), prep().read(TABLE)
    p.fit(volts)
    again = prep()
    again.load(p.state())
    assert again.slices == p.slices
    np.testing.assert_array_equal(again.transform(volts), p.transform(volts))
    np.testing.assert_array_equal(again.tokens, p.tokens)
    assert all(type(v) is float for v in p.state()["scaler"]["offset"])


def test_voltages_are_read_in_numeric_order_whatever_the_columns_order() -> None:
    turned = TABLE[sorted(TABLE.columns)]  # U1, U10, U11, ...
    np.testing.assert_array_equal(prep().read(turned), prep().read(TABLE))


@pytest.mark.parametrize(
    ("keys", "table", "message"),
    [
        ({"voltages": 22}, TABLE, r"preprocessing\.voltages=22, but the pulse table has 21 voltages"),
        ({}, TABLE.drop(columns="U4"), "without a gap"),
        ({}, TABLE[["battery", "stage_id", "soc"]], "it has none"),
        ({}, TABLE.assign(U5=np.nan), r"U5 of A0-0 at SOC 0\.05 is not known.*preprocessing\.voltages=4"),
    ],
)
def test_tables_that_cannot_be_read(keys: dict, table, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prep(**keys).read(table)


def test_wrong_options_and_a_constant_voltage() -> None:
    with pytest.raises(ConfigError, match=r"preprocessing\.voltages=0"):
        prep(voltages=0)
    with pytest.raises(ConfigError, match=r"preprocessing\.scaler: 'rank'"):
        prep(scaler="rank")
    with pytest.raises(DataError, match=r"U3 is 3\.7 V in all"):
        prep().fit(prep().read(TABLE.assign(U3=3.7)))


# ---- conditions ------------------------------------------------------------------------------------------------------
def test_battery_type_joins_the_conditions_where_there_are_several() -> None:
    assert prep().condition_names(only("AAA_1Ah", TABLE)) == ["soc", "soh"]
    names = prep().condition_names(TABLE)
    assert names == ["soc", "soh", "chemistry", "nominal_capacity_Ah"]
    assert prep(conditions=["chemistry", "soc"]).condition_names(TABLE) == ["chemistry", "soc", "nominal_capacity_Ah"]
    made = Conditions(names)
    made.fit(TABLE)
    assert made.columns == ("soc", "soh", "chemistry=LMO", "chemistry=NMC", "nominal_capacity_Ah")
    np.testing.assert_allclose(made.encode(TABLE)[0], [0.05, 1.0, 0, 1, 1.0], rtol=1e-6)


@pytest.mark.parametrize(("name", "bad"), [("soc", -0.01), ("soh", 0), ("nominal_capacity_Ah", 0)])
def test_pulse_conditions_must_be_positive(name: str, bad: float) -> None:
    made = Conditions([name])
    made.fit(TABLE)
    assert made.check({name: float(TABLE[name].median())}) == []
    with pytest.raises(ConfigError, match=r"positive|negative"):
        made.check({name: bad})


def test_a_condition_that_the_table_does_not_have() -> None:
    with pytest.raises(
        DataError, match="'ecl' is not known for these data. Choose among soc, soh, nominal_capacity_Ah, chem"
    ):
        Conditions(["soc", "ecl"]).fit(TABLE)


# ---- steps -----------------------------------------------------------------------------------------------------------
def test_steps_are_those_of_the_dataset() -> None:
    """U1 = OCV; U2-U9 the 0.5C pair (+ start, end, rest start, end, then -); U10-U17 1C; U18-U21 +1.5C and its rest."""
    steps = pulse_steps(41)
    assert [s.name for s in steps] == [f"U{k}" for k in range(1, 42)]
    assert [s.kind for s in steps[:9]] == ["ocv", *["pulse", "pulse", "rest", "rest"] * 2]
    assert [s.c_rate for s in steps[1::4]] == [0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2, 2.5, -2.5]
    assert [s.end for s in steps] == [True, *[False, True] * 20]
    assert pulse_steps(21) == steps[:21]
    assert (steps[20].c_rate, steps[20].kind, steps[20].end) == (1.5, "rest", True)
    assert [s.time_s for s in steps[:6]] == [0, 0, 5, 5, 80, 80]
    assert pulse_steps(21)[-1].time_s == 5 * 80
    assert pulse_steps(5, pulse_width_s=0.03)[-1].time_s == pytest.approx(0.48)  # 30 ms pulse, 450 ms rest


@pytest.mark.parametrize("count", [1, 7, 21, 41])
def test_tokens_describe_each_step_alike_whatever_the_count(count: int) -> None:
    tokens = descriptors(count)
    assert tokens.shape == (count, len(DESCRIPTORS))
    assert tokens.dtype == np.float32
    np.testing.assert_array_equal(tokens, descriptors(41)[:count])
    assert len(np.unique(tokens, axis=0)) == count


def test_token_columns() -> None:
    table = dict(zip(DESCRIPTORS, descriptors(21).T, strict=True))
    assert table["c_rate"].tolist() == [0, 0.5, 0.5, 0, 0, -0.5, -0.5, 0, 0, 1, 1, 0, 0, -1, -1, 0, 0, 1.5, 1.5, 0, 0]
    assert table["pulse_c_rate"].tolist() == [0, *np.repeat([0.5, -0.5, 1, -1, 1.5], 4)]
    assert table["is_pulse"].tolist() == [0, *[1, 1, 0, 0] * 5]
    assert table["is_ocv"].tolist() == [1] + [0] * 20
    assert table["position"][-1] == pytest.approx(0.5)


def test_more_voltages_than_the_published_test_has_make_no_tokens() -> None:
    p = prep()
    p.fit(p.read(pulse_table(voltages=45)))
    assert p.x_shape == (45,)
    assert len(p.tokens) == 0  # the model that wants them says so


def test_config_builds() -> None:
    node = compose(["preprocessing=pulse_features"], CONF).preprocessing
    built = build(node)
    assert built.PRODUCES == "pulses"
    assert built.conditions == ["soc", "soh"]


@pytest.mark.parametrize("battery", ["NMC_2.1Ah", "LMO_10Ah"])
def test_measured_voltages_move_as_the_steps_say(data_dir: Path, battery: str) -> None:
    """Charge lifts the voltage above what came before, discharge lowers it, rest ends near the OCV."""
    p = prep()
    volts = p.read(measured(data_dir, battery))
    p.fit(volts)
    np.testing.assert_allclose(p.inverse(p.transform(volts)), volts, atol=2e-6)
    for k, step in enumerate(pulse_steps(21)):
        moved = volts[:, k] - volts[:, 0]
        if step.kind == "pulse":
            assert (np.sign(moved) == np.sign(step.c_rate)).mean() > 0.99, step
            if step.end:
                assert (np.sign(volts[:, k] - volts[:, k - 1]) == np.sign(step.c_rate)).mean() > 0.99, step
        elif step.end:
            assert np.median(np.abs(moved)) < 0.02, step
