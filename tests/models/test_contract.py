"""What every model owes the rest of batgen."""

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from batgen.build import signature
from batgen.config import BESIDE
from batgen.models.base import Batch, restore
from tests.models.planted import SHAPE, SMALL, drawn, fitted, planted

AUTOENCODERS = ("rcvae", "rcvae_without_embedding", "rcvae_continuous")
#: What a preprocessing PRODUCES; a baseline may take several.
FAMILIES = {"curves", "pulses", "sequences", "profiles"}
CONF = Path(__file__).parents[2] / "conf" / "model"


def test_sample_has_shape_and_is_finite(build, data):
    sample = drawn(fitted(build, data), data.cond[:5], 3)
    assert sample.shape == (3, 5, *SHAPE.x_shape)
    assert sample.dtype == torch.float32
    assert torch.isfinite(sample).all()


def test_sample_takes_no_x(build):
    arguments = list(inspect.signature(build(SHAPE).sample).parameters)
    assert arguments[:3] == ["cond", "n", "generator"]
    assert not {"x", "batch", "cell"} & set(arguments)


def test_sample_is_a_function_of_the_generator(build, data):
    model = fitted(build, data)
    first = drawn(model, data.cond[:4], 3, seed=5)
    torch.rand(7)
    assert torch.equal(first, drawn(model, data.cond[:4], 3, seed=5))


def test_restored_model_draws_the_same_bits(build, data):
    model = fitted(build, data)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(123)
    fresh = build(SHAPE).eval()
    restore(fresh, state)
    unseen = planted(seed=9).cond[:6]
    assert torch.equal(drawn(model, unseen, 4), drawn(fresh, unseen, 4))


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_restored_autoencoder_has_the_same_posterior(name, data):
    model = fitted(SMALL[name], data)
    fresh = SMALL[name](SHAPE).eval()
    restore(fresh, model.state_dict())
    assert torch.equal(model.posterior(*data)[0], fresh.posterior(*data)[0])


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_training_lowers_the_loss_and_all_choices_of_z_work(name, data):
    model = fitted(SMALL[name], data).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        parts = model.loss(data)
        assert parts["loss"].ndim == 0
        assert {"loss", "kl"} <= set(parts)
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        losses.append(parts["loss"].item())
    assert sum(losses[-10:]) < sum(losses[:10])
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    for z in ("mean", "sample", "prior", "permuted"):
        again = model.reconstruct(*data, z=z, generator=torch.Generator().manual_seed(0))
        assert again.shape == data.x.shape
        assert torch.isfinite(again).all()
    mu, log_variance = model.posterior(*data)
    assert mu.shape == log_variance.shape == (len(data.x), mu.shape[1])


def test_a_missing_or_constant_condition_does_no_harm(build, data):
    cond = data.cond.clone()
    cond[:, 2] = 4.0
    model = fitted(build, Batch(data.x, cond, data.cell))
    assert torch.isfinite(drawn(model, cond[:3], 2)).all()


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.stem)
def test_yaml_names_every_argument_and_no_other(path):
    node = yaml.safe_load(path.read_text())
    known = signature(node["_target_"])
    keys = set(node) - {"defaults", "_target_", *BESIDE["model"]}
    assert keys == set(known.names) - {"shape"}
    accepts = known.constants["ACCEPTS"]
    assert len(set(accepts)) == len(accepts) > 0
    assert set(accepts) <= FAMILIES
    assert ("REQUIRES" in known.constants) == (accepts != ("sequences",)), "forecasters have no conditions"


def test_models_have_no_state_outside_state_dict(build, data):
    """Two models fitted to different data agree once one is given the other's state."""
    model, other = fitted(build, data), fitted(build, planted(seed=4, cells=9))
    restore(other, model.state_dict())
    assert torch.equal(drawn(model, data.cond[:3], 2), drawn(other, data.cond[:3], 2))
    assert isinstance(other, nn.Module)
