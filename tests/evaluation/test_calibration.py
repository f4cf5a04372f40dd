"""Calibration and quantile scores: right, too narrow, shifted and crossing forecasts, against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from batgen.evaluation.calibration import (
    area_to_diagonal,
    miscalibration_area,
    miscalibration_area_normal,
    normal_curve,
    pit,
    quantile_curve,
)
from batgen.evaluation.forecast import mean_of_cells
from batgen.evaluation.quantile_scores import (
    central_pairs,
    coverage,
    crossing_rate,
    crps,
    is_deterministic,
    pinball,
    pinball_losses,
    sharpness,
)
from tests.evaluation.made_forecasts import made, noisy

NAN = float("nan")
FINE = np.arange(0.005, 1, 0.01)
#: Every normal deviate once: a sample that is exactly as wide as it should be.
EXACT = norm.ppf((np.arange(2000) + 0.5) / 2000)


def exact(claimed: float = 1.0, shift: float = 0.0, **options):
    """Truth with normal errors of deviation 0.1; the forecast claims `claimed` times that."""
    return made(np.full(2000, 2.0), 2.0 + shift + 0.1 * EXACT, claimed * 0.1, **options)


def test_pinball_loss() -> None:
    """Eq. 9: 0.9 below the truth costs 0.9 a unit, above it 0.1."""
    np.testing.assert_allclose(pinball(np.array([2.0, 2.0]), np.array([1.0, 3.0]), 0.9), [0.9, 0.1])
    losses = pinball_losses([made(np.array([1.0, 9.0]), np.array([2.0, NAN]))])
    assert {level: float(v[0]) for level, v in losses.items()} == pytest.approx({0.1: 0.1, 0.5: 0.5, 0.9: 0.9})


def test_crps() -> None:
    """A line scores its absolute error; a standard normal against itself 1/sqrt(pi), a narrower one more."""
    line = [made(np.array([1.0, 1.0]), np.array([2.0, -3.0]))]
    assert crps(line)[0] == pytest.approx(2.5)
    right = crps([exact(levels=FINE)])[0]
    assert right == pytest.approx(0.1 / np.sqrt(np.pi), rel=0.01)
    assert crps([exact(0.3, levels=FINE)])[0] > 1.1 * right
    assert crps([exact(3.0, levels=FINE)])[0] > 1.1 * right
    with pytest.raises(ValueError, match="b has levels"):
        crps([exact(), exact(levels=[0.1, 0.9], cell_id="b")])


def test_coverage_and_sharpness() -> None:
    assert coverage([exact()], 0.1, 0.9)[0] == pytest.approx(0.8)
    narrow = 2 * norm.cdf(0.5 * norm.ppf(0.9)) - 1
    assert coverage([exact(0.5)], 0.1, 0.9)[0] == pytest.approx(narrow, abs=1e-3)
    assert sharpness([exact()])[0] == pytest.approx(0.2 * norm.ppf(0.9))
    # one cell of one point and one of many count the same
    held = made(np.array([2.0]), np.array([2.0]), 0.1, cell_id="b")
    assert mean_of_cells(coverage([exact(shift=5.0), held], 0.1, 0.9)) == 0.5
    assert central_pairs(np.array([0.05, 0.1, 0.3, 0.5, 0.9, 0.95])) == [(0.05, 0.95), (0.1, 0.9)]


def test_crossing_rate_counts_pairs_at_all_cycles() -> None:
    right = exact()
    assert crossing_rate([right])[0] == 0
    quantiles = right.quantiles.copy()
    quantiles[:500] = quantiles[:500, [1, 0, 2]]  # the first pair of a quarter of the cycles
    crossed = made(np.ones(2000), np.full(2000, NAN), cell_id="b")
    object.__setattr__(crossed, "quantiles", quantiles)
    assert crossing_rate([crossed])[0] == pytest.approx(1 / 8)
    assert np.isnan(crossing_rate([made(np.ones(2), np.ones(2), levels=[0.5])])[0])


def test_deterministic() -> None:
    assert is_deterministic(made(np.ones(2), np.ones(2)))
    assert not is_deterministic(made(np.ones(2), np.ones(2), np.array([0, 0.1])))


def test_area_to_diagonal() -> None:
    p = np.linspace(0, 1, 11)
    assert area_to_diagonal(p, p) == pytest.approx(0)
    assert area_to_diagonal(np.array([0, 0, 1]), np.array([0, 1, 1])) == pytest.approx(0.5)
    # crosses the diagonal in the middle: two triangles of 1/16
    assert area_to_diagonal(np.array([0, 0.25, 0.75, 1]), np.array([0, 0.5, 0.5, 1])) == pytest.approx(0.125)


def test_areas_of_right_narrow_and_shifted_forecasts() -> None:
    for area in (miscalibration_area, miscalibration_area_normal):
        assert area([exact(levels=FINE)]) < 0.003
        # the observed proportion is Phi(c z): the area is 2 x (1/8 - arctan(c) / 2 pi) (Owen 1980)
        expected = 0.25 - np.arctan(0.3) / np.pi
        assert area([exact(0.3, levels=FINE)]) == pytest.approx(expected, abs=0.003)
        assert area([exact(shift=-9.0, levels=FINE)]) == pytest.approx(0.5, abs=0.006)
    # the three levels of the paper: proportions Phi(0.3 z) at 0.1, 0.5, 0.9, lines in between
    a = norm.cdf(0.3 * norm.ppf(0.1)) - 0.1
    assert miscalibration_area([exact(0.3)]) == pytest.approx(2 * (a * 0.1 / 2 + a * 0.4 / 2), abs=1e-3)
    levels, observed = quantile_curve([exact()])
    np.testing.assert_allclose(observed, levels)


def test_normal_curve_of_a_step_and_of_crossed_quantiles() -> None:
    expected, observed = normal_curve([made(np.full(4, 2.0), np.array([1.0, 1, 1, 3]))])
    assert (observed[0], observed[-1]) == (0, 1)
    np.testing.assert_allclose(observed[1:-1], 0.75)
    assert len(expected) == 101
    assert normal_curve([made(np.array([2.0]), np.array([2.0]), 0.1)])[1][50] == 1  # at or below
    right, crossed = exact(), exact()
    object.__setattr__(crossed, "quantiles", right.quantiles[:, ::-1])
    assert miscalibration_area_normal([crossed]) == pytest.approx(miscalibration_area_normal([right]))


def test_cells_count_the_same() -> None:
    """2000 points that are right and one cell of one point far above: the mean of both curves."""
    far = made(np.array([2.0]), np.array([9.0]), 0.1, cell_id="b")
    _, observed = quantile_curve([exact(), far])
    np.testing.assert_allclose(observed, [0.05, 0.25, 0.45])
    unknown = made(np.array([2.0]), np.array([NAN]), 0.1, cell_id="c")
    np.testing.assert_allclose(normal_curve([exact(), far, unknown])[1][1:-1], normal_curve([exact(), far])[1][1:-1])


def test_pit() -> None:
    flat = made(np.full(5, 0.0), np.zeros(5), 1.0)
    z = norm.ppf(0.9)
    object.__setattr__(flat, "truth", np.array([-z, -z / 2, 0.0, z / 4, z]))
    np.testing.assert_allclose(pit(flat), [0.1, 0.3, 0.5, 0.6, 0.9])
    # tails: slope 0.4 / z at the quantile, 0.1 beyond it
    object.__setattr__(flat, "truth", np.array([-z - 1, z + 1, -99.0, 99.0, NAN]))
    tail = 0.1 * np.exp(-0.4 / z / 0.1)
    np.testing.assert_allclose(pit(flat), [tail, 1 - tail, 0, 1], atol=1e-12)
    values = np.sort(pit(exact(levels=FINE)))
    np.testing.assert_allclose(values, (np.arange(2000) + 0.5) / 2000, atol=0.003)
    assert np.std(pit(exact(0.3))) > 0.38  # uniform has 0.289: too narrow piles up at both ends
    assert np.std(pit(exact(3.0))) < 0.2
    np.testing.assert_allclose(pit(made(np.zeros(2), np.array([-1.0, 1.0]))), [0, 1])
    with pytest.raises(ValueError, match="at least two levels"):
        pit(exact(levels=[0.5]))


def test_correlated_cells_are_calibrated_on_average() -> None:
    assert mean_of_cells(coverage(noisy(400), 0.1, 0.9)) == pytest.approx(0.8, abs=0.02)
