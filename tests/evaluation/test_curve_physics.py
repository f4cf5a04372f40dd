"""Statistics of single curves against answers worked out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation import ageing_trend, curve_physics, curve_shape
from batgen.evaluation.lumped_heat import LumpedHeat
from batgen.evaluation.physics_checks import checks_for

P = 101
TIME = np.linspace(0, 3600, P)


def curves(axis_name: str = "time", table: dict[str, Any] | None = None, **signals: Any) -> CurveSet:
    """Curves of the signals, (P,) or (N, P)."""
    values = np.stack(np.broadcast_arrays(*[np.atleast_2d(np.asarray(v, float)) for v in signals.values()]), axis=1)
    rows = pd.DataFrame({"cell_id": [f"c{k}" for k in range(len(values))], **(table or {})})
    axis = np.linspace(0, 1, values.shape[-1])
    return CurveSet(values.astype(np.float32), tuple(signals), axis, axis_name, rows)


def constant(**changes: Any) -> CurveSet:
    """One hour at 2 A: 2 Ah from 3 to 4 V."""
    signals = {
        "time_s": TIME, "current_A": np.full(P, 2.0), "voltage_V": np.linspace(3, 4, P), "charge_capacity_Ah": 2 * TIME / 3600,
    }  # fmt: skip
    return curves(**{**signals, **changes})


def test_coulomb_balance_is_the_missing_share() -> None:
    assert curve_physics.coulomb_balance(constant()) == pytest.approx(0, abs=1e-5)
    scaled = constant(charge_capacity_Ah=1.03 * 2 * TIME / 3600)
    assert curve_physics.coulomb_balance(scaled) == pytest.approx(0.03 / 1.03, abs=1e-5)
    assert curve_physics.coulomb_local(scaled) == pytest.approx(0.03 / 1.03 / (P - 1), abs=1e-5)


def test_a_discharge_counts_the_other_way() -> None:
    down = curves(time_s=TIME, current_A=np.full(P, -2.0), discharge_capacity_Ah=2 * TIME / 3600)
    assert curve_physics.coulomb_balance(down) == pytest.approx(0, abs=1e-5)
    assert curve_physics.direction(down) == -1


def test_a_charge_moved_within_the_curve_is_local() -> None:
    charge = 2 * TIME / 3600
    charge[50] += 0.1
    moved = constant(charge_capacity_Ah=charge)
    assert curve_physics.coulomb_balance(moved) == pytest.approx(0, abs=1e-5)
    assert curve_physics.coulomb_local(moved) == pytest.approx(0.05, abs=1e-4)
    assert curve_physics.charge_falls(moved) == pytest.approx((0.1 - 0.02) / 2, abs=1e-4)


def test_not_finite_is_infinite_and_absent_is_nan() -> None:
    hole = TIME.copy()
    hole[3] = np.nan
    broken, bare = constant(time_s=hole), curves(voltage_V=np.linspace(3, 4, P))
    for statistic in (curve_physics.coulomb_balance, curve_physics.coulomb_local, curve_physics.time_stands):
        assert np.isposinf(statistic(broken)).all()
        assert np.isnan(statistic(bare)).all()
    assert np.isnan(curve_physics.charge_falls(bare)).all()
    assert np.isnan(curve_physics.policy_error(bare, 3, 4)).all()


def test_time_that_stands() -> None:
    time = TIME.copy()
    time[5] = time[4]
    assert curve_physics.time_stands(constant(time_s=time)) == pytest.approx(1 / (P - 1))


def test_outside_window_takes_the_cell_first() -> None:
    told = constant(table={"voltage_min_V": [3.0], "voltage_max_V": [3.8]})
    assert curve_physics.outside_window(told, 0.0, 9.0) == pytest.approx(0.2 / 0.8, rel=1e-5)
    assert curve_physics.outside_window(constant(), 3.1, 4.1) == pytest.approx(0.1, rel=1e-4)


def test_current_limit_and_policy() -> None:
    table = {"c1": [2.0], "q1": [0.4], "c2": [1.0], "nominal_capacity_Ah": [1.0]}
    share = np.linspace(0, 1, P)
    charge = constant(table=table, charge_capacity_Ah=share, current_A=np.where(share < 0.4, 2.2, 1.0))
    assert curve_physics.above_limit(charge, 99.0) == pytest.approx(0.1, abs=1e-5)
    assert curve_physics.policy_error(charge, 3, 4) == pytest.approx(0.1, abs=1e-5)
    assert curve_physics.above_limit(constant(), 1.6) == pytest.approx(0.25, abs=1e-5)
    elsewhere = constant(table=table, charge_capacity_Ah=0.01 * share)
    assert np.isposinf(curve_physics.policy_error(elsewhere, 3, 4)).all()


def test_current_must_not_rise_after_the_voltage_is_held() -> None:
    voltage = np.minimum(np.linspace(3, 5, P), 4.0)
    current = np.where(voltage < 4, 2.0, 2.0 * np.exp(-np.linspace(0, 3, P)))
    assert curve_physics.current_rises_again(constant(voltage_V=voltage, current_A=current), 3, 4) == pytest.approx(
        0, abs=1e-6
    )
    current[90:] += 0.5
    assert curve_physics.current_rises_again(constant(voltage_V=voltage, current_A=current), 3, 4) == pytest.approx(
        0.25, abs=0.02
    )
    assert np.isnan(curve_physics.current_rises_again(constant(current_A=np.full(P, -2.0)), 3, 4)).all()


def test_voltage_follows_steps_of_the_current() -> None:
    current = np.where(np.arange(P) < 50, 2.0, 1.0)
    for resistance, wrong in ((0.1, 0.0), (-0.1, 0.1)):
        voltage = 3 + 0.5 * np.linspace(0, 1, P) + resistance * current
        found = curve_physics.against_current(constant(current_A=current, voltage_V=voltage), 3, 4)
        assert found == pytest.approx(max(0.0, wrong - 0.005 * (wrong > 0)), abs=0.012)
    falls = curve_physics.against_current(constant(voltage_V=np.linspace(4, 3, P)), 3, 4)
    assert falls == pytest.approx(2 / (P - 1), rel=1e-3)


def test_shape_statistics() -> None:
    line = constant(temperature_degC=np.linspace(20, 26, P))
    assert curve_shape.steepest(line, "temperature_degC") == pytest.approx(0.1, rel=1e-3)
    assert curve_shape.roughness(line, "temperature_degC") == pytest.approx(0, abs=1e-5)
    assert curve_shape.flatness(line, {"temperature_degC": 12.0}) == pytest.approx(2.0)
    assert curve_shape.outside_range(line, "temperature_degC", 21, 25, None) == pytest.approx(1.0)
    saw = curves("record", voltage_V=np.arange(10) % 2)
    assert curve_shape.roughness(saw, "voltage_V") == pytest.approx(2.0)
    assert curve_shape.steepest(saw, "voltage_V") == pytest.approx(1.0)


def test_open_ends_are_no_holes() -> None:
    values = np.array(
        [[1.0, 2, 3, 4], [1, 2, np.nan, np.nan], [1, np.nan, 3, 4], [1, 2, 3, np.inf], [1, np.nan, np.nan, np.nan]]
    )
    assert curve_shape.recorded(values).tolist() == [True, True, False, False, False]
    assert curve_shape.missing_share(curves("cycle", voltage_V=values))[:4].tolist() == [0, 0.5, np.inf, np.inf]


def heated(cooling: bool = True, seed: int = 0) -> CurveSet:
    """60 cells under 1 to 3 A, whose temperature obeys the law, but for some 0.05 K."""
    rng = np.random.default_rng(seed)
    current = rng.uniform(1, 3, (60, 1)) * np.where(np.arange(P) < 60, 1.0, 0.3)
    ambient, time = rng.uniform(10, 30, 60), np.broadcast_to(TIME, (60, P))
    temperature = np.empty((60, P))
    temperature[:, 0] = ambient + rng.uniform(0, 3, 60)
    for k in range(P - 1):
        heat = 8e-4 * current[:, k] ** 2 + 1e-3 * current[:, k]
        temperature[:, k + 1] = temperature[:, k] + 36 * (heat + 1e-3 * (ambient - temperature[:, k]) * cooling)
    temperature += 0.05 * rng.normal(size=temperature.shape)
    return curves(
        time_s=time, current_A=current, temperature_degC=temperature, table={"ambient_degC": ambient}
    )  # fmt: skip


def test_lumped_heat_finds_its_law_and_what_breaks_it() -> None:
    train, held = heated(), heated(seed=1)
    heat = LumpedHeat.fit(train)
    assert heat is not None
    assert heat.weights[:3] == pytest.approx([8e-4, 1e-3, 1e-3], rel=0.25)
    assert heat.residual_degC(held).max() < 0.4
    check = next(c for c in checks_for(train) if c.name == "thermal_balance")
    assert check.passes(held).mean() > 0.95
    for change in (
        lambda t: np.repeat(t[:, :1], P, axis=1),
        lambda t: 2 * t[:, :1] - t,
        lambda t: t - np.linspace(0, 10, P),
        lambda t: t[:, ::-1],
    ):
        values = held.values.copy()
        values[:, 2] = change(values[:, 2])
        assert check.passes(held.with_values(values)).mean() < 0.05
    assert LumpedHeat.fit(constant()) is None


def test_a_heat_balance_that_explains_nothing_is_left_out() -> None:
    train = heated()
    values = train.values.copy()
    values[:, 2] = 25 + np.random.default_rng(0).normal(size=values[:, 2].shape)
    assert "thermal_balance" not in {c.name for c in checks_for(train.with_values(values))}


def ageing(slope_Ah: float) -> CurveSet:
    """A cell of five charges that lose `slope_Ah` a cycle."""
    charge = (2 + slope_Ah * np.arange(5))[:, None] * np.linspace(0, 1, P)
    return curves(charge_capacity_Ah=charge, table={"cell_id": ["c"] * 5, "ecl": np.arange(5.0)})


@pytest.mark.parametrize(
    ("generated", "agrees"), [(-0.02, 1.0), (-0.005, 1.0), (-0.0005, 0.0), (0.0, 0.0), (0.02, 0.0)]
)
def test_ageing_trend(generated: float, agrees: float) -> None:
    found = ageing_trend.trend_agreement(ageing(-0.02), [ageing(generated)])
    assert found is not None
    assert found[0].tolist() == [agrees]


def test_no_ageing_trend_where_nothing_ages_or_nothing_is_known() -> None:
    assert ageing_trend.trend_agreement(ageing(0.0), [ageing(-0.02)]) is None
    short = ageing(-0.02).take(np.arange(2))
    assert ageing_trend.trend_agreement(short, [short]) is None
    assert ageing_trend.final_charge_Ah(curves(voltage_V=np.linspace(3, 4, P))) is None
    assert ageing_trend.final_charge_Ah(constant().only(["time_s", "current_A"])) == pytest.approx(2.0)
