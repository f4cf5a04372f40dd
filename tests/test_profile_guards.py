"""What must not flatter a generator of profiles, nor leak into it: cells that are joined, values that are no numbers, points
behind an end, folds that cannot tell, cells that an earlier run knew."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from batgen import finetune_profiles, profile_checks, profile_run, profile_scoring
from batgen.data.profile_set import Drawn
from batgen.data.profile_split import Fold
from batgen.evaluation.profile_rows import profile_rows
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.finetune_profiles import seen_before
from batgen.preprocessing.profile_reference import Reference
from batgen.preprocessing.profiles import Profiles
from batgen.profile_scoring import sample_tests, truth_of
from batgen.profile_sweeps import sweep
from batgen.report.profile_table import to_markdown
from batgen.training.adversarial import cell_weights
from tests.profile_part_fixture import POINTS, part

_held = profile_scoring.tests_of  # pytest would take its own name for a test


def test_batches_of_training_and_validation_can_be_joined() -> None:
    """A validation cell with the number of a training cell would share its weight."""
    planted = part()
    member = planted.members[0]
    train, val = (planted.batch(member, rows) for rows in (member.fold.train, member.fold.val))
    assert not set(train.cell.tolist()) & set(val.cell.tolist())
    cell = torch.cat([train.cell, val.cell])
    names = planted.profiles.table["cell_id"].to_numpy(str)[member.known]
    weights = pd.Series(cell_weights(cell, 1.0).numpy()).groupby(names).sum()
    np.testing.assert_allclose(weights, 1.0)
    assert weights.index.tolist() == list("abde")


# ---- values that are no numbers ----------------------------------------------------------------------------------------
def metrics(drawn: Drawn, after_s: float = 0.0) -> dict[tuple[str, str], float]:
    planted = part()
    truth = truth_of(planted, _held(planted), after_s, 0)
    rows = profile_rows(truth, drawn, {"role": "model", "method": "x", "test_set": "cells"}, 0)
    return {(row["metric"], row["signal"]): row["value"] for row in rows}


def draws(**law: Any) -> Drawn:
    planted = part(**law)
    return sample_tests(planted, _held(planted), lambda member: member.trained, 6, 0)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("worst", [np.nan, np.inf])
def test_no_number_is_not_better_than_a_bad_one(worst: float) -> None:
    """A generator that says NaN where it would be wrong must not be scored on the rest alone."""
    drawn = draws(off_degC=5.0)
    drawn.curves[2, :30, :, 3] = worst  # of one cell of two
    found = metrics(drawn)
    for key in (
        ("MAE", "peak_temperature_degC"),
        ("MAE", "final_temperature_degC"),
        ("RMSE", "temperature_degC"),
        ("CRPS", "temperature_degC"),
        ("energy_score", "profile"),
        ("energy_distance", "profile"),
    ):
        assert found[key] == np.inf, key


def test_tables_show_a_seed_that_failed() -> None:
    about: dict[str, Any] = {
        "protocol": "honest",
        "split": "held_out_cells",
        "data": "made",
        "model": "x",
        "test_set": "cells",
    }
    about |= {
        "signal": "peak_temperature_degC",
        "metric": "MAE",
        "unit": "degC",
        "direction": "lower",
        "n": 9,
        "low": None,
    }
    lines = [
        ("model", "x", 0, 1.0),
        ("model", "x", 1, np.inf),
        ("baseline", "knn", 0, 1.2),
        ("baseline", "knn", 1, 1.2),
    ]
    rows = [
        {**about, "role": role, "method": name, "seed": seed, "value": v, "high": None} for role, name, seed, v in lines
    ]
    assert "worse than the best baseline: inf against 1.20" in to_markdown(rows)


def test_profiles_that_end_before_a_peak_counts_do_not_win() -> None:
    drawn = draws()
    some, none = drawn.duration_s.copy(), drawn.duration_s.copy()
    some[0], none[:, ::2] = 600.0, 600.0
    errors = [
        metrics(Drawn(drawn.curves, duration, drawn.signals, None), after_s=1800)["MAE", "peak_temperature_degC"]
        for duration in (drawn.duration_s, some, none)
    ]
    assert errors[1] == pytest.approx(errors[0], abs=0.1), "one draw of six has no peak, the others say it"
    assert errors[2] == np.inf


# ---- points behind an end ----------------------------------------------------------------------------------------------
def test_behind_its_end_a_generated_profile_holds_its_last_value() -> None:
    curves = np.arange(12, dtype=np.float32).reshape(1, 2, 1, 6)
    held = Drawn(curves, np.array([[20.0, 50.0]]), ("temperature_degC",), 10.0).held()
    assert held.curves[0, :, 0].tolist() == [[0, 1, 2, 2, 2, 2], [6, 7, 8, 9, 10, 11]]
    spread = Drawn(curves, np.array([[20.0, 50.0]]), ("temperature_degC",), None)
    assert spread.held().curves is curves


def test_what_is_drawn_is_held() -> None:
    planted = part()
    member = planted.members[0]
    member.preprocessing.step_s = 200.0  # 3600 s end at the 19th of 24 points
    batch = planted.batch(member, member.fold.tests["cells"])
    drawn = profile_scoring.sample(member, member.trained, batch, 3, 0)
    assert np.ptp(drawn.curves[..., 18:], axis=-1).max() == 0
    assert np.ptp(drawn.curves[..., 17:19], axis=-1).min() > 0


def test_windows_are_as_long_as_they_are() -> None:
    pre = Profiles(
        profiles={}, part="discharge", signals=["voltage_V"], conditions=["soc"], points=11, start="random",
        window_s=100.0, relative="none",
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(5, 3, 2, 11)).astype(np.float32)
    drawn = pre.inverse(x, np.zeros((3, 1, 11), np.float32), np.ones(3))
    assert (drawn.duration_s == 100).all()
    assert drawn.mask.all()


# ---- sweeps of references ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["start_temperature_change_degC", "ambient_degC"])
def test_a_warmer_start_than_the_reference_starts_warmer(name: str) -> None:
    planted = part(spread_degC=0.0)
    member = planted.members[0]
    table = planted.profiles.table.assign(
        start_temperature_change_degC=planted.profiles.table["start_temperature_degC"] - 20
    )
    planted.profiles.table[:] = table
    member.preprocessing.relative = "reference"
    member.preprocessing.references = {
        cell: Reference(np.zeros(POINTS), 1.0, 1.0, 20.0, 20.0) for cell in table["cell_id"].unique()
    }
    member.conditions.low["start_temperature_change_degC"], member.conditions.high["start_temperature_change_degC"] = (
        0.0,
        4.0,
    )
    found = sweep(planted, member, name, 9, 0)
    assert found is not None
    values, drawn, _ = found
    np.testing.assert_allclose(np.diff(drawn.curves[:, :, 0, 0].mean(0)), np.diff(values), atol=1e-3)


# ---- the classifier test -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("within", [False, True])
def test_the_classifier_leaves_out_cells_or_within_cells_blocks(within: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = part(held="bcdef" if not within else "f")
    if within:
        odd = planted.profiles.table["ecl"].to_numpy() % 2 == 1
        fold = Fold("fold0", np.flatnonzero(odd), np.flatnonzero(odd)[:9], {"blocks": np.flatnonzero(~odd)})
        planted.members[0].fold = fold
    tests = _held(planted)
    truth, drawn = truth_of(planted, tests, 0.0, 0), sample_tests(planted, tests, lambda m: m.trained, 4, 0)
    seen: list[str] = []

    def told(real: np.ndarray, made: np.ndarray, groups: np.ndarray, *_: Any) -> float:
        seen.extend(groups.tolist())
        return 0.5

    monkeypatch.setattr(profile_checks, "c2st", told)
    places = np.arange(len(tests.rows))
    about = {"n": len(places), "test_set": "cells"}
    (row,) = profile_checks.classifier_rows(planted, tests, places, truth, drawn, about, {})
    assert row["value"] == row["floor"] == 0.5
    blocked = {f"{cell} {block}" for cell in "abcdef" for block in range(3)}
    assert set(seen) == (blocked if within else set("bcdef"))


# ---- folds that cannot tell --------------------------------------------------------------------------------------------
def test_a_fold_whose_cells_are_alike_says_nothing_of_a_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    def line(fold: str, how: str, value: float, learnt: str) -> dict[str, Any]:
        about = {"fold": fold, "metric": "peak_temperature_MAE", "block": "ecl", "how": how, "n": 10}
        return {**about, "value": value, "unpermuted": 1.0, "learnt": learnt}

    lines = iter([line("fold0", "within protocol", 3.0, "yes"), line("fold1", "across", 1.0, "constant")])
    monkeypatch.setattr(profile_run, "permutations", lambda *_: pd.DataFrame([next(lines)]))
    monkeypatch.setattr(profile_run, "utility", lambda *_: {})
    monkeypatch.setattr(profile_run, "write_table", lambda *_: None)
    planted = part()
    planted.members.append(planted.members[0])
    rows = profile_run._use_rows(planted, _held(part()), ProfileEvaluation(), 0)
    assert [(row["value"], row["note"], row["n"]) for row in rows] == [(3.0, "learnt: yes", 10)]


# ---- what an earlier run knew ------------------------------------------------------------------------------------------
def test_cells_that_finetune_run_learnt_from_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SimpleNamespace(facts={"train_cells": ["a", "c"]})
    monkeypatch.setattr(finetune_profiles, "pretrained", lambda conf, fold: source if conf["finetune"]["run"] else None)
    cells = np.array(list("abcd"))
    fold = Fold("fold0", np.array([0]), np.array([1]), {"cells": np.array([2]), "apart": np.array([3])})
    (told,) = seen_before({"finetune": {"run": "there"}}, fold, cells)
    assert "test cell c," in told
    assert not seen_before({"finetune": {"run": None}}, fold, cells)
    other = Fold("fold0", np.array([0]), np.array([1]), {"cells": np.array([3])})
    assert not seen_before({"finetune": {"run": "there"}}, other, cells)
