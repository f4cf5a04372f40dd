"""Indicators of generators that fail in one known way are caught; measured held-out curves and right draws pass."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.indicator_rows import indicator_details, indicator_distance, indicator_error, indicator_rows
from tests.evaluation import planted

Rows = dict[tuple[str, str], dict]


def rows_of(comparison: Comparison) -> Rows:
    return {(r["metric"], r["signal"]): r for r in indicator_rows(comparison, 0, {"model": "made"})}


@cache
def scored(name: str) -> Rows:
    return rows_of(made(name))


def made(name: str) -> Comparison:
    return planted.comparison({"millivolts": millivolts, "swapped": swapped}.get(name) or getattr(planted, name))


def millivolts(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws 20 mV too high."""
    draws = planted.right(real, train, count, seed)
    draws[:, :, planted.SIGNALS.index("voltage_V")] += 0.02
    return draws


def swapped(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """The measured curves themselves, each cell's given to the cell before."""
    cycles = len(real) // len(np.unique(real.cells))
    return np.broadcast_to(np.roll(real.values, -cycles, axis=0), (count, *real.values.shape)).copy()


@pytest.mark.parametrize("name", ["right", "measured"])
def test_right_draws_and_measured_cells_pass(name: str) -> None:
    for key, row in scored(name).items():
        assert row["low"] < row["floor"], key
        if key[0] == "indicator_MAE":
            assert row["value"] < row["floor"], key


def test_a_conditional_mean_is_near_row_by_row_and_has_no_spread() -> None:
    found = scored("conditional_mean")
    assert all(row["value"] < row["floor"] for (metric, _), row in found.items() if metric == "indicator_MAE")
    narrow = found["indicator_distance", "peak_temperature_degC"]
    assert narrow["value"] > 1.5 * scored("right")["indicator_distance", "peak_temperature_degC"]["value"]


CAUGHT = [
    ("coulomb_imbalance", "indicator_MAE", "capacity_Ah"),
    ("coulomb_imbalance", "indicator_distance", "capacity_Ah"),
    ("coulomb_imbalance", "indicator_MAE", "energy_Wh"),
    ("coulomb_imbalance", "indicator_MAE", "dqdv_peak_height_Ah/V"),
    ("millivolts", "indicator_distance", "mean_voltage_V"),
    ("voltage_above", "indicator_MAE", "dqdv_peak_voltage_V"),
    ("voltage_above", "indicator_distance", "dqdv_peak_voltage_V"),
    ("flat_temperature", "indicator_MAE", "peak_temperature_degC"),
    ("flat_temperature", "indicator_distance", "temperature_rise_degC"),
    ("two_modes", "indicator_distance", "peak_temperature_degC"),
    ("shuffled_time", "indicator_MAE", "capacity_Ah"),
    ("shuffled_time", "indicator_MAE", "cc_time_share"),
    *[
        (name, "indicator_MAE", signal)
        for name in ("mean_curve", "wrong_condition", "swapped")
        for signal in ("duration_s", "cc_time_share", "cv_time_share", "mean_voltage_V")
    ],
    *[
        (name, "indicator_MAE", signal)
        for name in ("mean_curve", "wrong_condition")
        for signal in ("capacity_Ah", "soh", "cycle_life", "rul")
    ],
    ("mean_curve", "indicator_distance", "soh"),
    ("mean_curve", "indicator_distance", "rul"),
]


@pytest.mark.parametrize(("name", "metric", "signal"), CAUGHT)
def test_planted_failures_are_caught(name: str, metric: str, signal: str) -> None:
    bad, good = scored(name)[metric, signal], scored("right")[metric, signal]
    assert bad["low"] > good["high"], "beyond the interval of right draws"
    assert bad["value"] > bad["floor"]


@pytest.mark.parametrize("name", ["wrong_condition", "swapped"])
def test_sets_alone_do_not_see_who_is_who(name: str) -> None:
    row = scored(name)["indicator_distance", "capacity_Ah"]
    assert row["value"] < 1.2 * row["floor"]


def test_rows_are_complete() -> None:
    row = scored("right")["indicator_MAE", "dqdv_peak_height_Ah/V"]
    assert (row["family"], row["unit"], row["direction"], row["model"]) == ("indicators", "Ah/V", "lower", "made")
    assert row["n"] == 144
    assert row["low"] < row["value"] < row["high"]
    assert scored("right")["indicator_MAE", "rul"]["unit"] == "cycles"


def test_again_gives_the_same_numbers() -> None:
    assert rows_of(made("right")) == scored("right")


def test_a_curve_that_is_no_curve_is_infinitely_wrong() -> None:
    given = made("right")
    draws = given.draws.copy()
    draws[:, 3, 0, 5] = np.nan
    found = rows_of(replace(given, draws=draws, generated=given.real.with_values(draws[0])))
    assert all(np.isinf(row["value"]) for row in found.values())


def test_without_pairs_only_sets_are_compared() -> None:
    given = made("right")
    order = np.random.default_rng(0).permutation(len(given.real))
    found = rows_of(replace(given, draws=None, generated=given.generated.take(order)))
    assert {metric for metric, _ in found} == {"indicator_distance"}
    for key, row in found.items():
        assert row["value"] == pytest.approx(scored("right")[key]["value"])
    assert indicator_details(replace(given, draws=None)) == {}


def test_without_training_curves_there_is_no_floor_and_no_life() -> None:
    found = rows_of(replace(made("right"), train=None))
    assert found
    assert all(row["floor"] is None for row in found.values())
    assert not {signal for _, signal in found} & {"cycle_life", "rul"}


def test_a_charge_that_is_not_whole_tells_no_soh() -> None:
    given = made("right")
    half = given.real.with_values(given.real.values * np.array([1, 1, 1, 1, 0.5], np.float32)[:, None])
    assert ("indicator_MAE", "soh") not in rows_of(replace(given, real=half))


def test_details_of_the_figures() -> None:
    given = made("right")
    found = indicator_details(given)["capacity_Ah"]
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(
        ("measured", "generated", "low", "high"), len(given.real)
    )
    assert (found["low"] <= found["generated"]).mean() > 0.95
    assert found["measured"] == pytest.approx(given.real.signal("charge_capacity_Ah")[:, -1])


def test_missing_indicators_count_with_the_range() -> None:
    measured, lacking = np.array([1.0, 3.0, np.nan]), np.array([1.0, np.nan, 2.0])
    assert indicator_error(measured, lacking)[:2] == pytest.approx([0.0, 2.0])
    assert np.isnan(indicator_error(measured, lacking)[2])
    two = np.array([1.0, 3.0])
    assert indicator_distance(two, np.array([np.nan, np.nan])) == pytest.approx(2.0)
    assert indicator_distance(two, two) == 0
    assert indicator_distance(two, two + 0.5) == pytest.approx(0.5)
    assert np.isinf(indicator_distance(two, np.array([1.0, np.inf])))


def test_sequences_are_compared_where_they_were_measured() -> None:
    cycles = np.arange(1.0, 81.0)
    fade = np.linspace(0.004, 0.008, 6)
    capacity = (2.0 - np.outer(fade, cycles)).astype(np.float32)[:, None]
    measured = capacity.copy()
    measured[::2, :, 60:] = np.nan
    table = pd.DataFrame({"cell_id": [f"c{k}" for k in range(6)]})
    real = CurveSet(measured, ("discharge_capacity_Ah",), cycles, "cycle", table, {"eol_capacity_Ah": 1.8})

    def errors(draws: np.ndarray) -> dict[str, float]:
        given = Comparison(real, real.with_values(draws[0]), draws, None, None, (), 0)
        return {r["signal"]: r["value"] for r in indicator_rows(given, 0, {}) if r["metric"] == "indicator_MAE"}

    assert all(value == 0 for value in errors(capacity[None]).values())
    late = errors(np.repeat(capacity[None] + np.float32(0.1), 2, axis=0))
    assert late["final_capacity_Ah"] == pytest.approx(0.1, abs=1e-5)
    assert late["eol"] > 10
    broken = np.full_like(capacity, np.nan)[None]
    assert all(np.isinf(value) for value in errors(broken).values())


def test_pulses_of_one_cell() -> None:
    volts = (3.6 + 0.05 * np.random.default_rng(0).normal(size=(5, 1, 21))).astype(np.float32)
    real = CurveSet(volts, ("voltage_V",), np.arange(21.0), "pulse_step", pd.DataFrame({"cell_id": ["a"] * 5}))
    given = Comparison(real, real, volts[None], None, None, ("soc",), 0)
    found = rows_of(given)
    assert found["indicator_MAE", "pulse_swing_V"]["value"] == 0
    assert np.isnan(found["indicator_MAE", "pulse_swing_V"]["low"])
