"""Tidy rows: unit and direction come from the metric and the signal."""

import pytest

from batgen.evaluation.rows import metric_rows

CONTEXT = {"protocol": "honest", "seed": 0, "split": "cell", "model": "m", "role": "model", "mode": "prior", "n": 3}


def test_units_directions_and_intervals() -> None:
    rows = metric_rows("MAE", {"voltage_V": 0.1, "time_s": 2.0, "Total": 1.0}, CONTEXT, {"voltage_V": (0.05, 0.2)})
    assert [r["unit"] for r in rows] == ["V", "s", "mixed"]
    assert (rows[0]["low"], rows[0]["high"], rows[1]["low"]) == (0.05, 0.2, None)
    assert all(r["direction"] == "lower" and r["protocol"] == "honest" for r in rows)
    assert metric_rows("variance_ratio", {"voltage_V": 1.0}, CONTEXT)[0]["direction"] == "one"
    assert metric_rows("R2", {"voltage_V": 1.0}, CONTEXT)[0]["unit"] == "1"


def test_the_total_of_one_signal_has_its_unit() -> None:
    rows = metric_rows("MAE", {"discharge_capacity_Ah": 0.1, "Total": 0.1}, CONTEXT)
    assert [r["unit"] for r in rows] == ["Ah", "Ah"]


def test_unknown_metric() -> None:
    with pytest.raises(KeyError):
        metric_rows("nonsense", {"voltage_V": 1.0}, CONTEXT)


def test_names_of_the_pulse_table_have_their_units() -> None:
    rows = metric_rows("MAE", {"SOH": 0.01, "U1": 0.002, "U21": 0.003}, CONTEXT)
    assert [r["unit"] for r in rows] == ["1", "V", "V"]
    units = {m: metric_rows(m, {"SOH": 1.0}, CONTEXT)[0] for m in ("MAPE", "APE_std", "coverage_90", "voltage_MAE")}
    assert [r["unit"] for r in units.values()] == ["%", "%", "1", "mV"]
    assert [r["direction"] for r in units.values()] == ["lower", "lower", "", "lower"]
