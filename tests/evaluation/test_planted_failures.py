"""The acceptance matrix: generators that fail in one known way, and the metric that catches each, beside exact draws.

Every metric that `full_rows` gives must be in it: one that tells no planted failure from measured curves says nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.full import FAMILIES, full_rows
from tests.evaluation import planted
from tests.evaluation.planted import SIGNALS

Key = tuple[str, str, str]
Scores = Mapping[str, Mapping[Key, dict[str, Any]]]
#: Shortfalls of numbers without a unit below this are noise of 12 cells.
_NOISE = 0.01
#: As few as calibration takes.
_DRAWS = 8


def broken(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws 60 degrees too hot, with a voltage that is not a number at one point."""
    draws = planted.draws_of(real, count, seed)
    draws[:, :, SIGNALS.index("temperature_degC")] += 60.0
    draws[:, :, SIGNALS.index("voltage_V"), 5] = np.nan
    return draws


RIGHT = (planted.right, planted.measured)
WRONG = (
    planted.copies, planted.mean_curve, planted.conditional_mean, planted.shuffled_time, planted.wrong_condition,
    planted.two_modes, planted.coulomb_imbalance, planted.voltage_above, planted.flat_temperature, broken,
)  # fmt: skip
#: Failure, family, metric, signal: how many times as far from the best value as exact draws and held-out cells measured again.
MATRIX: list[tuple[str, str, str, str, float]] = [
    ("copies", "memorisation", "copy_share", "curve", 50),
    ("copies", "memorisation", "membership_AUC", "curve", 5),
    ("copies", "memorisation", "train_distance_ratio", "curve", 5),
    ("mean_curve", "diversity", "recall", "curve", 40),
    ("mean_curve", "diversity", "coverage", "curve", 10),
    ("mean_curve", "diversity", "between_condition_ratio", "voltage_V", 4),
    ("mean_curve", "diversity", "variance_ratio", "temperature_degC", 2),
    ("mean_curve", "fidelity", "energy_distance", "curve", 15),
    ("mean_curve", "fidelity", "marginal_distance", "temperature_degC", 3),
    ("mean_curve", "conditional", "CRPS", "voltage_V", 2),
    ("mean_curve", "indicators", "indicator_MAE", "soh", 2),
    ("mean_curve", "utility", "TSTR_MAE", "soh", 3),
    ("mean_curve", "physics", "pass_rate", "ageing_trend", 50),
    ("conditional_mean", "diversity", "variance_ratio", "temperature_degC", 2),
    ("conditional_mean", "fidelity", "C2ST", "curve", 20),
    ("conditional_mean", "fidelity", "spectral_distance", "voltage_V", 4),
    ("shuffled_time", "diversity", "precision", "curve", 20),
    ("shuffled_time", "diversity", "density", "curve", 8),
    ("shuffled_time", "fidelity", "MMD", "curve", 20),
    ("shuffled_time", "fidelity", "sliced_wasserstein", "curve", 5),
    ("shuffled_time", "fidelity", "spectral_distance", "temperature_degC", 15),
    ("shuffled_time", "calibration", "sharpness", "time_s", 10),
    ("shuffled_time", "physics", "pass_rate", "time_steps", 50),
    ("shuffled_time", "physics", "pass_rate", "cc_cv_grammar", 50),
    ("shuffled_time", "physics", "pass_rate", "smoothness_voltage_V", 40),
    ("wrong_condition", "conditional", "condition_error", "soh", 3),
    ("wrong_condition", "conditional", "condition_error", "c_rate", 50),
    ("wrong_condition", "conditional", "energy_score", "curve", 2),
    ("wrong_condition", "fidelity", "MAE", "time_s", 10),
    ("wrong_condition", "fidelity", "RMSE", "current_A", 6),
    ("wrong_condition", "fidelity", "R2", "time_s", 20),
    ("wrong_condition", "calibration", "coverage_80", "current_A", 5),
    ("wrong_condition", "rare", "CRPS", "time_s", 15),
    ("wrong_condition", "rare", "RMSE", "time_s", 10),
    ("wrong_condition", "rare", "energy_score", "curve", 2),
    ("wrong_condition", "utility", "augmented_MAE", "soh", 2),
    ("wrong_condition", "indicators", "indicator_MAE", "cycle_life", 2),
    ("wrong_condition", "physics", "pass_rate", "current_policy", 40),
    ("two_modes", "diversity", "coverage", "curve", 4),
    ("two_modes", "diversity", "variance_ratio", "temperature_degC", 2),
    ("two_modes", "fidelity", "energy_distance", "curve", 5),
    ("two_modes", "fidelity", "marginal_distance", "temperature_degC", 3),
    ("two_modes", "calibration", "miscalibration_area", "temperature_degC", 3),
    ("two_modes", "indicators", "indicator_distance", "peak_temperature_degC", 3),
    ("coulomb_imbalance", "physics", "pass_rate", "coulomb_balance", 50),
    ("coulomb_imbalance", "indicators", "indicator_MAE", "capacity_Ah", 2),
    ("coulomb_imbalance", "utility", "TSTR_MAE", "soh", 2),
    ("voltage_above", "physics", "pass_rate", "voltage_window", 50),
    ("voltage_above", "calibration", "coverage_80", "voltage_V", 4),
    ("voltage_above", "indicators", "indicator_distance", "mean_voltage_V", 8),
    ("flat_temperature", "physics", "pass_rate", "not_flat", 50),
    ("flat_temperature", "diversity", "variance_ratio", "temperature_degC", 2),
    ("flat_temperature", "indicators", "indicator_MAE", "temperature_rise_degC", 1.5),
    ("broken", "physics", "pass_rate", "finite", 50),
    ("broken", "physics", "pass_rate", "temperature_range", 50),
]
#: Families whose signals are metrics of their own: a check, an indicator, a target. Each has to catch something.
EACH_SIGNAL = ("physics", "indicators", "utility")
#: What catches nothing here: curves of this law do not tell the end of life, and the rows' note says so.
NOT_SEPARATED = {("utility", "TSTR_MAE", "eol"), ("utility", "augmented_MAE", "eol")}


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[Key, dict[str, Any]]]:
    """Generator -> family, metric, signal -> row, all beside the same measured curves."""
    first = planted.comparison(planted.right, draws=_DRAWS, cells=12, cycles=8, train_cells=16, seed=1)
    real, train = first.real, first.train
    assert train is not None
    found = {}
    for maker in (*RIGHT, *WRONG):
        draws, known = maker(real, train, _DRAWS, 1), maker(train, train, _DRAWS, 2)
        one = replace(first, generated=real.with_values(draws[0]), draws=draws, at_train=known)
        rows = full_rows(one, 0, {"model": "made"})
        found[maker.__name__] = {(row["family"], row["metric"], row["signal"]): row for row in rows}
        assert len(found[maker.__name__]) == len(rows)
    return found


def shortfall(row: Mapping[str, Any], value: float) -> float:
    """How far `value` of this row's metric is from the best: 0 is best, more is worse."""
    if row["metric"] == "C2ST":
        return max(value - 0.5, 0.0)  # below chance is as good as chance
    if row["metric"] == "coverage_80":
        return abs(value - 0.8)
    best = {"one": 1.0, "half": 0.5}
    if row["direction"] in best:
        return abs(value - best[row["direction"]])
    return 1.0 - value if row["direction"] == "higher" else value


def bounds(row: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the greatest shortfall within the row's interval."""
    ends = [shortfall(row, x) for x in (row["low"], row["high"], row["value"]) if x is not None and not np.isnan(x)]
    inside = [shortfall(row, x) for x in (0.5, 0.8, 1.0) if row["low"] is not None and row["low"] <= x <= row["high"]]
    return min(ends + inside), max(ends)


def times_worse(scores: Scores, failure: str, key: Key) -> float:
    """The shortfall of a failure over that of exact draws or cells measured again, whichever is worse; 1 where the
    intervals of the failure and of these overlap."""
    row, others = scores[failure].get(key), [scores[maker.__name__][key] for maker in RIGHT]
    if row is None:
        return 1.0
    if bounds(row)[0] <= max(bounds(other)[1] for other in others) and row["value"] != np.inf:
        return 1.0
    least = _NOISE if row["unit"] == "1" else 1e-9
    return shortfall(row, row["value"]) / max(least, *(shortfall(other, other["value"]) for other in others))


@pytest.mark.parametrize(("failure", "family", "metric", "signal", "times"), MATRIX)
def test_a_planted_failure_is_caught(
    scores: Scores, failure: str, family: str, metric: str, signal: str, times: float
) -> None:
    key = (family, metric, signal)
    assert times_worse(scores, failure, key) > times
    row = scores[failure][key]
    if row["floor"] is not None:
        assert shortfall(row, row["value"]) > shortfall(row, row["floor"])


@pytest.mark.parametrize("maker", [maker.__name__ for maker in RIGHT])
def test_exact_draws_and_measured_held_out_cells_pass(scores: Scores, maker: str) -> None:
    """No score is worse than that of measured neighbours by more than its interval."""
    for key, row in scores[maker].items():
        assert np.isfinite(row["value"]), key
        if row["floor"] is not None:
            assert bounds(row)[0] <= shortfall(row, row["floor"]) + 2 * _NOISE, key


def test_every_metric_of_the_report_catches_a_planted_failure(scores: Scores) -> None:
    """By a finite value: that a score is infinite where a curve is not a number proves nothing."""
    caught = set()
    for key in scores["right"]:
        for maker in WRONG:
            row = scores[maker.__name__].get(key)
            if row is not None and np.isfinite(row["value"]) and times_worse(scores, maker.__name__, key) > 1.5:
                caught.add(key)
    missed = set(scores["right"]) - caught
    assert {key for key in missed if key[0] in EACH_SIGNAL} == NOT_SEPARATED
    assert all("judges no generator" in scores["right"][key]["note"] for key in NOT_SEPARATED)
    every = {key[:2] for key in scores["right"]}
    assert {key[:2] for key in caught} == every
    # the table above names each of them, each family and each failure
    assert {(family, metric) for _, family, metric, _, _ in MATRIX} == every
    assert {family for family, _ in every} == set(FAMILIES)
    assert {failure for failure, *_ in MATRIX} == {maker.__name__ for maker in WRONG}


def test_a_failure_in_one_signal_leaves_the_scores_of_the_others_alone(scores: Scores) -> None:
    for failure, signal in (
        ("coulomb_imbalance", "charge_capacity_Ah"),
        ("voltage_above", "voltage_V"),
        ("flat_temperature", "temperature_degC"),
    ):
        for other in set(SIGNALS) - {signal}:
            for metric in ("MAE", "marginal_distance"):
                key = ("fidelity", metric, other)
                assert scores[failure][key]["value"] == scores["right"][key]["value"]
