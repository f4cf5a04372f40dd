"""Ranks of a leaderboard: measured-like curves beat one curve for all, and nobody gains by what no measured curve is."""

from typing import Any

import pytest

from batgen.report.leaderboard_boards import Board, summarise
from batgen.report.leaderboard_ranks import badness, capped, places

NAN = float("nan")
#: metric: family, signal, direction, measured floor, what one precise curve for all conditions scores.
PLANTED: dict[str, tuple[str, str, str, float, float | None]] = {
    "RMSE": ("fidelity", "voltage_V", "lower", 0.041, 0.030),
    "CRPS": ("conditional", "voltage_V", "lower", 0.025, 0.020),
    "energy_score": ("conditional", "curve", "lower", 0.51, 0.40),
    "C2ST": ("fidelity", "curve", "lower", 0.556, 0.9),
    "condition_error": ("conditional", "eol", "lower", 70.0, 300.0),
    "coverage_80": ("calibration", "voltage_V", "", 0.81, None),
    "precision": ("diversity", "curve", "higher", 0.95, 1.0),
    "recall": ("diversity", "curve", "higher", 0.95, 0.3),
    "density": ("diversity", "curve", "one", 1.39, 4.0),
    "coverage": ("diversity", "curve", "higher", 0.98, 0.05),
    "membership_AUC": ("memorisation", "curve", "half", 0.52, 0.5),
}
CHECKS = {"finite": (1.0, 1.0), "thermal_balance": (0.95, 1.0), "ageing_trend": (0.53, 1.0)}


def row(method: str, metric: str, value: float, seed: int = 0, **more: Any) -> dict[str, Any]:
    family, signal, direction, floor, _ = PLANTED.get(metric, ("physics", "", "higher", NAN, NAN))
    return {
        "kind": "curves", "board": "curves", "run": method, "protocol": "honest", "seed": seed, "method": method,
        "role": "model", "test_set": "test", "family": family, "metric": metric, "signal": signal, "value": value,
        "unit": "V" if signal.endswith("_V") else "1", "direction": direction, "floor": floor, "n": 9, **more,
    }  # fmt: skip


def planted(without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    rows = []
    for seed, noise in enumerate((0.99, 1.01)):  # a floor generator is about at the floor, not at it with every seed
        for metric, (*_, floor, one) in PLANTED.items():
            if metric not in without:
                rows.append(row("floor", metric, floor * noise, seed))
                rows += [] if one is None else [row("one_for_all", metric, one, seed)]
        for check, (floor, one) in CHECKS.items():
            about = {"signal": check, "floor": floor}
            rows.append(row("floor", "pass_rate", floor, seed, **about))
            rows.append(row("one_for_all", "pass_rate", one, seed, **about))
    return rows


def ranks(board: Board) -> dict[str, float]:
    return {entry.model: entry.overall("honest") for entry in board.entries}


@pytest.mark.parametrize("without", [(), ("condition_error",), ("density",), ("condition_error", "density")])
def test_a_generator_at_the_measured_floor_beats_one_curve_for_all(without: tuple[str, ...]) -> None:
    (board,) = summarise(planted(without))
    assert [entry.model for entry in board.entries] == ["floor", "one_for_all"]
    assert ranks(board)["floor"] < ranks(board)["one_for_all"] - 0.2
    physics = next(i for i, heading in enumerate(board.headings) if heading.title == "physics passed")
    assert all(entry.cells["honest"][physics].best for entry in board.entries)  # better than measured is no merit
    assert not any(h.column.metric in ("precision", "recall") for h in board.headings)


def test_a_check_passed_too_often_does_not_make_up_for_one_that_is_broken() -> None:
    def checks(method: str, finite: float, ageing: float) -> list[dict[str, Any]]:
        return [
            row(method, "pass_rate", finite, signal="finite", floor=1.0),
            row(method, "pass_rate", ageing, signal="ageing_trend", floor=0.5),
        ]

    (board,) = summarise([*checks("broken", 0.7, 1.0), *checks("measured", 1.0, 0.5)])
    assert ranks(board) == {"measured": 1.0, "broken": 2.0}
    assert board.entries[1].cells["honest"][0].mean == pytest.approx(0.85)  # what is shown is not capped


def test_three_measures_of_the_error_are_one_vote() -> None:
    rows = [row("near", m, PLANTED[m][3] / 2) for m in ("RMSE", "CRPS", "energy_score")] + [row("near", "C2ST", 0.9)]
    rows += [row("like", m, PLANTED[m][3]) for m in ("RMSE", "CRPS", "energy_score")] + [row("like", "C2ST", 0.6)]
    assert ranks(summarise(rows)[0]) == {"near": 1.5, "like": 1.5}


@pytest.mark.parametrize(
    ("metric", "direction", "value", "floor", "expected"),
    [
        ("coverage", "higher", 1.0, 0.98, 0.98),
        ("coverage", "higher", 0.9, 0.98, 0.9),
        ("coverage", "higher", 1.0, NAN, 1.0),
        ("density", "one", 1.2, 1.39, 1.0),
        ("density", "one", 1.39, 1.39, 1.0),
        ("density", "one", 1.49, 1.39, 1.1),
        ("density", "one", 0.4, 1.39, 0.4),
        ("density", "one", 0.9, 0.8, 1.0),
        ("density", "one", 1.2, NAN, 1.2),
        ("membership_AUC", "half", 0.3, 0.45, 0.5),
        ("membership_AUC", "half", 0.55, 0.6, 0.6),
        ("membership_AUC", "half", 0.7, NAN, 0.7),
        ("condition_error", "lower", 10.0, 70.0, 70.0),
        ("condition_error", "lower", 90.0, 70.0, 90.0),
        ("C2ST", "lower", 0.4, 0.6, 0.5),
        ("RMSE", "lower", 0.01, 0.04, 0.01),  # its floor is one curve of another cell: good draws beat it
    ],
)
def test_what_counts_is_capped_at_the_floor(
    metric: str, direction: str, value: float, floor: float, expected: float
) -> None:
    assert capped(metric, direction, value, floor) == pytest.approx(expected)


def test_badness_knows_the_nominal_level_and_what_prints_alike() -> None:
    assert badness("coverage_80", "", 0.75) == badness("coverage_80", "", 0.85) == 0.05
    assert badness("RMSE", "lower", 0.01) == badness("RMSE", "lower", 0.010001)
    assert badness("coverage", "higher", float("inf")) == float("inf")  # failed, not infinitely good
    assert badness("active_units", "", 3.0) != badness("active_units", "", 3.0)  # nobody can say


def test_places_tie_at_the_end_and_need_two() -> None:
    assert places({"a": 0.2, "b": NAN, "c": float("inf")}) == {"a": 1.0, "b": 2.5, "c": 2.5}
    assert places({"a": 0.2}) == places({"a": NAN, "b": NAN}) == {}
