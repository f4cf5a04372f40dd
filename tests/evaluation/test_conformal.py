"""Conformal calibration on new cells: narrow, right and wide forecasts; what never changes; what is refused."""

import json

import numpy as np
import pytest

from batgen.errors import ConfigError
from batgen.evaluation.conformal import Conformal
from batgen.evaluation.forecast import mean_of_cells
from batgen.evaluation.quantile_scores import coverage, crossing_rate, sharpness
from tests.evaluation.made_forecasts import made, noisy

FIVE = [0.05, 0.25, 0.5, 0.75, 0.95]


def calibrated(claimed: float, cells: int = 60, levels=(0.1, 0.5, 0.9), **options):
    """New cells before and after calibration on others."""
    conformal = Conformal()
    conformal.fit(noisy(cells, claimed, levels=levels, **options))
    test = noisy(300, claimed, seed=1, levels=levels, **options)
    return conformal, test, [conformal.apply(f) for f in test]


@pytest.mark.parametrize(("claimed", "before"), [(0.3, 0.3), (1.0, 0.8), (3.0, 0.99)])
def test_new_cells_get_the_nominal_coverage(claimed: float, before: float) -> None:
    _, test, after = calibrated(claimed)
    assert mean_of_cells(coverage(test, 0.1, 0.9)) == pytest.approx(before, abs=0.02)
    assert mean_of_cells(coverage(after, 0.1, 0.9)) == pytest.approx(0.8, abs=0.04)
    # whatever was claimed, the width comes out as that of a calibrated forecast
    assert mean_of_cells(sharpness(after)) == pytest.approx(2 * 1.2816 * 0.01, rel=0.1)


def test_few_cells_are_met_with_care() -> None:
    """Mean of 100 calibrations with 8 validation cells each: at least 80 % on new cells, and not much more."""
    new = noisy(60, 0.5, seed=999, steps=40)
    means = []
    for seed in range(100):
        conformal = Conformal()
        conformal.fit(noisy(8, 0.5, seed=seed, steps=40))
        means.append(mean_of_cells(coverage([conformal.apply(f) for f in new], 0.1, 0.9)))
    assert 0.78 < np.mean(means) < 0.9


def test_the_correction_follows_the_horizon() -> None:
    """Errors grow fourfold over the horizon, the claimed width does not."""
    conformal, _, after = calibrated(1.0, growth=3.0, steps=1200)
    assert (np.diff(conformal.factors[:, 0]) > 0).all()
    held = np.mean([np.mean((f.truth >= f.at(0.1))[-200:] & (f.truth <= f.at(0.9))[-200:]) for f in after])
    early = np.mean([np.mean((f.truth >= f.at(0.1))[:100] & (f.truth <= f.at(0.9))[:100]) for f in after])
    assert held == pytest.approx(0.8, abs=0.05)
    assert early == pytest.approx(0.8, abs=0.08)
    # no jumps from one cycle to the next
    width = after[0].at(0.9) - after[0].at(0.1)
    assert np.abs(np.diff(width)).max() < 0.02 * width.mean()


def test_every_cell_counts_the_same() -> None:
    """Nine cells with small errors and many points, eleven with large ones and few.

    80 % of cells need a large factor, 80 % of points a small one.
    """
    small = [made(np.ones(5000), np.full(5000, 1.001), 0.01, cell_id=f"s{k}") for k in range(9)]
    large = [made(np.ones(50), np.full(50, 1.1), 0.01, cell_id=f"l{k}") for k in range(11)]
    conformal = Conformal(horizons=[(1, None)])
    conformal.fit(small + large)
    pooled = Conformal(horizons=[(1, None)])
    pooled.fit(small + large[:1])
    assert conformal.factors[0, 0] == pytest.approx(0.1 / (1.05 * 0.012816), rel=0.02)
    assert pooled.factors[0, 0] < 0.1


def test_median_order_and_outer_quantiles() -> None:
    conformal, test, after = calibrated(0.3, levels=FIVE)
    for old, new in zip(test[:20], after[:20], strict=True):
        np.testing.assert_array_equal(old.median, new.median)
        np.testing.assert_array_equal(old.truth, new.truth)
    assert max(crossing_rate(after)) == 0
    # factors that would make pairs cross: the outer one follows the inner one
    conformal.factors[:, 0], conformal.factors[:, 1] = 0.1, 5.0
    crossed = conformal.apply(test[0])
    assert crossing_rate([crossed])[0] == 0
    np.testing.assert_array_equal(crossed.at(0.05), crossed.at(0.25))


def test_intervals_without_width_at_some_cycles_can_grow() -> None:
    """A forecast that is certain of its first half."""
    width = np.r_[np.zeros(200), np.full(200, 0.01)]
    rng = np.random.default_rng(0)
    make = [
        made(np.full(400, 2.0), 2 + 0.01 * rng.normal(size=400), width, cell_id=f"c{k}") for k in range(60)
    ]  # fmt: skip
    conformal = Conformal()
    conformal.fit(make[:30])
    after = [conformal.apply(f) for f in make[30:]]
    assert mean_of_cells(coverage(make[30:], 0.1, 0.9)) == pytest.approx(0.4, abs=0.02)
    # not exact: the bin of 101-300 cycles ahead holds both halves, and factors are lines between the bins
    assert mean_of_cells(coverage(after, 0.1, 0.9)) == pytest.approx(0.8, abs=0.06)


def test_too_few_cells_and_bins_say_so() -> None:
    conformal = Conformal(minimum_cells=3)
    conformal.fit(noisy(3))
    assert conformal.limited == ["0.1-0.9"]
    assert len(conformal.log_ahead) == 3  # 1-100, 101-300, 301-400; none at 1001+
    conformal = Conformal(minimum_cells=3)
    conformal.fit([*noisy(4, steps=90), *noisy(2, steps=400, seed=5, cut_cycle=20)])
    assert len(conformal.log_ahead) == 1  # two cells of other cuts are known beyond 100 cycles: too few
    conformal = Conformal()
    conformal.fit(noisy(4))
    assert len(conformal.log_ahead) == 1
    assert conformal.limited == []


def test_state_is_plain_and_restores() -> None:
    conformal, test, after = calibrated(0.3)
    again = Conformal()
    again.load(json.loads(json.dumps(conformal.state())))
    np.testing.assert_array_equal(again.apply(test[0]).quantiles, after[0].quantiles)


def test_refusals() -> None:
    conformal = Conformal()
    with pytest.raises(ValueError, match="before fit"):
        conformal.apply(noisy(1)[0])
    with pytest.raises(ValueError, match="no width"):
        conformal.fit(noisy(5, 0.0))
    with pytest.raises(ValueError, match="no pair"):
        conformal.fit(noisy(5, levels=[0.1, 0.5]))
    with pytest.raises(ValueError, match="each target on its own"):
        conformal.fit([*noisy(5), *noisy(1, target="coulombic_efficiency")])
    with pytest.raises(ValueError, match="no truth is known"):
        conformal.fit([made(np.ones(5), np.full(5, np.nan), 0.1)])
    conformal.fit(noisy(5))
    with pytest.raises(ValueError, match="not on coulombic_efficiency"):
        conformal.apply(noisy(1, target="coulombic_efficiency")[0])
    with pytest.raises(ConfigError, match="minimum_cells=0"):
        Conformal(minimum_cells=0)
