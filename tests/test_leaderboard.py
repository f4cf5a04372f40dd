"""A leaderboard trains what is missing, survives kills and failures, and tells both."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout
from omegaconf import OmegaConf
from rich.console import Console

from batgen import leaderboard_jobs as jobs_module
from batgen.cli import CONF
from batgen.errors import ConfigError, DataError
from batgen.files import write_json
from batgen.folder import claim
from batgen.jobs import LOCK, holding
from batgen.leaderboard import leaderboard
from batgen.leaderboard_jobs import finished, groups, multirun_words, reason
from batgen.leaderboard_plan import Job, Plan, plan

WORDS = ("seed=[0,1]", "protocol=both")
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def composed() -> Plan:
    return plan("sim", ["mean_curve", "nearest_copy", "knn"], ["curves"], WORDS, Path("nowhere"), CONF)


@pytest.fixture
def three(composed: Plan, tmp_path: Path) -> Plan:
    """Three closed-form models, planned for a folder of this test."""
    moved = [Job(j.model, j.kind, j.words, j.needs, tmp_path / j.model, j.cfg, j.board) for j in composed.jobs]
    return Plan("sim", tmp_path, WORDS, moved)


class Trainer:
    """Stands for the multirun: trains at once, or is killed, dies or fails at a model of one's choice."""

    def __init__(self, kill: str = "", die: str = "", fail: str = "") -> None:
        self.kill, self.die, self.fail, self.asked = kill, die, fail, []  # type: ignore[var-annotated]

    def __call__(self, jobs: Sequence[Job], out: Path) -> int:
        self.asked.append([job.model for job in jobs])
        status = 0
        for job in jobs:
            claim(job.folder, job.cfg)
            (job.folder / "honest-seed0").mkdir(exist_ok=True)
            write_json(job.folder / "honest-seed0" / "splits.json", {})
            if job.model == self.kill:
                raise KeyboardInterrupt
            if job.model == self.die:
                return -9
            if job.model == self.fail:
                write_json(job.folder / "failed.json", {"reason": "data: too few cells."})
                status = 1
                continue
            write_json(job.folder / "metrics.json", {"rows": []})
            write_json(job.folder / "run.json", {"wall_s": 1.0})
        return status


def evaluated(folder: Path, _: Console, beside: bool) -> list[dict[str, Any]]:
    about = {"test_set": "test", "family": "fidelity", "metric": "RMSE", "signal": "voltage_V", "unit": "V"}
    value = len(folder.name) / 100
    return [
        {"protocol": p, "seed": s, "role": "model", "model": "M", "value": value, "floor": 0.01, "direction": "lower", **about}
        for p in ("honest", "paper") for s in (0, 1)
    ]  # fmt: skip


def page(runs: Sequence[Path], out: Path, title: str) -> None:
    out.write_text(f"{title}: {[run.name for run in runs]}")


def made(three: Plan, trainer: Trainer, monkeypatch: pytest.MonkeyPatch, evaluate: Any = evaluated) -> str:
    monkeypatch.setattr(jobs_module, "multirun", trainer)
    leaderboard(three, QUIET, {}, evaluate, page)
    return (three.out / "leaderboard.md").read_text()


def test_words_of_a_multirun_and_its_groups(three: Plan) -> None:
    (group,) = groups(three.jobs)
    words = multirun_words(group, Path("/a b/it's"))
    assert words[:5] == ["-m", "model=knn,mean_curve,nearest_copy", "data=sim", "seed=[0,1]", "protocol=both"]
    assert r"hydra.sweep.dir='/a b/it\'s'" in words
    other = Job("x", "profiles", three.jobs[0].words, (), Path("x"), three.jobs[0].cfg, "")
    assert len(list(groups([*three.jobs, other]))) == 2


def test_a_killed_leaderboard_goes_on_and_ends_with_the_same_table(
    three: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(three, Trainer(kill="mean_curve"), monkeypatch)
    assert not (three.out / "leaderboard.md").exists()
    again = Trainer()
    table = made(three, again, monkeypatch)
    assert again.asked == [["mean_curve", "nearest_copy"]]  # knn was finished
    idle = Trainer()
    assert made(three, idle, monkeypatch) == table
    assert idle.asked == []
    assert "| **knn** | 1.0 | 1.0 | **30**" in table


def test_a_model_that_fails_is_told_and_stops_no_other(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    table = made(three, Trainer(fail="mean_curve"), monkeypatch)
    assert "- mean_curve: failed: data: too few cells." in table
    assert "**nearest_copy**" in table
    mended = Trainer()
    assert "failed" not in made(three, mended, monkeypatch)
    assert mended.asked == [["mean_curve"]]


def test_a_process_that_dies_takes_no_other_model_with_it(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(die="mean_curve")
    table = made(three, trainer, monkeypatch)
    assert trainer.asked == [["knn", "mean_curve", "nearest_copy"], ["mean_curve"], ["nearest_copy"]]
    assert "mean_curve: failed: its process ended with status -9" in table
    assert "**nearest_copy**" in table


def test_an_evaluation_that_fails_is_told(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, console: Console, beside: bool) -> list[dict[str, Any]]:
        if folder.name == "knn":
            raise ZeroDivisionError("planted")
        return evaluated(folder, console, beside)

    assert "knn: failed: evaluation: ZeroDivisionError: planted" in made(three, Trainer(), monkeypatch, broken)
    assert "knn" not in (three.out / "leaderboard.html").read_text()


def test_where_nothing_finishes_there_is_an_error_and_no_table(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    three.jobs = three.jobs[:1]
    with pytest.raises(DataError, match=r"(?s)no model of data=sim was trained.*knn: data: too few cells"):
        made(three, Trainer(fail="knn"), monkeypatch)
    assert not (three.out / "leaderboard.md").exists()


def test_files_are_complete(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    made(three, Trainer(), monkeypatch)
    with (three.out / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert {row["method"] for row in rows} == {"knn", "mean_curve", "nearest_copy"}
    found: Mapping[str, Any] = json.loads((three.out / "leaderboard.json").read_text())
    assert [run["state"] for run in found["runs"]] == ["done"] * 3
    assert found["rows"][0]["board"] == found["tables"][0]["title"] == three.jobs[0].board
    assert (three.out / "leaderboard.png").stat().st_size > 10_000
    assert "Leaderboard: sim: ['knn', 'mean_curve', 'nearest_copy']" in (three.out / "leaderboard.html").read_text()


def test_a_folder_of_another_run_is_refused(three: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    made(three, Trainer(), monkeypatch)
    assert finished(three.jobs[0])
    other = OmegaConf.load(three.jobs[0].folder / "config.yaml")
    other.cycles = 7
    OmegaConf.save(other, three.jobs[0].folder / "config.yaml")
    assert not finished(three.jobs[0])
    with pytest.raises(ConfigError, match="knn: a run with other seeds"):
        made(three, Trainer(), monkeypatch)


def test_a_run_of_the_same_overrides_is_accepted_though_the_config_tree_changed(
    three: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(three, Trainer(), monkeypatch)
    job = three.jobs[0]
    older = OmegaConf.load(job.folder / "config.yaml")
    del older["device"]
    OmegaConf.save(older, job.folder / "config.yaml")
    (job.folder / ".hydra").mkdir()
    typed = ["model=knn", "protocol=both", *job.words[:2], "run_dir=/somewhere"]
    OmegaConf.save(OmegaConf.create(typed), job.folder / ".hydra" / "overrides.yaml")
    assert finished(job)
    idle = Trainer()
    made(three, idle, monkeypatch)
    assert idle.asked == []
    (job.folder / "run.json").unlink()
    with pytest.raises(ConfigError, match="knn: begun with an earlier config tree.*resume=true"):
        made(three, idle, monkeypatch)


def test_a_job_writes_down_why_it_failed_and_holds_its_folder(tmp_path: Path, three: Plan) -> None:
    def fail() -> None:
        with holding(tmp_path / "knn"):
            with pytest.raises(Timeout):
                FileLock(tmp_path / "knn" / LOCK).acquire(timeout=0)
            raise DataError("no cells left.")

    with pytest.raises(DataError):
        fail()
    assert reason(three.jobs[0]) == "no cells left."
    FileLock(tmp_path / "knn" / LOCK).acquire(timeout=0)
