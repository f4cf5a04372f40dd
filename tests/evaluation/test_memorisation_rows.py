"""Copiers of every kind are caught, each by its own metric; honest generators, and merely bad ones, are not accused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.memorisation_rows import memorisation_details, memorisation_rows
from tests.evaluation import planted

Rows = dict[str, dict[str, Any]]


def noisy_copies(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Training curves with noise of 0.5 % of each signal's standard deviation."""
    scale = train.values.std(axis=(0, 2))[:, None]
    draws = planted.copies(real, train, count, seed)
    return draws + 0.005 * scale * np.random.default_rng(seed).normal(size=draws.shape).astype(np.float32)


def any_copies(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Training curves whatever the condition."""
    return train.values[np.random.default_rng(seed).integers(0, len(train), (count, len(real)))]


def some_copies(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws, one row in five of which is a training curve."""
    draws = planted.draws_of(real, count, seed)
    draws[:, ::5] = any_copies(real, train, count, seed)[:, ::5]
    return draws


def learnt_by_heart(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Exact draws at new conditions; half way to the training curve itself at training ones."""
    draws = planted.draws_of(real, count, seed)
    return 0.5 * (draws + real.values) if real is train else draws


def rows_of(generator: planted.Generator, seed: int = 0, **changes: Any) -> Rows:
    comparison = planted.comparison(generator, draws=4, seed=seed, at_train=True)
    return {row["metric"]: row for row in memorisation_rows(replace(comparison, **changes), 0, {"model": "x"})}


@pytest.mark.parametrize("generator", [planted.right, planted.measured])
@pytest.mark.parametrize("seed", [0, 1])
def test_honest_draws_and_measured_cells_pass(generator: planted.Generator, seed: int) -> None:
    rows = rows_of(generator, seed)
    ratio, copies, membership = rows["train_distance_ratio"], rows["copy_share"], rows["membership_AUC"]
    assert ratio["low"] < 1 < ratio["high"]
    assert ratio["value"] == pytest.approx(1, abs=0.1)
    assert copies["value"] == 0
    assert copies["floor"] == 0
    assert abs(membership["value"] - membership["floor"]) < 0.1
    assert membership["low"] < 0.52 < membership["high"] + 0.05
    assert {row["family"] for row in rows.values()} == {"memorisation"}
    assert ratio["model"] == "x"


@pytest.mark.parametrize("generator", [planted.mean_curve, planted.conditional_mean, planted.two_modes,
                                       planted.wrong_condition, planted.shuffled_time])  # fmt: skip
def test_a_bad_generator_is_not_accused_of_copying(generator: planted.Generator) -> None:
    rows = rows_of(generator)
    assert rows["train_distance_ratio"]["value"] > 0.9
    assert rows["copy_share"]["value"] == 0
    assert abs(rows["membership_AUC"]["value"] - 0.5) < 0.12


@pytest.mark.parametrize(("generator", "ratio", "share"), [(planted.copies, 0.001, 0.99), (noisy_copies, 0.1, 0.6)])
def test_copies_with_and_without_noise_fail_everywhere(
    generator: planted.Generator, ratio: float, share: float
) -> None:
    rows = rows_of(generator)
    assert rows["train_distance_ratio"]["value"] <= ratio
    assert rows["train_distance_ratio"]["high"] < 0.2
    assert rows["copy_share"]["value"] > share
    assert rows["membership_AUC"]["value"] > 0.99


def test_copies_for_any_condition_are_seen_by_distance_not_by_membership() -> None:
    rows = rows_of(any_copies)
    assert rows["train_distance_ratio"]["value"] < 0.001
    assert rows["copy_share"]["value"] > 0.99
    assert abs(rows["membership_AUC"]["value"] - 0.5) < 0.12


def test_a_few_copies_among_honest_draws_are_the_copy_share() -> None:
    rows = rows_of(some_copies)
    assert rows["copy_share"]["value"] == pytest.approx(29 / 144)
    assert rows["train_distance_ratio"]["value"] > 0.7


@pytest.mark.parametrize("seed", [0, 1])
def test_training_cells_learnt_by_heart_are_seen_by_membership_alone(seed: int) -> None:
    rows = rows_of(learnt_by_heart, seed)
    assert rows["membership_AUC"]["low"] > 0.55
    assert rows["membership_AUC"]["value"] > rows["membership_AUC"]["floor"] + 0.15
    assert rows["copy_share"]["value"] == 0
    assert rows["train_distance_ratio"]["value"] > 0.9


@pytest.mark.parametrize("lost", [{"at_train": None}, {"at_train": None, "draws": None}])
def test_without_draws_at_training_conditions_copies_are_still_caught(lost: dict[str, Any]) -> None:
    rows = rows_of(planted.copies, **lost)
    assert rows["train_distance_ratio"]["value"] < 0.001
    assert rows["membership_AUC"]["value"] > 0.6
    assert "without draws" in rows["membership_AUC"]["note"]
    honest = rows_of(planted.right, **lost)
    assert honest["membership_AUC"]["value"] < 0.55
    assert honest["train_distance_ratio"]["low"] < 1


def test_no_row_rather_than_a_wrong_one() -> None:
    comparison = planted.comparison(planted.right, draws=2)
    assert memorisation_rows(replace(comparison, train=None), 0, {}) == []
    assert memorisation_details(replace(comparison, train=None), 0) == {}
    one = np.flatnonzero(comparison.real.cells == comparison.real.cells[0])
    single = replace(comparison, real=comparison.real.take(one), generated=comparison.generated.take(one), draws=None)
    assert {row["metric"] for row in memorisation_rows(single, 0, {})} == {"copy_share", "membership_AUC"}
    values = comparison.real.values.copy()
    values[0] = np.nan
    assert memorisation_rows(replace(comparison, real=comparison.real.with_values(values)), 0, {}) == []


def test_the_ratio_needs_curves_for_held_out_conditions_and_its_interval_four_cells() -> None:
    comparison = planted.comparison(planted.right, draws=2)
    table = comparison.generated.table.assign(cell_id="someone's")
    foreign = CurveSet(
        comparison.generated.values, planted.SIGNALS, planted.AXIS, "charge", table, comparison.generated.facts
    )
    found = memorisation_rows(replace(comparison, generated=foreign, draws=None), 0, {})
    assert {row["metric"] for row in found} == {"copy_share", "membership_AUC"}
    few = {row["metric"]: row for row in memorisation_rows(planted.comparison(draws=2, cells=3), 0, {})}
    assert few["train_distance_ratio"]["low"] is None
    assert few["train_distance_ratio"]["value"] == pytest.approx(1, abs=0.4)


def test_a_nan_curve_is_no_copy_and_the_same_seed_gives_the_same_numbers() -> None:
    comparison = planted.comparison(planted.copies, draws=2)
    values = comparison.generated.values.copy()
    values[:72] = np.nan
    broken = replace(comparison, generated=comparison.generated.with_values(values))
    rows = {row["metric"]: row["value"] for row in memorisation_rows(broken, 0, {})}
    assert rows["copy_share"] == 0.5
    assert rows["train_distance_ratio"] < 0.001
    assert repr(memorisation_rows(comparison, 3, {})) == repr(memorisation_rows(comparison, 3, {}))


@pytest.mark.parametrize(("generator", "near"), [(planted.right, lambda x, floor: 0.8 < x / floor < 1.25),
                                                 (planted.copies, lambda x, floor: x < 1e-5)])  # fmt: skip
def test_details_are_the_distances_of_the_figure(
    generator: planted.Generator, near: Callable[[float, float], bool]
) -> None:
    details = memorisation_details(planted.comparison(generator, draws=2), 0)
    assert {name: len(values) for name, values in details.items()} == dict.fromkeys(
        ("to_train", "to_held_out", "floor_to_train"), 144
    )
    assert near(float(np.median(details["to_train"])), float(np.median(details["floor_to_train"])))
    assert np.median(details["to_held_out"]) > 0.5 * np.median(details["floor_to_train"])
