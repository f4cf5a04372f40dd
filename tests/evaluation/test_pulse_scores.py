"""From estimates to metric rows, against numbers worked out by hand; what one model's scores hold."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen.evaluation.pulse_scores import AVERAGED, WITH_GP, score_member, soh_rows, voltage_rows
from batgen.evaluation.pulses import IDENTITY, PulseEvaluation, Voltages
from tests.evaluation.planted_task import FEATURES, TEST_SOC, Knowing, task

SETTINGS = PulseEvaluation(soc_unknown=True, keep_draws=4)
ABOUT = {"protocol": "honest", "seed": 0, "case": "3"}
MEASURED = {"constant", "ridge", "forest", "nearest_soc", "gaussian_process"}


def scored(**options: Any) -> pd.DataFrame:
    given: dict[str, Any] = {"model": Knowing(), "baselines": {"surface": Knowing(noise_V=0.01)}, "priors": ["none"]}
    given |= {"task": task(), "settings": SETTINGS, **options}
    return score_member(**given).predictions


def of(table: pd.DataFrame, method: str, prior: str = "none") -> pd.DataFrame:
    return table[(table["method"] == method) & (table["prior"] == prior)].reset_index(drop=True)


def test_every_method_has_one_row_a_test_row() -> None:
    found = scored()
    tests = task().test
    assert set(found["method"]) == {
        *AVERAGED, *MEASURED, "average", WITH_GP, "inversion_soc_unknown", "published_forest", "surface",
    }  # fmt: skip
    for method, rows in found.groupby("method"):
        wanted = tests[tests["test_set"] == "grid"] if method == "published_forest" else tests
        assert sorted(zip(rows["stage_id"], rows["soc"], rows["test_set"], strict=True)) == sorted(
            zip(wanted["stage_id"], wanted["soc"], wanted["test_set"], strict=True)
        ), method
        assert set(rows["prior"]) == ({"any"} if method in MEASURED else {"none"})
        assert np.isfinite(rows["low"]).all() == (method in ("inversion", "inversion_soc_unknown", "surface"))


def test_average_is_the_mean_of_three() -> None:
    found = scored()
    three = np.mean([of(found, method)["estimate"] for method in AVERAGED], axis=0)
    np.testing.assert_allclose(of(found, "average")["estimate"], three, rtol=1e-12)
    both = of(found, "inversion")["estimate"].to_numpy() + of(found, "gaussian_process", "any")["estimate"].to_numpy()
    np.testing.assert_allclose(of(found, WITH_GP)["estimate"], both / 2, rtol=1e-12)
    # Without a density there is no inversion: the mean of the two others.
    found = scored(model=Knowing(has_density=False))
    assert "inversion" not in set(found["method"])
    two = np.mean([of(found, method)["estimate"] for method in ("generated", "generated+measured")], axis=0)
    np.testing.assert_allclose(of(found, "average")["estimate"], two, rtol=1e-12)


def test_no_method_sees_the_soh_of_test_rows() -> None:
    """Another SOH for each test row: not one estimate moves. As published, the generated rows do."""
    changed = task()
    changed.test["soh"] = np.random.default_rng(0).permutation(changed.test["soh"].to_numpy())
    pd.testing.assert_frame_equal(
        scored().drop(columns="soh"), scored(task=changed).drop(columns="soh"), check_exact=True
    )
    as_published = PulseEvaluation(generate_at="test_rows", soc_unknown=False, keep_draws=4)
    before, after = scored(settings=as_published), scored(settings=as_published, task=changed)
    assert of(before, "inversion")["estimate"].equals(of(after, "inversion")["estimate"])
    assert of(before, "ridge", "any")["estimate"].equals(of(after, "ridge", "any")["estimate"])
    assert not np.allclose(of(before, "published_forest")["estimate"], of(after, "published_forest")["estimate"])


def test_priors_have_rows_of_their_own_and_measured_baselines_come_once() -> None:
    settings = PulseEvaluation(soc_unknown=False, keep_draws=4, published_shift_V={"AAA_1Ah": 0.043})
    found = score_member(
        Knowing(), {"surface": Knowing()}, task(), settings, ["slope", "latent_scaling", "published_shift"]
    )
    methods = found.predictions.groupby("prior")["method"].agg(set)
    assert methods["any"] == MEASURED
    generated = {"generated", "generated+measured", "average", "published_forest"}
    assert methods["slope"] == {*generated, "inversion", WITH_GP, "surface"}
    # No inversion: latent scaling is defined over all SOCs at once, a shift has no width. A surface knows neither.
    assert methods["latent_scaling"] == methods["published_shift"] == generated
    assert not found.predictions.duplicated([*IDENTITY, "prior", "method"]).any()
    assert set(found.voltages) == {
        ("model", "", "slope"), ("model", "", "latent_scaling"), ("model", "", "published_shift"),
        ("baseline", "surface", "slope"),
    }  # fmt: skip


def test_voltages_are_those_of_the_test_rows_on_the_grid() -> None:
    t = task()
    found = score_member(Knowing(), {}, t, SETTINGS, ["none"]).voltages["model", "", "none"]
    grid = t.test[t.test["test_set"] == "grid"]
    assert set(found.rows["soc"]) == set(TEST_SOC)
    np.testing.assert_array_equal(found.measured, t.volts(grid))
    assert found.generated.shape == (4, len(grid), FEATURES)
    # At the true conditions: measured and generated both carry 4 mV of noise.
    assert (found.generated - found.measured).std() == pytest.approx(0.004 * np.sqrt(2), rel=0.05)


def predictions() -> pd.DataFrame:
    """Four rows of one cell and two of another; an interval for one method."""
    rows = pd.DataFrame({
        "battery": "AAA_1Ah", "calibration": "none", "prior": "none", "test_set": "grid",
        "cell_id": ["C1", "C1", "C1", "C1", "C2", "C2"], "soh": [1.0, 0.8, 0.5, 1.0, 0.8, 0.5],
    })  # fmt: skip
    off = np.array([0.01, -0.04, 0.05, 0.0, 0.008, -0.02])  # 1, 5, 10, 0, 1, 4 %
    ours = rows.assign(method="inversion", estimate=rows["soh"] + off)
    ours = ours.assign(low=ours["estimate"] - 0.021, high=ours["estimate"] + 0.021)
    return pd.concat([ours, rows.assign(method="ridge", prior="any", estimate=1.1 * rows["soh"])], ignore_index=True)


def number(rows: list[dict[str, Any]], method: str, metric: str) -> dict[str, Any]:
    (row,) = [r for r in rows if (r["method"], r["metric"]) == (method, metric)]
    return row


def test_soh_rows_against_hand_computed_numbers() -> None:
    rows = soh_rows(predictions(), ABOUT, seed=0)
    mape = number(rows, "inversion", "MAPE")
    assert mape["value"] == pytest.approx((1 + 5 + 10 + 0 + 1 + 4) / 6)
    assert (mape["unit"], mape["signal"], mape["n"], mape["role"]) == ("%", "SOH", 6, "model")
    # Only two cells, so a resample is one of them twice or both: means 4, 3.5 or 2.5 %.
    assert (mape["low"], mape["high"]) == (pytest.approx(2.5), pytest.approx(4.0))
    assert number(rows, "inversion", "APE_std")["value"] == pytest.approx(np.std([1, 5, 10, 0, 1, 4]))
    assert number(rows, "inversion", "coverage_90")["value"] == pytest.approx(4 / 6)
    assert number(rows, "inversion", "interval_width_90")["value"] == pytest.approx(0.042)
    ridge = number(rows, "ridge", "MAPE")
    assert ridge["value"] == pytest.approx(10)
    assert (ridge["role"], ridge["prior"], ridge["case"], ridge["protocol"]) == ("baseline", "any", "3", "honest")
    assert {r["metric"] for r in rows if r["method"] == "ridge"} == {"MAPE", "APE_std"}


def test_soh_rows_do_not_mix_what_is_apart() -> None:
    """Batteries, calibrations, priors and test sets each have a number; folds share one."""
    base = predictions().query("method == 'inversion'").assign(fold=0)
    parts = [base, base.assign(fold=1, estimate=base["soh"])]
    for column, value in (
        ("battery", "B"),
        ("calibration", "quantile"),
        ("prior", "slope"),
        ("test_set", "random_soc"),
    ):
        parts.append(base.assign(**{column: value}, estimate=1.02 * base["soh"]))
    rows = [r for r in soh_rows(pd.concat(parts, ignore_index=True), ABOUT, 0) if r["metric"] == "MAPE"]
    assert [r["value"] for r in rows] == pytest.approx([21 / 12, 2, 2, 2, 2])
    assert [r["n"] for r in rows] == [12, 6, 6, 6, 6]


def test_voltage_rows_are_in_mv_by_battery_and_voltage() -> None:
    identity = pd.DataFrame({"battery": ["A", "A", "B"]})
    measured = np.full((3, 2), 3.5)
    generated = np.stack([measured + 0.010, measured - 0.004])  # the error of the mean, not the mean of errors
    generated[:, 2] += 0.002
    found = Voltages(identity, measured, generated.astype(np.float32))
    rows = voltage_rows(
        {("model", "", "none"): [found, found], ("baseline", "surface", "none"): [found]}, ["U1", "U2"], ABOUT
    )
    told = {(r["role"], r["method"], r["battery"], r["signal"]): (r["value"], r["n"]) for r in rows}
    assert told["model", "generated", "A", "U1"] == (pytest.approx(3.0, abs=1e-3), 4)
    assert told["model", "generated", "B", "U2"] == (pytest.approx(5.0, abs=1e-3), 2)
    assert told["baseline", "surface", "A", "U2"] == (pytest.approx(3.0, abs=1e-3), 2)
    assert {r["unit"] for r in rows} == {"mV"}
