"""Whole runs of profile models: what they leave, that they go on after a kill, that they generate, and what they refuse."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from batgen import profile_run
from batgen.cli import generate_main
from batgen.errors import CheckpointError, DataError
from batgen.generate import generate
from batgen.run import resume_training
from batgen.training.fit_adversarial import HealthTable
from tests.profile_run_fixture import CGAN, FAMILY, FEW, PART, TINY, WGAN, run, told

Capture = pytest.CaptureFixture[str]
FILES = (
    "rows.csv", "train_rows.csv", "profiles.h5", "features.csv", "permutation.csv", "metrics.json", "splits.json",
    "health_fold0.csv", "health_fold0_search.csv", "models/fold0.ckpt",
)  # fmt: skip
BASELINES = {"protocol_mean", "protocol_cycle_mean", "knn", "pca_ridge", "pca_gaussian", "thermal_model"}
FEATURES = {
    "peak_temperature_degC", "peak_time_s", "temperature_rise_degC", "final_temperature_degC", "duration_s",
}  # fmt: skip
CHECKS = {"thermal_balance", "bounds", "rate", "smoothness", "slides"}
#: metric -> signals that every method has.
EVERY = {
    "MAE": FEATURES, "RMSE": {"temperature_degC"}, "CRPS": {"temperature_degC"}, "energy_score": {"profile"},
    "energy_distance": {"profile"}, "marginal_distance": {"temperature_degC"}, "spectral_distance": {"temperature_degC"},
    "flat_share": {"profile"}, "out_of_range_share": {"profile"}, "pass_rate": CHECKS,
}  # fmt: skip
MODEL = {"variance_ratio", "nearest_pair_ratio", "repeat_share", "permuted_ratio", "TSTR_MAE"}
KEYS = {
    "protocol", "seed", "split", "data", "model", "role", "method", "test_set", "signal", "metric", "value", "low", "high",
    "unit", "direction", "n", "floor", "note",
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for this module, one thread, and figures only where a test looks at them."""
    quick(monkeypatch, cache)


def quick(patch: pytest.MonkeyPatch, cache: str, drawn: bool = False) -> None:
    patch.setenv("BATGEN_CACHE_DIR", cache)
    patch.setattr("batgen.processes.cores", lambda: 1)
    if not drawn:
        patch.setattr("batgen.profile_run.draw", lambda part, folder: [folder / "none.png"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """Trained and drawn once, and only copied or read by the tests."""
    folder = tmp_path_factory.mktemp("run") / "wgan"
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, cache, drawn=True)
        run(folder, *WGAN, *TINY)
    return folder


def test_a_run_leaves_everything(finished: Path) -> None:
    for name in ("config.yaml", "run.json", "metrics.json", "metrics.md", *(f"{PART}/{name}" for name in FILES)):
        assert (finished / name).is_file(), name
    assert not list((finished / PART).glob("last_*")), "resume checkpoints are not kept"
    rows, features = (pd.read_csv(finished / PART / name) for name in ("rows.csv", "features.csv"))
    assert set(features["feature"]) == FEATURES
    assert len(features) == len(rows) * len(FEATURES) * (len(BASELINES) + 1)
    assert features.groupby("method")["low"].count().gt(0).to_dict() == {
        name: name in ("wgan_gp", "knn", "pca_gaussian") for name in {*BASELINES, "wgan_gp"}
    }, "methods of one line have no quantiles"
    assert not set(rows["cell_id"]) & set(pd.read_csv(finished / PART / "train_rows.csv")["cell_id"]), "whole cells"
    health = pd.read_csv(finished / PART / "health_fold0_search.csv")
    assert health["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert health["chosen"].sum() == 1
    assert health["val_energy_score"].notna().tolist() == [False, False, True] * 2
    with h5py.File(finished / PART / "profiles.h5") as file:
        assert set(file["methods"]) == {*BASELINES, "wgan_gp"}
        assert file["methods/wgan_gp/draws"].shape == (len(file["kept"]), 4, 1, 16)
        assert {"ecl", "soh", "ambient_degC"} < set(file["sweeps"])


def test_metrics_are_complete_and_finite(finished: Path) -> None:
    rows = told(finished)["rows"]
    assert all(set(row) == KEYS for row in rows)
    bad = [(r["method"], r["metric"], r["signal"]) for r in rows if not np.isfinite(r["value"])]
    assert not bad
    for method in (*BASELINES, "wgan_gp"):
        own = [row for row in rows if row["method"] == method]
        for metric, signals in EVERY.items():
            assert {r["signal"] for r in own if r["metric"] == metric} == signals, (method, metric)
        assert {r["role"] for r in own} == {"model" if method == "wgan_gp" else "baseline"}
    assert {r["metric"] for r in rows if r["role"] == "model"} == MODEL | set(EVERY)
    assert {r["signal"] for r in rows if (r["role"], r["metric"]) == ("measured", "pass_rate")} == CHECKS


def test_figures_are_drawn(finished: Path) -> None:
    names = {p.stem for p in (finished / "figures").glob("*.png")}
    usual = {"overlay", "health", "peaks", "peaks_by_cycle", "permutation", "physics", "statistics"}
    sweeps = ("ecl", "soh", "ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms")
    assert names == {f"profile_{name}" for name in (*usual, *(f"sweep_{name}" for name in sweeps))}


# ---- generating ----------------------------------------------------------------------------------------------------------
def typed(monkeypatch: pytest.MonkeyPatch, job: Callable[[], None], *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["a.py", *words])
    job()


def test_generate_warns_of_what_lies_beyond_training(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    out = tmp_path / "made.csv"
    typed(monkeypatch, generate_main, f"run={finished}", "ambient_degC=10", "ecl=11", "n=5", f"out={out}")
    said = capsys.readouterr().out
    assert "ambient_degC=10 lies outside the training range" in said
    assert "ecl" not in said.split("not given")[0], "11 lies within"
    table = pd.read_csv(out)
    assert len(table) == 5 * 16
    starts = table.groupby("sample").first()
    assert (starts["time_s"] == 0).all()
    assert abs(starts["start_temperature_degC"] - 10).max() < 2, "a cell starts near its ambient"
    assert (table.groupby("sample")["time_s"].diff().dropna() > 0).all()


def test_generate_says_where_the_model_interpolates_and_repeats_itself(finished: Path) -> None:
    """The cells were run at 30 and at 40 degC, at nothing between."""
    made = generate(finished, {"ambient_degC": 35.0}, n=3, seed=1)
    assert any("nothing between 30 and 40" in note for note in made.notes)
    again, other = (generate(finished, {"ambient_degC": 35.0}, n=3, seed=s) for s in (1, 2))
    np.testing.assert_array_equal(made.signals["temperature_degC"], again.signals["temperature_degC"])
    assert not np.array_equal(made.signals["temperature_degC"], other.signals["temperature_degC"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["n=0"], "n=0 must be 1 or more"),
        (["ambient=10"], "did you mean 'ambient_degC'?"),
        (["soc=0.5"], "this run has no condition 'soc'"),
        (["cell=sim_p02_c4"], "only runs with preprocessing.relative=reference know cells"),
        (["prior=slope"], "only runs of pulse tests take a prior"),
    ],
)
def test_generate_refuses(
    finished: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with pytest.raises(SystemExit):
        typed(monkeypatch, generate_main, f"run={finished}", *words)
    assert message in capsys.readouterr().err


# ---- other settings --------------------------------------------------------------------------------------------------------
def test_charges_on_fixed_steps_with_a_constant_condition(tmp_path: Path) -> None:
    """Two signals; what does not vary is named, has no sweep, and nobody claims that it was learnt."""
    steps = ["preprocessing.grid=time", "preprocessing.step_s=120", "preprocessing.part=charge"]
    signals = ["preprocessing.signals=[temperature_degC,voltage_V]", "preprocessing.where={ambient_degC:[25,35]}"]
    run(tmp_path / "run", *CGAN, *TINY, *FEW, *steps, *signals)
    part = tmp_path / "run" / PART
    assert any("ambient_degC is constant" in note for note in told(part)["notes"])
    learnt = pd.read_csv(part / "permutation.csv").groupby("block")["learnt"].agg(set).to_dict()
    assert learnt["ambient_degC"] == {"constant"}
    rows = told(part)["rows"]
    assert {r["signal"] for r in rows if r["metric"] == "RMSE"} == {"temperature_degC", "voltage_V"}
    assert all(np.isfinite(r["value"]) for r in rows)
    with h5py.File(part / "profiles.h5") as file:
        assert "ambient_degC" not in file["sweeps"]
        assert file.attrs["step_s"] == 120


def test_windows_start_anywhere_and_are_as_long_as_asked_for(tmp_path: Path) -> None:
    """Conditions are those of the window: it starts at any state of charge, at the temperature reached by then."""
    windows = ["preprocessing.start=random", "preprocessing.window_s=300", "preprocessing.windows=2"]
    few = ["evaluation.baselines={}", "evaluation.permutations=0", "evaluation.sweep=0", "cycles=4"]
    told_of = "preprocessing.conditions=[soc,ambient_degC,start_temperature_degC,c_rate,c_rate_rms]"
    run(tmp_path / "run", *WGAN, *TINY, *windows, *few, told_of)
    rows = pd.read_csv(tmp_path / "run" / PART / "rows.csv")
    assert rows["soc"].between(0.05, 1).all()
    assert rows["soc"].std() > 0.1
    assert rows.groupby(["cell_id", "ecl"]).size().eq(2).all()
    assert (rows["duration_s"] == 300).all()
    made = generate(tmp_path / "run", {"soc": 0.5, "ambient_degC": 30.0}, n=4)
    np.testing.assert_allclose(made.signals["time_s"][:, -1], 300)


@pytest.mark.parametrize("model", ["knn", "protocol_cycle_mean"])
def test_a_baseline_is_a_model_too(model: str, tmp_path: Path) -> None:
    run(tmp_path / "run", f"model={model}", *FAMILY, *TINY, "evaluation.baselines={}")
    rows = told(tmp_path / "run")["rows"]
    assert {r["method"] for r in rows if r["role"] == "model"} == {model}
    assert not list((tmp_path / "run" / PART).glob("health_*")), "nothing was trained"
    assert generate(tmp_path / "run", {"ecl": 5}, n=2).signals["temperature_degC"].shape == (2, 16)


# ---- going on --------------------------------------------------------------------------------------------------------------
def numbers(folder: Path) -> list[Any]:
    return [(r["method"], r["metric"], r["signal"], r["value"]) for r in told(folder)["rows"]]


@pytest.mark.parametrize("stage", ["search", "retrain"])
def test_a_run_killed_in_the_middle_of_a_fold_goes_on_to_the_same_numbers(
    finished: Path, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, at = tmp_path / "run", {"search": 2, "retrain": 3}[stage]
    write, seen = HealthTable.on_train_epoch_end, []

    def killed(self: HealthTable, *args: Any) -> None:
        write(self, *args)
        seen.append(self)
        if len(seen) == at:
            raise RuntimeError("killed")

    monkeypatch.setattr(HealthTable, "on_train_epoch_end", killed)
    with pytest.raises(RuntimeError, match="killed"):
        run(folder, *WGAN, *TINY, "trainer.save_every_s=0")
    assert not (folder / PART / "models").exists()
    assert len(list((folder / PART).glob("last_*"))) == (stage == "search")
    resume_training(folder)
    assert numbers(folder) == numbers(finished)


def test_a_part_that_is_done_is_read_and_a_damaged_file_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    part = tmp_path / "run" / PART
    resume_training(tmp_path / "run")
    assert "done before" in capsys.readouterr().out
    data = (part / "profiles.h5").read_bytes()
    (part / "profiles.h5").write_bytes(data[: len(data) // 2])
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"profiles\.h5"):
        profile_run.draw(part, tmp_path / "figures")
    (part / "metrics.json").unlink()
    ckpt = part / "models" / "fold0.ckpt"
    ckpt.write_bytes(ckpt.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        resume_training(tmp_path / "run")
