"""Adversarial training by two processes, each of which draws its own rows."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from batgen.models.base import ProfileBatch
from batgen.training.adversarial import cell_weights
from batgen.training.datamodule import epoch_seed
from tests.training.adversarial_job import TRAIN, VAL, one_critic_step, weights

ROOT = Path(__file__).parents[2]
SIZE = 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [sys.executable, "tests/training/adversarial_two.py", str(folder)], cwd=ROOT, timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wgan", "cgan", "step"])
def test_both_end_with_the_same_weights(trained: tuple[Path, list[dict[str, Any]]], name: str) -> None:
    (state, facts), (other, same) = (rank[name] for rank in trained[1])
    assert facts == same
    assert state.keys() == other.keys()
    for key, value in state.items():
        assert torch.equal(value, other[key]), key
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.slow
def test_one_of_them_writes(trained: tuple[Path, list[dict[str, Any]]]) -> None:
    folder = trained[0]
    assert pd.read_csv(folder / "cgan" / "health_fold0.csv")["step"].tolist() == [3, 6]
    assert (folder / "wgan" / "health_fold0_search.csv").is_file()
    assert not list(folder.glob("*/*.ckpt"))


@pytest.mark.slow
def test_a_step_follows_the_mean_of_both_gradients(trained: tuple[Path, list[dict[str, Any]]]) -> None:
    """The same step by hand: two sets of rows and noises, one for each process, and plain descent on the mean loss."""
    both = ProfileBatch(*(torch.cat(pair) for pair in zip(TRAIN, VAL, strict=True)))
    model, chances = one_critic_step(both), cell_weights(both.cell, 0.5)
    batches, states = [], []
    for rank in (0, 1):
        torch.manual_seed(epoch_seed(0, 0) + rank)
        indices = torch.multinomial(chances, 2 * SIZE, replacement=True).split(SIZE)
        batches.append([ProfileBatch(*(t[index] for t in both)) for index in indices])
        states.append(torch.get_rng_state())
    for turn, network in enumerate((model.critic, model.generator)):
        losses = []
        for rank in (0, 1):
            torch.set_rng_state(states[rank])
            batch = batches[rank][turn]
            losses.append(model.critic_loss(batch)["loss"] if turn == 0 else model.generator_loss(batch)[0])
            states[rank] = torch.get_rng_state()
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(torch.stack(losses).mean(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient)
    model.average()
    found = one_critic_step(both)
    moved = (weights(model) - weights(found)).norm()
    found.load_state_dict(trained[1][0]["step"][0])
    assert moved > 0.1
    assert torch.allclose(weights(found), weights(model), rtol=1e-4, atol=1e-4)
    table = pd.read_csv(trained[0] / "step" / "health_fold0.csv")
    assert table["generator_loss"][0] == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)
