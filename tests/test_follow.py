"""Advice on when a test can stop: closed cases, planted in the table of forecasts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.follow import Advice, advise, verdict
from batgen.report.figures.forecast_follow import draw_follow
from batgen.report.figures.style import save

NAN = float("nan")


def rows(medians: list[float], half: list[float], measured: float = NAN, learnt: int = 10_000) -> pd.DataFrame:
    """Forecasts at cycles 10, 20 ...: medians, and half the width of their intervals."""
    median, width = pd.Series(medians, dtype=float), pd.Series(half, dtype=float)
    observed = np.arange(10, 10 * len(median) + 1, 10)
    return pd.DataFrame(
        {
            "cell_id": "A",
            "observed": observed,
            "eol_low": median - width,
            "eol_median": median,
            "eol_high": median + width,
            "eol_measured": measured,
            "width": 2 * width / median,
            "revision": median.diff() / median.shift(),
            "learnt": observed <= learnt,
        }
    )


def test_a_test_stops_at_the_third_of_three_that_agree() -> None:
    # 10: nothing to compare with; 20: wide; 30, 40, 50: narrow (0.1) and steady (1 %)
    table = rows([1000, 800, 808, 816, 824, 820], [50, 200, 40, 40, 40, 40], measured=900)
    found = advise(table, 400, tolerance=0.2)
    assert found.stop == 50
    assert "saved 350 of its 400 cycles" in found.text
    assert "824 [784 - 864]" in found.text
    assert "up to 0%" in found.text  # 820 after 824
    assert "Measured: 900, outside that interval" in found.text
    assert verdict(table, [found]).endswith("held it in 0.")
    inside = rows([1000, 800, 808, 816, 824, 820], [50, 200, 40, 40, 40, 40], measured=850)
    assert verdict(inside, [advise(inside, 400, 0.2)]).endswith("held it in 1.")
    assert verdict(rows([800] * 5, [10] * 5), [Advice("A", 40, "")]) == ""


def test_a_jump_of_the_median_starts_the_count_again() -> None:
    steady = advise(rows([800, 800, 800, 800, 800, 800], [40] * 6), 60, tolerance=0.2)
    jumped = advise(rows([800, 800, 800, 900, 900, 900], [40] * 6), 60, tolerance=0.2)  # 12.5 % at 40
    assert steady.stop == 40  # 20, 30, 40
    assert jumped.stop is None
    assert jumped.text.startswith("cell A: go on.")
    assert "3 times in a row" in jumped.text


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (rows([800] * 6, [200] * 6), "still 50% of the end of life wide, wanted are 20%"),
        (rows([800] * 6, [NAN] * 6), "does not reach the end of life at every level"),
        (rows([800] * 3, [10] * 3), "there are 3 forecasts, too few"),
        (rows([800] * 6, [10] * 6, learnt=5), "not learnt to forecast from"),
    ],
)
def test_a_test_goes_on_and_says_why(table: pd.DataFrame, says: str) -> None:
    found = advise(table, 60, tolerance=0.2)
    assert found.stop is None
    assert says in found.text


def test_a_test_that_is_over_is_not_told_to_go_on() -> None:
    found = advise(rows([800] * 6, [200] * 6, measured=55), 60, tolerance=0.2)
    assert found.text.startswith("cell A: ran to its end of life at cycle 55.")
    assert advise(rows([800] * 6, [200] * 6, measured=70), 60, tolerance=0.2).text.startswith("cell A: go on.")


def test_what_training_never_saw_and_what_is_over_does_not_count() -> None:
    assert advise(rows([800] * 6, [10] * 6, learnt=30), 60, 0.2).stop is None
    assert advise(rows([800] * 6, [10] * 6, learnt=40), 60, 0.2).stop == 40
    assert advise(rows([40] * 6, [1] * 6, measured=40.0), 60, 0.2).stop is None  # its end of life is at 40: too late


def test_what_came_later_is_told() -> None:
    found = advise(rows([800, 800, 800, 800, 1000, 1000], [40] * 6), 60, 0.2)
    assert found.stop == 40
    assert "up to 25%" in found.text
    assert "left this range again" in found.text


def test_a_running_test_can_stop() -> None:
    assert "the test can stop at cycle 40." in advise(rows([800] * 4, [10] * 4), 40, 0.2).text


def test_the_figure_shows_open_intervals_and_late_forecasts(tmp_path: Path) -> None:
    table = rows([800, 790, 810, 805], [NAN, 100, 50, 40], measured=700, learnt=20)
    figure = draw_follow(table, {"A": 20})
    labels = {text for ax in figure.axes for text in ax.get_legend_handles_labels()[1]}
    assert {"the test could stop", "measured", "longer than training saw", "forecast interval"} <= labels
    top = figure.axes[0].get_ylim()[1]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(top)  # the open one goes to the edge
    assert save(figure, tmp_path / "f.png").stat().st_size > 10_000
