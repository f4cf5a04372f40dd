from functools import partial

import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.base import Batch, MaskedBatch
from batgen.training.ensemble import EnsembleTraining, Member, train_ensemble
from batgen.training.optim import adamw
from tests.models.planted_pulses import LEVELS, fitted_to, world

OPTIM = partial(adamw, lr=3e-3, weight_decay=0.01)
#: Numbers of rows of the members: with batches of 16, from 2 to 8 steps an epoch, two of them with as many.
SIZES = (120, 30, 57, 60)


def member(size=120, seed=0, variant="film", **changes):
    rows = world(powers=3, seed=1).batch(seed=seed, cells=8, stages=3, levels=LEVELS)
    rows = Batch(*(part[:size] for part in rows))
    return Member(fitted_to(rows, variant, seed=seed, **changes), rows, seed)


def several(**changes):
    return [member(size, seed, **changes) for seed, size in enumerate(SIZES)]


def exact(members):
    """In float64: the bias of an attention key has no gradient but rounding, and Adam makes a whole step of it."""
    for one in members:
        one.model.double()
        one.rows = Batch(one.rows.x.double(), one.rows.cond.double(), one.rows.cell)
    return members


def train(members, optimiser=OPTIM, **changes):
    settings = EnsembleTraining(**{"epochs": 6, "accelerator": "cpu", **changes})
    return train_ensemble(members, settings, optimiser)


def weights(one):
    return torch.cat([p.detach().flatten() for p in one.model.parameters()])


def alone(one, epochs, batch_size):
    """The plain loop: its own optimiser, batches and noise from the member's stream."""
    stream, count = torch.Generator().manual_seed(one.seed), len(one.rows.x)
    size = batch_size or count
    optimiser = OPTIM(one.model.parameters())
    history = []
    for _ in range(epochs):
        order = torch.randperm(count, generator=stream) if size < count else torch.arange(count)
        losses = []
        for chosen in order.split(size):
            noise = torch.randn(len(chosen), one.model.noise_size, generator=stream).to(one.rows.x)
            batch = MaskedBatch(one.rows.x[chosen], one.rows.cond[chosen], torch.ones(len(chosen)).to(noise))
            loss = one.model.loss(batch, noise)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


@pytest.mark.parametrize("variant", ["tokens", "film", "paper"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_every_member_is_what_a_plain_loop_makes_of_it(variant, batch_size):
    """Of several sizes, hence numbers of steps: those with fewer wait, their weights, moments and noise untouched."""
    members = exact(several(variant=variant))
    start = [weights(one) for one in members]
    found = train(members, batch_size=batch_size)
    for place, one in enumerate(exact(several(variant=variant))):
        expected = alone(one, 6, batch_size)
        assert (weights(one) - start[place]).abs().max() > 1e-3
        torch.testing.assert_close(weights(members[place]), weights(one), rtol=0, atol=1e-8)
        assert [row["loss"] for row in found[place]] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_member_is_the_same_whoever_is_beside_it(batch_size, at_once):
    together, apart = several(), several()
    one, two = train(together, batch_size=batch_size), train(apart, batch_size=batch_size, at_once=at_once)
    for first, second, in_one, in_two in zip(together, apart, one, two, strict=True):
        torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=1e-5)
        assert [row["loss"] for row in in_one] == pytest.approx([row["loss"] for row in in_two], rel=1e-5)
    reversed_members = several()[::-1]
    train(reversed_members, batch_size=batch_size, at_once=at_once)
    for first, second in zip(together, reversed_members[::-1], strict=True):
        torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=1e-5)


def test_a_seed_of_its_own_gives_each_member_noise_of_its_own():
    same, other = member(seed=0), member(seed=0)
    other.seed = 5
    train([same, other])
    assert (weights(same) - weights(other)).abs().max() > 1e-3


def test_rows_that_fill_up_do_not_matter():
    """A member of wild values beside a longer one: were its padding counted, its result would be another."""
    wild = [member(20, seed=3) for _ in range(2)]
    for one in wild:
        one.rows.x[0] *= 3  # the row that padding repeats
    train([wild[0]])
    train([wild[1], member(120)])
    torch.testing.assert_close(weights(wild[0]), weights(wild[1]), rtol=0, atol=1e-5)


def test_no_epochs_leave_models_as_they_are():
    members = several()
    before = [weights(one) for one in members]
    assert train(members, epochs=0) == [[], [], [], []]
    assert all(torch.equal(old, weights(one)) for old, one in zip(before, members, strict=True))


def test_history_has_one_row_an_epoch_and_progress_is_told():
    told = []
    settings = EnsembleTraining(epochs=4, at_once=3, accelerator="cpu")
    members = several()
    found = train_ensemble(members, settings, OPTIM, told.append)
    assert [[row["epoch"] for row in rows] for rows in found] == [[1.0, 2.0, 3.0, 4.0]] * 4
    assert set(found[0][0]) == {"epoch", "loss", "nll_nats", "kl_nats"}
    assert sum(told) == 4 * len(members)
    assert all(not one.model.training for one in members)


def test_buffers_stay_as_they_were_fitted():
    members = several()
    before = [{name: value.clone() for name, value in one.model.named_buffers()} for one in members]
    train(members)
    for old, one in zip(before, members, strict=True):
        assert all(torch.equal(old[name], value) for name, value in one.model.named_buffers())


def test_a_loss_that_is_no_number_is_refused():
    members = several()
    members[2].rows.x[3, 0] = float("nan")
    with pytest.raises(ConfigError, match=r"epoch 1: loss is no longer a number\. Lower model\.optim\.lr"):
        train(members)
    with pytest.raises(ConfigError, match=r"epoch \d+: .* no longer a number"):
        train(several(), partial(adamw, lr=1e8))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epochs": -1}, r"trainer\.epochs: -1 must be 0 or more"),
        ({"batch_size": 0}, r"trainer\.batch_size: 0 must be 1 or more"),
        ({"at_once": 0}, r"trainer\.at_once: 0 must be 1 or more"),
        ({"accelerator": "tpu"}, r"trainer\.accelerator: 'tpu' is none of cpu, gpu, auto"),
    ],
)
def test_wrong_settings(change, says):
    with pytest.raises(ConfigError, match=says):
        EnsembleTraining(**change)


def test_device_and_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"this machine shows no GPU\. Use trainer\.accelerator=cpu"):
        EnsembleTraining().on("cuda")
    with pytest.raises(ConfigError, match="device=cuda contradicts trainer.accelerator=cpu"):
        EnsembleTraining(accelerator="cpu").on("cuda")
    with pytest.raises(ConfigError, match="shows no GPU"):
        EnsembleTraining(accelerator="gpu").on(None)
    assert EnsembleTraining().on(None).device == torch.device("cpu")
    assert EnsembleTraining(epochs=7).on("cpu") == EnsembleTraining(epochs=7, accelerator="cpu")
