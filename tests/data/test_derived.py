"""Closed forms of the per-cycle quantities, on currents and voltages made for the purpose."""

import numpy as np
import pytest

from batgen.data.derived import (
    coulombic_efficiency,
    find_parts,
    load_step_resistance_Ohm,
    mean_current_A,
    relaxation_drop_V,
    time_under_s,
)

#: CC charge with a rest inside, CV, a rest, a discharge through 0.05 Ohm, a rest; 10 s a sample.
CURRENT = np.array([0.0, 1, 1, 0, 0, 0.5, 0.1, 0, 0, 0, -2, -2, -2, 0])
VOLTAGE = np.array([3.0, 3.5, 4.2, 4.1, 4.08, 4.2, 4.2, 4.16, 4.14, 4.13, 4.03, 3.5, 2.7, 3.2])
TIME = 10.0 * np.arange(len(CURRENT))
UP, DOWN = CURRENT > 0.05, CURRENT < -0.05


def test_parts_of_a_cycle() -> None:
    assert find_parts(UP, DOWN) == ((1, 7), (10, 13))
    assert find_parts(UP, np.zeros_like(UP)) == ((1, 7), (0, 0))
    assert find_parts(np.zeros_like(UP), DOWN) == ((0, 0), (10, 13))
    # what charges after the discharge started is no part of this charge
    assert find_parts(np.array([True, False, False, True]), np.array([False, True, True, False])) == ((0, 1), (1, 3))


def test_coulombic_efficiency() -> None:
    assert coulombic_efficiency(1.08, 1.2) == pytest.approx(0.9)
    assert np.isnan(coulombic_efficiency(1.08, float("nan")))
    assert np.isnan(coulombic_efficiency(1.08, 0.0))


def test_relaxation_drop_runs_to_the_end_of_the_rest() -> None:
    assert relaxation_drop_V(VOLTAGE, (1, 7), (10, 13)) == pytest.approx(4.2 - 4.13)
    assert np.isnan(relaxation_drop_V(VOLTAGE, (1, 10), (10, 13)))  # no sample between
    assert np.isnan(relaxation_drop_V(VOLTAGE, (0, 0), (10, 13)))
    assert np.isnan(relaxation_drop_V(VOLTAGE, (1, 7), (0, 0)))


def test_resistance_of_the_load_step() -> None:
    assert load_step_resistance_Ohm(VOLTAGE, CURRENT, (10, 13), 0.5) == pytest.approx(0.1 / 2)
    # a cycler that reports the mean current since the last sample: its first sample shows the drop but not the load
    slow = CURRENT.copy()
    slow[10] = -0.001
    assert load_step_resistance_Ohm(VOLTAGE, slow, (10, 13), 0.5) == pytest.approx((4.13 - 3.5) / 2)
    assert np.isnan(load_step_resistance_Ohm(VOLTAGE, CURRENT, (10, 13), 2.5))
    assert np.isnan(load_step_resistance_Ohm(VOLTAGE[10:], CURRENT[10:], (0, 3), 0.5))
    # nothing after the discharge is looked at
    assert np.isnan(load_step_resistance_Ohm(VOLTAGE, np.r_[0 * CURRENT[:13], -2], (10, 13), 0.5))


def test_time_under_current_leaves_rests_out() -> None:
    assert time_under_s(TIME, UP) == 20.0  # 10 s of CC and 10 s of CV, not the 30 s between
    assert np.isnan(time_under_s(TIME, np.zeros_like(UP)))


def test_mean_current_weighs_by_time_and_ignores_pauses() -> None:
    assert mean_current_A(TIME, CURRENT, DOWN) == pytest.approx(2.0)
    pulsed = np.array([0.0, -4, 0, -4, 0, -4, 0])
    assert mean_current_A(TIME[:7], pulsed, pulsed < -0.1) == pytest.approx(4.0)
    time = np.array([0.0, 1, 2, 3, 13, 23, 33])
    current = np.array([-4.0, -4, -4, -1, -1, -1, -1])
    assert mean_current_A(time, current, current < 0) == pytest.approx((4 * 2.5 + 1 * 30.5) / 33)
    assert np.isnan(mean_current_A(TIME, CURRENT, np.zeros_like(UP)))
