"""RCVAEs trained together (trainer=ensemble) against the same one after another (trainer=cpu, or gpu in single precision).

On the GPU where there is one, else on all cores. Both ways run in one process, in turns, on the embedded cells; what is timed
is the epochs behind the first, so that neither pays for its start. The last rows are a plan: the 160 jobs of
ablation=rcvae_layers (32 networks of hidden 512, 20 to 100 cycles of MIT's cells) at 1000 epochs each, early stopping aside,
from epochs of made-up curves of that number and size. A job that retrains (protocol=paper) takes up to twice that.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from torch import nn

from batgen.models.base import Batch, DataShape
from batgen.models.rcvae import RCVAE
from batgen.models.rcvae_stack import RCVAEStack

ROUNDS = 3
#: Cells and curve of MIT as the paper has them; learnt from and validated with, of each cell's cycles.
CELLS, VAL_CELLS, CURVE = 94, 15, (3, 2, 20, 20)
NAMES = tuple(f"{s}_{i}" for s in ("encoder", "decoder") for i in range(1, 17))[1:-1]
REMOVED = (None, *NAMES)


def run() -> Iterator[tuple[str, float, float, float]]:
    """(what, together, one after another, ratio): model-epochs a second; of the plan, hours."""
    gpu = torch.cuda.is_available()
    where = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} cores"
    sizes = ((64, 32, 30), (64, 8, 30), (512, 32, 10)) if gpu else ((64, 32, 2), (64, 8, 4), (512, 4, 1))
    data, shape = sim()
    for hidden, members, epochs in sizes:
        ours, usual, ratio = compared(data, shape, hidden, members, epochs, ROUNDS)
        yield (
            f"model-epochs/s, hidden {hidden}, {members} models, {where} (target {'20' if gpu else '0.95'})",
            ours,
            usual,
            ratio,
        )
    hours = [0.0, 0.0]
    for cycles in (20, 40, 60, 80, 100) if gpu else (20,):
        ours, usual, _ = compared(made_up(cycles), _shape(), 512, 31 if gpu else 2, 3 if gpu else 1, 1)
        jobs = 32 if gpu else 32 * (1 + 2 + 3 + 4 + 5)  # time grows with the number of curves
        hours = [total + jobs * 1000 / speed / 3600 for total, speed in zip(hours, (ours, usual), strict=True)]
    yield f"plan: hours for 160 models of hidden 512, 1000 epochs each, {where}", *hours, hours[1] / hours[0]


def sim() -> tuple[dict[str, Batch], DataShape]:
    """The embedded cells as rcvae is given them, 20 cycles each."""
    from batgen import cli, config, overrides
    from batgen.curve_part import prepare

    conf = config.resolved(overrides.compose(["model=rcvae", "data=sim", "cycles=20"], cli.CONF), "honest", 0)
    found = prepare(conf)
    return found.rows, found.shape


def _shape() -> DataShape:
    return DataShape(CURVE, ("curve",) * 6, ("eol", "ecl"))


def made_up(cycles: int) -> dict[str, Batch]:
    """As many curves of as many numbers as MIT has with this many cycles, with as many labels."""
    generator = torch.Generator().manual_seed(0)

    def part(cells: int, first: int) -> Batch:
        cell = torch.arange(first, first + cells).repeat_interleave(cycles)
        cond = torch.stack([300.0 + 10 * cell, torch.arange(cycles).repeat(cells) + 1.0], 1)
        return Batch(torch.rand(len(cell), *CURVE, generator=generator), cond, cell)

    return {"train": part(CELLS, 0), "val": part(VAL_CELLS, CELLS)}


def compared(
    data: dict[str, Batch], shape: DataShape, hidden: int, members: int, epochs: int, rounds: int, **keys: Any
) -> tuple[float, float, float]:
    """Model-epochs a second together and one after another, and the median of the ratios of the rounds."""
    ways: list[Callable[..., float]] = [_together, _in_turn]
    speeds: list[list[float]] = [[], []]
    for i in range(rounds + 1):
        for which in (0, 1) if i % 2 else (1, 0):
            speed = ways[which](data, shape, hidden, members, epochs, **(keys if which == 0 else {}))
            if i:  # the first round warms caches up
                speeds[which].append(speed)
    ratio = statistics.median(a / b for a, b in zip(*speeds, strict=True))
    return statistics.median(speeds[0]), statistics.median(speeds[1]), ratio


def _new_model(number: int, shape: DataShape, hidden: int) -> Callable[[Batch], nn.Module]:
    """The number-th of the ablation's networks, with a seed of its own."""

    def make(train: Batch) -> nn.Module:
        torch.manual_seed(number)
        latent = 39 if hidden == 512 else 8
        model = RCVAE(
            shape, hidden=hidden, latent=latent, embedding=hidden - latent, remove=REMOVED[number % len(REMOVED)]
        )
        model.fit(*train)
        return model

    return make


def _together(data: dict[str, Batch], shape: DataShape, hidden: int, members: int, epochs: int, **keys: Any) -> float:
    from batgen.training.stacked import StackedTraining
    from batgen.training.stacked_fit import Member, fit_together

    def seconds(count: int) -> float:
        settings = StackedTraining(max_epochs=count, save_every_s=float("inf"), **keys)
        with TemporaryDirectory() as folder:
            group = [Member(_new_model(i, shape, hidden), data, {"lr": 3e-4}, i, Path(folder)) for i in range(members)]
            started = time.perf_counter()
            fit_together(group, RCVAEStack, settings, Console(quiet=True), lambda *_: None, _raise)
        return time.perf_counter() - started

    return _speed(seconds, members, epochs)


def _in_turn(data: dict[str, Batch], shape: DataShape, hidden: int, members: int, epochs: int) -> float:
    from batgen.console import speaking_to
    from batgen.training.fit import fit
    from batgen.training.optim import adamw
    from batgen.training.settings import Training

    accelerator = "gpu" if torch.cuda.is_available() else "cpu"

    def seconds(count: int) -> float:
        settings = Training(max_epochs=count, accelerator=accelerator, save_every_s=float("inf"))
        started = time.perf_counter()
        for i in range(members):
            with TemporaryDirectory() as name, speaking_to(Path(name) / "log.txt"):
                fit(_new_model(i, shape, hidden), data, lambda p: adamw(p, lr=3e-4), settings, i, Path(name), [], [])
        return time.perf_counter() - started

    return _speed(seconds, members, epochs)


def _raise(_: Any, reason: str) -> None:
    raise RuntimeError(reason)


def _speed(seconds: Callable[[int], float], members: int, epochs: int) -> float:
    """Model-epochs a second behind the first epoch."""
    first = seconds(1)
    return members * epochs / max(1e-9, seconds(1 + epochs) - first)
