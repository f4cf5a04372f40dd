"""A search from beginning to end with trials whose results are known: totals, resuming, failures, what it leaves."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from batgen.errors import ConfigError
from batgen.search.storage import open_storage
from batgen.search.sweep import run_search
from tests.search.fake_search import SPACE, X, Y, bowl, multirun, use

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def search(folder: Path, *typed: str, **changed: Any) -> float | None:
    found: float | None = run_search(multirun(folder, changed, typed))
    return found


def trials(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "search.json").read_text())["trials"]
    return found


def tried(folder: Path) -> list[tuple[float, ...]]:
    return [tuple(t["params"].values()) for t in trials(folder) if t["state"] != "fail"]


def test_tpe_comes_near_the_bottom_of_a_bowl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    best = search(tmp_path, n_trials=40)
    assert best is not None
    assert best < 0.3
    values = [t["values"][0] for t in trials(tmp_path)]
    assert len(values) == 40
    assert best == min(values)


def test_what_a_search_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    best = search(tmp_path, n_trials=6)
    written = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert written["choices"] == {"model": "rcvae"}
    assert (written["values"][X] - 1) ** 2 + written["values"][Y] ** 2 == best
    assert written["about"]["val/crps"] == best
    assert "validation rows" in written["about"]["chosen"]
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 6
    assert min(float(row["val/crps"]) for row in rows) == best
    assert {"number", X, Y, "seconds", "epochs", "error"} <= set(rows[0])
    assert f"| {X} |" in (tmp_path / "search.md").read_text()
    plan = json.loads((tmp_path / "sweep.json").read_text())
    assert (plan["kind"], plan["axes"][X]) == ("search", "-4.0..4.0")
    assert {p.stem for p in (tmp_path / "figures").iterdir()} == {"history", "importance", "parallel"}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "qmc", "random"])
def test_an_interrupted_search_ends_at_its_total_and_proposes_what_an_unbroken_one_does(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        if folder.name == "0005":
            raise KeyboardInterrupt
        return bowl(cfg, folder, report)

    use(monkeypatch)
    search(tmp_path / "whole", n_trials=9, sampler=sampler)
    use(monkeypatch, stopped)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "broken", n_trials=9, sampler=sampler)
    use(monkeypatch)
    search(tmp_path / "broken", n_trials=9, sampler=sampler)
    assert len(tried(tmp_path / "broken")) == 9
    assert tried(tmp_path / "broken") == tried(tmp_path / "whole")
    assert trials(tmp_path / "broken")[5]["error"] == "interrupted"


def test_a_finished_search_does_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    best = search(tmp_path, n_trials=5)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}

    def never(*_: Any) -> dict[str, float]:
        raise AssertionError("a trial was started")

    use(monkeypatch, never)
    capsys.readouterr()
    assert search(tmp_path, n_trials=5) == best
    assert "all 5 trials were done before" in capsys.readouterr().out
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert after == before


def test_more_trials_another_sampler_and_pruner_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=4)
    first = tried(tmp_path)
    search(tmp_path, n_trials=7, sampler="random", max_failures=0, n_jobs=3)
    assert tried(tmp_path)[:4] == first
    assert len(tried(tmp_path)) == 7


@pytest.mark.parametrize(
    ("changed", "typed", "said"),
    [
        ({"space": {"model": {"beta": {"low": -4.0, "high": 5.0}}}}, (), f"{X} is -4.0..4.0 there, -4.0..5.0 here"),
        ({"directions": ["maximize"]}, (), "[minimize] there, [maximize] here"),
        ({"objectives": ["val/mae"]}, (), "[val/crps] there, [val/mae] here"),
        ({}, ("model.hidden=7",), "model.hidden is 512 there, 7 here"),
    ],
)
def test_another_search_of_the_same_name_is_refused(
    changed: dict[str, Any], typed: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=2)
    with pytest.raises(ConfigError, match="search.name=OTHER") as caught:
        search(tmp_path, *typed, n_trials=2, **changed)
    assert said in str(caught.value)
    search(tmp_path, *typed, n_trials=2, name="other", **changed)


def test_failing_trials_are_recorded_and_the_search_goes_on_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        if int(folder.name) in (1, 3):
            raise RuntimeError("out of memory [GPU]")
        values = bowl(cfg, folder, report)
        return {**values, "val/crps": math.nan} if int(folder.name) == 5 else values

    use(monkeypatch, failing)
    with pytest.raises(ConfigError, match=r"(?s)max_failures=1: 2 trials failed.*out of memory \[GPU\]"):
        search(tmp_path, n_trials=6, max_failures=1)
    search(tmp_path, n_trials=6, max_failures=1)
    errors = {t["number"]: t["error"] for t in trials(tmp_path) if t["state"] == "fail"}
    assert set(errors) == {1, 3, 5}
    assert "val/crps is nan" in errors[5]
    assert len(tried(tmp_path)) == 6
    assert "out of memory [GPU]" in (tmp_path / "trials" / "0001" / "log.txt").read_text()


def test_an_objective_that_no_trial_measures_ends_the_search_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    with pytest.raises(ConfigError, match=r"val/msa is not measured.*val/crps, val/mae"):
        search(tmp_path, n_trials=5, objectives=["val/msa"], max_failures=9)
    assert [p.name for p in (tmp_path / "trials").iterdir()] == ["0000"]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_are_pruned_and_count(pruner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=20, pruner=pruner, sampler="random", warmup=1)
    states = [t["state"] for t in trials(tmp_path)]
    assert states.count("pruned") >= 2
    assert len(states) == 20
    assert states[json.loads((tmp_path / "search.json").read_text())["best"]["trial"]] == "complete"


def test_several_objectives_have_a_front_and_no_pruner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=16, objectives=["val/crps", "val/mae"], sampler="nsga2", pruner="median")
    assert "several objectives cannot be pruned" in capsys.readouterr().out
    content = json.loads((tmp_path / "search.json").read_text())
    values = {t["number"]: t["values"] for t in content["trials"]}
    for number, own in values.items():
        beaten = any(v != own and v[0] <= own[0] and v[1] <= own[1] for v in values.values())
        assert (number in content["front"]) is not beaten
    assert content["best"]["values"][0] == min(v[0] for v in values.values())
    assert "## Front" in (tmp_path / "search.md").read_text()


def test_a_grid_tries_every_point_once_and_ends_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        if folder.name == "0002":
            raise RuntimeError("once")
        return bowl(cfg, folder, report)

    use(monkeypatch, failing)
    space = {"model": {"beta": [0.0, 1.0, 2.0], "label_weight": {"low": 0.0, "high": 1.0, "step": 0.5}}}
    assert search(tmp_path, n_trials=50, sampler="grid", space=space) == 0.0
    assert "the grid has 9 points" in capsys.readouterr().out
    assert sorted(tried(tmp_path)) == [(x, y) for x in (0.0, 1.0, 2.0) for y in (0.0, 0.5, 1.0)]


def test_parameters_that_hang_on_others_are_tried_where_those_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    hanging = {
        "beta": {"low": -4.0, "high": 4.0, "when": {"model.activation": ["gelu"]}},
        "activation": ["gelu", "relu"],
    }
    search(tmp_path, n_trials=15, space={"model": {**SPACE["model"], **hanging}})
    found = [t["params"] for t in trials(tmp_path)]
    assert {p["model.activation"] for p in found} == {"gelu", "relu"}
    assert all((X in p) is (p["model.activation"] == "gelu") for p in found)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())["values"]
    assert (X in best) is (best["model.activation"] == "gelu")


@pytest.mark.parametrize(
    ("changed", "typed", "said"),
    [
        ({}, ("cycles=10,20",), "++search.space.cycles=[10,20]"),
        ({}, ("seed=0,1",), "one command for each"),
        ({}, ("data=sim,mit",), "one command for each"),
        ({}, ("protocol=both",), "one protocol"),
        ({}, ("trainer.devices=2",), "one device"),
        ({"pruner": "median", "objectives": ["val/mae"]}, (), "trials are pruned by val/crps"),
    ],
)
def test_what_does_not_go_with_a_search_is_refused(
    changed: dict[str, Any], typed: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    kept = tuple(w for w in typed if "," not in w)
    request = multirun(tmp_path, changed, kept)
    with pytest.raises(ConfigError) as caught:
        run_search(type(request)(**{**request.__dict__, "typed": typed}))
    assert said in str(caught.value)
    assert not (tmp_path / "study.journal").exists()


def test_a_trial_whose_process_is_gone_is_tried_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=2)
    study = optuna.load_study(study_name="fake", storage=open_storage(None, tmp_path))
    trial = study.ask()
    trial.suggest_float(X, -4.0, 4.0)
    trial.suggest_float(Y, -4.0, 4.0)
    trial.set_user_attr("owner", ["another-host", 1, "0"])
    study.set_user_attr("heard another-host 1 0", 0.0)  # half a century ago
    for _ in range(2):  # two processes that begin at the same moment
        study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})
    search(tmp_path, n_trials=5)
    found = trials(tmp_path)
    assert found[2]["error"] == "interrupted"
    assert [t["number"] for t in found if t["repeats"] == 2 and t["state"] == "complete"] == [3]
    assert sum(t["params"] == trial.params and t["state"] == "complete" for t in found) == 1
    assert len(tried(tmp_path)) == 5


def test_a_trial_of_another_machine_that_was_just_heard_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=2)
    study = optuna.load_study(study_name="fake", storage=open_storage(None, tmp_path))
    trial = study.ask()
    trial.set_user_attr("owner", ["another-host", 1, "0"])
    assert search(tmp_path, n_trials=5) is None
    assert "1 trial still runs in another process" in capsys.readouterr().out
    states = [t.state.name for t in study.get_trials()]
    assert states == ["COMPLETE", "COMPLETE", "RUNNING", "COMPLETE", "COMPLETE"]


def test_the_best_is_trained_again_once_with_what_the_search_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    began: list[list[str]] = []

    def started(n_trials: int) -> None:
        given = {"n_trials": n_trials, "retrain": True, "final": ["trainer.patience=7", "trainer.max_epochs=9"]}
        real = multirun(tmp_path, given, ["trainer.max_epochs=3"])

        def start(jobs: Any, first: int) -> Any:
            if not any(word == "search.trial=final" for word in jobs[0]):
                return real.start(jobs, first)
            began.extend(jobs)
            cfg, name = real.compose(jobs[0])
            (tmp_path / name).mkdir()
            OmegaConf.save(cfg, tmp_path / name / "config.yaml")
            for file in ("metrics.json", "run.json"):
                (tmp_path / name / file).write_text("{}")
            return [(0.0, None)]

        run_search(type(real)(**{**real.__dict__, "start": start}))

    started(5)
    (words,) = began
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())["values"]
    assert {f"{X}={best[X]!r}", f"{Y}={best[Y]!r}", "trainer.patience=7", "trainer.max_epochs=3"} <= set(words)
    assert "trainer.max_epochs=9" not in words  # what is typed wins
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"][0]["folder"] == "final"
    started(5)
    assert len(began) == 1
    assert "nothing is left to do" in capsys.readouterr().out
    started(40)  # another trial is the best now: the earlier run stays where it is
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"][0]["folder"] == "final-2"
    assert len(began) == 2
