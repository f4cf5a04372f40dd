"""trainer=ensemble as a user meets it: what is trained together is what training it alone makes, job by job."""

import json
import math
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from batgen import checkpoint, config, overrides, run
from batgen.cli import CONF
from batgen.errors import ConfigError

BASE = [
    "model=rcvae", "data=sim", "cycles=5", "preprocessing.points=36", "evaluation.prior_samples=4", "protocol=paper",
    "model.hidden=16", "model.latent=4", "model.embedding=12", "model.layers=4", "trainer.max_epochs=12",
    "trainer.patience=4", "trainer.batch_size=64", "~evaluation.baselines",
]  # fmt: skip
#: Two groups: without its embedding a model has other inputs.
JOBS = [
    [], ["model.remove=encoder_3"], ["model.remove=decoder_1", "model.optim.lr=3e-3"], ["model.beta=0.1", "seed=1"],
    ["model.remove=embedding"], ["model.remove=embedding", "model.optim.weight_decay=0.1"],
]  # fmt: skip


def composed(*words: str) -> DictConfig:
    cfg = overrides.compose([*BASE, *words], CONF)
    config.validate(cfg)
    cfg.run_name = "test"
    return cfg


def part(folder: Path) -> Path:
    (found,) = folder.glob("paper-seed*")
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Run folders of JOBS, trained together and alone."""
    root = tmp_path_factory.mktemp("jobs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", str(root / "cache"))
        patch.setattr("batgen.curve_run.draw", lambda part, out: [out / "none.png"])  # seconds a run
        together = [root / f"together{i}" for i in range(len(JOBS))]
        cfgs = [composed(*job, "trainer=ensemble") for job in JOBS]
        run.train_together(cfgs, together)
        for cfg, folder in zip(cfgs, together, strict=True):
            assert (part(folder) / "model.ckpt").is_file()
            run.train(cfg, folder)
        alone = [root / f"alone{i}" for i in range(len(JOBS))]
        for job, folder in zip(JOBS, alone, strict=True):
            run.train(composed(*job, "trainer=cpu"), folder)
    return together, alone


@pytest.mark.parametrize("job", range(len(JOBS)), ids=[" ".join(j) or "whole" for j in JOBS])
def test_a_job_trained_with_others_is_the_job_alone(folders: tuple[list[Path], list[Path]], job: int) -> None:
    ours, usual = (checkpoint.load(part(side[job]) / "model.ckpt") for side in folders)
    facts = [found.facts["training"] for found in (ours, usual)]
    assert facts[0]["trained_together"] == (4 if job < 4 else 2)
    assert [f["best_epoch"] for f in facts] == [facts[1]["best_epoch"]] * 2
    assert [f["epochs"] for f in facts] == [facts[1]["epochs"]] * 2
    states = [found.model.state_dict() for found in (ours, usual)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=2e-3, atol=2e-5, msg=name)
    rows = [json.loads((side[job] / "metrics.json").read_text())["rows"] for side in folders]
    assert len(rows[0]) == len(rows[1]) > 20
    for one, other in zip(*rows, strict=True):
        if one["metric"] in ("MAE", "RMSE", "CRPS") and one["role"] == "model":
            assert math.isclose(one["value"], other["value"], rel_tol=1e-3, abs_tol=1e-6), one


def test_jobs_end_up_different(folders: tuple[list[Path], list[Path]]) -> None:
    """Else the comparison above could pass with the settings of the first for all."""
    scores = [
        json.loads((part(f) / "metrics.json").read_text())["training"]["search"]["best_score"] for f in folders[0]
    ]
    assert len(set(scores)) == len(JOBS)


def test_the_trainer_of_curves_is_refused_for_pulses() -> None:
    with pytest.raises(ConfigError, match="trainer: .*makes pulses"):
        config.validate(overrides.compose(["model=cross_attention_cvae", "trainer=ensemble"], CONF))
