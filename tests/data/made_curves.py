"""Small sets of curves for the tests of exchange: each of the four kinds of data, made, with everything a file must carry."""

import numpy as np
import pandas as pd

from batgen.data.curve_set import CurveSet

FACTS = {
    "synthetic": True,
    "model": "RCVAE",
    "data": "sim",
    "data_hash": "abc",
    "protocol": "honest",
    "seed": 3,
    "notes": ["a"],
}


def charges(n: int = 6, points: int = 9, timed: bool = True, cells: int = 2, **facts: object) -> CurveSet:
    """Charges of voltage, current, capacity, temperature and, where `timed`, time, of `cells` cells."""
    rng = np.random.default_rng(0)
    share = np.linspace(0, 1, points)
    signals = {
        "voltage_V": 3 + 0.6 * share + rng.normal(0, 0.01, (n, points)),
        "current_A": 5 - 4.7 * share + rng.normal(0, 0.01, (n, points)),
        "charge_capacity_Ah": share * (1 + 0.1 * rng.random((n, 1))),
        "temperature_degC": 30 + 4 * share + rng.normal(0, 0.1, (n, points)),
    }
    if timed:
        signals["time_s"] = 3600 * np.sort(rng.random((n, points)), axis=1)
    table = pd.DataFrame(
        {
            "cell_id": [f"c{k % cells}" for k in range(n)],
            "ecl": np.arange(n, 0, -1.0) * 7,  # not in rising order: no format may lose the rows' own
            "soh": 1 - 0.01 * np.arange(n) / 3,
            "ambient_degC": 30.0,
            "c1": 1 / 3,
            "nominal_capacity_Ah": 1.1,
            "voltage_min_V": 2.0,
            "voltage_max_V": 3.6,
            "chemistry": "LFP",
            "protocol": "fast",
            "pair": np.arange(n)[::-1],
        }
    )
    values = np.stack(list(signals.values()), axis=1).astype(np.float32)
    return CurveSet(values, tuple(signals), share, "charge", table, {**FACTS, **facts})


def profiles(n: int = 4, points: int = 8) -> CurveSet:
    """Discharges of temperature, voltage, current and time; the last ones end early (NaN behind their end)."""
    made = charges(n, points).only(("temperature_degC", "voltage_V", "current_A", "time_s"))
    values = made.values.copy()
    for row in range(n // 2, n):
        values[row, :, points - row :] = np.nan
    return CurveSet(values, made.signals, made.axis, "span", made.table, made.facts)


def pulses(n: int = 5) -> CurveSet:
    """Voltages of pulse tests at 21 points; soc, soh and text conditions."""
    rng = np.random.default_rng(1)
    values = (3.6 + rng.normal(0, 0.1, (n, 1, 21))).astype(np.float32)
    table = pd.DataFrame({"cell_id": [f"{k:03d}" for k in range(n)], "soh": 0.9, "soc": 0.3, "battery": "NMC_2Ah"})
    return CurveSet(values, ("voltage_V",), np.arange(21) / 2, "pulse_step", table, FACTS)


def sequences(n: int = 3, points: int = 12) -> CurveSet:
    """Capacity by cycle, measured: gaps, and NaN after the record's end."""
    values = (1.1 - 0.02 * np.arange(points) + np.zeros((n, 1, points))).astype(np.float32)
    values[0, 0, 3] = values[1, 0, 7:] = np.nan
    table = pd.DataFrame({"cell_id": [f"c{k}" for k in range(n)], "eol": [500.0, np.nan, 700.0]})
    return CurveSet(
        values, ("discharge_capacity_Ah",), np.arange(1.0, points + 1), "cycle", table, {"synthetic": False}
    )


def same_set(found: CurveSet, wanted: CurveSet, digits: float = 0.0) -> None:
    """Assert that two sets are the same: values to the share `digits`, everything else exactly (numbers to `digits`)."""
    assert found.signals == wanted.signals
    assert found.axis_name == wanted.axis_name
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, wanted.values, rtol=digits, atol=digits)
    np.testing.assert_allclose(found.axis, wanted.axis, rtol=digits)
    assert set(found.table) == set(wanted.table)
    for name in wanted.table:
        if name in ("cell_id", "chemistry", "protocol", "battery"):
            assert list(found.table[name]) == list(wanted.table[name]), name
        else:
            np.testing.assert_allclose(found.column(name), wanted.column(name), rtol=digits, err_msg=name)
    assert dict(found.facts) == dict(wanted.facts)
