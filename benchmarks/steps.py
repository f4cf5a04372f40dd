"""Training steps per second: batgen's loop against a bare PyTorch loop of the same network, batch and optimiser.

Both run in one process, in turns, on the same data (batch 128, 2400 inputs); the order alternates from round to round,
and the ratio is of the medians.
"""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from batgen.models.base import Batch, DataShape
from batgen.models.rcvae import RCVAE
from batgen.training.datamodule import CurveData
from batgen.training.fit import _trainer
from batgen.training.module import GenerativeModule
from batgen.training.optim import adamw
from batgen.training.settings import Training

BATCH, INPUTS, ROWS = 128, (3, 2, 20, 20), 128 * 32


def _rows() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(ROWS, *INPUTS, generator=generator)
    cond = torch.stack([torch.randint(300, 2000, (ROWS,)).float(), torch.randint(1, 100, (ROWS,)).float()], 1)
    return Batch(x, cond, torch.zeros(ROWS, dtype=torch.int64))


def _model(hidden: int, rows: Batch) -> RCVAE:
    torch.manual_seed(0)
    slices = (
        "voltage_V",
        "charge_capacity_Ah",
        "current_A",
        "charge_capacity_Ah",
        "temperature_degC",
        "charge_capacity_Ah",
    )
    small = {} if hidden == 512 else {"latent": 8, "embedding": hidden - 8}
    model = RCVAE(DataShape(INPUTS, slices, ("eol", "ecl")), hidden=hidden, **small)
    model.fit(*rows)
    return model


def _bare(hidden: int, rows: Batch, epochs: int) -> float:
    model = _model(hidden, rows)
    optimiser = adamw(model.parameters())
    started = time.perf_counter()
    for _ in range(epochs):
        for index in torch.randperm(ROWS).split(BATCH):
            batch = Batch(*(t.index_select(0, index) for t in rows))
            loss = model.loss(batch)["loss"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return epochs * ROWS / BATCH / (time.perf_counter() - started)


def _ours(hidden: int, rows: Batch, epochs: int) -> float:
    settings = Training(max_epochs=epochs, batch_size=BATCH)
    module = GenerativeModule(_model(hidden, rows), lambda p: adamw(p), settings, seed=0)
    data = CurveData(rows, Batch(*(t[:0] for t in rows)), BATCH, seed=0)
    with TemporaryDirectory() as folder:
        trainer = _trainer(settings, Path(folder), [], [], watched=False)
        started = time.perf_counter()
        trainer.fit(module, datamodule=data)
        seconds = time.perf_counter() - started
    return epochs * ROWS / BATCH / seconds


def run(rounds: int = 5) -> list[tuple[str, float, float, float]]:
    """(what, ours, bare, ratio) in steps per second for hidden 64 and 512."""
    rows, found = _rows(), []
    for hidden, epochs in ((64, 6), (512, 1)):
        speeds: dict[str, list[float]] = {"ours": [], "bare": []}
        for i in range(rounds + 1):
            order = [("ours", _ours), ("bare", _bare)]
            for name, loop in order if i % 2 else order[::-1]:
                speed = loop(hidden, rows, epochs)
                if i:  # the first round warms caches up
                    speeds[name].append(speed)
        ours, bare = statistics.median(speeds["ours"]), statistics.median(speeds["bare"])
        ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["bare"], strict=True))
        found.append((f"training steps/s, hidden {hidden}", ours, bare, ratio))
    return found


if __name__ == "__main__":
    for row in run():
        print(*row)
