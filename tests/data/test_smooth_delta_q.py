"""delta-Q(V) between averages: closed forms, glitches left out, nothing from later cycles."""

import numpy as np
import pytest

from batgen.data.sources.smooth_delta_q import smooth_delta_q

NUMBERS = np.arange(2, 42)
SHAPE = np.linspace(-1.0, 0.5, 50)[:, None]


def test_a_difference_that_grows_with_the_cycle_has_its_closed_form() -> None:
    curves = SHAPE * NUMBERS * 1e-3  # mean of cycles k-4..k is that of cycle k-2, of cycles 8..12 that of cycle 10
    found = smooth_delta_q(curves, NUMBERS, np.ones(40, bool), 8, 12, 5)
    k = 30
    delta = SHAPE[:, 0] * (k - 2 - 10) * 1e-3
    at = k - 2
    assert found["log10_var"][at] == pytest.approx(np.log10(delta.var()))
    assert found["log10_abs_min"][at] == pytest.approx(np.log10(abs(delta.min())))
    assert found["log10_abs_mean"][at] == pytest.approx(np.log10(abs(delta.mean())))
    assert np.isnan(found["log10_var"][: 14 - 2 + 1]).all(), "until more than half of the window lies behind cycle 12"
    assert np.isfinite(found["log10_var"][15 - 2 :]).all()


def test_averaging_takes_noise_away() -> None:
    rng = np.random.default_rng(0)
    clean = SHAPE * NUMBERS * 1e-4
    noisy = clean + rng.normal(0, 1e-3, clean.shape)
    truth = smooth_delta_q(clean, NUMBERS, np.ones(40, bool), 4, 8, 5)["log10_var"][20:]
    smooth = smooth_delta_q(noisy, NUMBERS, np.ones(40, bool), 4, 8, 5)["log10_var"][20:]
    single = smooth_delta_q(noisy, NUMBERS, np.ones(40, bool), 6, 6, 1)["log10_var"][20:]
    assert np.abs(smooth - truth).mean() < 0.5 * np.abs(single - truth).mean()


def test_glitches_count_nowhere_and_later_cycles_change_nothing() -> None:
    curves, good = SHAPE * NUMBERS * 1e-3, np.ones(40, bool)
    before = smooth_delta_q(curves, NUMBERS, good, 4, 8, 5)
    changed = curves.copy()
    changed[:, 30:] *= 3.0
    after = smooth_delta_q(changed, NUMBERS, good, 4, 8, 5)
    for name in before:
        np.testing.assert_allclose(after[name][:30], before[name][:30])
        assert not np.allclose(after[name][30:], before[name][30:])
    glitch = curves.copy()
    glitch[:, 20], good[20] = 48.8, False
    found = smooth_delta_q(glitch, NUMBERS, good, 4, 8, 5)["log10_var"]
    assert np.isnan(found[20])
    assert found[21] == pytest.approx(before["log10_var"][21], abs=0.06)
    assert np.isnan(smooth_delta_q(curves, NUMBERS, np.zeros(40, bool), 4, 8, 5)["log10_var"]).all()
