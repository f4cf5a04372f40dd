"""What is measured of a generator of profiles, on planted ones: one that ignores a condition, one that draws a single line,
one that breaks physics."""

from typing import Any

import numpy as np
import pytest

from batgen.evaluation.profile_rows import cell_means, profile_rows
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.profile_checks import blocks_of, checks_of, permutations, physics_rates
from batgen.profile_part import Part
from batgen.profile_scoring import sample_tests, truth_of
from batgen.profile_sweeps import sweep
from tests.profile_part_fixture import CONDITIONS, Law, held, part

SETTINGS = ProfileEvaluation(draws=16, permutations=3, blocks=[["ambient_degC", "c_rate"]])
BLOCK = "ambient_degC+c_rate"


def learnt(planted: Part, metric: str = "peak_temperature_MAE") -> dict[str, str]:
    member = planted.members[0]
    found = permutations(planted, member, member.fold.tests["cells"], SETTINGS, 0)
    own = found[found["metric"] == metric]
    return dict(zip(own["block"], own["learnt"], strict=True))


def rows_of(planted: Part, role: str = "model", **law: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Every metric row of the part's model (or of a law), by metric and signal."""
    tests = held(planted)
    truth = truth_of(planted, tests, 0.0, 0)
    drawn = sample_tests(planted, tests, lambda member: Law(member, **law) if law else member.trained, 16, 0)
    made = profile_rows(truth, drawn, {"role": role, "method": "x", "test_set": "cells"}, 0)
    return {(row["metric"], row["signal"]): row for row in made}


# ---- conditions --------------------------------------------------------------------------------------------------------
def test_a_model_that_listens_has_learnt_every_condition_that_matters() -> None:
    for metric in ("peak_temperature_MAE", "energy_score"):
        found = learnt(part(), metric)
        assert found[BLOCK] == found["ecl"] == "yes", metric


@pytest.mark.parametrize(("deaf", "block"), [("ecl", "ecl"), ("c_rate", BLOCK)])
def test_a_model_that_ignores_a_condition_has_not_learnt_it(deaf: str, block: str) -> None:
    """The start temperature is known beforehand: permuting it moves what is generated, whatever the model does."""
    for metric in ("peak_temperature_MAE", "energy_score"):
        found = learnt(part(deaf=(deaf,)), metric)
        assert found[block] == "no", metric
        assert found["start_temperature_degC"] == "yes" or deaf == "c_rate", metric
    if deaf == "ecl":
        assert found[BLOCK] == "yes"


def test_rows_that_share_a_value_cannot_tell_whether_it_was_learnt() -> None:
    found = learnt(part(held="ab"))
    assert found[BLOCK] == "constant"
    assert found["ecl"] == "yes"


def test_blocks_name_every_column_once() -> None:
    member = part().members[0]
    blocks = blocks_of(member, ProfileEvaluation(blocks=[["ambient_degC", "c_rate", "c_rate_rms"], ["soc"]]))
    assert blocks == {BLOCK: [1, 3], "ecl": [0], "start_temperature_degC": [2]}
    assert list(member.conditions.columns) == CONDITIONS


# ---- sweeps ------------------------------------------------------------------------------------------------------------
def test_a_sweep_follows_the_condition_beyond_its_range() -> None:
    planted = part(spread_degC=0.0)
    found = sweep(planted, planted.members[0], "ecl", 9, 0)
    assert found is not None
    values, drawn, facts = found
    assert (facts["low"], facts["high"]) == (1.0, 30.0)
    assert (values > 0).all()
    assert values.max() > 30
    assert {1.0, 30.0} <= set(values.round(6).tolist())
    peaks = drawn.curves[:, :, 0].max(2).mean(0)
    np.testing.assert_allclose(np.diff(peaks), 0.1 * np.diff(values), atol=1e-4)
    assert "ecl" not in facts["fixed"]
    assert facts["fixed"]["cell_id"] in "abde", "held at a training record"


def test_an_ambient_takes_its_start_along() -> None:
    """Alone, a warmer ambient would meet a cell that is still cold."""
    planted = part()
    values, drawn, facts = sweep(planted, planted.members[0], "ambient_degC", 9, 0)  # type: ignore[misc]
    np.testing.assert_allclose(np.diff(drawn.curves[:, :, 0, 0].mean(0)), np.diff(values), atol=1e-3)
    assert not {"ambient_degC", "start_temperature_degC"} & set(facts["fixed"])


def test_a_sweep_stays_where_a_condition_can_be() -> None:
    """A state of charge between 0 and 1, however narrow what was trained on."""
    planted = part()
    member = planted.members[0]
    member.conditions.names = (*CONDITIONS, "soc")
    member.conditions.low["soc"], member.conditions.high["soc"] = 0.2, 0.8
    planted.profiles.table["soc"] = np.linspace(0.2, 0.8, len(planted.profiles))
    values, _, _ = sweep(planted, member, "soc", 9, 0)  # type: ignore[misc]
    assert values.min() >= 0
    assert 0.8 < values.max() <= 1


def test_a_deaf_model_has_a_flat_sweep_and_a_constant_none() -> None:
    planted = part(deaf=("ecl",))
    _, drawn, _ = sweep(planted, planted.members[0], "ecl", 9, 0)  # type: ignore[misc]
    assert np.ptp(drawn.curves[:, :, 0].max(2).mean(0)) < 0.3, "of 3 degC and more where it listens"
    planted.members[0].preprocessing.constant = ["ecl"]
    assert sweep(planted, planted.members[0], "ecl", 9, 0) is None


# ---- metric rows -------------------------------------------------------------------------------------------------------
def test_the_law_itself_errs_by_the_scatter_and_spreads_as_measured() -> None:
    rows = rows_of(part())
    scatter = 0.3 * np.sqrt(2 / np.pi)  # mean size of a normal deviate
    assert rows["MAE", "peak_temperature_degC"]["value"] == pytest.approx(scatter, rel=0.35)
    assert rows["MAE", "duration_s"]["value"] == pytest.approx(0, abs=0.01)
    assert 0.6 < rows["variance_ratio", "temperature_degC"]["value"] < 1.6
    assert rows["flat_share", "profile"]["value"] == 0
    assert rows["repeat_share", "profile"]["value"] < 0.2
    assert rows["energy_distance", "profile"]["value"] < 0.05


def test_a_model_that_is_off_by_two_degrees_errs_by_two() -> None:
    rows = rows_of(part(off_degC=2.0))
    for feature in ("peak_temperature_degC", "final_temperature_degC"):
        own = rows["MAE", feature]
        assert own["value"] == pytest.approx(2, abs=0.15)
        assert own["low"] <= own["value"] <= own["high"]
        assert own["floor"] == pytest.approx(4 / 3, rel=0.4), (
            "a measured neighbour starts up to 4 degC warmer or colder"
        )
    assert rows["MAE", "temperature_rise_degC"]["value"] < 0.6
    assert rows["RMSE", "temperature_degC"]["value"] == pytest.approx(2, abs=0.15)
    assert rows["energy_distance", "profile"]["value"] > 10 * rows["energy_distance", "profile"]["floor"]


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_a_model_that_draws_one_line_has_collapsed(spread: float) -> None:
    """Also where all its draws are the same to the last bit, as those of a generator that drops its noise."""
    rows = rows_of(part(spread_degC=spread))
    assert rows["variance_ratio", "temperature_degC"]["value"] == pytest.approx(0, abs=1e-3)
    assert rows["repeat_share", "profile"]["value"] == 1
    assert rows["nearest_pair_ratio", "profile"]["value"] == pytest.approx(0, abs=0.01)


def test_a_baseline_of_one_line_is_not_called_collapsed() -> None:
    rows = rows_of(part(), role="baseline", spread_degC=0.0)
    assert ("variance_ratio", "temperature_degC") not in rows
    assert ("energy_score", "profile") in rows


def test_a_mean_over_cells_weighs_cells_alike() -> None:
    cells, means = cell_means(np.array([1.0, 1, 1, 5, np.nan]), np.array(list("aaabc")))
    assert cells.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(means, [1, 5, np.nan])


# ---- physics -----------------------------------------------------------------------------------------------------------
def test_a_saw_fails_what_measured_profiles_pass() -> None:
    planted = part(saw_degC=1.0)
    tests = held(planted)
    checks, notes = checks_of(planted, planted.members[0])
    assert not notes
    places = np.arange(len(tests.rows))
    by_fold = {"fold0": checks}
    measured = physics_rates(planted, tests, by_fold, None, places)
    drawn = sample_tests(planted, tests, lambda member: member.trained, 4, 0)
    made = physics_rates(planted, tests, by_fold, drawn, places)
    assert min(measured.values()) > 0.9
    assert made["smoothness"] == 0
    law = sample_tests(planted, tests, lambda member: Law(member), 4, 0)
    assert min(physics_rates(planted, tests, by_fold, law, places).values()) > 0.9


def test_a_check_that_data_do_not_allow_is_named() -> None:
    planted = part()
    slides = {"_target_": "batgen.models.physics.thermal_balance.ThermalBalance", "weight": 0.0}
    planted.conf["model"] = {**planted.conf["model"], "physics": {"thermal_balance": slides}}
    member = planted.members[0]
    keep = [name for name in CONDITIONS if name != "ambient_degC"]
    member.conditions.names = tuple(keep)
    member.shape = type(member.shape)(member.shape.x_shape, member.shape.slices, tuple(keep), (), member.shape.profile)
    found, notes = checks_of(planted, member)
    assert not found
    assert len(notes) == 1
    assert "thermal_balance left out" in notes[0]
    assert "ambient_degC" in notes[0]
