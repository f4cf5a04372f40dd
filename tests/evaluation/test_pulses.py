"""What pulse models are scored by: generated rows, the published shift, inversion; on a made world with known answers."""

import numpy as np
import pandas as pd
import pytest

from batgen.errors import ConfigError
from batgen.evaluation import utility
from batgen.evaluation.pulses import (
    Generator,
    PulseEvaluation,
    by_measured_rows,
    by_regression,
    generated_rows,
    infer,
    posterior_examples,
)
from tests.evaluation.planted_task import FEATURES, TEST_SOC, Knowing, table, task

PUBLISHED = PulseEvaluation(generate_at="test_rows", soc_unknown=False)
HONEST = PulseEvaluation(generate_at="training_soh", soc_unknown=False)


def grid_soh(seed: int = 3) -> np.ndarray:
    """Another SOH for each test row."""
    return np.random.default_rng(seed).uniform(0.7, 1.0, len(task().test)).round(3)


@pytest.mark.parametrize("multiplier", [1.0, 1.5, 2.25, 3.0])
@pytest.mark.parametrize("settings", [PUBLISHED, HONEST])
def test_multiplier_gives_that_many_rows(multiplier: float, settings: PulseEvaluation) -> None:
    one = generated_rows(Generator(Knowing(), task(), "none", {}), settings)[0]
    wanted = PulseEvaluation(generate_at=settings.generate_at, multiplier=multiplier)
    rows, volts = generated_rows(Generator(Knowing(), task(), "none", {}), wanted)
    assert len(rows) == round(multiplier * len(one))
    assert volts.shape == (len(rows), FEATURES)
    # A share of the conditions comes once more than the others, none is left out.
    counts = rows.groupby(["soc", "soh"]).size() / one.groupby(["soc", "soh"]).size()
    assert set(counts) <= {np.floor(multiplier), np.ceil(multiplier)}
    # Rows of one condition are draws of their own.
    assert len(np.unique(volts[:, 0])) == len(rows)


def test_training_soh_uses_no_test_soh_and_test_rows_does() -> None:
    known, changed = task(), task()
    changed.test["soh"] = grid_soh()
    for settings, same in ((HONEST, True), (PUBLISHED, False)):
        (rows, volts), (other, others) = (
            generated_rows(Generator(Knowing(), t, "none", {}), settings) for t in (known, changed)
        )
        assert rows.equals(other) is same
        assert np.array_equal(volts, others) is same
        assert set(rows["soc"]) == set(TEST_SOC)  # neither training SOCs nor those off the grid
        if same:
            assert set(rows["soh"]) == set(known.train["soh"])
        else:
            grid = changed.test["test_set"] == "grid"
            assert sorted(other["soh"]) == sorted(changed.test.loc[grid, "soh"])


def test_conditions_of_another_type_stay_with_it() -> None:
    """Each battery type is generated at its own SOHs and its own nominal capacity."""
    first, second = table(), table("BBB_2Ah").assign(nominal_capacity_Ah=2.0)
    second["soh"] -= 0.2
    rows = generated_rows(Generator(Knowing(), task(pd.concat([first, second])), "none", {}), HONEST)[0]
    for battery, whole, capacity in (("AAA_1Ah", first, 1.0), ("BBB_2Ah", second, 2.0)):
        own = rows[rows["battery"] == battery]
        assert set(own["soh"]) == set(whole["soh"])
        assert set(own["nominal_capacity_Ah"]) == {capacity}


def test_published_shift_adds_its_volts_beyond_the_training_socs_alone() -> None:
    t = task()
    shifted = Generator(Knowing(), t, "published_shift", {"AAA_1Ah": 0.043})
    difference = shifted.draw(t.test, 3) - Generator(Knowing(), t, "none", {}).draw(t.test, 3)
    soc = t.test["soc"].to_numpy()
    assert (soc > 0.3).any()
    # 5 % of SOC are w volts, counted from the second training SOC, the same for all features.
    expected = np.where(soc > 0.3, (soc - 0.2) * 20 * 0.043, 0.0)
    assert expected.max() == pytest.approx(0.172)
    np.testing.assert_allclose(difference, np.broadcast_to(expected[:, None], difference.shape), atol=1e-12)
    assert not shifted.has_density
    with pytest.raises(ConfigError, match=r"no value for AAA_1Ah.*published_shift_V in conf"):
        Generator(Knowing(), t, "published_shift", {"LMO_10Ah": 0.095}).draw(t.test, 1)


def test_below_the_training_socs_the_shift_is_negative() -> None:
    t = task()
    t.test["soc"] = 0.05
    difference = Generator(Knowing(), t, "published_shift", {"AAA_1Ah": 0.1}).draw(t.test, 1) - Generator(
        Knowing(), t, "none", {}
    ).draw(t.test, 1)
    np.testing.assert_allclose(difference, -0.15 * 20 * 0.1, atol=1e-12)


def test_inversion_recovers_soh_and_its_interval_covers() -> None:
    t = task()
    found = infer(Generator(Knowing(), t, "none", {}), t.test, PulseEvaluation())
    true = t.test["soh"].to_numpy()
    known, unknown = found["inversion"], found["inversion_soc_unknown"]
    sd = 0.004 / np.linalg.norm([0.1, 0.2, 0.3, 0.1, 0.2])  # 0.92 % of SOH: Gauss-Markov
    assert np.sqrt(np.mean((known[:, 0] - true) ** 2)) == pytest.approx(sd, rel=0.25)
    assert 0.83 < utility.coverage(true, known[:, 1], known[:, 2]) < 0.97
    assert utility.interval_width(known[:, 1], known[:, 2]) == pytest.approx(2 * 1.645 * sd, rel=0.06)
    # Not to know the SOC costs width, and not coverage.
    assert utility.interval_width(unknown[:, 1], unknown[:, 2]) > 1.02 * utility.interval_width(
        known[:, 1], known[:, 2]
    )
    assert 0.83 < utility.coverage(true, unknown[:, 1], unknown[:, 2]) < 0.98


def test_a_generator_of_the_wrong_soc_is_worse_and_under_covers() -> None:
    t = task()
    true = t.test["soh"].to_numpy()
    right, wrong, narrow = (
        infer(Generator(model, t, "none", {}), t.test, HONEST)["inversion"]
        for model in (Knowing(), Knowing(off=0.05), Knowing(noise_V=0.001))
    )
    assert utility.mape(true, wrong[:, 0]) > 2 * utility.mape(true, right[:, 0])
    assert utility.coverage(true, wrong[:, 1], wrong[:, 2]) < 0.6
    assert utility.coverage(true, narrow[:, 1], narrow[:, 2]) < 0.55  # noise believed four times too small


def test_inversion_takes_nothing_from_the_soh_of_test_rows() -> None:
    t, changed = task(), task()
    changed.test["soh"] = grid_soh()
    for name, values in infer(Generator(Knowing(), t, "none", {}), t.test, PulseEvaluation()).items():
        again = infer(Generator(Knowing(), changed, "none", {}), changed.test, PulseEvaluation())[name]
        np.testing.assert_array_equal(values, again)


def test_measured_baselines_and_regressors_never_see_test_soh() -> None:
    t, changed = task(), task()
    changed.test["soh"] = grid_soh()
    made = generated_rows(Generator(Knowing(), t, "none", {}), HONEST)
    for function in (
        lambda one: by_measured_rows(one.train, one, one.test),
        lambda one: by_regression(one.train, one, made, one.test),
    ):
        before, after = function(t), function(changed)
        assert before
        for name, values in before.items():
            np.testing.assert_array_equal(values, after[name], err_msg=name)
    found = by_measured_rows(t.train, t, t.test)
    true = t.test["soh"].to_numpy()
    np.testing.assert_allclose(found["constant"], t.train["soh"].mean())
    assert utility.mape(true, found["ridge"]) < 1.5 < 5 < utility.mape(true, found["constant"])


def test_published_forest_is_one_a_grid_soc_on_the_rows_generated_there() -> None:
    t = task()
    rows, volts = made = generated_rows(Generator(Knowing(), t, "none", {}), PUBLISHED)
    found = by_regression(t.train, t, made, t.test)["published_forest"]
    grid = (t.test["test_set"] == "grid").to_numpy()
    assert np.isnan(found[~grid]).all()
    at, there = (t.test["soc"] == 0.25).to_numpy() & grid, (rows["soc"] == 0.25).to_numpy()
    soc, soh = rows["soc"].to_numpy(float), rows["soh"].to_numpy(float)
    expected = utility.published_forest(
        volts[there], soc[there], soh[there], t.volts(t.test[at]), soc[: at.sum()], t.seed
    )
    np.testing.assert_allclose(found[at], expected)


def test_posterior_examples_are_densities_around_the_truth() -> None:
    t = task()
    found = posterior_examples(Generator(Knowing(), t, "none", {}), t.test, count=6)
    step = found["grid"][1] - found["grid"][0]
    assert found["density"].shape == (6, len(found["grid"]))
    np.testing.assert_allclose(found["density"].sum(1) * step, 1.0)
    assert np.abs((found["density"] @ found["grid"]) * step - found["soh"]).max() < 0.03


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"priors": ["sloppe"]}, "evaluation.priors=.*slope"),
        ({"priors": []}, "evaluation.priors"),
        ({"priors": "slope"}, "must be a list"),
        ({"generate_at": "tests"}, "evaluation.generate_at='tests'"),
        ({"multiplier": 0.5}, "evaluation.multiplier=0.5"),
        ({"multiplier": float("nan")}, "evaluation.multiplier"),
        ({"keep_draws": 1}, "evaluation.keep_draws=1"),
    ],
)
def test_wrong_settings(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PulseEvaluation(**wrong)
