"""Runs with logger=wandb (offline) and logger=tensorboard: one W&B run a part, finished in every case, with what came out."""

import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from batgen import config, curve_part, curve_run, overrides, tracking, tracking_wandb
from batgen.cli import CONF
from batgen.console import console
from batgen.errors import BatgenError, ConfigError
from batgen.report import examples
from batgen.run import Result, resume_training, train
from batgen.training.wandb_runs import PartRun, open_runs
from batgen.training.watch import Pruned
from tests.report.fake_pulse_run import make_pulse_part
from tests.wandb_file import WandbFile, read_wandb

#: What a run leaves, not how good it is.
SMALL = [
    "data=sim", "cycles=2", "evaluation.prior_samples=2", "evaluation.keep_conditions=8",
    "evaluation.keep_draws=2",
    *(f"~evaluation.baselines.{name}" for name in ("nearest_copy", "mean_curve", "knn", "pointwise_ridge", "pca_gaussian")),
]  # fmt: skip
RCVAE = ["model=rcvae", "model.hidden=16", "model.layers=2", "model.latent=4", "model.embedding=4", "trainer=smoke"]
WANDB = ["logger=wandb", "logger.wandb.system=false"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No reports, one store for all tests, and one figure a run instead of seven."""
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "tracking-cache"))

    def draw(part: Path, out: Path) -> list[Path]:
        from matplotlib.image import imsave

        out.mkdir(parents=True, exist_ok=True)
        imsave(out / "overlay.png", [[0.0, 1.0], [1.0, 0.0]])
        return [out / "overlay.png"]

    monkeypatch.setattr(curve_run, "draw", draw)
    monkeypatch.setattr(examples, "ROWS", 1)


def run(folder: Path, *words: str) -> Result:
    """Train in this process what `python train.py WORDS run_dir=FOLDER` would."""
    cfg = overrides.compose([*SMALL, *words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    return train(cfg, folder)


def runs(folder: Path) -> list[WandbFile]:
    """The W&B runs below a folder, by the folder of the run and when they were begun (to the second)."""
    return [read_wandb(path) for path in sorted(folder.glob("**/wandb/offline-run-*"))]


def test_a_run_and_what_it_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(tmp_path / "a", *RCVAE, *WANDB, "logger.wandb.checkpoint=true")
    (found,) = runs(tmp_path)
    assert (found.exit_code, found.name, found.project, found.group) == (0, "test honest-seed0", "batgen", "")
    assert set(found.tags) == {"rcvae", "sim", "honest", "curves"}
    assert found.config["model"]["hidden"] == 16
    assert len(found.config["data_hash"]) == 64
    assert found.config["parameters"] > 1000
    assert found.config["model_name"] == "rcvae"
    assert len(found.losses("train/loss")) == len(found.losses("val/crps")) == 2
    assert found.losses("trainer/global_step") == sorted(found.losses("trainer/global_step"))
    total = next(r["value"] for r in result.rows if (r["metric"], r["signal"]) == ("CRPS", "Total"))
    assert found.summary["test/CRPS/Total"] == pytest.approx(total)
    assert found.summary["score"] == pytest.approx(result.score)
    assert found.summary["best_score"] == pytest.approx(min(found.losses("val/crps")))
    assert found.summary["metrics/nrows"] == len(result.rows)
    assert found.summary["samples/nrows"] > 0
    assert {"figures/overlay/path", "figures/samples/path"} <= found.summary.keys()
    assert any(name.startswith("model-") for name in found.artifacts)
    said = capsys.readouterr()
    assert f"wandb sync {tmp_path / 'a' / 'wandb'}" in said.out
    assert "wandb:" not in said.out + said.err  # its own noise
    assert open_runs(tmp_path / "a") == []

    again = resume_training(tmp_path / "a")  # done: nothing is trained, nothing told twice
    assert again.score == pytest.approx(result.score)
    assert len(runs(tmp_path)) == 1


def test_a_job_that_fails_is_one_failed_run_and_the_same_run_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    real = curve_part.run_part

    def broken(conf: dict[str, Any], *rest: Any) -> list[dict[str, Any]]:
        if conf["seed"] == 1:
            raise BatgenError("planted")
        return real(conf, *rest)

    monkeypatch.setattr(curve_part, "run_part", broken)
    for seed in range(2):
        folder = tmp_path / "sweep" / f"seed-{seed}"
        if seed == 1:
            with pytest.raises(BatgenError, match="planted"):
                run(folder, "model=mean_curve", *WANDB, f"seed={seed}")
        else:
            run(folder, "model=mean_curve", *WANDB, f"seed={seed}")
    found = runs(tmp_path)
    assert [one.exit_code for one in found] == [0, 1]
    assert len({one.run_id for one in found}) == 2
    assert {one.group for one in found} == {"sweep"}
    assert [one.config["seed"] for one in found] == [0, 1]
    assert [one.name for one in found] == [f"test honest-seed{k} (seed-{k})" for k in range(2)]
    assert ["metrics/nrows" in one.summary for one in found] == [True, False]

    monkeypatch.setattr(curve_part, "run_part", real)
    resume_training(tmp_path / "sweep" / "seed-1")
    again = runs(tmp_path)
    assert [one.exit_code for one in again] == [0, 1, 0]
    assert again[2].run_id == again[1].run_id == found[1].run_id  # the same run, begun again
    assert len({one.run_id for one in again}) == 2


def test_a_stopped_run_is_finished_and_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = curve_part.run_part

    def stopped(conf: dict[str, Any], folder: Path, *rest: Any) -> list[dict[str, Any]]:
        if conf["seed"] == 1:
            tracking.begin(conf, folder)
            raise KeyboardInterrupt
        return real(conf, folder, *rest)

    monkeypatch.setattr(curve_part, "run_part", stopped)
    both = "logger=[wandb,tensorboard]"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", "model=mean_curve", both, WANDB[1], "seed=[0,1,2]")
    found = {one.config["seed"]: one for one in runs(tmp_path)}
    assert {seed: one.exit_code for seed, one in found.items()} == {0: 0, 1: 1}
    assert {"score", "metrics/nrows", "figures/overlay/path"} <= found[0].summary.keys()
    assert "metrics/nrows" not in found[1].summary
    assert [path.name for path in (tmp_path / "a" / "tensorboard").iterdir()] == ["honest-seed0"]

    monkeypatch.setattr(curve_part, "run_part", real)
    resume_training(tmp_path / "a")
    again = runs(tmp_path)
    assert [one.config["seed"] for one in again].count(0) == 1  # nothing told twice
    assert sorted(one.config["seed"] for one in again if "score" in one.summary) == [0, 1, 2]
    assert len({one.run_id for one in again}) == 3
    events = {path.name: len(list(path.iterdir())) for path in (tmp_path / "a" / "tensorboard").iterdir()}
    assert events == {"honest-seed0": 1, "honest-seed1": 1, "honest-seed2": 1}


def test_a_part_is_finished_before_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two open runs would share what W&B measures of processor and GPU."""
    real, seen = curve_part.run_part, []

    def watched(conf: dict[str, Any], folder: Path, *rest: Any) -> list[dict[str, Any]]:
        seen.append([one.part.name for one in open_runs(folder.parent)])
        return real(conf, folder, *rest)

    monkeypatch.setattr(curve_part, "run_part", watched)
    run(tmp_path / "a", "model=mean_curve", *WANDB, "logger.wandb.mode=disabled", "seed=[0,1]")
    assert seen == [["honest-seed0"], ["honest-seed1"]]


def test_what_cannot_be_published_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as broken:
        broken.setattr(tracking_wandb, "publish_wandb", refused)
        run(tmp_path / "a", "model=mean_curve", *WANDB)
    assert "honest-seed0 could not be published" in capsys.readouterr().out.replace("\n", " ")
    assert (tmp_path / "a" / "run.json").is_file()  # what was trained is there
    resume_training(tmp_path / "a")
    first, second = runs(tmp_path)
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert first.run_id == second.run_id
    assert "score" in second.summary


def test_a_run_that_cannot_be_finished_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = overrides.compose([*SMALL, "model=mean_curve", *WANDB, "logger.wandb.mode=disabled", "run_name=test"], CONF)
    ended = []

    def finish(one: PartRun, exit_code: int) -> None:
        ended.append(one.part.name)
        real(one, exit_code)
        if len(ended) == 1:
            raise RuntimeError("W&B's own trouble")

    real = tracking.finish
    monkeypatch.setattr(tracking, "finish", finish)

    def block() -> None:
        with tracking.tracked(tmp_path, console()):
            for seed in (0, 1):
                tracking.begin(config.resolved(cfg, "honest", seed), tmp_path / f"honest-seed{seed}")
            raise BatgenError("planted")

    with pytest.raises(BatgenError, match="planted"):
        block()
    assert ended == ["honest-seed0", "honest-seed1"]


def test_losses_are_sent_once(tmp_path: Path) -> None:
    """Pulse models have losses that no logger has seen. A run stopped while it tells W&B of itself does not tell them twice."""
    part = make_pulse_part(tmp_path / "honest-seed0")
    content = json.loads((part / "metrics.json").read_text())
    (part / "metrics.json").write_text(json.dumps({"training": {}, **content}))
    (part / "losses.csv").write_text("member,epoch,loss\na,1,2.0\na,2,1.0\n")
    cfg = overrides.compose([*SMALL, "model=mean_curve", *WANDB, "run_name=test"], CONF)
    conf = config.resolved(cfg, "honest", 0)

    def score(rows: list[dict[str, Any]]) -> float:
        if len(runs(tmp_path)) == 1:
            raise KeyboardInterrupt
        return 0.0

    for stopped in (True, False):
        time.sleep(1.1)  # W&B names the folders of offline runs by the second
        with pytest.raises(KeyboardInterrupt) if stopped else nullcontext(), tracking.tracked(tmp_path, console()):
            tracking.publish(conf, part, [], score, console())
    first, second = runs(tmp_path)
    assert first.losses("train/loss") == [2.0, 1.0]
    assert second.losses("train/loss") == []
    assert "metrics/nrows" in second.summary
    assert second.config["model_name"] == content["rows"][0]["model"]  # not the class that the config names


def test_jobs_of_a_sweep_leave_complete_runs_in_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "2026-05-01" / "12-30-45"
    words = [
        "data=sim", "cycles=5", "preprocessing.points=16", "evaluation.prior_samples=2", "~evaluation.baselines",
        "model=mean_curve", "trainer=smoke", *WANDB, "seed=0,1,2,3", f"hydra.sweep.dir={folder}",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "train.py", "-m", *words], cwd=CONF.parent, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = runs(folder)
    assert [one.config["seed"] for one in found] == [0, 1, 2, 3]
    assert [one.exit_code for one in found] == [0, 0, 0, 0]
    assert len({one.run_id for one in found}) == 4
    assert {one.group for one in found} == {"2026-05-01_12-30-45"}
    for one in found:
        assert {"score", "test/CRPS/Total", "metrics/nrows", "figures/samples/path"} <= one.summary.keys()
    assert "wandb sync" in done.stdout


def test_a_pruned_trial_is_no_failure(tmp_path: Path) -> None:
    cfg = overrides.compose([*SMALL, "model=mean_curve", *WANDB, "run_name=test"], CONF)
    conf = config.resolved(cfg, "honest", 0)

    def trial() -> None:
        with tracking.tracked(tmp_path, console()):
            tracking.begin(conf, tmp_path / "honest-seed0", job_type="trial")
            tracking.summarise(conf, tmp_path / "honest-seed0", {"val/crps": 0.5})
            raise Pruned(3)

    with pytest.raises(Pruned):
        trial()
    (found,) = runs(tmp_path)
    assert found.exit_code == 0
    assert found.summary["val/crps"] == 0.5
    assert (found.job_type, found.summary["state"]) == ("trial", "pruned")


def test_online_without_a_key_fails_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"logger\.wandb\.mode=offline"):
        run(tmp_path / "a", *RCVAE, *WANDB, "logger.wandb.mode=online")
    assert not (tmp_path / "a").exists()


def test_only_the_main_process_has_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    cfg = overrides.compose([*SMALL, "model=mean_curve", *WANDB, "run_name=test"], CONF)
    conf = config.resolved(cfg, "honest", 0)
    with tracking.tracked(tmp_path, console()):
        tracking.begin(conf, tmp_path / "honest-seed0")
        tracking.publish(conf, tmp_path / "honest-seed0", [], curve_run.score, console())
    assert list(tmp_path.rglob("*.wandb")) == []


def test_tensorboard_beside_wandb_shows_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(tmp_path / "a", *RCVAE, "logger=[wandb,tensorboard]", "logger.wandb.mode=disabled")
    events = EventAccumulator(str(tmp_path / "a" / "tensorboard" / "honest-seed0")).Reload()
    tags = events.Tags()
    assert {"train/loss", "val/crps", "test/CRPS/Total"} <= set(tags["scalars"])
    assert {"figures/overlay", "figures/samples"} <= set(tags["images"])
    total = next(r["value"] for r in result.rows if (r["metric"], r["signal"]) == ("CRPS", "Total"))
    assert events.Scalars("test/CRPS/Total")[0].value == pytest.approx(total, rel=1e-5)
    config_text, metrics_text = (
        events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode() for name in ("config", "metrics")
    )
    assert '"hidden": 16' in config_text
    assert all(line.startswith("    ") for line in config_text.splitlines())  # code to markdown
    assert "data_hash" in config_text
    assert f"{total:.6g}" in metrics_text
    assert list((tmp_path / "a").rglob("*.wandb")) == []
