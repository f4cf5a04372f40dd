import numpy as np
import pytest

from batgen.preprocessing.resample import coordinate, resample, unusable


def ragged(*cycles: dict[str, list[float]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    lengths = [len(next(iter(c.values()))) for c in cycles]
    columns = {k: np.concatenate([np.array(c[k], np.float32) for c in cycles]) for k in cycles[0]}
    return np.concatenate([[0], np.cumsum(lengths)]), columns


def test_linear_signals_are_exact_on_any_grid_whatever_the_sampling() -> None:
    uneven = [0.0, 1.0, 2.0, 7.0, 10.0]
    offsets, columns = ragged(
        {"time_s": uneven, "charge_capacity_Ah": uneven, "voltage_V": [3 + 0.1 * t for t in uneven]},
        {"time_s": [5.0, 25.0], "charge_capacity_Ah": [0.0, 1.0], "voltage_V": [2.0, 4.0]},
    )
    for grid in ("time", "charge"):
        out = resample(grid, 5, offsets, columns, ("voltage_V", "time_s"))
        np.testing.assert_allclose(out[0, 0], [3, 3.25, 3.5, 3.75, 4], rtol=1e-6)
        np.testing.assert_allclose(out[1, 0], [2, 2.5, 3, 3.5, 4], rtol=1e-6)
        np.testing.assert_allclose(out[1, 1], [5, 10, 15, 20, 25], rtol=1e-6)


def test_record_grid_is_the_papers_index_interpolation() -> None:
    values = np.random.default_rng(0).random(37).tolist()
    offsets, columns = ragged({"voltage_V": values}, {"voltage_V": values[:11]})
    out = resample("record", 20, offsets, columns, ("voltage_V",))
    np.testing.assert_allclose(out[0, 0], np.interp(np.linspace(0, 36, 20), np.arange(37), values), rtol=1e-6)
    np.testing.assert_allclose(out[1, 0], np.interp(np.linspace(0, 10, 20), np.arange(11), values[:11]), rtol=1e-6)


def test_a_rest_and_noise_in_charge_do_not_break_the_grid() -> None:
    offsets, columns = ragged({"charge_capacity_Ah": [0.0, 0.5, 0.5, 0.49, 0.5, 1.0], "voltage_V": [3, 4, 4, 4, 4, 5]})
    unit = coordinate("charge", offsets, columns)
    assert (np.diff(unit) >= 0).all()
    np.testing.assert_allclose(resample("charge", 3, offsets, columns, ("voltage_V",))[0, 0], [3, 4, 5])


@pytest.mark.parametrize("grid", ["record", "time", "charge"])
def test_cycles_do_not_leak_into_each_other(grid: str) -> None:
    one = {"time_s": [0.0, 1, 2], "charge_capacity_Ah": [0.0, 1, 2], "voltage_V": [1.0, 1, 1]}
    offsets, columns = ragged(one, {**one, "voltage_V": [9.0, 9, 9]}, one)
    out = resample(grid, 50, offsets, columns, ("voltage_V",))[:, 0]
    assert (out[0] == 1).all()
    assert (out[1] == 9).all()
    assert (out[2] == 1).all()


def test_unusable_cycles_are_named_with_their_reason() -> None:
    offsets, columns = ragged({"voltage_V": [1.0] * 5}, {"voltage_V": [1.0, np.nan, 1, 1, 1]}, {"voltage_V": [1.0] * 2})
    found = unusable(offsets, columns, ("voltage_V",), min_points=4)
    assert set(found) == {1, 2}
    assert "NaN at 1 of 5" in found[1]
    assert "only 2 points" in found[2]
