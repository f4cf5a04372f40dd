"""Whole runs of forecasters: what they leave, that they can be repeated, resumed and explained, and what they refuse."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import batgen
from batgen.cli import train_main
from batgen.errors import ConfigError, DataError
from batgen.run import resume_training
from batgen.training import sequence_module
from tests.sequence_run_fixture import QUICK, csv, forecasts, run, table, told

PART = "honest-seed0"
FILES = (
    "metrics.json", "splits.json", "forecasts.csv.gz", "observed.csv.gz", "cells.csv", "losses.csv",
    "models/fold0.ckpt", "models/fold1.ckpt",
)  # fmt: skip
BASELINES = {"persistence", "mean_alive", "mean_held", "mean_extended", "linear", "nearest_cell"}
FIGURES = {
    "sequence_fan",
    "losses",
    "predicted_against_actual",
    "error_by_horizon",
    "calibration",
    "attention",
    "saliency",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for this module, and one thread."""
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures: they take most of the time of runs this small."""
    monkeypatch.setattr("batgen.sequence_run.draw", lambda part, folder: [folder / "none.png"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return csv(tmp_path_factory.mktemp("data") / "cells.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: str, made: list[str]) -> Path:
    """Trained once, and only copied or read by the tests."""
    folder = tmp_path_factory.mktemp("run") / "honest"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", cache)
        patch.setattr("batgen.processes.cores", lambda: 1)
        run(folder, *QUICK, *made, "evaluation.explain=2")
    return folder


def test_a_run_leaves_everything(finished: Path) -> None:
    for name in ("config.yaml", "run.json", "metrics.json", "metrics.md"):
        assert (finished / name).is_file(), name
    for name in FILES:
        assert (finished / PART / name).is_file(), name
    assert not list((finished / PART).glob("last_*")), "resume checkpoints are not kept"
    assert {p.stem for p in (finished / "figures").glob("*.png")} >= FIGURES
    losses = pd.read_csv(finished / PART / "losses.csv")
    assert losses.groupby("member").size().to_dict() == {"fold0": 3, "fold1": 3}
    record = json.loads((finished / "run.json").read_text())["parts"]
    assert set(record) == {f"{PART}/models/fold0", f"{PART}/models/fold1"}
    assert record[f"{PART}/models/fold0"]["data_hash"]


def test_model_and_baselines_are_scored_side_by_side(finished: Path) -> None:
    rows = pd.DataFrame(told(finished)["rows"])
    test = rows[rows["test_set"] == "test"]
    assert {"model", "model, conformal"} == set(test.loc[test["role"] == "model", "method"])
    assert set(test.loc[test["role"] == "baseline", "method"]) >= BASELINES
    assert set(rows["cut"]) == {12}
    for metric in ("RMSE", "MAE", "CRPS"):
        assert set(test.loc[test["metric"] == metric, "method"]) >= {"model", *BASELINES}, metric
    crossing = rows.loc[rows["metric"].str.contains("crossing"), "value"]
    assert len(crossing)
    assert (crossing == 0).all()


def test_errors_in_metrics_are_those_of_the_forecasts(finished: Path) -> None:
    """Mean over cells of each cell's RMSE; the file has every fourth cycle, which hardly matters to errors this large."""
    table_ = forecasts(finished / PART)
    for method in ("model", "mean_held", "persistence"):
        own = table_[(table_["method"] == method) & (table_["test_set"] == "test")].dropna(subset="truth")
        per_cell = (own["q0.5"] - own["truth"]).pow(2).groupby(own["cell_id"]).mean().pow(0.5)
        rows = [
            r["value"] for r in told(finished)["rows"]
            if (r["method"], r["test_set"], r["metric"], r["horizon"]) == (method, "test", "RMSE", "all")
            and r["signal"].endswith("Ah")
        ]  # fmt: skip
        assert rows == [pytest.approx(per_cell.mean(), rel=0.1)], method
    assert (table_["cycle"] > table_["cut_cycle"]).all()
    ours = table_[table_["method"] == "model"]
    assert (ours["q0.1"] <= ours["q0.5"]).all()
    assert (ours["q0.5"] <= ours["q0.9"]).all()


def test_cells_are_on_one_side_each_and_every_fold_holds_others(finished: Path) -> None:
    parts = json.loads((finished / PART / "splits.json").read_text())["parts"]
    assert sorted(cell for ids in parts.values() for cell in ids) == [f"c{k:02d}" for k in range(12)]
    trained = [batgen.load(finished / PART / "models" / f"fold{k}.ckpt").facts["train_cells"] for k in (0, 1)]
    assert not set(trained[0]) & set(trained[1])
    assert set(trained[0]) | set(trained[1]) == {*parts["train"], *parts["val"]}
    val = forecasts(finished / PART).query("test_set == 'val'")
    assert set(val["cell_id"]) == {*parts["train"], *parts["val"]}  # each by the model that did not train on it


def test_observed_values_are_those_of_the_file(finished: Path) -> None:
    seen = pd.read_csv(finished / PART / "observed.csv.gz", dtype={"cell_id": str})
    merged = seen.merge(table(), left_on=["cell_id", "cycle"], right_on=["cell", "cycle"])
    assert len(merged) == len(seen) == len(table())
    np.testing.assert_allclose(merged["value"], merged["capacity"], rtol=1e-5)


def test_explanation_of_two_cells(finished: Path) -> None:
    with h5py.File(finished / PART / "explanation.h5") as file:
        assert len(file["attention"]) == 2
        for name, weights in file["attention"].items():
            np.testing.assert_allclose(weights[:].sum(1), 1, atol=1e-5)
            assert weights.attrs["input_cycle"][-1] == 12
            assert weights.attrs["cycle"][0] == 16
            assert len(weights.attrs["input_cycle"]) == weights.shape[1] == 3
            gradient = file[f"saliency/{name}/discharge_capacity_Ah/q0.5"]
            assert gradient.shape[1:] == (3, len(gradient.attrs["names"]))
            assert (gradient[:] >= 0).all()
            assert (gradient[:] > 0).any()


@pytest.mark.usefixtures("undrawn")
def test_the_same_seed_gives_the_same_and_another_another(finished: Path, made: list[str], tmp_path: Path) -> None:
    run(tmp_path / "again", *QUICK, *made, "seed=[0,1]")
    for name in ("splits.json", "losses.csv"):
        assert (tmp_path / "again" / PART / name).read_bytes() == (finished / PART / name).read_bytes(), name
    pd.testing.assert_frame_equal(forecasts(tmp_path / "again" / PART), forecasts(finished / PART))
    other = json.loads((tmp_path / "again" / "honest-seed1" / "splits.json").read_text())["parts"]
    assert other != json.loads((finished / PART / "splits.json").read_text())["parts"]
    assert {r["seed"] for r in told(tmp_path / "again")["rows"]} == {0, 1}


@pytest.mark.usefixtures("undrawn")
def test_a_part_that_is_done_is_read(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(finished, tmp_path / "run")
    part = tmp_path / "run" / PART
    stamps = {p: p.stat().st_mtime_ns for p in part.rglob("*")}
    assert resume_training(tmp_path / "run").rows == told(finished)["rows"]
    assert "done before" in capsys.readouterr().out
    assert stamps == {p: p.stat().st_mtime_ns for p in part.rglob("*")}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("lost", ["metrics.json", "models/fold1.ckpt"])
def test_a_killed_run_resumes_to_the_same_numbers(finished: Path, tmp_path: Path, lost: str) -> None:
    """Without metrics.json it is scored again; without a checkpoint, that model alone is trained again."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    kept = folder / PART / "models" / "fold0.ckpt"
    stamp = kept.stat().st_mtime_ns
    for name in {lost, "metrics.json", "forecasts.csv.gz", "explanation.h5"}:
        (folder / PART / name).unlink()
    result = resume_training(folder)
    assert kept.stat().st_mtime_ns == stamp
    assert result.rows == told(finished)["rows"]
    pd.testing.assert_frame_equal(forecasts(folder / PART), forecasts(finished / PART))
    assert (folder / PART / "explanation.h5").is_file()


@pytest.mark.usefixtures("undrawn")
def test_a_run_killed_within_a_training_goes_on(
    finished: Path, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in the third epoch of the second model: the first is kept, the second goes on from its second epoch."""
    seen: list[int] = []
    step = sequence_module.SequenceModule.training_step

    def killed(self: sequence_module.SequenceModule, index: object, number: int) -> object:
        seen.append(self.current_epoch)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return step(self, index, number)  # type: ignore[arg-type]

    folder = tmp_path / "run"
    words = [*QUICK, *made, "evaluation.explain=2", "trainer.save_every_s=0"]
    with monkeypatch.context() as patch:
        patch.setattr(sequence_module.SequenceModule, "training_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, *words)
    assert "resume=true" in capsys.readouterr().out
    assert (folder / PART / "models" / "fold0.ckpt").is_file()
    assert (folder / PART / "last_fold1.ckpt").is_file()
    seen.clear()
    assert resume_training(folder).rows == told(finished)["rows"]
    pd.testing.assert_frame_equal(forecasts(folder / PART), forecasts(finished / PART))
    assert not (folder / PART / "last_fold1.ckpt").exists()


def test_resumed_runs_keep_their_split(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    part = tmp_path / "run" / PART
    (part / "metrics.json").unlink()
    saved = json.loads((part / "splits.json").read_text())
    saved["parts"]["train"].append("c99")
    (part / "splits.json").write_text(json.dumps(saved))
    with pytest.raises(DataError, match="c99"):
        resume_training(tmp_path / "run")


def test_paper_and_honest_of_sim_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paper's 500 cycles against whole lives; additive attention, and feedback by blocks."""
    folder = tmp_path / "run"
    words = [
        "data=sim", *QUICK, "preprocessing.stride=20", "cycles=40", "protocol=both", "trainer.folds=1",
        "model.attention=additive", "model.feedback=true", "model.block=3", f"run_dir={folder}",
    ]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    train_main()
    shown = capsys.readouterr().out
    for word in ("paper protocol", "honest protocol", "persistence", "first 40 cycles given", "n = "):
        assert word in shown, word
    paper, honest = (forecasts(folder / f"{name}-seed0") for name in ("paper", "honest"))
    assert paper.dropna(subset="truth")["cycle"].max() == 500
    assert honest.dropna(subset="truth")["cycle"].max() > 1000
    split = json.loads((folder / "paper-seed0" / "splits.json").read_text())["parts"]
    assert not set(split["train"]) & set(split["test"])  # a sample is a cell here, published protocol or not


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "words",
    [
        ["model.arcana_compat=true", "model.window=2", "model.residual=false", "model.ordered=false"],
        ["model.static_dropout={ohm:0.3}", "model.static_noise={ohm:0.1}", "trainer.folds=1"],
        ["preprocessing.targets=[discharge_capacity_Ah,internal_resistance_Ohm]"],
        ["trainer.last_cut=45", "trainer.first_cut=3", "trainer.curriculum.segments=2", "trainer.gl_pq=1.0"],
        ["evaluation.cuts=[8,20]", "evaluation.until=80", "evaluation.conformal=false"],
    ],
)
def test_options_run(made: list[str], tmp_path: Path, words: list[str]) -> None:
    run(tmp_path / "run", *QUICK, *made, "trainer.epochs=2", *words)
    rows = pd.DataFrame(told(tmp_path / "run")["rows"])
    ours = rows[(rows["role"] == "model") & (rows["test_set"] == "test")]
    assert np.isfinite(ours.loc[ours["metric"] == "RMSE", "value"]).all()
    if any("targets" in word for word in words):
        assert ours["signal"].str.contains("resistance").any()
    if any("cuts" in word for word in words):
        assert set(ours["cut"]) == {8, 20}
        assert "model, conformal" not in set(ours["method"])
        assert forecasts(tmp_path / "run" / PART)["cycle"].max() >= 76
    if any("arcana" in word for word in words):
        assert set(ours["model"]) == {"seq2seq_quantile (arcana)"}


@pytest.mark.usefixtures("undrawn")
def test_a_split_in_time_says_so(
    made: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    run(tmp_path / "run", *QUICK, *made, "split=chronological", "cycles=8")
    notes = told(tmp_path / "run" / PART)["notes"]
    assert notes[0].startswith("chronological split: the 12 cells are on every side")
    assert "This says nothing of a new cell" in " ".join(capsys.readouterr().out.split())
    stops = json.loads((tmp_path / "run" / PART / "splits.json").read_text())["stops"]
    test = forecasts(tmp_path / "run" / PART).query("test_set == 'test' and method == 'model'")
    for cell, own in test.groupby("cell_id"):
        assert set(own["cut_cycle"]) == {stops[cell][1]}


@pytest.mark.usefixtures("undrawn")
def test_short_cells_are_named(tmp_path: Path) -> None:
    frame = table()
    short = frame[(frame["cell"] != "c03") | (frame["cycle"] <= 10)]
    run(tmp_path / "run", *QUICK, *csv(tmp_path / "short.csv", short))
    assert told(tmp_path / "run" / PART)["short"] == {"c03": 10}
    assert "c03 (10)" in told(tmp_path / "run" / PART)["notes"][0]


def test_calce_picks_the_split_in_time(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *QUICK, "data=calce", "cycles=30")
    assert told(tmp_path / "run" / PART)["notes"][0].startswith("chronological split: the 2 cells are on every side")
    assert "chronological split" in capsys.readouterr().out
    assert (tmp_path / "run" / "figures" / "sequence_fan.png").is_file()


@pytest.mark.usefixtures("undrawn")
def test_tju_from_ten_cycles(data_dir: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", *QUICK, "data=tju", "cycles=10", "preprocessing.stride=1")
    rows = [r for r in told(tmp_path / "run")["rows"] if r["metric"] == "RMSE" and r["method"] == "model"]
    assert rows
    assert {r["cut"] for r in rows} == {10}


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["cycles=400"], DataError, "cycles=400 leaves no cell"),
        (["trainer.val_cuts=[500]"], ConfigError, "fold0: none of its . validation cells goes on after cycle 500"),
        (["evaluation.cuts=[500]"], ConfigError, r"after cycle 500. Use smaller .* evaluation\.cuts"),
        (["preprocessing.targets=[coulomb_efficiency]"], DataError, "coulomb_efficiency"),
        (["+model.target_weights.capacity=2"], ConfigError, "model.target_weights.capacity"),
        (["model.attention=dot"], ConfigError, "model.attention=dot"),
        (["model.heads=3"], ConfigError, "model.heads=3"),
        (["split=published"], ConfigError, "published"),
        (["trainer.curriculum.start=2"], ConfigError, "trainer.curriculum.start"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(
    made: list[str], tmp_path: Path, words: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path / "run", *QUICK, *made, *words)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_too_few_cells_for_three_parts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 cells are fewer than its 3 parts.*split=chronological"):
        run(tmp_path / "run", *QUICK, *csv(tmp_path / "two.csv", table(2)))
