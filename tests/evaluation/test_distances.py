"""Distances in closed form, on sets of one law, and on planted failures that each has to find."""

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import norm

from batgen.evaluation.conditional import crps
from batgen.evaluation.distances import (
    energy_distance,
    energy_distance_interval,
    energy_score,
    marginal_distance,
    profile_vector,
    spectral_distance,
)
from tests.evaluation.made_profiles import nasa_discharges, profiles

SLICES = ("temperature_degC",)


def test_the_length_of_a_vector_is_an_rms_over_points() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 2, 10))
    scale, duration = np.array([2.0, 0.5]), np.array([100.0, 200.0, 300.0])
    gap = profile_vector(a, duration, scale, 0.3) - profile_vector(b, duration * np.e, scale, 0.3)
    expected = np.sqrt((((a - b) / scale[:, None]) ** 2).mean(axis=(1, 2)) + (1 / 0.3) ** 2)
    np.testing.assert_allclose(np.linalg.norm(gap, axis=1), expected)
    with pytest.raises(ValueError, match="above 0"):
        profile_vector(a, duration, np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="need"):
        profile_vector(a, duration[:2], scale)


def test_energy_distance_in_closed_form() -> None:
    x, y = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [6.0]])
    cross = np.mean([2, 6, 1, 5, 1, 3])
    assert energy_distance(x, y) == pytest.approx(2 * cross - np.mean([1, 3, 2]) - 4)
    # For N(0, 1) and N(m, 1): 2 E|N(m, 2)| - 2 E|N(0, 2)|.
    rng = np.random.default_rng(1)
    made = np.mean([energy_distance(rng.normal(size=(400, 1)), 1 + rng.normal(size=(400, 1))) for _ in range(20)])
    root = np.sqrt(2)
    folded = root * np.sqrt(2 / np.pi) * np.exp(-1 / 4) + 1 - 2 * norm.cdf(-1 / root)
    assert made == pytest.approx(2 * folded - 2 * root * np.sqrt(2 / np.pi), abs=0.03)


def test_energy_distance_of_one_law_is_zero_on_average_and_finds_planted_failures() -> None:
    rng = np.random.default_rng(2)

    def mean(**law: float) -> tuple[float, float]:
        values = []
        for _ in range(40):
            sets = [profiles(40, 1, rng, **one)[:2] for one in ({}, law)]
            values.append(energy_distance(*(profile_vector(*s, np.array([1.0])) for s in sets)))
        return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))

    same, error = mean()
    assert abs(same) < 3 * error
    assert mean(shift=1.0)[0] > 10 * error
    assert mean(spread=0.3)[0] > 10 * error
    assert energy_distance(np.zeros((2, 1)), np.array([[0.0], [np.nan]])) == float("inf")


def test_energy_distance_is_fast() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 1000, 65))
    took = []
    for _ in range(3):
        start = time.perf_counter()
        energy_distance(x, y)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.5


def naive_interval(x: np.ndarray, y: np.ndarray, cells: np.ndarray, seed: int) -> tuple[float, float]:
    """The bootstrap that counts copies as rows: what the interval must not be."""
    rng, values = np.random.default_rng(seed), []
    names = np.unique(cells)
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(cells == c) for c in rng.choice(names, len(names))])
        values.append(energy_distance(x[rows], y[rows]))
    return tuple(np.quantile(values, [0.025, 0.975]))  # type: ignore[return-value]


def test_the_interval_holds_the_estimate_where_a_naive_one_does_not() -> None:
    """Planted: rows of a cell nearly alike, so that copies of a cell weigh heavily; both sets of one law."""
    inside, naive = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = np.repeat(np.arange(12), 5)
        x, y = (rng.normal(size=(12, 8))[cells] + 0.1 * rng.normal(size=(60, 8)) for _ in range(2))
        value = energy_distance(x, y)
        low, high = energy_distance_interval(x, y, cells, cells, seed, n=300)
        inside += low <= value <= high
        naive += naive_interval(x, y, cells, seed)[0] <= value
    assert inside == 20
    assert naive <= 10  # its low end lies above the estimate in most


def test_the_interval_covers_the_truth_for_sets_of_other_cells() -> None:
    truth = np.mean([_two_sets(seed, 50)[0] for seed in range(30)])
    covered = 0
    for seed in range(40):
        value, low, high = _two_sets(100 + seed, 30)
        assert low < value < high
        covered += low <= truth <= high
    assert covered >= 34  # 95 % of 40 is 38; a percentile interval of 30 cells is a little short


def _two_sets(seed: int, cells: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(cells), 3)
    x, y = (rng.normal(m, 1, (cells, 4))[label] + 0.3 * rng.normal(size=(3 * cells, 4)) for m in (0.0, 0.6))
    return energy_distance(x, y), *energy_distance_interval(x, y, label, label + 1000, seed, n=200)


def test_the_interval_of_two_cells_a_side_in_closed_form() -> None:
    """Each side has one cell twice (1/4 each) or both (1/2): 9 values, so that the ends are the least and the largest."""
    x, y = ([np.array([0.0, 1.0]), np.array([10.0, 14.0])], [np.array([5.0, 6.0]), np.array([20.0, 23.0])])

    def own(cells: list[np.ndarray], copies: tuple[int, int]) -> float:
        """Pairs within a cell once a copy; the 8 ordered pairs of the two cells with weight 2 / (2 - 1)."""
        within = [2 * abs(c[0] - c[1]) * n for c, n in zip(cells, copies, strict=True)]
        between = 2 * np.abs(cells[0][:, None] - cells[1]).sum() * 2 * copies[0] * copies[1]
        return (sum(within) + between) / (2 * sum(copies) + 16 * copies[0] * copies[1])

    def value(i: tuple[int, int], j: tuple[int, int]) -> float:
        a, b = (np.concatenate([np.tile(c, n) for c, n in zip(s, k, strict=True)]) for s, k in ((x, i), (y, j)))
        return 2 * np.abs(a[:, None] - b).mean() - own(x, i) - own(y, j)

    every = [value(i, j) for i in ((2, 0), (1, 1), (0, 2)) for j in ((2, 0), (1, 1), (0, 2))]
    rows = [np.concatenate(s)[:, None] for s in (x, y)]
    found = energy_distance_interval(*rows, np.array([0, 0, 1, 1]), np.array([2, 2, 3, 3]), 0)
    np.testing.assert_allclose(found, [min(every), max(every)])


def test_the_interval_of_one_cell_is_unknown() -> None:
    x, one = np.random.default_rng(0).normal(size=(6, 2)), np.zeros(6)
    assert np.isnan(energy_distance_interval(x, x + 1, one, one, 0)).all()


def test_energy_score_is_the_crps_of_one_number_and_lowest_for_the_true_law() -> None:
    rng = np.random.default_rng(4)
    y, draws = rng.normal(size=(30, 1)), rng.normal(size=(7, 30, 1))
    np.testing.assert_allclose(
        energy_score(y, draws), crps(y[:, :, None], draws[..., None], ("x",))["x"], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(energy_score(y, draws[:1]), np.abs(y - draws[0])[:, 0])
    # Unbiased for any K: 2 draws score as 40 do on average, E|X - y| - E|X - X'| / 2.
    y = rng.normal(size=(4000, 5))
    few, many = (energy_score(y, rng.normal(size=(k, 4000, 5))).mean() for k in (2, 40))
    assert few == pytest.approx(many, abs=0.05)
    for wrong in (rng.normal(size=(40, 4000, 5)) * 0.3, 0.5 + rng.normal(size=(40, 4000, 5)), np.zeros((40, 4000, 5))):
        assert energy_score(y, wrong).mean() > many + 0.05
    broken = np.zeros((3, 2, 5))
    broken[1, 0, 2] = np.nan
    np.testing.assert_array_equal(energy_score(y[:2], broken) == np.inf, [True, False])


def test_marginal_distance_of_a_shift_is_the_shift() -> None:
    rng = np.random.default_rng(5)
    real = rng.normal(size=(50, 2, 8)).astype(np.float32)
    moved = real[::-1] + np.array([0.5, -2.0])[:, None]
    found = marginal_distance(real, moved, ("voltage_V", "temperature_degC"))
    assert found == pytest.approx({"voltage_V": 0.5, "temperature_degC": 2.0}, rel=1e-5)
    floor = marginal_distance(real, rng.normal(size=(50, 2, 8)), ("a", "b"))["a"]
    assert floor == pytest.approx(1.3 * np.sqrt(2 / 50), rel=0.3)  # as the docstring says
    mean = np.repeat(real.mean(0, keepdims=True), 50, 0)  # planted: the mean curve, E|N(0, 1)| away
    assert marginal_distance(real, mean, ("a", "b"))["a"] == pytest.approx(np.sqrt(2 / np.pi), rel=0.1)
    real[:, 0, 3:] = np.nan
    moved[:, 0, 3:] = 99.0
    assert marginal_distance(real, moved, ("a", "b"))["a"] == pytest.approx(0.5, rel=1e-5)
    moved[0, 1, 0] = np.nan
    assert marginal_distance(real, moved, ("a", "b"))["b"] == np.inf


def test_spectral_distance_finds_what_other_distances_pass_over() -> None:
    rng = np.random.default_rng(6)
    real, other = (profiles(60, 3, rng)[0] for _ in range(2))
    floor = spectral_distance(real, other, SLICES)[SLICES[0]]
    assert floor < 1.0
    smooth = profiles(60, 3, rng, noise=0.002)[0]
    # A tenth of the noise: 20 dB at all frequencies but the lowest ones, where the bump is.
    assert spectral_distance(real, smooth, SLICES)[SLICES[0]] == pytest.approx(18, abs=2)
    ripple = other + 0.1 * np.sin(2 * np.pi * 12 * np.linspace(0, 1, other.shape[-1]))
    assert spectral_distance(real, ripple, SLICES)[SLICES[0]] > 4 * floor
    assert 30 < spectral_distance(real, np.full_like(real, 25.0), SLICES)[SLICES[0]] < 100
    tilted = real + 5.0 + np.linspace(0, 3, real.shape[-1])
    assert spectral_distance(real, tilted, SLICES)[SLICES[0]] < 1e-6
    assert marginal_distance(real, smooth, SLICES)[SLICES[0]] < 0.5 < marginal_distance(real, tilted, SLICES)[SLICES[0]]


def test_measured_halves_of_a_cell_are_nearer_than_another_cell(data_dir: Path) -> None:
    curves, duration, _ = nasa_discharges(data_dir, "B0005")
    other, other_duration, _ = nasa_discharges(data_dir, "B0007")
    scale = curves.std(axis=(0, 2))
    a, b = (profile_vector(curves[i::2], duration[i::2], scale) for i in (0, 1))
    c = profile_vector(other, other_duration, scale)
    assert abs(energy_distance(a, b)) < 0.02 < energy_distance(a, c)
    assert np.median(cdist(a, b).min(axis=1)) < 0.1
    assert spectral_distance(curves[::2], curves[1::2], SLICES)[SLICES[0]] < 2.0
