"""dQ/dV peaks: of a known density, under noise, with a constant-voltage phase, and where there is none."""

import numpy as np
import pytest
from scipy.stats import norm

from batgen.evaluation.capacity_peaks import SMOOTH_V, capacity_peaks

CENTRE, WIDTH = 3.7, 0.05


def bell(points: int = 200, charge_Ah: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Voltage over evenly spread charge whose dQ/dV is a normal density, cut at 1 %: (1, points) each."""
    share = np.linspace(0.01, 0.99, points)
    return (CENTRE + WIDTH * norm.ppf(share))[None], (charge_Ah * share)[None]


def test_peak_of_a_known_density() -> None:
    peak, height = capacity_peaks(*bell(charge_Ah=2.0))
    assert peak[0] == pytest.approx(CENTRE, abs=0.001)
    assert height[0] == pytest.approx(2.0 / np.sqrt(2 * np.pi * (WIDTH**2 + SMOOTH_V**2)), rel=0.01)


def test_noise_of_a_millivolt_moves_little() -> None:
    voltage, charge = (np.repeat(one, 200, axis=0) for one in bell())
    noisy = voltage + 0.001 * np.random.default_rng(0).normal(size=voltage.shape)
    peak, height = capacity_peaks(noisy, charge)
    assert np.abs(peak - CENTRE).max() < 0.010
    assert height.std() / height.mean() < 0.01


def test_shift_and_scale_are_seen() -> None:
    voltage, charge = bell()
    before, after = capacity_peaks(voltage, charge), capacity_peaks(voltage + 0.02, 1.03 * charge)
    assert after[0][0] - before[0][0] == pytest.approx(0.02, abs=1e-4)
    assert after[1][0] / before[1][0] == pytest.approx(1.03, rel=1e-4)


def test_constant_voltage_is_no_peak() -> None:
    voltage, charge = bell()
    held = np.concatenate([voltage, np.full((1, 100), 4.0)], axis=1)
    filled = np.concatenate([charge, np.linspace(1.0, 5.0, 100)[None]], axis=1)
    assert capacity_peaks(held, filled)[0][0] == pytest.approx(CENTRE, abs=0.001)


def test_of_a_discharge_the_peak_is_the_same() -> None:
    voltage, charge = bell()
    peak, height = capacity_peaks(voltage, charge)
    backwards = capacity_peaks(voltage[:, ::-1], 1.0 - charge[:, ::-1])
    falling = capacity_peaks(voltage[:, ::-1], charge[:, ::-1])
    for other in (backwards, falling):
        assert other[0] == pytest.approx(peak)
        assert other[1] == pytest.approx(height)


def test_voltage_falling_at_a_step_of_current_moves_no_peak() -> None:
    voltage, charge = bell(400)
    late = voltage[0] > CENTRE + 1.3 * WIDTH  # the current falls, and the voltage by 15 mV with it
    stepped = np.where(late, voltage - 0.015, voltage)
    assert capacity_peaks(stepped, charge)[0][0] == pytest.approx(CENTRE, abs=0.002)


def test_nothing_there_is_nan_and_one_bad_curve_leaves_the_others() -> None:
    voltage, charge = (np.repeat(one, 4, axis=0) for one in bell())
    voltage[1] = 3.7 + 1e-3 * np.linspace(0, 1, 200)  # far too narrow
    voltage[2, 5] = np.nan
    voltage[3] = np.linspace(3.0, 40.0, 200)  # no cell
    peak, height = capacity_peaks(voltage, charge)
    assert np.isfinite([peak[0], height[0]]).all()
    assert np.isnan(peak[1:]).all()
    assert np.isnan(height[1:]).all()


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="two arrays"):
        capacity_peaks(np.zeros((2, 5)), np.zeros((2, 6)))
