from dataclasses import replace

import numpy as np
import pytest

from batgen.data.cell import CellInfo
from batgen.errors import DataError
from batgen.preprocessing.sequence_medians import causal_median, centred_median, held, recent_median
from batgen.preprocessing.sequence_series import Series
from batgen.preprocessing.sequence_windows import Plan, windows

Q = "discharge_capacity_Ah"
INFO = CellInfo("a", "made", "LFP", 2.0, 2.0, 3.6, 25.0, c1=4.0, eol_cycle=90.0, censored=False, last_cycle=100)
PLAN = Plan(
    targets=(Q,),
    inputs=("internal_resistance_Ohm",),
    covariates=("cycle",),
    statics={"level": ("first_capacity", "fade"), "policy": ("c1", "q1")},
    capacity="Ah",
    first_cycles=4,
    stride=5,
    input_stride=5,
    static_window=3,
    after_eol={"weight": 0.5, "depth": 0.1, "tau_cycles": 20.0},
    level=Q,
)


def made(n: int = 100, info: CellInfo = INFO, ended: bool = True, **columns: np.ndarray) -> Series:
    fields = {Q: 2.0 - 0.001 * np.arange(1, n + 1), "internal_resistance_Ohm": 0.02 + 1e-4 * np.arange(1, n + 1)}
    return Series(info, {k: np.array(v, float) for k, v in (fields | columns).items()}, {}, ended)


def test_medians_look_where_they_say() -> None:
    values = np.array([1.0, np.nan, 3.0, 10.0, np.nan, np.nan, np.nan, 4.0])
    np.testing.assert_array_equal(causal_median(values, 2), [1, 1, 3, 6.5, 10, np.nan, np.nan, 4])
    np.testing.assert_array_equal(causal_median(values, 1), values)
    np.testing.assert_array_equal(centred_median(values, 3), [1, 2, 6.5, 6.5, 10, np.nan, 4, 4])
    np.testing.assert_array_equal(centred_median(values, 2), [1, 3, 6.5, 10, np.nan, np.nan, 4, 4])
    np.testing.assert_array_equal(recent_median(values, 2), [1, 1, 2, 6.5, 6.5, 6.5, 6.5, 7])
    np.testing.assert_array_equal(held(np.array([np.nan, 1.0, np.nan, 2.0])), [np.nan, 1, 1, 2])


def test_steps_are_anchored_at_the_cut_and_targets_have_no_lag() -> None:
    got = windows([made(), made()], [23, 40], 4, PLAN, training=False)
    assert got["length"].tolist() == [5, 8]
    assert got["covariates"][0, :, 0].tolist() == [3, 8, 13, 18, 23, 0, 0, 0]
    assert got["future"][0, :, 0].tolist() == [28, 33, 38, 43]
    # the median of (t - 5, t] of a line is its value at t - 2, that of (t - 2.5, t + 2.5] its value at t
    np.testing.assert_allclose(got["values"][0, 4], [2.0 - 0.021, 0.02 + 0.0021])
    np.testing.assert_allclose(got["target"][0, :, 0], 2.0 - 0.001 * np.array([28, 33, 38, 43]))
    np.testing.assert_allclose(got["last"][0], 2.0 - 0.022)
    assert not got["values"][0, 5:].any()
    assert not got["flags"][0, 5:].any()


def test_nothing_after_the_cut_is_in_what_the_model_sees() -> None:
    plan = replace(PLAN, capacity="shape", first_cycles=50, statics=PLAN.statics | {"r": ("internal_resistance_Ohm",)})
    for stride in (1, 5):
        plain, changed = made(), made()
        for values in changed.columns.values():
            values[40:] *= 1.7
        before, after = (
            windows([one], [40], 6, replace(plan, stride=stride, input_stride=stride), training=True)
            for one in (plain, changed)
        )
        for name in ("values", "flags", "covariates", "statics", "last", "length"):
            np.testing.assert_array_equal(before[name], after[name])
        # of the first step too, none of whose neighbours lie before the cut
        np.testing.assert_allclose(after["target"][0, :, 0], 1.7 * before["target"][0, :, 0])


def test_missing_values_are_held_flagged_and_weightless() -> None:
    one = made()
    one.columns[Q][[0, 1, 2, 19, 30, 31]] = np.nan
    plan = replace(PLAN, stride=1, input_stride=1)
    got = windows([one], [30], 4, plan, training=False)
    assert got["length"].tolist() == [27], "steps begin at the first cycle that is known"
    assert got["flags"][0, :, 0].tolist() == [1.0] * 16 + [0.0] + [1.0] * 10
    np.testing.assert_allclose(got["values"][0, 16, 0], 2.0 - 0.019)
    assert got["weight"][0, :, 0].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(got["target"][0, :2, 0], got["last"][0, 0])


def test_training_sees_a_fade_behind_the_end_of_life_and_tests_do_not() -> None:
    plan = replace(PLAN, stride=1, input_stride=1)
    cells = [made(), made(ended=False)]
    trained, tested = (windows(cells, [95, 95], 30, plan, training=flag) for flag in (True, False))
    assert trained["weight"][0, :, 0].tolist() == [1.0] * 5 + [0.5] * 25
    end = 2.0 - 0.099  # median of the last three
    beyond = np.arange(1, 26)
    np.testing.assert_allclose(trained["target"][0, 5:, 0], end - 0.1 * 2.0 * (1 - np.exp(-beyond / 20)))
    for got, cell in ((trained, 1), (tested, 0), (tested, 1)):
        assert got["weight"][cell, :, 0].tolist() == [1.0] * 5 + [0.0] * 25
        np.testing.assert_allclose(got["target"][cell, 5:, 0], 2.0 - 0.1)
    share = windows(cells, [95, 95], 30, replace(plan, capacity="nominal"), training=True)
    np.testing.assert_allclose(share["target"], trained["target"] / 2.0)


def test_shape_divides_by_the_first_values_up_to_the_cut() -> None:
    plan = replace(PLAN, capacity="shape", stride=1, input_stride=1, first_cycles=10)
    got = windows([made(), made()], [4, 50], 3, plan, training=False)
    first = np.array([2.0 - 0.0025, 2.0 - 0.0055])
    np.testing.assert_allclose(got["last"][:, 0], np.array([2.0 - 0.003, 2.0 - 0.049]) / first)
    np.testing.assert_allclose(got["statics"][:, 0], first / 2.0)
    np.testing.assert_allclose(got["statics"][:, 1], np.array([2.0 - 0.003, 2.0 - 0.049]) / first - 1)
    assert got["statics"][:, 2].tolist() == [4.0, 4.0]
    assert np.isnan(got["statics"][:, 3]).all()


def test_pairs_keep_their_order_and_cells_their_number() -> None:
    other = made(60, replace(INFO, cell_id="b"), **{Q: np.full(60, 1.5)})
    first = made()
    got = windows([first, other, first], [50, 20, 10], 2, PLAN, training=False)
    assert got["cell"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(got["last"][:, 0], [2.0 - 0.049, 1.5, 2.0 - 0.009])
    for row, (one, cut) in enumerate([(first, 50), (other, 20), (first, 10)]):
        alone = windows([one], [cut], 2, PLAN, training=False)
        steps = alone["values"].shape[1]
        np.testing.assert_array_equal(got["values"][row, :steps], alone["values"][0])
        np.testing.assert_array_equal(got["target"][row], alone["target"][0])


def test_a_schedule_is_known_ahead_and_goes_on_as_it_ended() -> None:
    rate = np.full(100, 1.0)
    rate[50:] = 2.0
    rate[60] = np.nan
    plan = replace(PLAN, covariates=("discharge_c_rate", "log_nominal_capacity"), stride=10, input_stride=10)
    got = windows([made(discharge_c_rate=rate)], [41], 8, plan, training=False)
    assert got["future"][0, :, 0].tolist() == [2.0] * 8
    assert got["covariates"][0, :5, 0].tolist() == [1.0] * 5
    np.testing.assert_allclose(got["future"][0, :, 1], np.log(2.0))
    fixed = made(info=replace(INFO, discharge_c_rate=0.5))
    assert windows([fixed], [41], 2, plan, training=False)["future"][0, :, 0].tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match=r"cell a: covariate discharge_c_rate is missing for the future.*covariates="):
        windows([made()], [41], 2, plan, training=False)
    none = windows([made()], [41], 2, replace(plan, covariates=()), training=False)
    assert none["future"].shape == (1, 2, 0)


def test_cells_that_cannot_be_cut_are_named() -> None:
    with pytest.raises(DataError, match=r"cell a has cycles 1 to 100, but 101 .*cycles="):
        windows([made()], [101], 2, PLAN, training=False)
    late = made()
    late.columns[Q][:10] = np.nan
    with pytest.raises(DataError, match=r"cell a: discharge_capacity_Ah is first known at cycle 11, but only 10"):
        windows([late], [10], 2, PLAN, training=False)
    with pytest.raises(DataError, match=r"cell a: discharge_capacity_Ah is typically 1950 .* 2 Ah: mixed units"):
        windows([made(**{Q: made().columns[Q] * 1000})], [10], 2, PLAN, training=False)


def test_what_is_seen_may_have_finer_steps_than_what_is_ahead() -> None:
    fine = windows([made()], [40], 6, replace(PLAN, input_stride=2), training=True)
    coarse = windows([made()], [40], 6, PLAN, training=True)
    assert (fine["length"][0], coarse["length"][0]) == (20, 8)
    np.testing.assert_array_equal(fine["target"], coarse["target"])
    assert fine["covariates"][0, :, 0].tolist() == list(range(2, 41, 2))


def test_ahead_counts_from_the_cut() -> None:
    got = windows([made(), made()], [23, 40], 3, replace(PLAN, covariates=("ahead", "cycle")), training=False)
    assert got["covariates"][0, :5, 0].tolist() == [-20, -15, -10, -5, 0]
    assert got["covariates"][1, :, 0].tolist() == [-35, -30, -25, -20, -15, -10, -5, 0]
    assert got["future"][:, :, 0].tolist() == [[5, 10, 15]] * 2
    np.testing.assert_array_equal(got["future"][:, :, 1] - got["future"][:, :, 0], [[23] * 3, [40] * 3])
