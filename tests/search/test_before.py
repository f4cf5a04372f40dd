"""What is refused before a search begins its first trial, and what may differ when it goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from batgen.errors import ConfigError
from batgen.search.sweep import run_search
from batgen.trials import NoTrial
from tests.search.fake_search import SPACE, bowl, multirun, use

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

ONLINE = "logger={wandb: {_target_: batgen.training.loggers.wandb, mode: online}}"
OFFLINE = "logger={wandb: {_target_: batgen.training.loggers.wandb}}"


def search(folder: Path, *typed: str, **changed: Any) -> float | None:
    found: float | None = run_search(multirun(folder, changed, typed))
    return found


@pytest.mark.parametrize(
    ("changed", "typed", "said"),
    [
        ({}, ("trainer.accelerator=gpu",), "shows no GPU"),
        ({}, ("evaluation.prior_samples=0",), "evaluation.prior_samples"),
        ({"final": ["trainer.max_epochs=0"]}, (), "trainer.max_epochs"),
        ({}, ("seed=[0,1,2]",), "split.seed=0"),
        ({"final": ["seed=[0,1,2]"]}, (), "split.seed=0"),
        ({"final": ["split.seed=5"]}, (), "split.seed=0"),
        ({"space": {**SPACE, "seed": [0, 1]}}, (), "split.seed=0"),
        ({"space": {**SPACE, "split": {"seed": [0, 1]}}}, (), "search.space.split.seed: "),
    ],
)
def test_what_no_trial_could_do_is_refused_before_the_study_is_opened(
    changed: dict[str, Any], typed: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        search(tmp_path, *typed, n_trials=1, **changed)
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_wandb_online_without_a_key_is_refused_wherever_the_trials_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    use(monkeypatch)
    for parallel in (False, True):
        request = multirun(tmp_path / "search", {"n_trials": 1}, (ONLINE,))
        with pytest.raises(ConfigError, match=r"logger\.wandb\.mode=offline"):
            run_search(type(request)(**{**request.__dict__, "parallel": parallel}))
    assert not (tmp_path / "search").exists()


def test_a_gpu_is_not_asked_for_here_when_trials_run_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    request = multirun(tmp_path, {"n_trials": 1}, ("trainer.accelerator=gpu",))
    assert run_search(type(request)(**{**request.__dict__, "parallel": True})) is not None


def test_a_model_that_is_not_trained_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    space = {"trainer": {"batch_size": [16, 32]}}
    with pytest.raises(ConfigError, match="model=mean_curve: it is fitted in one step"):
        search(tmp_path, "model={_target_: batgen.models.mean_curve.MeanCurve}", n_trials=1, space=space)
    assert not list(tmp_path.iterdir())


def test_several_seeds_are_welcome_where_the_split_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    assert search(tmp_path, "seed=[0,1,2]", "split.seed=0", n_trials=2) is not None


def test_what_one_trial_says_of_all_ends_the_search_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        raise NoTrial("profiles that one model is tested on train another. Use split.run=1.")

    use(monkeypatch, leaking)
    with pytest.raises(NoTrial, match="split.run=1"):
        search(tmp_path, n_trials=5, max_failures=9)
    assert [p.name for p in (tmp_path / "trials").iterdir()] == ["0000"]


def test_a_search_goes_on_on_another_machine_and_with_another_logger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch)
    search(tmp_path, n_trials=2)
    assert "wandb sync" not in capsys.readouterr().out
    words = (
        "device=cpu",
        "trainer.accelerator=auto",
        "trainer.precision=bf16-mixed",
        "trainer.save_every_s=5.0",
        OFFLINE,
    )
    search(tmp_path, *words, n_trials=4)
    content = json.loads((tmp_path / "search.json").read_text())
    assert content["finished"] == 4
    said = " ".join(capsys.readouterr().out.split())
    assert f"wandb sync {tmp_path}/trials/*/wandb" in said


def test_a_trial_that_counts_steps_is_told_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stepping(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
        values = bowl(cfg, folder, lambda step, value: report(25 * step + 24, value))
        return {"val/crps": values["val/crps"], "steps": 250.0}

    use(monkeypatch, stepping)
    monkeypatch.setattr("batgen.run.trial_unit", lambda cfg: "steps")
    search(tmp_path, n_trials=12, pruner="median", sampler="random", warmup=25)
    rows = json.loads((tmp_path / "search.json").read_text())["trials"]
    pruned = [t for t in rows if t["state"] == "pruned"]
    assert pruned
    assert {t["steps"] for t in rows if t["state"] == "complete"} == {250}
    assert all(t["steps"] % 25 == 0 and t["epochs"] is None for t in rows)
    assert f"pruned after step {pruned[0]['steps']}, " in capsys.readouterr().out
