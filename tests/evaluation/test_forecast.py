"""Forecasts and their point errors, against closed forms; what is refused."""

import numpy as np
import pytest

from batgen.evaluation.forecast import mean_of_cells, per_cell, percent_of_nominal
from batgen.evaluation.point_scores import horizon_name, point_errors
from tests.evaluation.made_forecasts import made

NAN = float("nan")


def test_median_is_interpolated_where_it_is_no_level() -> None:
    line = np.linspace(2, 1, 5)
    assert made(line, line, 0.1).median is not line
    np.testing.assert_array_equal(made(line, line, 0.1).median, line)
    between = made(line, line, 0.1, levels=[0.2, 0.4, 0.8])
    expected = 0.75 * between.quantiles[:, 1] + 0.25 * between.quantiles[:, 2]
    np.testing.assert_allclose(between.median, expected)
    with pytest.raises(ValueError, match=r"no quantile 0.5: the levels are 0.1 to 0.3"):
        _ = made(line, line, levels=[0.1, 0.3]).median


def test_in_percent_of_nominal() -> None:
    share = percent_of_nominal(made(np.array([1.9]), np.array([1.8])))
    assert (share.target, share.eol_value) == ("discharge_capacity_%", 80.0)
    np.testing.assert_allclose([share.median[0], share.truth[0], share.observed[0]], [95, 90, 50])
    with pytest.raises(ValueError, match="no capacity in Ah"):
        percent_of_nominal(made(np.ones(1), np.ones(1), target="coulombic_efficiency"))


def test_shapes_and_orders_are_checked() -> None:
    line = np.ones(3)
    with pytest.raises(ValueError, match="all after cycle 10"):
        made(line, line, cycle=np.array([10, 11, 12]))
    with pytest.raises(ValueError, match="all after cycle 10"):
        made(line, line, cycle=np.array([11, 13, 12]))
    with pytest.raises(ValueError, match="must increase, between 0 and 1"):
        made(line, line, levels=[0.5, 0.1])
    with pytest.raises(ValueError, match="not finite"):
        made(np.array([1.0, NAN, 1.0]), line)
    with pytest.raises(ValueError, match=r"truth \(2,\)"):
        made(line, line[:2], cycle=np.array([11, 12, 13]))


def test_closed_forms() -> None:
    """Errors 1, 1, 1 and 5 in a truth of 10; the masked point does not count."""
    truth = np.array([10.0, 10, NAN, 10, 10])
    one = [made(truth.max(initial=10, where=~np.isnan(truth)) + np.array([1.0, -1, 99, 1, 5]), truth)]
    assert point_errors(one, "RMSE")[0] == pytest.approx(np.sqrt(28 / 4))
    assert point_errors(one, "MAE")[0] == pytest.approx(2)
    assert point_errors(one, "MAPE")[0] == pytest.approx(20)
    assert point_errors(one, "medAE")[0] == pytest.approx(1)


def test_mape_leaves_zeros_out() -> None:
    assert point_errors([made(np.array([1.0, 3.0]), np.array([0.0, 2.0]))], "MAPE")[0] == pytest.approx(50)
    assert np.isnan(point_errors([made(np.ones(1), np.zeros(1))], "MAPE")[0])


def test_a_set_is_the_mean_over_cells_and_not_over_cycles() -> None:
    """A long cell with an error of 1 and a short one with 3: 2 together, though 99 of 100 points have 1."""
    long = made(np.ones(99) + 1, np.ones(99), cell_id="long")
    short = made(np.ones(1) + 3, np.ones(1), cell_id="short")
    unknown = made(np.ones(2), np.full(2, NAN), cell_id="unknown")
    values = point_errors([long, short, unknown], "RMSE")
    np.testing.assert_allclose(values, [1, 3, NAN])
    assert mean_of_cells(values) == pytest.approx(2)
    with pytest.raises(ValueError, match="2 forecasts of cell long"):
        point_errors([long, long], "RMSE")
    with pytest.raises(ValueError, match="no forecasts"):
        per_cell([], lambda f: 0.0)


def test_by_horizon() -> None:
    """The error is the number of cycles ahead: bins hold their own ends and nothing else."""
    ahead = np.arange(1, 401.0)
    values = [made(ahead, np.zeros(400))]
    assert point_errors(values, "MAE", (1, 100))[0] == pytest.approx(50.5)
    assert point_errors(values, "MAE", (101, 300))[0] == pytest.approx(200.5)
    assert point_errors(values, "MAE", (301, None))[0] == pytest.approx(350.5)
    assert np.isnan(point_errors(values, "MAE", (1001, None))[0])
    strided = [made(ahead[4::5], np.zeros(80), cycle=10 + np.arange(5, 401, 5))]
    assert point_errors(strided, "MAE", (1, 100))[0] == pytest.approx(52.5)
    assert [horizon_name(h) for h in ((1, None), (1, 100), (1001, None))] == ["all", "1-100", "1001+"]
