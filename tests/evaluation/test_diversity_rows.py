"""The family "diversity": collapse of every kind is seen, measured held-out curves pass, thin input gives no rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from batgen.evaluation.comparison import Comparison
from batgen.evaluation.diversity_rows import diversity_rows
from tests.evaluation import planted

SETS = ("precision", "recall", "density", "coverage")


def table(comparison: Comparison) -> dict[tuple[str, str], dict[str, Any]]:
    rows = diversity_rows(comparison, 0, {"model": "made"})
    assert len({(row["metric"], row["signal"]) for row in rows}) == len(rows)
    return {(row["metric"], row["signal"]): row for row in rows}


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    makers = (planted.right, planted.measured, planted.copies, planted.mean_curve, planted.conditional_mean,
              planted.shuffled_time, planted.wrong_condition, planted.two_modes)  # fmt: skip
    return {maker.__name__: table(planted.comparison(maker, seed=1)) for maker in makers}


@pytest.mark.parametrize("maker", ["right", "measured"])
def test_measured_held_out_curves_and_exact_draws_pass(tables: Any, maker: str) -> None:
    found = tables[maker]
    for name in ("precision", "recall", "coverage"):
        assert found[name, "curve"]["value"] > 0.93
        assert found[name, "curve"]["value"] > found[name, "curve"]["floor"] - 0.05
    assert found["density", "curve"]["value"] == pytest.approx(1.0, abs=0.2)
    for signal in planted.SIGNALS:
        spread, between = found["variance_ratio", signal], found["between_condition_ratio", signal]
        assert 0.3 < spread["value"] < 3  # 12 cells: their own scatter decides
        assert spread["floor"] is None
        assert between["value"] == pytest.approx(1.0, abs=0.15)
        assert between["floor"] == pytest.approx(1.0, abs=0.15)


def test_each_collapse_is_seen_by_its_metric(tables: Any) -> None:
    mean, line, modes = tables["mean_curve"], tables["conditional_mean"], tables["two_modes"]
    for signal in planted.SIGNALS:
        assert mean["between_condition_ratio", signal]["high"] < 0.05
        assert mean["variance_ratio", signal]["high"] < 0.01 > line["variance_ratio", signal]["high"]
        assert line["between_condition_ratio", signal]["value"] == pytest.approx(1.0, abs=0.15)
    assert mean["recall", "curve"]["value"] < 0.05
    assert mean["coverage", "curve"]["value"] < 0.1
    assert modes["variance_ratio", "temperature_degC"]["high"] < 0.5
    assert modes["recall", "curve"]["value"] < tables["right"]["recall", "curve"]["value"] - 0.15
    assert modes["coverage", "curve"]["high"] < modes["coverage", "curve"]["floor"] - 0.05
    assert tables["wrong_condition"]["variance_ratio", "time_s"]["high"] < 0.2
    assert tables["shuffled_time"]["precision", "curve"]["value"] < 0.05
    assert tables["shuffled_time"]["coverage", "curve"]["value"] < 0.05


def test_what_each_metric_lets_pass(tables: Any) -> None:
    """Why there are several: the mean curve is precise, copies are diverse, shuffled curves have wide balls of their own."""
    assert tables["mean_curve"]["precision", "curve"]["value"] > 0.9
    assert tables["copies"]["recall", "curve"]["value"] > 0.9
    assert tables["shuffled_time"]["recall", "curve"]["value"] > 0.8


def test_rows_are_complete_and_the_same_again(tables: Any) -> None:
    again = table(planted.comparison(planted.two_modes, seed=1))
    assert again == tables["two_modes"]
    for row in again.values():
        assert (row["family"], row["model"], row["n"]) == ("diversity", "made", 144)
        assert row["low"] <= row["value"] <= row["high"]


def test_without_training_curves_draws_or_enough_rows() -> None:
    whole = planted.comparison(planted.right, draws=2, cells=6, cycles=6, train_cells=6)
    found = table(replace(whole, train=None))
    assert {metric for metric, _ in found} == {*SETS, "variance_ratio"}
    assert found["recall", "curve"]["floor"] is None
    assert {metric for metric, _ in table(replace(whole, draws=None))} == set(SETS)
    assert whole.draws is not None
    assert not [key for key in table(replace(whole, draws=whole.draws[:1])) if key[0] == "variance_ratio"]
    other = planted.law(9, 10, 5, 3000)
    found = table(Comparison(whole.real, other, None, whole.train, None, planted.TOLD, 0))
    assert found["precision", "curve"]["n"] == len(whole.real)
    assert found["coverage", "curve"]["value"] > 0.6
    nothing = whole.real.take(np.arange(0))
    assert not table(Comparison(nothing, nothing, None, whole.train, None, planted.TOLD, 0))
    three = whole.real.take(np.arange(3))
    assert not table(Comparison(three, three, None, None, None, planted.TOLD, 0))


def test_one_cell_of_many_cycles_and_a_split_that_trains_on_it() -> None:
    whole = planted.comparison(planted.right, draws=4, cells=1, cycles=60, train_cells=3)
    found = table(whole)
    assert found["coverage", "curve"]["value"] > 0.3
    assert np.isnan(found["coverage", "curve"]["low"])
    every = np.arange(60)
    real, train = whole.real.take(every[::2]), whole.real.take(every[1::2])
    assert whole.draws is not None
    draws = whole.draws[:, ::2]
    seen = table(Comparison(real, real.with_values(draws[0]), draws, train, None, planted.TOLD, 0))
    assert seen["precision", "curve"]["floor"] > 0.8


def test_conditions_that_do_nothing_give_no_ratio_between_them() -> None:
    whole = planted.comparison(planted.right, draws=3, cells=8, cycles=5, train_cells=8)
    flat = np.random.default_rng(0).normal(size=whole.real.values.shape).astype(np.float32)
    assert ("between_condition_ratio", "voltage_V") not in table(replace(whole, real=whole.real.with_values(flat)))


def test_draws_that_are_not_finite_are_not_precise() -> None:
    whole = planted.comparison(planted.right, draws=2, cells=6, cycles=6, train_cells=6)
    assert whole.draws is not None
    broken = np.full_like(whole.draws, np.nan)
    found = table(replace(whole, generated=whole.real.with_values(broken[0]), draws=broken))
    assert all(found[name, "curve"]["value"] == 0.0 for name in SETS)
    assert found["between_condition_ratio", "time_s"]["value"] == np.inf
