import numpy as np
import pytest

from batgen.data.units import check_current, coulomb_slope
from batgen.errors import DataError

NOMINAL = 1.1
CURRENT = {"A": 1.0, "mA": 1e-3, "C-rate": NOMINAL}
TIME = {"s": 1.0, "min": 60.0, "h": 3600.0}


def charge(c_rate: float = 4.0, n: int = 200):
    """Time (s), current (A) of a charge that tapers, and its charge (Ah), integrated by trapezia."""
    t = np.linspace(0, 0.8 / c_rate * 3600, n)
    i = c_rate * NOMINAL * np.minimum(1, 1.5 - np.linspace(0, 1.4, n))
    return t, i, np.concatenate([[0], np.cumsum(np.diff(t) * (i[1:] + i[:-1]) / 2)]) / 3600


@pytest.mark.parametrize("current_unit", CURRENT)
@pytest.mark.parametrize("time_unit", TIME)
@pytest.mark.parametrize("c_rate", [0.05, 1.0, 8.0])
def test_every_known_pair_is_found(current_unit, time_unit, c_rate):
    t, i, q = charge(c_rate)
    fix = check_current(t / TIME[time_unit], i / CURRENT[current_unit], q, NOMINAL, "file")
    assert fix.current_factor == pytest.approx(CURRENT[current_unit])
    assert fix.time_factor == TIME[time_unit]
    assert fix.slope == pytest.approx(CURRENT[current_unit] * TIME[time_unit])


def test_mit_raw_is_c_rate_and_minutes():
    t, i, q = charge()
    fix = check_current([t / 60] * 3, [i / 1.1] * 3, [q] * 3, 1.1, "b1c0")
    assert (fix.current_factor, fix.time_factor) == (1.1, 60.0)
    assert "C-rate -> A" in fix.note
    assert "min -> s" in fix.note
    assert "66" in fix.note


def test_shared_slope_is_decided_by_magnitude():
    """For a 3.6 Ah cell mA with h and C-rate with s have the same slope, 3.6."""
    hours = np.linspace(0, 2, 100)
    in_mA = check_current(hours, np.full(100, 1800.0), hours * 1.8, 3.6, "x")
    assert (in_mA.current_factor, in_mA.time_factor) == (1e-3, 3600.0)
    in_C = check_current(hours * 3600, np.full(100, 0.5), hours * 1.8, 3.6, "x")
    assert (in_C.current_factor, in_C.time_factor) == (3.6, 1.0)


def test_one_Ah_cell_is_in_ampere():
    t = np.linspace(0, 3600, 50)
    fix = check_current(t, np.ones(50), t / 3600, 1.0, "x")
    assert fix.note.startswith("current A, time s")


def test_third_unit_is_refused_with_file_and_slope():
    t, i, q = charge()
    with pytest.raises(DataError, match=r"b1c0.*slope 0\.6.*no known unit"):
        check_current(t, i / 0.6, q, NOMINAL, "b1c0")


def test_wrong_sign_and_nothing_to_check():
    t, i, q = charge()
    with pytest.raises(DataError, match="x: .*sign"):
        check_current(t, -i, q, NOMINAL, "x")
    with pytest.raises(DataError, match="cannot be checked"):
        check_current(t, 0 * i, q, NOMINAL, "x")


def test_scalar_capacities_median_and_nan():
    """Measured capacities of whole discharges, one of them wrong, and some lost samples."""
    t, i, q = charge(1.0)
    i = i.copy()
    i[7] = np.nan
    fix = check_current([t] * 5, [i] * 5, [q[-1], q[-1], 0.1, q[-1], np.nan], NOMINAL, "x")
    assert fix.slope == pytest.approx(1, abs=0.01)


def test_rest_does_not_disturb_the_magnitudes():
    t = np.concatenate([np.linspace(0, 900, 100), np.linspace(901, 90000, 100)])
    i = np.concatenate([np.full(100, 4.4), np.zeros(100)])
    q = np.concatenate([np.linspace(0, 1.1, 100), np.full(100, 1.1)])
    fix = check_current(t / 60, i / 1.1, q, NOMINAL, "x")
    assert (fix.current_factor, fix.time_factor) == (1.1, 60.0)


def test_slope_closed_form():
    assert coulomb_slope([0, 1800, 3600], [2, 2, 2], [0, 1, 2]) == pytest.approx(1)
    assert np.isnan(coulomb_slope([0, 1], [2, 2], [0, 1]))
