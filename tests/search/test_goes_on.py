"""What a search keeps when its launcher, its process or its plans change, and what it says of pruned trials."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf

from batgen.errors import ConfigError
from batgen.multirun import Multirun, Outcome
from batgen.search.settings import read_settings
from batgen.search.space import parse_space
from batgen.search.storage import open_storage
from batgen.search.study import choose_pruner
from batgen.search.sweep import run_search
from tests.search.fake_search import SPACE, X, Y, config, multirun, use

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def states(folder: Path) -> list[str]:
    study = optuna.load_study(study_name="fake", storage=open_storage(None, folder))
    return [t.state.name for t in study.get_trials(deepcopy=False)]


def trials(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "search.json").read_text())["trials"]
    return found


def breaking(request: Multirun, error: BaseException) -> Multirun:
    """A launcher of jobs side by side that breaks down once, behind two jobs of its first batch."""
    batches: list[int] = []

    def start(jobs: Sequence[Sequence[str]], first: int) -> list[Outcome]:
        batches.append(len(jobs))
        if len(batches) > 1:
            return request.start(jobs, first)
        request.start(jobs[:2], first)
        raise error

    return replace(request, parallel=True, start=start)


def test_trials_that_ended_before_their_launcher_died_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    request = multirun(tmp_path, {"n_trials": 6, "n_jobs": 3, "max_failures": 1})
    run_search(breaking(request, RuntimeError("a worker was killed")))
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert trials(tmp_path)[2]["error"] == "RuntimeError: a worker was killed"


def test_a_launcher_that_always_dies_ends_the_search_with_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(jobs: Sequence[Sequence[str]], first: int) -> list[Outcome]:
        raise RuntimeError("no cluster")

    use(monkeypatch)
    request = multirun(tmp_path, {"n_trials": 9, "n_jobs": 2, "max_failures": 3})
    with pytest.raises(ConfigError, match="4 trials failed.*no cluster"):
        run_search(replace(request, parallel=True, start=start))
    assert states(tmp_path) == ["FAIL"] * 4


def test_a_search_that_is_stopped_loses_no_trial_that_had_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    request = multirun(tmp_path, {"n_trials": 5, "n_jobs": 3})
    with pytest.raises(KeyboardInterrupt):
        run_search(breaking(request, KeyboardInterrupt()))
    assert states(tmp_path) == ["RUNNING"] * 3
    run_search(request)
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 3]


def test_a_launcher_of_one_job_is_given_one_trial_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    request, sizes = multirun(tmp_path, {"n_trials": 4, "n_jobs": 3}), []

    def start(jobs: Sequence[Sequence[str]], first: int) -> list[Outcome]:
        sizes.append(len(jobs))
        return request.start(jobs, first)

    run_search(replace(request, start=start))
    assert sizes == [1, 1, 1, 1]
    assert "search.n_jobs=3: this launcher runs one trial at a time" in capsys.readouterr().out


def test_a_pruned_trial_has_no_value_where_another_score_was_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    monkeypatch.setattr("batgen.run.monitored", lambda cfg: "val/loss")
    monkeypatch.setattr("batgen.search.sweep.check_multirun", lambda *_: None)
    run_search(multirun(tmp_path, {"n_trials": 20, "pruner": "median", "sampler": "random", "warmup": 1}))
    pruned = [t for t in trials(tmp_path) if t["state"] == "pruned"]
    assert pruned
    assert all(t["values"] is None for t in pruned)
    with (tmp_path / "trials.csv").open() as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    assert {rows[t["number"]]["val/crps"] for t in pruned} == {""}
    assert all(row["val/crps"] for row in rows.values() if row["state"] == "complete")
    assert "pruner median by val/loss" in capsys.readouterr().out
    assert "Pruned by val/loss" in (tmp_path / "search.md").read_text()


def test_no_complete_trial_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from batgen.training.watch import Pruned

    def pruned(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        raise Pruned(0)

    use(monkeypatch, pruned)
    for _ in range(2):  # said again by the same command
        with pytest.raises(ConfigError, match="no trial was completed"):
            run_search(multirun(tmp_path, {"n_trials": 3}))
    assert (tmp_path / "search.md").is_file()


def test_hyperbands_brackets_are_the_same_in_every_job() -> None:
    searched = {**SPACE, "trainer": {"max_epochs": [3, 81]}}
    for words, space, longest in ((["trainer.max_epochs=27"], SPACE, 27), ([], searched, 81)):
        cfg = config({"space": space}, words)
        settings = replace(read_settings(cfg), pruner="hyperband", warmup=1)
        assert choose_pruner(settings, cfg)._max_resource == longest  # type: ignore[attr-defined]
        assert choose_pruner(replace(settings, warmup=100), cfg)._max_resource == 100  # type: ignore[attr-defined]


def test_a_key_of_a_newer_version_ends_no_search_but_another_value_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 2}))
    request = multirun(tmp_path, {"n_trials": 3})
    OmegaConf.update(request.cfg, "split.novel", 1, force_add=True)
    OmegaConf.update(request.cfg, "evaluation.novel", {"a": 1}, force_add=True)
    monkeypatch.setattr("batgen.config.validate", lambda cfg: None)
    monkeypatch.setattr("batgen.run.check_trials", lambda *_, **__: None)
    run_search(request)
    assert len(states(tmp_path)) == 3
    OmegaConf.update(request.cfg, "model.optim", None, merge=False)
    with pytest.raises(ConfigError, match="model.optim is a group there, null here"):
        run_search(request)


def test_the_jobs_of_an_earlier_end_stay_known_while_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 2}))
    plan = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({**plan, "jobs": [{"folder": "final"}]}))
    run_search(multirun(tmp_path, {"n_trials": 4}))
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"] == [{"folder": "final"}]


def test_fewer_trials_than_are_done_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 7}))
    run_search(multirun(tmp_path, {"n_trials": 3}))
    assert "7 trials are done, more than search.n_trials=3" in capsys.readouterr().out


def test_the_values_of_a_best_file_are_the_first_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    request = replace(multirun(tmp_path, {"n_trials": 3}), first={X: 1.0, Y: 9.0})
    run_search(request)
    first = trials(tmp_path)[0]["params"]
    assert first[X] == 1.0
    assert -4.0 <= first[Y] <= 4.0
    said = capsys.readouterr().out
    assert "the first trial has the values of best=FILE: beta=1" in said
    assert f"outside the space: {Y}" in said
    run_search(replace(request, cfg=multirun(tmp_path, {"n_trials": 5}).cfg))
    assert [t["params"][X] for t in trials(tmp_path)].count(1.0) == 1


def test_a_condition_on_what_is_not_searched_follows_the_config() -> None:
    def keys(activation: str) -> list[tuple[str, Any]]:
        leaf = {"low": 0.1, "high": 1.0, "when": {"model.activation": ["gelu"]}}
        hanging = {"choices": [1, 2], "when": {"model.beta": [0.5]}}
        cfg = config({}, [f"model.activation={activation}", "model.beta=0.5"])
        found = parse_space({"model": {"beta": leaf, "hidden": hanging, "latent": [8, 16]}}, cfg)
        return [(p.key, p.when) for p in found]

    assert sorted(keys("gelu")) == [
        ("model.beta", ()),
        ("model.hidden", (("model.beta", (0.5,)),)),
        ("model.latent", ()),
    ]
    assert sorted(keys("relu")) == [("model.hidden", ()), ("model.latent", ())]
