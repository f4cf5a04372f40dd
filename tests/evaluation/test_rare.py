"""A generator that is right in the middle and wrong where training cells are scarce is caught there."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.rare import rare_places, rare_rows, rarity
from tests.evaluation import planted


def with_rate(curves: CurveSet, rows: np.ndarray, rate: float) -> CurveSet:
    """These rows asked for another C-rate."""
    table = curves.table.copy()
    table.loc[rows, ["c_rate", "c1", "c2"]] = rate
    return CurveSet(curves.values, curves.signals, curves.axis, curves.axis_name, table)


def comparison(limited: bool, seed: int = 0) -> tuple[Comparison, np.ndarray]:
    """Held-out cells, the last of which is charged at 2 C, a rate that no training cell (0.5 to 1.25 C) comes near.

    The generator draws exactly; the `limited` one takes any rate above 1.25 C for 1.25 C.
    """
    first, train = planted.law(12, 12, 2 * seed, 1000), planted.law(24, 12, 2 * seed + 1)
    odd = first.cells == first.cells[-1]
    asked = with_rate(first, odd, 2.0)
    real = asked.with_values(planted.draws_of(asked, 1, seed + 50, together=True)[0])
    draws = planted.draws_of(with_rate(real, odd, 1.25) if limited else real, 8, seed)
    return Comparison(real, real.with_values(draws[0]), draws, train, None, planted.TOLD, seed), odd


def rows_of(one: Comparison) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["metric"], row["signal"]): row for row in rare_rows(one, 0, {})}


def test_the_rarest_rows_are_those_of_the_odd_cell() -> None:
    one, odd = comparison(False)
    assert one.train is not None
    places = rare_places(rarity(one.real, one.train, one.told))
    assert len(places) == 8
    assert odd[places].all()


def test_many_cycles_of_one_odd_training_cell_do_not_make_its_condition_common() -> None:
    cells = ["odd"] * 100 + [f"c{number}" for number in range(15)]
    soh = np.r_[np.full(100, 0.5), np.linspace(0.9, 1.0, 15)]
    train, rows = (
        CurveSet(np.zeros((len(c), 1, 2), np.float32), ("voltage_V",), np.arange(2.0), "record",
                 pd.DataFrame({"cell_id": c, "soh": s}))
        for c, s in ((cells, soh), (["x", "y"], np.array([0.5, 0.95])))
    )  # fmt: skip
    found = rarity(rows, train, ("soh",))
    assert found[0] > 20 * found[1]


def test_a_generator_that_fails_at_rare_conditions_is_caught_there_and_hardly_elsewhere() -> None:
    right, limited = (rows_of(comparison(flag)[0]) for flag in (False, True))
    for key in (("RMSE", "current_A"), ("RMSE", "time_s"), ("CRPS", "current_A"), ("CRPS", "time_s")):
        assert limited[key]["value"] > 5 * right[key]["value"]
    assert limited["energy_score", "curve"]["value"] > 2 * right["energy_score", "curve"]["value"]
    one, odd = comparison(True)
    assert one.draws is not None
    error = np.abs(one.draws.mean(axis=0) - one.real.values)[:, 1].mean(axis=1)
    assert np.median(error) < 0.05 < 0.3 < error[odd].min()


def test_true_draws_pass_and_have_the_neighbours_as_floor() -> None:
    rows = rows_of(comparison(False)[0])
    assert {row["family"] for row in rows.values()} == {"rare"}
    assert {row["n"] for row in rows.values()} == {8}
    assert all(row["value"] < row["floor"] for row in rows.values())
    assert {metric for metric, _ in rows} == {"RMSE", "CRPS", "energy_score"}


def test_five_rows_of_twenty_and_none_of_fewer() -> None:
    spread = np.arange(20.0)
    assert rare_places(spread).tolist() == [15, 16, 17, 18, 19]
    assert len(rare_places(spread[:19])) == 0
    assert len(rare_places(np.ones(50))) == 0
    assert len(rare_places(np.arange(1000.0))) == 50
    assert len(rare_places(np.r_[spread[:19], np.inf])) == 0


def test_no_rows_without_draws_training_curves_or_conditions() -> None:
    one, _ = comparison(False)
    assert rare_rows(replace(one, draws=None), 0, {}) == []
    assert rare_rows(replace(one, train=None), 0, {}) == []
    assert rare_rows(replace(one, told=()), 0, {}) == []
