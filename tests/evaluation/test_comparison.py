"""What all families start from: neighbours, what is shared between methods, vectors, intervals by leaving cells out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from batgen.data.curve_set import CurveSet
from batgen.evaluation.calibration import pit_values, quantile_paths
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.condition_neighbours import condition_matrix, nearest_rows
from batgen.evaluation.feature_map import FeatureMap
from batgen.evaluation.score_rows import GROUPS, jackknife, of_set, per_row
from tests.evaluation import planted


def curves(values: np.ndarray, cells: list[str] | None = None, **columns: object) -> CurveSet:
    """(N, S, P) as signals a_V, b_V ..."""
    table = pd.DataFrame({"cell_id": cells or [f"c{k}" for k in range(len(values))], **columns})
    names = tuple(f"{letter}_V" for letter in "abc"[: values.shape[1]])
    return CurveSet(values.astype(np.float32), names, np.arange(values.shape[2], dtype=float), "point", table)


def flat(cells: list[str], **columns: object) -> CurveSet:
    return curves(np.zeros((len(cells), 1, 2)), cells, **columns)


def compared(real: CurveSet, train: CurveSet | None, **more: object) -> Comparison:
    return Comparison(real, real, None, train, None, ("ecl",), 0, **more)  # type: ignore[arg-type]


def test_a_neighbour_is_near_in_condition_and_from_another_cell() -> None:
    one = planted.comparison(draws=1, cells=6, cycles=10, train_cells=20)
    assert one.neighbour is not None
    assert not set(one.neighbour.cells) & set(one.real.cells)
    assert len(one.neighbour) == len(one.real)
    distance = np.abs(one.neighbour.column("soh") - one.real.column("soh"))
    shuffled = np.abs(np.random.default_rng(0).permutation(one.neighbour.column("soh")) - one.real.column("soh"))
    assert distance.mean() < 0.5 * shuffled.mean()
    assert len(set(one.neighbour.cells)) > 5, "a random one of the nearest cells, not one cell for all"


def test_a_tested_cell_that_was_trained_on_is_a_neighbour_like_any_other() -> None:
    """Where a split trains on cycles of the tested cell, the floor sees them as the model did, but not only them."""
    whole = planted.comparison(draws=1, cells=8, cycles=20, train_cells=2).real
    even, odd = whole.take(np.arange(0, 160, 2)), whole.take(np.arange(1, 160, 2))
    found = Comparison(even, even, None, odd, None, planted.TOLD, 0).neighbour
    assert found is not None
    assert 0 < (found.cells == even.cells).mean() < 0.6


def test_battery_types_and_chemistries_are_kept_apart() -> None:
    for kind in ("battery", "chemistry"):
        train = flat(
            [f"t{k}" for k in range(12)], ecl=np.r_[np.zeros(6), np.arange(6.0)], **{kind: ["x"] * 6 + ["y"] * 6}
        )
        real = flat(["r0", "r1"], ecl=[0.0, 5.0], **{kind: ["y", "x"]})
        for seed in range(5):
            near = train.take(nearest_rows(real, train, ("ecl",), seed))
            assert list(near.table[kind]) == ["y", "x"]


def test_a_condition_without_spread_or_values_does_not_count() -> None:
    like = flat(["a", "b"], ecl=[1.0, 3.0], soh=[0.9, 0.9])
    found = condition_matrix(flat(["c"], ecl=[4.0], soh=[0.1]), like, ("ecl", "soh", "soc"))
    np.testing.assert_allclose(found, [[2.0]])
    assert condition_matrix(like, like, ("soh",)).shape == (2, 1)


def test_without_training_curves_there_is_no_neighbour() -> None:
    real = flat(["r"], ecl=[1.0])
    assert compared(real, None).neighbour is None
    assert compared(real, real.take(np.arange(0))).neighbour is None


def test_what_is_shared_is_made_once_for_the_same_curves_only() -> None:
    real, train, shared, made = flat(["r"], ecl=[1.0]), flat(["t"], ecl=[2.0]), {}, []  # type: ignore[var-annotated]

    def make() -> int:
        made.append(len(made))
        return len(made)

    first, same = (compared(real, train, shared=shared) for _ in range(2))
    assert (first.once("x", make), same.once("x", make), same.once("y", make)) == (1, 1, 2)
    assert compared(real.take(np.arange(1)), train, shared=shared).once("x", make) == 3
    assert compared(real, None, shared=shared).once("x", make) == 4
    assert compared(real, train).once("x", make) == 5
    assert first.neighbour is same.neighbour


def test_one_line_is_a_model_whose_draws_are_all_the_same() -> None:
    one = planted.comparison(planted.conditional_mean, draws=3, cells=2, cycles=3, train_cells=3)
    assert one.one_line
    assert replace(one, draws=one.draws[:1]).one_line  # type: ignore[index]
    assert not replace(one, draws=None).one_line
    assert not planted.comparison(draws=3, cells=2, cycles=3, train_cells=3).one_line


def test_vectors_measure_each_signal_in_its_own_spread() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2, 4)) * np.array([1.0, 1000.0])[:, None]
    known = curves(values)
    space = FeatureMap.fit(known)
    np.testing.assert_allclose(space.scale, known.values.astype(float).std(axis=(0, 2)))
    moved = values + np.array([0.1, 100.0])[:, None] * (space.scale / [1.0, 1000.0])[:, None]
    distance = np.linalg.norm(space.vectors(moved) - space.vectors(values), axis=1)
    np.testing.assert_allclose(distance, 0.1, rtol=1e-5)


def test_points_that_are_not_measured_everywhere_and_constant_signals() -> None:
    values = np.random.default_rng(0).normal(size=(5, 3, 4))
    values[:, 2] = 7.0
    other = values.copy()
    values[1, 0, 3], other[2, 1] = np.nan, np.nan
    space = FeatureMap.fit(curves(values), curves(other))
    assert space.keep.sum(axis=1).tolist() == [3, 0, 4]
    assert space.scale[2] == 1.0
    found = space.vectors(np.stack([values, values + 1]))
    assert found.shape == (2, 5, 7)
    np.testing.assert_allclose(
        np.square(found[1] - found[0]).sum(axis=1), np.mean([1 / space.scale[0] ** 2, 1.0]), rtol=1e-6
    )
    with pytest.raises(ValueError, match="no point"):
        FeatureMap.fit(curves(np.full((2, 1, 2), np.nan)))
    assert compared(curves(np.full((2, 1, 2), np.nan)), None).space is None


def test_leaving_cells_out_of_a_mean_gives_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=12)
    cells = np.array([f"c{k:02d}" for k in range(12)])
    low, high = jackknife(lambda rows, _: float(values[rows].mean()), float(values.mean()), cells, cells)
    half = t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert (low, high) == (pytest.approx(values.mean() - half), pytest.approx(values.mean() + half))


def test_leaving_out_is_by_groups_of_both_sides_and_not_of_one_cell() -> None:
    cells, seen = np.repeat([f"c{k:03d}" for k in range(60)], 2), []

    def of(real: np.ndarray, made: np.ndarray) -> float:
        seen.append((set(cells[real]), set(cells[::-1][made])))
        return 0.0

    assert jackknife(of, 0.0, cells, cells[::-1]) == (0.0, 0.0)
    assert len(seen) == GROUPS
    assert all(real == made and len(real) == 57 for real, made in seen)
    one = np.array(["a", "a"])
    assert np.isnan(jackknife(lambda real, made: 1.0, 1.0, one, one)).all()
    two = np.array(["a", "b"])
    assert np.isnan(jackknife(lambda real, made: np.inf, np.inf, two, two)).all()


def test_rows_of_means_leave_out_what_a_curve_has_not_and_take_the_root_last() -> None:
    value, cells = np.array([1.0, 9.0, np.nan]), np.array(["a", "b", "c"])
    about = {"family": "fidelity"}
    [plain] = per_row("MAE", {"a_V": value}, {"a_V": np.array([4.0, np.nan, 4.0])}, cells, 0, about)
    [root] = per_row("RMSE", {"a_V": value}, {"a_V": np.array([4.0, np.nan, 4.0])}, cells, 0, about, root=True)
    assert (plain["value"], plain["floor"], plain["n"]) == (5.0, 4.0, 2)
    assert (root["value"], root["floor"]) == (pytest.approx(np.sqrt(5)), 2.0)
    assert root["low"] == pytest.approx(np.sqrt(plain["low"]))
    [alone] = of_set("C2ST", "curve", 0.5, None, None, 7, about)
    assert (alone["low"], alone["floor"], alone["n"], alone["family"]) == (None, None, 7, "fidelity")


def test_courses_are_the_inverse_of_the_distribution_function() -> None:
    rng = np.random.default_rng(0)
    levels = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    quantiles = np.cumsum(rng.uniform(0.1, 1.0, (6, 5)), axis=1)
    wanted = np.array([0.01, 0.1, 0.2, 0.5, 0.62, 0.9, 0.99])
    paths = quantile_paths(quantiles, levels, wanted)
    assert paths.shape == (7, 6)
    for level, path in zip(wanted, paths, strict=True):
        np.testing.assert_allclose(pit_values(path, quantiles, levels), level, rtol=1e-9)
    assert (np.diff(paths, axis=0) > 0).all()
    np.testing.assert_allclose(paths[1], quantiles[:, 0])
    np.testing.assert_allclose(quantile_paths(quantiles[:, ::-1], levels, wanted), paths)
    with pytest.raises(ValueError, match="two levels"):
        quantile_paths(quantiles[:, :1], levels[:1], wanted)
