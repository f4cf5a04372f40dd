"""The family "fidelity": which planted generator each metric sees, that measured held-out curves pass, and thin input."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.fidelity import fidelity_rows
from batgen.evaluation.rows import METRICS
from batgen.evaluation.two_sample_groups import two_sample_groups
from tests.evaluation import planted

CONTEXT = {"model": "made"}
SET_METRICS = ("energy_distance", "MMD", "sliced_wasserstein", "C2ST")


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    makers = (planted.right, planted.measured, planted.copies, planted.mean_curve, planted.conditional_mean,
              planted.shuffled_time, planted.wrong_condition, planted.two_modes)  # fmt: skip
    return {
        maker.__name__: table(planted.comparison(maker, cells=12, cycles=8, train_cells=16, seed=1)) for maker in makers
    }


def table(comparison: Comparison) -> dict[tuple[str, str], dict[str, Any]]:
    rows = fidelity_rows(comparison, 0, CONTEXT)
    assert len({(row["metric"], row["signal"]) for row in rows}) == len(rows)
    return {(row["metric"], row["signal"]): row for row in rows}


@pytest.mark.parametrize("maker", ["right", "measured"])
def test_measured_held_out_curves_and_exact_draws_score_at_the_floor(tables: Any, maker: str) -> None:
    found = tables[maker]
    for metric in ("energy_distance", "MMD", "sliced_wasserstein"):
        row = found[metric, "curve"]
        assert row["value"] < row["floor"] + 0.02
    assert found["C2ST", "curve"]["low"] < 0.5
    assert found["C2ST", "curve"]["floor"] < 0.65
    for signal in planted.SIGNALS:
        for metric in ("MAE", "RMSE"):
            assert found[metric, signal]["value"] < found[metric, signal]["floor"]
        for metric in ("marginal_distance", "spectral_distance"):
            assert found[metric, signal]["low"] <= found[metric, signal]["floor"]
        assert found["R2", signal]["value"] > found["R2", signal]["floor"]


@pytest.mark.parametrize(
    ("maker", "metrics"),
    [
        ("mean_curve", ("energy_distance", "MMD", "sliced_wasserstein", "C2ST")),
        ("shuffled_time", ("energy_distance", "MMD", "sliced_wasserstein", "C2ST")),
        ("two_modes", ("energy_distance", "MMD", "sliced_wasserstein", "C2ST")),
        ("conditional_mean", ("C2ST",)),
    ],
)
def test_whole_curves_see_the_planted_failure(tables: Any, maker: str, metrics: tuple[str, ...]) -> None:
    for metric in metrics:
        row, right = tables[maker][metric, "curve"], tables["right"][metric, "curve"]
        assert row["low"] > max(row["floor"], right["value"])


def test_signals_see_the_planted_failure(tables: Any) -> None:
    def over(maker: str, metric: str, signal: str = "temperature_degC") -> float:
        return tables[maker][metric, signal]["value"] / tables["right"][metric, signal]["value"]

    assert over("mean_curve", "marginal_distance") > 4
    assert over("two_modes", "marginal_distance") > 3
    assert over("shuffled_time", "spectral_distance") > 10
    assert over("conditional_mean", "spectral_distance") > 5
    assert over("wrong_condition", "RMSE") > 1.3
    assert over("wrong_condition", "MAE", "time_s") > 5
    assert tables["wrong_condition"]["R2", "time_s"]["high"] < tables["right"]["R2", "time_s"]["low"]


def test_what_fidelity_does_not_see(tables: Any) -> None:
    """Copies are for memorisation, wrong conditions for the errors of the mean: as sets both are as good as measured."""
    for maker in ("copies", "wrong_condition"):
        for metric in ("energy_distance", "MMD"):
            assert tables[maker][metric, "curve"]["low"] < 0.02


def test_rows_are_complete_the_same_again_and_intervals_hold_their_estimate(tables: Any) -> None:
    again = table(planted.comparison(planted.two_modes, cells=12, cycles=8, train_cells=16, seed=1))
    for key, row in again.items():
        assert row == tables["two_modes"][key]
        assert (row["family"], row["model"], row["n"]) == ("fidelity", "made", 96)
        assert row["direction"] == METRICS[row["metric"]][1]
        assert row["low"] <= row["value"] <= row["high"]
        assert np.isfinite(row["floor"])


def test_without_training_curves_and_draws(tables: Any) -> None:
    whole = planted.comparison(planted.right, seed=1)
    bare = replace(whole, train=None, draws=None)
    found = table(bare)
    assert {metric for metric, _ in found} == {*SET_METRICS, "marginal_distance", "spectral_distance"}
    assert all(row["floor"] is None for row in found.values())
    other = planted.law(9, 10, 5, 3000)
    found = table(Comparison(whole.real, other, None, None, None, planted.TOLD, 0))
    assert found["energy_distance", "curve"]["low"] <= found["energy_distance", "curve"]["value"]
    assert {metric for metric, _ in found} == {*SET_METRICS, "marginal_distance", "spectral_distance"}


def test_points_that_were_not_measured_and_draws_that_are_not_finite() -> None:
    whole = planted.comparison(planted.right, draws=2, cells=6, cycles=6, train_cells=6)
    assert whole.train is not None
    assert whole.draws is not None
    real, train = whole.real.values.copy(), whole.train.values.copy()
    real[3, 0, 20:], train[5, 0, 25:] = np.nan, np.nan
    late = whole.draws.copy()
    late[:, :, 0, 20:] += 50.0
    thin = replace(whole, real=whole.real.with_values(real), train=whole.train.with_values(train))
    early = table(thin)
    moved = table(replace(thin, generated=thin.real.with_values(late[0]), draws=late))
    assert early["energy_distance", "curve"]["value"] == moved["energy_distance", "curve"]["value"]
    assert moved["marginal_distance", "voltage_V"]["value"] < 0.1 < moved["MAE", "voltage_V"]["value"]
    late[0, 7, 0, 2] = np.nan
    broken = table(replace(whole, generated=whole.real.with_values(late[0]), draws=late))
    for key in (
        ("energy_distance", "curve"),
        ("MMD", "curve"),
        ("MAE", "voltage_V"),
        ("spectral_distance", "voltage_V"),
    ):
        assert broken[key]["value"] == np.inf
    assert broken["R2", "voltage_V"]["value"] == -np.inf
    assert broken["C2ST", "curve"]["value"] == 1.0
    real[:, 0] = np.nan
    unmeasured = table(replace(whole, real=whole.real.with_values(real)))
    assert ("MAE", "voltage_V") not in unmeasured
    assert ("marginal_distance", "voltage_V") not in unmeasured
    real[:] = np.nan
    assert not table(replace(whole, real=whole.real.with_values(real)))


def test_one_cell_and_hardly_any_rows() -> None:
    found = table(planted.comparison(planted.right, cells=1, cycles=24, train_cells=2))
    assert np.isnan(found["energy_distance", "curve"]["low"])
    assert 0.2 < found["C2ST", "curve"]["value"] < 0.8
    few = planted.comparison(planted.right, draws=2, cells=1, cycles=2, train_cells=2)
    assert set(SET_METRICS) & {metric for metric, _ in table(few)}
    assert not table(replace(few, real=few.real.take(np.arange(0)), generated=few.real.take(np.arange(0)), draws=None))
    one = few.real.take(np.arange(1))
    assert {m for m, _ in table(Comparison(one, one, one.values[None], None, None, planted.TOLD, 0))} <= {
        "MAE",
        "RMSE",
        "R2",
    }


def test_groups_are_cells_or_else_blocks_of_cycles_of_the_same_names() -> None:
    whole = planted.comparison(planted.right, cells=6, cycles=30, train_cells=6)
    np.testing.assert_array_equal(two_sample_groups(whole, whole.generated)[0], whole.real.cells)
    seen = replace(whole, train=whole.real)
    own, other = two_sample_groups(seen, whole.generated)
    np.testing.assert_array_equal(own, other)
    assert len(np.unique(own)) == 18
    few = whole.real.take(np.arange(60))
    half: CurveSet = few.take(np.arange(0, 60, 2))
    own, other = two_sample_groups(Comparison(few, half, None, None, None, planted.TOLD, 0), half)
    assert len(np.unique(own)) == 6
    np.testing.assert_array_equal(own[::2], other)
