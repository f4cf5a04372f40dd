"""Indicators of curves whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.indicators import indicators, ohmic_resistance, phase_shares


def made(axis_name: str = "time", table: dict | None = None, **signals: np.ndarray) -> CurveSet:
    values = np.stack([np.atleast_2d(v) for v in signals.values()], axis=1).astype(np.float32)
    given = pd.DataFrame({"cell_id": ["a"] * len(values), **(table or {})})
    return CurveSet(values, tuple(signals), np.linspace(0.0, 1.0, values.shape[2]), axis_name, given)


def cc_cv() -> dict[str, np.ndarray]:
    """An hour at 2 A from 3 V to 4 V, then an hour at 4 V with a current that falls linearly to zero: 2 Ah and 1 Ah."""
    time = np.linspace(0, 7200, 241)
    rising = time < 3600
    return {
        "voltage_V": np.where(rising, 3 + time / 3600, 4.0),
        "current_A": np.where(rising, 2.0, 2.0 * (7200 - time) / 3600),
        "time_s": time,
        "temperature_degC": 20 + 5 * np.sin(np.pi * time / 7200),
    }


def test_charge_from_current() -> None:
    found = indicators(made(table={"nominal_capacity_Ah": [3.2]}, **cc_cv()))
    one = {name: values[0] for name, values in found.items()}
    assert one["capacity_Ah"] == pytest.approx(3.0, abs=0.01)
    assert one["soh"] == pytest.approx(3.0 / 3.2, abs=0.01)
    assert one["energy_Wh"] == pytest.approx(2 * 3.5 + 4.0, rel=0.005)
    assert one["duration_s"] == pytest.approx(7200)
    assert one["cc_time_share"] == pytest.approx(0.5 + 0.5 * 0.05, abs=0.01)
    assert one["cv_time_share"] == pytest.approx(0.5 * 0.95, abs=0.01)
    assert one["mean_voltage_V"] == pytest.approx(3.75, abs=0.01)
    assert one["peak_temperature_degC"] == pytest.approx(25.0, abs=0.01)
    assert one["temperature_rise_degC"] == pytest.approx(5.0, abs=0.01)
    assert np.isnan(one["ohmic_resistance_Ohm"]), "the decay of the constant-voltage phase is no step"


def test_the_capacity_that_was_recorded_comes_first() -> None:
    signals = cc_cv()
    found = indicators(made(**signals, charge_capacity_Ah=np.linspace(0.1, 3.4, 241)))
    assert found["capacity_Ah"][0] == pytest.approx(3.3)


def test_a_discharge_has_no_constant_voltage_phase() -> None:
    signals = cc_cv()
    found = indicators(made(**{**signals, "current_A": -signals["current_A"]}))
    assert found["capacity_Ah"][0] == pytest.approx(3.0, abs=0.01)
    assert found["cc_time_share"][0] == pytest.approx(0.525, abs=0.01)
    assert np.isnan(found["cv_time_share"][0])


def test_shares_weigh_time_not_points() -> None:
    time = np.array([[0.0, 1.0, 2.0, 3.0, 103.0]])
    current = np.array([[1.0, 1.0, 1.0, 0.1, 0.1]])
    constant, held = phase_shares(np.array([[3.0, 3.5, 3.9, 4.2, 4.2]]), current, time)
    assert constant[0] == pytest.approx(2.5 / 103)
    assert held[0] == pytest.approx(100.5 / 103)


@pytest.mark.parametrize("smeared", [False, True])
def test_resistance_of_a_step(smeared: bool) -> None:
    current = np.where(np.arange(40) < 20, 4.0, 1.0)
    if smeared:
        current[20] = 2.0
    voltage = 3.3 + 0.03 * current
    assert ohmic_resistance(voltage[None], current[None])[0] == pytest.approx(0.03)
    assert ohmic_resistance(3.3 - 0.03 * current[None], current[None])[0] == pytest.approx(-0.03), "wrong sign is seen"


def test_no_step_no_resistance() -> None:
    ramp = np.linspace(4.0, 1.0, 40)[None]
    assert np.isnan(ohmic_resistance(3.3 + 0.03 * ramp, ramp)).all()
    small = np.where(np.arange(40) < 20, 4.0, 3.7)[None]
    assert np.isnan(ohmic_resistance(3.3 + 0.03 * small, small)).all()
    assert np.isnan(ohmic_resistance(np.ones((3, 2)), np.ones((3, 2)))).all()


def test_signals_that_are_not_there_give_nothing() -> None:
    assert indicators(made(temperature_degC=np.full(64, 20.0))).keys() == {
        "peak_temperature_degC",
        "temperature_rise_degC",
    }


def test_capacity_over_voltage_as_axis() -> None:
    volts = np.linspace(3.5, 2.0, 400)
    charge = 1.0 / (1 + np.exp((volts - 3.2) / 0.03))
    curves = made("voltage_V", discharge_capacity_Ah=charge)
    found = indicators(CurveSet(curves.values, curves.signals, volts, "voltage_V", curves.table))
    assert found["dqdv_peak_voltage_V"][0] == pytest.approx(3.2, abs=0.002)
    assert found["energy_Wh"][0] == pytest.approx(3.2, abs=0.02)
    assert found.keys() == {"capacity_Ah", "energy_Wh", "dqdv_peak_voltage_V", "dqdv_peak_height_Ah/V"}


def test_pulses() -> None:
    found = indicators(made("pulse_step", voltage_V=np.array([3.6, 3.7, 3.5, 3.6])))
    assert found["open_circuit_voltage_V"][0] == pytest.approx(3.6)
    assert found["pulse_swing_V"][0] == pytest.approx(0.2)


def test_sequences_end_where_the_record_ends() -> None:
    cycles = np.arange(1.0, 101.0)
    capacity = np.stack([2.0 - 0.01 * cycles, 2.0 - 0.002 * cycles])
    capacity[1, 50:] = np.nan
    table = pd.DataFrame({"cell_id": ["a", "b"]})
    values = capacity[:, None].astype(np.float32)
    curves = CurveSet(values, ("discharge_capacity_Ah",), cycles, "cycle", table, {"eol_capacity_Ah": 1.605})
    found = indicators(curves)
    assert found["final_capacity_Ah"] == pytest.approx([1.0, 1.9])
    assert found["lost_capacity_Ah"] == pytest.approx([0.99, 0.098], abs=1e-5)
    assert found["eol"][0] == 40
    assert np.isnan(found["eol"][1])
    assert "eol" not in indicators(CurveSet(values, ("discharge_capacity_Ah",), cycles, "cycle", table))
