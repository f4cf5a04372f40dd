"""One adversarial step: clipping, precision, physics terms, two processes, and what happens when a training cannot recover."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pytorch_lightning.loggers import Logger

from batgen.errors import BatgenError, ConfigError
from batgen.models.base import ProfileBatch
from batgen.training.adversarial import AdversarialModule, AdversarialRows
from batgen.training.adversarial_settings import AdversarialTraining
from batgen.training.fit_adversarial import fit_adversarial
from batgen.training.optim import adam, adamw
from tests.models.planted_profiles import shape
from tests.training.adversarial_job import (
    TRAIN,
    VAL,
    Level,
    cgan,
    fit,
    job,
    one_critic_step,
    settings,
    sgd,
    weights,
    wgan,
)

ROOT = Path(__file__).parents[2]


def moved(folder: Path, **options: Any) -> dict[str, float]:
    """How far the weights of each network are after one step of plain gradient descent with lr 1."""
    before = wgan(TRAIN)
    model, _ = fit(
        folder, steps=1, choose="last", job_options={"optimiser": sgd, "lr": 1.0, **options.pop("job_options", {})},
        **options,
    )  # fmt: skip
    pairs = {"generator": (before.generator, model.generator), "critic": (before.critic, model.critic)}
    return {name: float((weights(a) - weights(b)).norm()) for name, (a, b) in pairs.items()}


def test_gradients_are_clipped_and_their_norms_before_are_logged(tmp_path: Path) -> None:
    step = {"job_options": {"model": one_critic_step}}
    free = moved(tmp_path / "a", **step)
    table = pd.read_csv(tmp_path / "a" / "health_fold0.csv")
    for name, distance in free.items():
        assert distance > 1e-2
        assert table[f"{name}_grad_norm"][0] == pytest.approx(distance, rel=1e-4)
    clipped = moved(tmp_path / "b", gradient_clip=1e-3, **step)
    again = pd.read_csv(tmp_path / "b" / "health_fold0.csv")
    assert clipped == {name: pytest.approx(1e-3, rel=1e-3) for name in free}
    assert again["critic_grad_norm"][0] == table["critic_grad_norm"][0]


def test_a_step_of_the_generator_asks_nothing_of_the_critic(tmp_path: Path) -> None:
    """What is left in the critic's slopes is its own step."""
    before = wgan(TRAIN)
    model, _ = fit(
        tmp_path, steps=1, choose="last", job_options={"model": one_critic_step, "optimiser": sgd, "lr": 1.0}
    )
    for old, new in zip(before.critic.parameters(), model.critic.parameters(), strict=True):
        assert new.requires_grad
        assert torch.allclose(old - new, new.grad, atol=1e-6)


def module_of(optimiser: Any, **options: Any) -> AdversarialModule:
    empty = ProfileBatch(*(t[:0] for t in TRAIN))
    return AdversarialModule(
        wgan(TRAIN), AdversarialRows(TRAIN, empty), shape(), [], (optimiser, optimiser), settings(**options), 0
    )


class Precision:
    """Stands in for a trainer where only its precision is looked at."""

    def __init__(self, precision: str):
        self.precision = precision


def test_clipping_comes_after_the_scaling_of_float16_is_undone() -> None:
    """A real GradScaler: it divides the gradients, then calls optimizer.step, in whose hook they are clipped."""
    module = module_of(lambda p: sgd(p, 1.0), gradient_clip=0.5)
    module._trainer = Precision("16-mixed")  # type: ignore[assignment]
    generator = module.configure_optimizers()[0]
    first = module.trained["generator"][0]
    before = first.detach().clone()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for parameter in module.trained["generator"]:
        parameter.grad = torch.zeros_like(parameter)
    assert first.grad is not None
    first.grad.flatten()[0] = 2.0 * 1024.0
    scaler.scale(torch.zeros(()))  # makes the scaler ready, as the backward pass does
    scaler.step(generator)
    assert float(module.norms["generator"]) == pytest.approx(2.0)
    difference = (before - first.detach()).flatten()
    assert float(difference[0]) == pytest.approx(0.5, rel=1e-4)
    assert float(difference[1:].abs().max()) == 0


def test_a_fused_optimiser_is_refused_under_float16() -> None:
    module = module_of(adamw)
    module._trainer = Precision("16-mixed")  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=r"model\.optim\.generator: a fused.*trainer\.precision=16-mixed.*bf16"):
        module.configure_optimizers()
    module._trainer = Precision("32-true")  # type: ignore[assignment]
    assert len(module.configure_optimizers()) == 2


class Kept(Logger):
    """A logger that keeps what it is given."""

    name, version = "kept", 0

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, set[str]]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append((step, set(metrics)))

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


def test_loggers_count_steps_of_the_generator(tmp_path: Path) -> None:
    logger = Kept()
    fit_adversarial(
        replace(job(tmp_path), loggers=[logger]), TRAIN, VAL, settings(steps=6, validate_every=4, log_every=2)
    )
    train = [step for step, names in logger.rows if "train/critic_loss" in names]
    val = [step for step, names in logger.rows if "val/energy_score" in names]
    assert (train, val) == ([2, 4, 6], [4, 6])
    assert len(logger.rows) == 5


@pytest.mark.parametrize("build", [wgan, cgan])
def test_half_precision_trains(tmp_path: Path, build: Any) -> None:
    """bfloat16: validated, finite, and near what float32 gives; draws are float32."""
    options = {"job_options": {"model": build, "physics": [Level(1e-4)]}, "gradient_clip": 1.0}
    model, facts = fit(tmp_path / "a", precision="bf16-mixed", **options)
    usual, _ = fit(tmp_path / "b", **options)
    assert facts["best_score"] > 0
    assert model.sample(VAL.cond, 2).dtype == torch.float32
    difference = (weights(model.critic) - weights(usual.critic)).norm()
    assert 0 < difference < 0.5 * (weights(usual.critic) - weights(build(TRAIN).critic)).norm()


def test_physics_enters_with_its_weight(tmp_path: Path) -> None:
    """generator loss = adversarial + weight * term, both seen; a term of weight 0 is no part of it, nor of the table."""

    def table(name: str, weight: float) -> pd.Series:
        fit(tmp_path / name, job_options={"physics": [Level(weight)]}, steps=1, log_every=1, choose="last")
        return pd.read_csv(tmp_path / name / "health_fold0.csv").iloc[0]

    none, some, more = table("none", 0.0), table("some", 0.1), table("more", 0.3)
    assert "physics_level" not in none
    # a fresh model, the same rows and noise: all three generate the same profiles in their first step
    assert some["physics_level"] == more["physics_level"] > 1000
    for row, weight in ((some, 0.1), (more, 0.3)):
        assert row["generator_loss"] - none["generator_loss"] == pytest.approx(weight * row["physics_level"], rel=1e-5)
        assert row["generator_grad_norm"] > 2 * none["generator_grad_norm"]
    assert more["critic_loss"] == none["critic_loss"], "physics is the generator's"


def test_physics_moves_the_profiles(tmp_path: Path) -> None:
    drawn = [
        fit(tmp_path / str(w), job_options={"physics": [Level(w)], "lr": 1e-2}, steps=30, choose="last")[0].sample(
            VAL.cond, 8, torch.Generator().manual_seed(0)
        )
        for w in (0.0, 1.0)
    ]
    assert float(drawn[1][:, :, 0, 1:].mean()) > float(drawn[0][:, :, 0, 1:].mean()) + 0.5


def test_nan_stops_with_what_to_try(tmp_path: Path) -> None:
    x = TRAIN.x.clone()
    x[:, 0, 3] = float("nan")
    with pytest.raises(BatgenError, match=r"fold0: step 2: .* no longer a number.*model\.optim\.lr.*gradient_clip=1"):
        fit(tmp_path, train=TRAIN._replace(x=x))
    assert not list(tmp_path.glob("*.tmp*"))
    assert not list(tmp_path.glob("health*")), "no table that looks like that of a finished training"


def test_an_exploding_critic_stops_with_what_to_try(tmp_path: Path) -> None:
    with pytest.raises(
        BatgenError, match=r"(critic exploded \(loss .* at the start|no longer a number).*model\.optim\.lr"
    ):
        fit(tmp_path, job_options={"optimiser": sgd, "lr": 30.0}, steps=60)
    assert not list(tmp_path.glob("*.tmp*"))


def test_an_explosion_within_the_first_block_is_one() -> None:
    """What a critic loses before its first step is the yardstick, and not the mean of a block in which it explodes."""
    module = module_of(adam)
    module.start_loss = 3.0
    fine = {"critic_loss": -2e4, "generator_loss": 0.0}
    module._check(fine, 10)
    with pytest.raises(FloatingPointError, match=r"step 10: the critic exploded \(loss -4e\+04, 3 at the start\)"):
        module._check({**fine, "critic_loss": -4e4}, 10)


@pytest.mark.parametrize(
    "keys",
    [{"steps": 0}, {"val_draws": 1}, {"balance": 1.5}, {"choose": "best"}, {"monitor": "val/loss"}, {"gradient_clip": 0.0},
     {"accelerator": "tpu"}, {"devices": 0}, {"log_every": 0}],
)  # fmt: skip
def test_wrong_settings_name_the_key(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(keys))}"):
        AdversarialTraining(**keys)


def test_a_training_without_a_finite_score_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batgen.training.adversarial.validation_health", lambda *_: {"energy_score": float("inf")})
    with pytest.raises(ConfigError, match=r"no finite val/energy_score in 12 steps"):
        fit(tmp_path)
