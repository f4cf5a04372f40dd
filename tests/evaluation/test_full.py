"""Several folds as one number, in closed form; and that no family's NaN becomes a row."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from batgen.evaluation import full
from batgen.evaluation.full import full_rows, joined
from batgen.evaluation.rows import metric_rows
from tests.evaluation import planted


def row(value: float, n: int = 10, metric: str = "MAE", **more: Any) -> dict[str, Any]:
    about = {"protocol": "honest", "seed": 0, "test_set": "test", "method": "model", "family": "fidelity"}
    return {
        **about, "metric": metric, "signal": "voltage_V", "value": value, "n": n, "low": value - 1, "high": value + 1,
        "floor": None, **more,
    }  # fmt: skip


def test_one_fold_keeps_its_row() -> None:
    rows = [
        row(1.0),
        row(2.0, signal="current_A"),
        row(3.0, seed=1),
        row(4.0, method="knn"),
        row(5.0, test_set="other"),
    ]
    assert joined(rows) == rows


def test_folds_are_weighed_by_their_curves() -> None:
    [found] = joined([row(1.0, n=10, floor=0.5), row(4.0, n=30, floor=1.5)])
    assert found["value"] == pytest.approx((10 + 4 * 30) / 40)
    assert found["floor"] == pytest.approx((0.5 * 10 + 1.5 * 30) / 40)
    assert found["n"] == 40
    assert (found["low"], found["high"]) == (None, None), "of two folds there is no interval"


def test_squares_are_what_is_joined_of_an_RMSE() -> None:
    [found] = joined([row(3.0, metric="RMSE", floor=1.0), row(4.0, metric="RMSE", floor=7.0)])
    assert found["value"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert found["floor"] == pytest.approx(np.sqrt((1 + 49) / 2))


def test_the_interval_of_three_folds_is_that_of_their_mean() -> None:
    values = np.array([1.0, 2.0, 6.0])
    [found] = joined([row(float(v)) for v in values])
    half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert (found["low"], found["high"]) == (pytest.approx(3 - half), pytest.approx(3 + half))


def test_a_fold_without_a_value_or_a_floor_is_left_out_and_one_that_failed_is_not() -> None:
    rows = [row(1.0, floor=2.0), row(3.0), row(2.0), row(float("nan"))]
    [found] = joined(rows)
    assert found["value"] == pytest.approx(2.0)
    assert found["floor"] == 2.0
    assert found["high"] - 2.0 == pytest.approx(t.ppf(0.975, 2) / np.sqrt(3))
    [failed] = joined([row(1.0), row(2.0), row(float("inf"))])
    assert failed["value"] == np.inf
    assert (failed["low"], failed["high"]) == (None, None)
    [nothing] = joined([row(float("nan")), row(float("nan"))])
    assert np.isnan(nothing["value"])


def test_a_family_without_a_value_gives_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def family(comparison: Any, seed: int, context: Any) -> list[dict[str, Any]]:
        values = {"voltage_V": float("nan"), "current_A": float("inf"), "time_s": 2.0}
        return metric_rows("MAE", values, {**context, "n": seed})

    monkeypatch.setattr(full, "FAMILIES", {"made": family})
    found = full_rows(planted.comparison(draws=1, cells=2, cycles=2, train_cells=2), 3, {"model": "made"})
    assert [(r["signal"], r["value"], r["model"], r["n"]) for r in found] == [
        ("current_A", np.inf, "made", 3),
        ("time_s", 2.0, "made", 3),
    ]


def test_the_interval_of_a_share_stays_within_0_and_1_and_none_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def family(comparison: Any, seed: int, context: Any) -> list[dict[str, Any]]:
        about = {**context, "n": 2}
        rows = metric_rows("recall", {"curve": 0.9}, about, {"curve": (0.7, 1.1)})
        rows += metric_rows("coverage", {"curve": 0.9}, about, {"curve": (float("nan"), float("nan"))})
        return rows + metric_rows("MAE", {"time_s": 0.1}, about, {"time_s": (-0.1, 1.3)})

    monkeypatch.setattr(full, "FAMILIES", {"made": family})
    found = full_rows(planted.comparison(draws=1, cells=2, cycles=2, train_cells=2), 0, {})
    assert [(r["low"], r["high"]) for r in (found[0], found[2])] == [(0.7, 1.0), (-0.1, 1.3)]
    assert np.isnan([found[1]["low"], found[1]["high"]]).all()
