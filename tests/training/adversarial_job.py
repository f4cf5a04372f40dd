"""A small adversarial training for tests: planted profiles, small networks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from batgen.models.base import ProfileBatch
from batgen.models.cgan import CGAN
from batgen.models.layers.physical import PhysicalView
from batgen.models.wgan_gp import WganGp
from batgen.training.adversarial_settings import AdversarialTraining
from batgen.training.fit_adversarial import AdversarialJob, fit_adversarial
from batgen.training.optim import adam
from tests.models.planted_profiles import rows, shape

TRAIN, VAL = rows(60, seed=0), rows(24, seed=1, cells=2)
VAL = VAL._replace(cell=VAL.cell + 6)


def wgan(batch: ProfileBatch) -> WganGp:
    torch.manual_seed(0)
    model = WganGp(shape(), noise=3, hidden=8, critic_hidden=8, critic_steps=2)
    model.fit(*batch[:3])
    return model


def cgan(batch: ProfileBatch) -> CGAN:
    torch.manual_seed(0)
    model = CGAN(shape(), noise=3, hidden=8)
    model.fit(*batch[:3])
    return model


def one_critic_step(batch: ProfileBatch) -> WganGp:
    model = wgan(batch)
    model.critic_steps = 1
    return model


def sgd(parameters: Any, lr: float) -> torch.optim.Optimizer:
    """Plain gradient descent: with lr 1 a step is the gradient."""
    return torch.optim.SGD(parameters, lr=lr)


class Level(nn.Module):
    """A physics term that wants the temperature at 100 degC."""

    name = "level"

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def forward(self, view: PhysicalView) -> Tensor:
        return (view.signals["temperature_degC"] - 100.0).square().mean()


def settings(**options: Any) -> AdversarialTraining:
    base = {
        "choose_from": 1,
        "steps": 12,
        "batch_size": 16,
        "validate_every": 4,
        "log_every": 2,
        "save_every_s": 0.0,
        "val_draws": 4,
    }
    return AdversarialTraining(**({"choose": "disjoint"} | base | options))


def job(
    folder: Path,
    model: Callable[[ProfileBatch], nn.Module] = wgan,
    physics: Sequence[Any] = (),
    optimiser: Callable[..., torch.optim.Optimizer] = adam,
    lr: float = 1e-3,
) -> AdversarialJob:
    folder.mkdir(exist_ok=True)
    sides = (lambda p: optimiser(p, lr=lr), lambda p: optimiser(p, lr=lr))
    return AdversarialJob(model, lambda batch: physics, sides, shape(), 0, folder, "fold0", [])


def fit(
    folder: Path, *, train: ProfileBatch = TRAIN, val: ProfileBatch = VAL, job_options: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    """The trained model and its facts; `options` are of the trainer, `job_options` of `job`."""
    return fit_adversarial(job(folder, **(job_options or {})), train, val, settings(**options))


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])
