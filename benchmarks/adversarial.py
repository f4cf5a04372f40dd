"""Adversarial steps per second: batgen's trainer against a bare PyTorch loop of the same networks, optimisers and batches.

Discharges of the embedded cells, logging every 10 steps, no validation, no physics. Both run in one process, in turns, the
order alternating from round to round; the ratio is the median of those of the rounds. A step is one of the generator, after
those of the critic. The bare loop sums its losses up and reads them every 10 steps, as one does to plot them.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from torch import nn

ROUNDS, LOG_EVERY = 5, 10
#: Steps a round, a multiple of LOG_EVERY: some seconds.
STEPS = {"wgan_gp": 60, "cgan": 200}
#: First step and goal of the issue.
TARGETS = "0.85 / 0.95"


def run() -> Iterator[tuple[str, float, float, float]]:
    """(what, our steps/s, bare steps/s, ratio) for `wgan_gp` and `cgan`."""
    torch.set_num_threads(1)
    for name, steps in STEPS.items():
        job = _job(name, steps)
        speeds: dict[str, list[float]] = {"ours": [], "bare": []}
        for i in range(ROUNDS + 1):
            order: list[tuple[str, Callable[[Job], float]]] = [("ours", _ours), ("bare", _bare)]
            for which, loop in order if i % 2 else order[::-1]:
                speed = loop(job)
                if i:  # the first round warms caches up
                    speeds[which].append(speed)
        ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["bare"], strict=True))
        ours, bare = statistics.median(speeds["ours"]), statistics.median(speeds["bare"])
        yield f"adversarial steps/s, {name} (target {TARGETS})", ours, bare, ratio


@dataclass(frozen=True)
class Job:
    """What both loops train, and on what."""

    new_model: Callable[[], nn.Module]
    optimisers: tuple[Callable[..., torch.optim.Optimizer], Callable[..., torch.optim.Optimizer]]
    rows: Any
    shape: Any
    settings: Any


def _job(name: str, steps: int) -> Job:
    from batgen import cli, config, overrides
    from batgen.build import build
    from batgen.checkpoint import data_shape
    from batgen.config import BESIDE, without
    from batgen.data.store import open_store
    from batgen.preprocessing.conditions import Conditions
    from batgen.profile_part import batch_of, new_model
    from batgen.training.adversarial_settings import AdversarialTraining

    conf = config.resolved(overrides.compose([f"model={name}", "data=sim"], cli.CONF), "honest", 0)
    store = open_store(build(without(conf["data"], *BESIDE["data"])), progress=False)
    preprocessing = build(conf["preprocessing"])
    profiles, _ = preprocessing.read(store, conf["cycles"])
    preprocessing.fit(profiles)
    conditions = Conditions(list(preprocessing.conditions))
    conditions.fit(profiles.table)
    cells = pd.factorize(profiles.table["cell_id"])[0].astype("int64")
    shape, rows = data_shape(preprocessing, conditions), batch_of(preprocessing, conditions, profiles, cells)
    optim = conf["model"]["optim"]
    settings = AdversarialTraining(steps=steps, validate_every=steps, log_every=LOG_EVERY, choose="last")
    return Job(
        lambda: new_model(conf["model"], shape, rows, 0),
        (lambda p: build(optim["generator"], p), lambda p: build(optim["critic"], p)),
        rows,
        shape,
        settings,
    )


def _bare(job: Job) -> float:
    from batgen.models.base import ProfileBatch
    from batgen.training.adversarial import cell_weights

    model: Any = job.new_model()
    optimise_generator = job.optimisers[0](model.generator.parameters())
    optimise_critic = job.optimisers[1](model.critic.parameters())
    weights, size = cell_weights(job.rows.cell, job.settings.balance), job.settings.batch_size

    def batch() -> ProfileBatch:
        index = torch.multinomial(weights, size, replacement=True)
        return ProfileBatch(*(t.index_select(0, index) for t in job.rows))

    def step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss.detach()

    average, losses = getattr(model, "average", lambda: None), []
    started = time.perf_counter()
    for number in range(1, job.settings.steps + 1):
        for _ in range(model.critic_steps):
            critic = step(optimise_critic, model.critic_loss(batch())["loss"])
        for parameter in model.critic.parameters():
            parameter.requires_grad_(False)
        generator = step(optimise_generator, model.generator_loss(batch())[0])
        for parameter in model.critic.parameters():
            parameter.requires_grad_(True)
        average()
        losses.append(torch.stack([critic, generator]))
        if number % LOG_EVERY == 0:
            torch.stack(losses[-LOG_EVERY:]).mean(0).tolist()
    return job.settings.steps / (time.perf_counter() - started)


def _ours(job: Job) -> float:
    from batgen.models.base import ProfileBatch
    from batgen.training.adversarial import AdversarialModule, AdversarialRows
    from batgen.training.fit import quiet_trainer
    from batgen.training.fit_adversarial import HealthTable

    empty = ProfileBatch(*(t[:0] for t in job.rows))
    rows = AdversarialRows(job.rows, empty)
    module = AdversarialModule(job.new_model(), rows, job.shape, [], job.optimisers, job.settings, 0)
    with TemporaryDirectory() as folder:
        trainer = quiet_trainer(
            accelerator="cpu",
            max_epochs=1,
            default_root_dir=folder,
            logger=False,
            callbacks=[HealthTable(Path(folder) / "health.csv")],
            limit_val_batches=0,
        )
        started = time.perf_counter()
        trainer.fit(module)
        return job.settings.steps / (time.perf_counter() - started)


if __name__ == "__main__":
    for row in run():
        print(*row)
