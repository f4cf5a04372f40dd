"""Whole runs on pulse tests: what they leave, that they can be repeated, resumed and drawn from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import batgen
from batgen.cli import train_main
from batgen.errors import ConfigError, DataError
from batgen.generate import generate
from batgen.run import resume_training
from tests.pulse_run_fixture import CASE, FILM, QUICK, VOLTAGES, csv, predictions, rows_of, run
from tests.test_end_to_end import script

MEASURED = {"constant", "ridge", "forest", "nearest_soc", "gaussian_process"}
OURS = {"inversion", "generated", "generated+measured", "average", "inversion+GP", "published_forest"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for this module, and one thread: two would wait for each other over matrices this small."""
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return csv(tmp_path_factory.mktemp("data") / "pulses.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: str, made: list[str]) -> Path:
    """Interpolation and extrapolation, cells disjoint; trained once, and only copied or read by the tests."""
    folder = tmp_path_factory.mktemp("run") / "honest"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", cache)
        patch.setattr("batgen.processes.cores", lambda: 1)
        run(folder, *made, *QUICK, 'split.use=["3","7"]', "evaluation.priors=[none,slope]")
    return folder


def test_a_run_on_sim_leaves_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both protocols and both battery types, as on the command line."""
    folder = tmp_path / "run"
    words = [*QUICK, "data=sim", CASE, "preprocessing.voltages=4", "protocol=both", f"run_dir={folder}"]
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    train_main()
    told = capsys.readouterr().out
    for shown in ("paper protocol", "honest protocol", "LFP_1.1Ah", "NMC_5Ah", "average", "surface", "5 25 50"):
        assert shown in told, shown
    for name in ("config.yaml", "run.json", "metrics.json", "metrics.md", ".hydra/config.yaml"):
        assert (folder / name).is_file(), name
    names = {"paper": ["case3_fold0_none"], "honest": ["case3_fold0_none", "case3_fold1_none"]}
    rows = pd.DataFrame(rows_of(folder))
    for protocol, models in names.items():
        part = folder / f"{protocol}-seed0"
        for name in ("predictions.csv", "pulses.h5", "metrics.json", "losses.csv", "splits.json"):
            assert (part / name).is_file(), (protocol, name)
        assert sorted(p.stem for p in (part / "models").glob("*.ckpt")) == models
        figures = {p.stem for p in (folder / "figures" / protocol).glob("*.png")}
        assert {"pulse_tsne", "pulse_posterior", "pulse_training"} <= figures
        assert {f"pulse_{kind}_{b}" for kind in ("overlay", "mape") for b in ("LFP_1.1Ah", "NMC_5Ah")} <= figures
        table = predictions(part)
        for battery, own in table.groupby("battery"):
            assert set(own["method"]) == {*OURS, *MEASURED, "surface"}
            assert not set(own["soc"]) & {0.05, 0.25, 0.5}
            assert len(own[own["method"] == "inversion"]) == 30 * 7, battery  # every cell at every untrained SOC, once
        own = rows[rows["protocol"] == protocol]
        for metric in ("MAPE", "APE_std", "coverage_90", "interval_width_90", "voltage_MAE", "kl_nats", "active_units"):
            assert set(own.loc[own["metric"] == metric, "battery"]) == {"LFP_1.1Ah", "NMC_5Ah"}, metric
    assert set(json.loads((folder / "run.json").read_text())["parts"]) == {
        f"{p}-seed0/models/{m}" for p, models in names.items() for m in models
    }
    honest, paper = (json.loads((folder / f"{p}-seed0" / "splits.json").read_text()) for p in ("honest", "paper"))
    for member in honest["members"]:
        assert not set(member["parts"]["train"]) & set(member["parts"]["test"])  # each stage is a cell here
    assert set(paper["members"][0]["parts"]["train"]) == set(paper["members"][0]["parts"]["test"])


def test_numbers_in_metrics_are_those_of_predictions(finished: Path) -> None:
    table = predictions(finished / "honest-seed0").astype({"case": str})
    keys = ["battery", "case", "calibration", "prior", "test_set", "method"]
    ape = (100 * (table["estimate"] - table["soh"]).abs() / table["soh"]).groupby([table[k] for k in keys]).mean()
    told = {tuple(r[k] for k in keys): r["value"] for r in rows_of(finished) if r["metric"] == "MAPE"}
    assert set(told) == set(ape.index)
    for key, value in told.items():
        assert value == pytest.approx(ape[key], rel=1e-3), key
    assert {r["prior"] for r in rows_of(finished) if r["case"] == "7"} == {"none", "slope", "any"}
    assert {r["prior"] for r in rows_of(finished) if r["case"] == "3"} == {"none", "any"}
    with h5py.File(finished / "honest-seed0" / "pulses.h5") as file:
        assert set(file["case/7/none"]) == {"none", "slope"}
        assert file["case/7/none/slope/BBB_2Ah/generated"].shape == (4, 72, VOLTAGES)


def test_a_world_that_the_surface_knows_is_inverted(finished: Path) -> None:
    """Linear voltages with 3 mV of noise: 1.2 % of SOH at best, constant 8 %; straight lines hold beyond as well."""
    rows = [r for r in rows_of(finished) if r["metric"] == "MAPE"]
    told = {(r["case"], r["battery"], r["prior"], r["method"]): r["value"] for r in rows}
    for battery in ("AAA_1Ah", "BBB_2Ah"):
        assert told["3", battery, "none", "inversion"] < 2.5 < 6 < told["3", battery, "any", "constant"]
        assert told["7", battery, "slope", "inversion"] < 6


def test_the_same_seed_gives_the_same_and_another_another(finished: Path, made: list[str], tmp_path: Path) -> None:
    words = [*made, *QUICK, 'split.use=["3","7"]', "evaluation.priors=[none,slope]"]
    run(tmp_path / "again", *words)
    for name in ("predictions.csv", "losses.csv", "splits.json"):
        first, second = ((f / "honest-seed0" / name).read_bytes() for f in (finished, tmp_path / "again"))
        assert first == second, name
    run(tmp_path / "other", *made, *QUICK, CASE, "seed=1")
    parts = (finished / "honest-seed0", tmp_path / "other" / "honest-seed1")
    folds = [json.loads((p / "splits.json").read_text())["members"][0]["parts"]["test"] for p in parts]
    assert set(folds[0]) != set(folds[1])


@pytest.mark.parametrize("lost", ["metrics.json", "models/case7_fold1_none.ckpt"])
def test_a_killed_run_resumes_to_the_same_numbers(finished: Path, tmp_path: Path, lost: str) -> None:
    """Without the part's metrics.json it is scored again; without a checkpoint, that model alone is trained again."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    part = folder / "honest-seed0"
    kept = part / "models" / "case3_fold0_none.ckpt"
    stamp = kept.stat().st_mtime_ns
    for name in {lost, "metrics.json", "predictions.csv", "pulses.h5"}:
        (part / name).unlink()
    result = resume_training(folder)
    assert kept.stat().st_mtime_ns == stamp
    before, after = predictions(finished / "honest-seed0"), predictions(part)
    if lost == "metrics.json":
        pd.testing.assert_frame_equal(before, after, check_exact=True)
        assert result.rows == rows_of(finished)
    else:  # it was trained beside others before, which is the same up to rounding
        pd.testing.assert_frame_equal(before, after, rtol=1e-4)
        values = [[r["value"] for r in rows] for rows in (result.rows, rows_of(finished))]
        assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-6)


def test_a_part_that_is_done_is_read(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(finished, tmp_path / "run")
    part = tmp_path / "run" / "honest-seed0"
    stamps = {p: p.stat().st_mtime_ns for p in part.rglob("*")}
    assert resume_training(tmp_path / "run").rows == rows_of(finished)
    assert "done before" in capsys.readouterr().out
    assert stamps == {p: p.stat().st_mtime_ns for p in part.rglob("*")}


def test_resumed_runs_keep_their_split(finished: Path, tmp_path: Path) -> None:
    """A split that no longer fits the data is refused rather than made anew."""
    shutil.copytree(finished, tmp_path / "run")
    part = tmp_path / "run" / "honest-seed0"
    (part / "metrics.json").unlink()
    saved = json.loads((part / "splits.json").read_text())
    saved["members"][0]["parts"]["train"]["A99-0"] = [0.05]
    (part / "splits.json").write_text(json.dumps(saved))
    with pytest.raises(DataError, match=r"A99-0 at SOC 0\.05.*train again"):
        resume_training(tmp_path / "run")


def test_checkpoint_draws_the_same_in_a_new_process(finished: Path, tmp_path: Path) -> None:
    path = finished / "honest-seed0" / "models" / "case3_fold0_none.ckpt"
    content = torch.load(path, weights_only=True)  # plain containers and tensors
    assert content["facts"]["fold"] == "case3_fold0_none"
    assert batgen.load(path).conditions.columns[2:] == ("chemistry=LMO", "chemistry=NMC", "nominal_capacity_Ah")
    code = (
        "import sys, numpy as np, torch, batgen\n"
        "t = batgen.load(sys.argv[1])\n"
        "np.save(sys.argv[2], t.generate(torch.tensor([[0.2, 0.9, 0.0, 1.0, 1.0]]), 5, seed=3))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(tmp_path / "there.npy")], check=True)
    there = np.load(tmp_path / "there.npy")
    here = batgen.load(path).generate(torch.tensor([[0.2, 0.9, 0.0, 1.0, 1.0]]), 5, seed=3)
    assert there.shape == (5, 1, VOLTAGES)
    np.testing.assert_allclose(here, there, atol=2e-6, rtol=0)  # V; the number of threads decides the last digit
    assert there[..., 0].mean() == pytest.approx(3.5 + 0.1 + 0.09, abs=0.02)


def test_generate_writes_a_row_a_test(finished: Path, tmp_path: Path) -> None:
    run_ = f"run={finished / 'honest-seed0' / 'models' / 'case7_fold0_none.ckpt'}"
    words = [run_, "soc=0.3", "soh=0.9", "chemistry=LMO", "nominal_capacity_Ah=2"]
    out = tmp_path / "pulses.csv"
    done = script(*words, "n=7", "seed=5", "prior=slope", f"out={out}", name="scripts/generate.py")
    assert "7 synthetic pulse tests (U1 to U6)" in done.stdout
    assert "soc=0.3 lies outside the training range 0.05 to 0.1" in done.stdout
    table = pd.read_csv(out)
    assert len(table) == 7
    assert [c for c in table if c.startswith("U")] == [f"U{k}" for k in range(1, VOLTAGES + 1)]
    assert set(table["soc"]) == {0.3}
    assert table["synthetic"].all()
    made = generate(finished, {"soc": 0.3}, prior="slope")
    assert made.provenance["prior"] == "slope"
    assert made.provenance["trained_as"] == "case3_fold0_none"
    assert not any("outside" in note for note in made.notes)  # that case was trained from 5 to 50 %
    assert generate(finished, {"soc": 0.3}).provenance["prior"] == "slope"
    with pytest.raises(ConfigError, match=r"prior='straight'.*none, slope"):
        generate(finished, {"soc": 0.3}, prior="straight")
    with pytest.raises(ConfigError, match="soc=30.*write 0.3"):
        generate(finished, {"soc": 30})


@pytest.mark.parametrize("variant", ["tokens", "paper"])
def test_other_variants_run(variant: str, made: list[str], tmp_path: Path) -> None:
    run(tmp_path, *made, *QUICK, CASE, f"model.variant={variant}", "protocol=paper")
    table = predictions(tmp_path / "paper-seed0")
    wanted = OURS if variant == "tokens" else OURS - {"inversion", "inversion+GP"}  # the published model has no density
    assert set(table["method"]) == {*wanted, *MEASURED, "surface"}
    with h5py.File(tmp_path / "paper-seed0" / "pulses.h5") as file:
        assert ("attention" in file) == (variant == "tokens")
        assert ("posterior" in file) == (variant == "tokens")
    losses = pd.read_csv(tmp_path / "paper-seed0" / "losses.csv")
    assert list(losses["epoch"]) == [1, 2]


def test_pulse_surface_needs_no_training(made: list[str], tmp_path: Path) -> None:
    run(tmp_path, "model=pulse_surface", *made, CASE, "split.folds=2", "evaluation.keep_draws=4")
    part = tmp_path / "honest-seed0"
    assert not (part / "losses.csv").exists()
    assert not list((tmp_path / "figures").glob("pulse_training*"))
    told = {(r["battery"], r["method"]): r["value"] for r in rows_of(tmp_path) if r["metric"] == "MAPE"}
    assert told["AAA_1Ah", "inversion"] < 2.5
    assert ("AAA_1Ah", "inversion_soc_unknown") in told
    assert ("AAA_1Ah", "surface") not in told  # it is the model itself


def test_calibration_cells_take_the_place_of_a_prior(made: list[str], tmp_path: Path) -> None:
    words = ['split.use=["7"]', "split.calibration=[none,quantile,random]", "split.calibration_cells=2"]
    run(tmp_path, *made, *FILM, *words, "evaluation.soc_unknown=false", "protocol=paper", "evaluation.multiplier=1.5")
    wanted = ("average", "MAPE", "AAA_1Ah")
    rows = [r for r in rows_of(tmp_path) if (r["method"], r["metric"], r["battery"]) == wanted]
    assert {(r["calibration"], r["prior"]) for r in rows} == {
        ("none", "slope"),
        ("quantile", "none"),
        ("random", "none"),
    }
    # 12 cells with 2 stages at 3 SOCs, less the 2 that calibrate
    assert {r["calibration"]: r["n"] for r in rows} == {"none": 72, "quantile": 60, "random": 60}
