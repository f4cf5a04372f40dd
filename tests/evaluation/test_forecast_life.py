"""Clamp metric, end of life and collapse: a forecast that never dies, one that is flat, one curve for every cell."""

import numpy as np
import pytest

from batgen.evaluation.clamp import clamp_rmse
from batgen.evaluation.collapse import between_cell_ratio, range_ratio
from batgen.evaluation.eol_error import crossing, eol_interval, eol_scores
from tests.evaluation.made_forecasts import made

NAN = float("nan")
CYCLE = np.arange(11, 1001)


def falling(eol: int) -> np.ndarray:
    """2 Ah at cycle 10, 1.6 Ah at `eol`, a straight line and on below it."""
    return 2.0 - 0.4 * (CYCLE - 10) / (eol - 10)


def cell(median: np.ndarray, eol: int, name: str = "a", **options):
    """The record ends at the end of life, and the cell is known to have ended."""
    truth = np.where(eol >= CYCLE, falling(eol), NAN)
    return made(median, truth, cell_id=name, **({"truth_eol_cycle": float(eol)} | options))


def test_a_forecast_that_never_dies_is_found_out() -> None:
    """Right over the observed part, then 1.6 + 0.1 for ever: RMSE sees nothing, the clamp metric 0.1 in half the range."""
    undead = np.where(CYCLE <= 505, falling(505), 1.7)
    assert clamp_rmse([cell(falling(505), 505)], 1000)[0] == pytest.approx(0, abs=1e-12)
    assert clamp_rmse([cell(undead, 505)], 1000)[0] == pytest.approx(0, abs=1e-12)  # it did reach 1.6 once: held
    undead = np.where(CYCLE <= 504, falling(505), 1.7)
    assert clamp_rmse([cell(undead, 505)], 1000)[0] == pytest.approx(0.1 * np.sqrt(496 / 990), rel=1e-9)


def test_clamp_in_closed_form() -> None:
    """Dies at 510 instead of 1010: truth 2 - 0.4 x, forecast twice as fast to 1.6, then held."""
    share = (CYCLE - 10) / 1000
    expected = np.sqrt(np.mean((np.maximum(2 - 0.8 * share, 1.6) - (2 - 0.4 * share)) ** 2))
    early = cell(falling(510), 1010, truth_eol_cycle=1010.0)
    assert clamp_rmse([early], 1000)[0] == pytest.approx(expected)
    # what a forecast does after its end does not count
    wild = np.where(CYCLE > 510, -50.0, falling(510))
    assert clamp_rmse([cell(wild, 1010)], 1000)[0] == pytest.approx(expected)
    # up to `until` only
    assert clamp_rmse([cell(falling(510) + np.where(CYCLE > 300, 9.0, 0), 510)], 300)[0] == pytest.approx(0, abs=1e-12)


def test_a_censored_cell_counts_up_to_its_last_cycle() -> None:
    wrong = np.where(CYCLE <= 400, falling(900), 1.6)
    censored = made(wrong, np.where(CYCLE <= 400, falling(900), NAN))
    assert clamp_rmse([censored], 1000)[0] == pytest.approx(0, abs=1e-12)
    # a single low cycle in the truth is not its end
    dip = np.where(CYCLE == 200, 1.5, falling(900))
    both = made(falling(900), np.where(CYCLE <= 400, dip, NAN))
    assert clamp_rmse([both], 1000)[0] == pytest.approx((falling(900)[189] - 1.5) / np.sqrt(390))
    nothing = made(falling(900), np.full(len(CYCLE), NAN))
    assert np.isnan(clamp_rmse([nothing], 1000)[0])


def test_clamp_refuses() -> None:
    with pytest.raises(ValueError, match=r"ends at cycle 1000, the clamp metric needs it to cycle 1500"):
        clamp_rmse([cell(falling(505), 505)], 1500)
    with pytest.raises(ValueError, match="observed to cycle 10, beyond cycle 10"):
        clamp_rmse([cell(falling(505), 505)], 10)
    with pytest.raises(ValueError, match="no threshold"):
        clamp_rmse([cell(falling(505), 505, eol_value=NAN, target="coulombic_efficiency")], 1000)


def test_eol_errors() -> None:
    """10 early, 30 late, and one that never ends and counts as its last cycle, 1000."""
    cells = [
        cell(falling(490), 500, "early"),
        cell(falling(630), 600, "late"),
        cell(np.full(len(CYCLE), 1.9), 700, "never"),
        made(falling(300), np.where(CYCLE <= 200, falling(300), NAN), cell_id="censored"),
    ]
    scores = eol_scores(cells)
    np.testing.assert_allclose(scores.errors, [-10, 30, 300])
    assert (scores.median_error, scores.n) == (30, 3)
    assert scores.mean_error == pytest.approx(340 / 3)
    assert scores.never_reached == pytest.approx(1 / 3)
    assert crossing(cells[2]) == (1000.0, False)
    assert crossing(cells[0]) == (490.0, True)
    none = eol_scores(cells[3:])
    assert none.n == 0
    assert np.isnan(none.median_error)
    with pytest.raises(ValueError, match="no end of life"):
        crossing(cell(falling(505), 505, eol_value=NAN))


def test_eol_interval_and_how_often_it_holds_the_truth() -> None:
    """Normal quantiles of deviation s about a line of slope k: the interval is 2 x 1.2816 s / k cycles wide."""
    forecast = cell(falling(510), 510, width=0.02)
    early, late = eol_interval(forecast)
    half = 1.281552 * 0.02 / (0.4 / 500)
    assert early == np.ceil(510 - half)
    assert late == np.ceil(510 + half)
    off = cell(falling(510), 400, "off", width=0.02)
    never = cell(np.full(len(CYCLE), 1.9), 700, "never", width=0.02)
    open_end = cell(np.full(len(CYCLE), 1.61), 700, "open", width=0.02)
    assert eol_interval(never) == (float("inf"), float("inf"))
    assert eol_interval(open_end) == (11.0, float("inf"))
    assert eol_scores([forecast]).coverage == 1
    assert eol_scores([forecast, off, never, open_end]).coverage == pytest.approx(0.5)
    assert np.isnan(eol_scores([cell(falling(510), 510, levels=[0.4, 0.5, 0.6])]).coverage)


def test_a_flat_forecast_has_no_range() -> None:
    flat = cell(np.full(len(CYCLE), 1.8), 500, "flat")
    half = cell(1 + falling(500) / 2, 500, "half")
    still = made(falling(500), np.full(len(CYCLE), 2.0), cell_id="still")
    np.testing.assert_allclose(range_ratio([flat, half, cell(falling(500), 500, "right"), still]), [0, 0.5, 1, NAN])


def test_one_curve_for_every_cell_has_a_range_but_no_spread() -> None:
    lives = [400, 500, 600, 700]
    mean = np.mean([falling(eol) for eol in lives], axis=0)
    same = [cell(mean, eol, str(eol)) for eol in lives]
    right = [cell(falling(eol), eol, str(eol)) for eol in lives]
    assert range_ratio(same).mean() > 0.8
    assert between_cell_ratio(same) == (0.0, 600)  # two of four cells are known to cycle 600 or further
    assert between_cell_ratio(right) == (pytest.approx(1), 600)
    assert between_cell_ratio(right, at=400)[0] == pytest.approx(1)
    twice = [cell(2 * falling(eol) - falling(550), eol, str(eol)) for eol in lives]
    assert between_cell_ratio(twice, at=300)[0] == pytest.approx(2)
    assert np.isnan(between_cell_ratio(right, at=650)[0])  # one cell
    assert np.isnan(between_cell_ratio([made(mean, np.full(len(CYCLE), NAN))])[0])
