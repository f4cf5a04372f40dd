"""Runs of curves whose models are trained together: the seeds of a run, the jobs of a sweep."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig

from batgen import checkpoint, config, curve_ensemble, curve_run, run
from batgen.cli import CONF
from batgen.errors import BatgenError, ConfigError
from batgen.overrides import compose
from batgen.training import replay, stacked_fit
from batgen.training.stacked_task import Task

SMALL = [
    "model=rcvae", "data=sim", "cycles=4", "preprocessing.points=36", "model.hidden=16", "model.latent=4",
    "model.embedding=12", "model.layers=3", "trainer.max_epochs=2", "evaluation.prior_samples=4",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time of a run this small."""
    monkeypatch.setattr(curve_run, "draw", lambda part, folder: [part / "metrics.json"])


def composed(*words: str) -> DictConfig:
    return compose([*SMALL, *words], CONF)


def test_seeds_of_a_run_are_trained_together_and_come_out_as_one_after_another(tmp_path: Path) -> None:
    words = ["seed=[0,1]", "protocol=paper"]
    ours = run.train(composed("trainer=ensemble", "device=cpu", *words), tmp_path / "together")
    theirs = run.train(composed("trainer=cpu", *words), tmp_path / "alone")
    keys = ["protocol", "seed", "model", "metric", "signal"]
    both = [pd.DataFrame(r.rows).query("role == 'model'").set_index(keys)["value"].sort_index() for r in (ours, theirs)]
    assert both[0].index.equals(both[1].index)
    assert len(both[0]) > 20
    assert both[0].to_numpy() == pytest.approx(both[1].to_numpy(), rel=2e-3, abs=1e-5, nan_ok=True)
    record = json.loads((tmp_path / "together" / "run.json").read_text())["parts"]
    for part in ("paper-seed0", "paper-seed1"):
        facts = record[part]["training"]
        assert facts["trained_together"] == 2
        assert facts["search"]["epochs"] == 2
        left = {path.name for path in (tmp_path / "together" / part).iterdir()}
        assert {"model.ckpt", "metrics.csv", "metrics_search.csv", "metrics.json", "splits.json"} <= left
        assert not {name for name in left if name.startswith("last_")}


def jobs(folder: Path, *groups: Sequence[str]) -> tuple[list[DictConfig], list[Path]]:
    cfgs = [composed("trainer=ensemble", "device=cpu", *words) for words in groups]
    return cfgs, [folder / str(i) for i in range(len(cfgs))]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """What was prepared, and which folders were trained in one stack."""
    seen: dict[str, list] = {"prepared": [], "groups": []}
    prepare, fit = curve_ensemble.prepare, stacked_fit.fit_together

    def prepared(conf: dict, *args, **keys):
        seen["prepared"].append((conf["seed"], conf["cycles"]))
        return prepare(conf, *args, **keys)

    def fitted(members: Sequence[stacked_fit.Member], *args):
        seen["groups"].append(sorted(m.folder.parent.name for m in members))
        return fit(members, *args)

    monkeypatch.setattr(curve_ensemble, "prepare", prepared)
    monkeypatch.setattr(stacked_fit, "fit_together", fitted)
    return seen


def test_jobs_of_a_sweep_share_data_and_stacks(tmp_path: Path, watched: dict[str, list]) -> None:
    cfgs, folders = jobs(
        tmp_path, ["model.remove=null"], ["model.remove=encoder_2", "model.beta=0.1"], ["model.remove=embedding"],
        ["cycles=3", "model.optim.lr=1e-2"], ["seed=1"], ["model.activation=relu"], ["model.remove=decoder_1"],
    )  # fmt: skip
    run.train_together(cfgs, folders)
    assert sorted(watched["prepared"]) == [(0, 3), (0, 4), (1, 4)]
    assert sorted(watched["groups"]) == [["0", "1", "3", "4", "6"], ["2"], ["5"]]
    for cfg, folder in zip(cfgs, folders, strict=True):
        part = folder / f"honest-seed{config.seeds(cfg)[0]}"
        trained = checkpoint.load(part / "model.ckpt")
        assert trained.config["model"]["remove"] == cfg.model.remove
        assert trained.config["trainer"]["at_once"] == 32
        assert bool(torch.isfinite(trained.model.sample(trained.train_table[:2], 3)).all())
    # the jobs find their models, and only evaluate
    before = (folders[1] / "honest-seed0" / "model.ckpt").stat().st_mtime_ns
    assert run.train(cfgs[1], folders[1]).rows
    run.train_together(cfgs, folders)
    assert len(watched["groups"]) == 3
    assert (folders[1] / "honest-seed0" / "model.ckpt").stat().st_mtime_ns == before


def test_a_model_whose_loss_explodes_fails_its_own_job(tmp_path: Path, watched: dict[str, list]) -> None:
    cfgs, folders = jobs(tmp_path, ["model.optim.lr=1e38"], [], ["data.censored=unknown_word"])
    run.train_together(cfgs, folders)
    assert watched["groups"] == [["0", "1"]]
    assert not (folders[0] / "honest-seed0" / "model.ckpt").exists()
    assert run.train(cfgs[1], folders[1]).rows
    for i, says in ((0, r"honest-seed0: epoch 0: .*no longer finite.*model\.optim\.lr"), (2, "data.censored")):
        with pytest.raises(BatgenError, match=says):
            run.train(cfgs[i], folders[i])
    assert len(watched["groups"]) == 1, "the note was believed"
    assert not (folders[0] / "honest-seed0" / curve_ensemble.NOTE).exists(), "so that it may be tried again"


def test_one_seed_that_fails_leaves_the_others_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Task.record

    def poisoned(self: Task, losses: dict, *args) -> bool:
        return record(self, losses, {"mae": float("nan")} if self.rows.seed == 0 else args[0], args[1])

    monkeypatch.setattr(Task, "record", poisoned)
    cfg = composed("trainer=ensemble", "device=cpu", "seed=[0,1]", "trainer.monitor=val/mae")
    with pytest.raises(BatgenError, match=r"honest-seed0: trainer\.monitor=val/mae: no finite value"):
        run.train(cfg, tmp_path / "run")
    assert (tmp_path / "run" / "honest-seed1" / "metrics.json").is_file()
    monkeypatch.setattr(Task, "record", record)
    assert {r["seed"] for r in run.train(cfg, tmp_path / "run").rows if r["role"] == "model"} == {0, 1}


def test_loggers_hear_of_every_epoch(tmp_path: Path) -> None:
    heard: list = []

    class Heard:
        def log_metrics(self, row: dict, step: int) -> None:
            heard.append((step, row))

        def save(self) -> None: ...

        def finalize(self, status: str) -> None:
            heard.append(status)

    (tmp_path / "metrics_search.csv").write_text("epoch,train/loss,val/mae\n0.0,2.5,\n1.0,2.0,1.5\n")
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0.0,4.0\n")
    replay.replay([Heard()], tmp_path)  # type: ignore[list-item]
    assert heard == [
        (0, {"search/epoch": 0.0, "search/train/loss": 2.5}),
        (1, {"search/epoch": 1.0, "search/train/loss": 2.0, "search/val/mae": 1.5}),
        "success",
        (0, {"epoch": 0.0, "train/loss": 4.0}),
        "success",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model=rcvae_continuous"], r"trainer=ensemble: .*RCVAEContinuous cannot be trained many at once; rcvae can"),
        (
            ["model.optim._target_=batgen.training.optim.adam", "~model.optim.weight_decay"],
            r"model\.optim: .*adam cannot be stacked.*AdamW",
        ),
        (["+callbacks.mine._target_=batgen.training.callbacks.EpochBar", "+callbacks.mine.title=x"], "callbacks: "),
        (["trainer.precision=bf16-mixed"], r"trainer\.precision=bf16-mixed"),
    ],
)
def test_what_cannot_be_trained_together_is_refused_before_data_are_read(words: list[str], says: str) -> None:
    short = [word for word in SMALL if words[0] != "model=rcvae_continuous" or not word.startswith("model")]
    cfg = compose([*short, "trainer=ensemble", *words], CONF)
    config.validate(cfg)
    with pytest.raises(ConfigError, match=says):
        run.check(cfg)


def test_models_without_training_need_no_company(tmp_path: Path) -> None:
    cfg = compose(["model=mean_curve", "data=sim", "cycles=3", "preprocessing.points=36", "trainer=ensemble"], CONF)
    run.train_together([cfg], [tmp_path / "0"])
    assert not list(tmp_path.rglob("model.ckpt"))
    run.check(cfg)
