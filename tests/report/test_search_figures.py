"""Figures of a search, from a summary as search.json holds it."""

from typing import Any

import numpy as np
import pytest

from batgen.report.figures.search import draw_history, draw_importance, draw_parallel


def summary(values: list[tuple[str, list[float] | None]], objectives: list[str], **changed: Any) -> dict[str, Any]:
    trials = [
        {"number": i, "state": state, "values": v, "params": {"a.lr": 10.0**-i, **({"a.kind": "x"} if i % 2 else {})}}
        for i, (state, v) in enumerate(values)
    ]
    space = {"a.lr": {"log": True, "choices": None}, "a.kind": {"log": False, "choices": ["x", None]}}
    return {
        "name": "s", "model": "m", "data": "d", "objectives": objectives, "directions": ["minimize"] * len(objectives),
        "space": space, "trials": trials, "front": None, "importance": {"a.lr": 0.8, "a.kind": 0.2}, **changed,
    }  # fmt: skip


ONE = [("complete", [3.0]), ("pruned", [9.0]), ("complete", [1.0]), ("fail", None), ("complete", [2.0])]


@pytest.mark.parametrize(("sense", "best"), [("minimize", [3.0, 1.0, 1.0, 1.0]), ("maximize", [3.0, 3.0, 3.0, 3.0])])
def test_the_line_of_the_history_is_the_best_so_far(sense: str, best: list[float]) -> None:
    figure = draw_history(summary(ONE, ["val/crps"], directions=[sense]))
    assert figure is not None
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    assert np.asarray(lines["best so far"].get_ydata()).tolist() == best
    assert np.asarray(lines["complete (3)"].get_xdata()).tolist() == [0, 2, 4]
    assert np.asarray(lines["pruned (1)"].get_ydata()).tolist() == [9.0]
    assert np.asarray(lines["failed or interrupted (1)"].get_xdata()).tolist() == [3]


def test_a_value_far_off_does_not_squeeze_the_others() -> None:
    values = [("complete", [v]) for v in (1.0, 1.2, 1.1, 1e6, 1.3)]
    figure = draw_history(summary(values, ["val/crps"]))
    assert figure is not None
    assert figure.axes[0].get_ylim()[1] < 3.0
    assert "beyond the edge" in figure.axes[0].get_title("right")


def test_two_objectives_are_drawn_against_each_other_with_their_front() -> None:
    values = [("complete", [1.0, 5.0]), ("complete", [2.0, 2.0]), ("complete", [3.0, 3.0])]
    figure = draw_history(summary(values, ["a", "b"], front=[0, 1]))
    assert figure is not None
    assert len(figure.axes) == 3
    lines = {str(line.get_label()): line for line in figure.axes[2].get_lines()}
    assert np.asarray(lines["front (2)"].get_xdata()).tolist() == [1.0, 2.0]


def test_bars_are_the_shares() -> None:
    figure = draw_importance(summary(ONE, ["val/crps"]))
    assert figure is not None
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == [0.2, 0.8]  # type: ignore[attr-defined]


def test_lines_of_the_parallel_axes_skip_what_a_trial_has_not() -> None:
    figure = draw_parallel(summary([*ONE, ("complete", [4.0])], ["val/crps"]))
    assert figure is not None
    lines = [np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert len(lines) == 4
    assert np.isnan(np.stack(lines)[:, 1]).tolist() == [False, True, True, True]  # worst first
    assert lines[0][0] == 0.0
    assert next(y for y in lines if y[0] == 1.0) is not None


def test_nothing_is_drawn_of_nothing() -> None:
    empty = summary([("fail", None)], ["val/crps"], importance=None)
    assert draw_history(empty) is None
    assert draw_importance(empty) is None
    assert draw_parallel(empty) is None
