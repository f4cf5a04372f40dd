"""Several processes do together what one would do: the shares of a minibatch, and real trainings by two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from batgen.models.base import Batch, DataShape
from batgen.models.rcvae_continuous import RCVAEContinuous
from batgen.training.datamodule import epoch_batches, epoch_seed
from batgen.training.fit import fit
from batgen.training.optim import adamw
from batgen.training.settings import Training
from batgen.training.shares import shares

ROOT = Path(__file__).parents[2]
TRAIN = {
    # the last minibatch of an epoch has one row for two processes: 528 = 17 * 31 + 1
    "rcvae": ["cycles=20", "model.hidden=16", "model.latent=4", "model.embedding=12", "model.layers=3",
              "trainer.batch_size=31", "trainer.gradient_clip=1"],
    # 33 validation rows: a sampler that deals them evenly to two processes would count one of them twice
    "rcvae_continuous": ["cycles=5", "model.components=4", "model.anchors=60", "model.hidden=16",
                         "trainer.batch_size=32"],
}  # fmt: skip
TINY = ["data=sim", "evaluation.prior_samples=4", "~evaluation.baselines", "preprocessing.points=36"]
ONE = ["trainer=smoke", "trainer.max_epochs=3"]
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true",
       "trainer.max_epochs=3"]  # fmt: skip


def train(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "train.py", *words], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "BATGEN_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=TRAIN)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, Path]:
    """The same training by one process and by two."""
    folder = tmp_path_factory.mktemp(request.param)
    for name, trainer in (("one", ONE), ("two", TWO)):
        words = [*TINY, f"model={request.param}", *trainer, *TRAIN[request.param], f"run_dir={folder / name}"]
        done = train(*words, cache=cache)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder / "one", folder / "two"


@pytest.mark.slow
def test_the_losses_of_two_processes_are_those_of_one(runs: tuple[Path, Path]) -> None:
    one, two = (pd.read_csv(folder / "honest-seed0" / "metrics.csv") for folder in runs)
    assert list(one) == list(two)
    assert len(one) == 3
    for name in one:
        assert two[name][0] == pytest.approx(one[name][0], rel=1e-5), name
        assert two[name].tolist() == pytest.approx(one[name].tolist(), rel=1e-3), name


@pytest.mark.slow
def test_the_final_metrics_of_two_processes_are_those_of_one(runs: tuple[Path, Path]) -> None:
    one, two = (json.loads((folder / "metrics.json").read_text())["rows"] for folder in runs)
    assert len(one) == len(two) > 20
    for row, same in zip(one, two, strict=True):
        assert (row["metric"], row["signal"], row["n"]) == (same["metric"], same["signal"], same["n"])
        assert same["value"] == pytest.approx(row["value"], rel=0.01, nan_ok=True), row["metric"]


@pytest.mark.slow
def test_a_loss_that_explodes_ends_both_processes(tmp_path: Path, cache: Path) -> None:
    words = [*TINY, "model=rcvae", *TWO, *TRAIN["rcvae"], "model.optim.lr=1e30", f"run_dir={tmp_path / 'run'}"]
    done = train(*words, cache=cache)
    assert done.returncode == 2
    assert "no longer finite" in done.stderr
    assert "Traceback" not in done.stderr


def cells(rows: int, count: int, seed: int = 0) -> Tensor:
    return torch.randint(count, (rows,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "count", "world"), [(31, 7, 2), (128, 40, 3), (9, 2, 4), (1, 1, 2), (64, 64, 8)])
def test_shares_hold_every_row_once_and_cut_no_cell(rows: int, count: int, world: int) -> None:
    cell = cells(rows, count)
    dealt = shares(cell, world)
    assert len(dealt) == world
    assert torch.cat([s.rows for s in dealt if s.weight]).sort().values.tolist() == list(range(rows))
    owners = [set(cell[s.rows].tolist()) for s in dealt if s.weight]
    assert sum(len(o) for o in owners) == len(set().union(*owners))
    assert all(len(s.rows) == 1 for s in dealt if not s.weight)
    sizes = [len(s.rows) if s.weight else 0 for s in dealt]
    assert max(sizes) - min(sizes) <= int(cell.bincount().max())
    again = shares(cell.clone(), world)
    assert all(torch.equal(a.rows, b.rows) and a.weight == b.weight for a, b in zip(dealt, again, strict=True))


def test_the_largest_cells_are_dealt_first() -> None:
    dealt = shares(torch.tensor([3, 3, 3, 5, 5, 8, 8, 1]), 2)
    assert [s.rows.tolist() for s in dealt] == [[0, 1, 2, 7], [3, 4, 5, 6]]
    assert [s.weight for s in dealt] == [1.0, 1.0]


def test_the_mean_of_weighted_means_is_the_mean_of_all() -> None:
    value, cell = torch.arange(31.0, dtype=torch.float64), cells(31, 5)
    for world in (2, 3, 8):
        means = [s.weight * float(value[s.rows].mean()) for s in shares(cell, world)]
        assert sum(means) / world == pytest.approx(15.0, rel=1e-12)


def made(rows: int = 60) -> tuple[RCVAEContinuous, Batch]:
    torch.manual_seed(0)
    cell = torch.arange(rows) // 4
    batch = Batch(torch.randn(rows, 2, 8), torch.stack([cell.float(), torch.arange(rows) % 4.0], 1), cell)
    shape = DataShape((2, 8), ("voltage_V", "temperature_degC"), ("eol", "ecl"))
    model = RCVAEContinuous(shape, components=3, anchors=30, cell_latent=2, cycle_latent=2, hidden=8)
    model.fit(*batch)
    return model, batch


def gradient(model: RCVAEContinuous, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_shares_of_a_model_that_pools_over_cells_give_the_gradient_of_the_whole_batch() -> None:
    model, batch = made()
    noise = model.draw_noise(batch)
    whole = gradient(model, model.loss(batch, noise)["loss"])

    def mean_gradient(parts: list[Tensor]) -> Tensor:
        own = [
            len(rows)
            / len(batch.x)
            * gradient(model, model.loss(Batch(*(t[rows] for t in batch)), noise[rows])["loss"])
            for rows in parts
        ]
        return torch.stack(own).sum(0)

    by_cell = mean_gradient([s.rows for s in shares(batch.cell, 2)])
    cut = mean_gradient([torch.arange(60)[rank::2] for rank in (0, 1)])
    size = float(whole.norm())
    assert float((by_cell - whole).norm()) < 1e-4 * size
    assert float((cut - whole).norm()) > 1e-2 * size  # every other row: what z pools over is torn


def test_one_process_trains_as_a_plain_loop(tmp_path: Path) -> None:
    model, batch = made()
    settings = Training(max_epochs=2, batch_size=16, early_stopping="disjoint", gradient_clip=0.5)
    rows = {"train": batch, "val": Batch(*(t[:8] for t in batch))}
    trained, facts = fit(lambda _: made()[0], rows, adamw, settings, 3, tmp_path, [], [])
    optimiser = adamw(model.parameters())
    for epoch in range(facts["best_epoch"] + 1):
        torch.manual_seed(epoch_seed(3, epoch))
        for index in epoch_batches(60, 16, epoch_seed(3, epoch)):
            optimiser.zero_grad()
            model.loss(Batch(*(t[index] for t in batch)))["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimiser.step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name
