import math

import pytest
import torch

from batgen.errors import ConfigError, DataError
from batgen.models.base import DataShape
from batgen.models.rcvae import RCVAE, choose_latent, gaussian_kl, vae_losses
from tests.models.planted import SHAPE, drawn, fitted, planted


def small(**changes):
    settings = {"hidden": 16, "latent": 4, "embedding": 12, "layers": 4, **changes}
    return lambda shape=SHAPE: RCVAE(shape, **settings)


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_kl_against_the_formula():
    mean, log_variance = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, math.log(4.0)]])
    torch.testing.assert_close(gaussian_kl(mean, log_variance)[0], torch.tensor([0.0, 0.5 * (4 + 4 - 1 - math.log(4))]))
    p, q = torch.distributions.Normal(2.0, 2.0), torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(gaussian_kl(mean, log_variance)[0, 1], torch.distributions.kl_divergence(p, q))


@pytest.mark.parametrize(
    ("reading", "expected"),
    # squared errors (1, 3), (0, 4): means 2 and 2, sums 4 and 4; KL of mu = 2: 2 nats in one of two dimensions.
    [("mean_sum", 2 + 0.5 * (2 + 0)), ("sum_sum", 4 + 0.5 * (2 + 0)), ("mean_mean", 2 + 0.5 * (1 + 0))],
)
def test_loss_readings_by_hand(reading, expected):
    error = torch.tensor([[1.0, 3.0], [0.0, 4.0]])
    mean = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    parts = {k: v.mean() for k, v in vae_losses(error, mean, torch.zeros(2, 2), reading, beta=1.0).items()}
    assert parts["loss"].item() == pytest.approx(expected)
    assert parts["mse"].item() == pytest.approx(2.0)
    assert parts["kl"].item() == pytest.approx(1.0)
    half = vae_losses(error, mean, torch.zeros(2, 2), reading, beta=0.0)
    assert half["loss"].mean().item() == pytest.approx(4.0 if reading == "sum_sum" else 2.0)


def test_labels_are_the_unique_pairs_and_stand_for_the_nearest(data):
    twice = type(data)(*(torch.cat([part, part]) for part in data))
    model = fitted(small(), twice)
    assert len(model.labels) == len(model.embedding) == 96
    assert torch.equal(model.labels[model.label_index(data.cond)], data.cond[:, :2])


@pytest.mark.parametrize("remove", ["encoder_2", "encoder_4", "decoder_1", "decoder_3"])
def test_a_removed_layer_takes_its_parameters_and_no_more(remove):
    assert count(small()()) - count(small(remove=remove)()) == 16 * 16 + 16


@pytest.mark.parametrize("remove", ["encoder_2", "encoder_4", "decoder_1", "decoder_3"])
def test_what_is_left_begins_as_in_the_whole_network(remove, data):
    """Else all removals of one side would be one and the same training: what is left of them has the same shape."""
    torch.manual_seed(0)
    whole = fitted(small(), data).state_dict()
    torch.manual_seed(0)
    left = fitted(small(remove=remove), data).state_dict()
    assert set(whole) - set(left) == {f"{remove[:7]}.{remove}.{kind}" for kind in ("weight", "bias")}
    assert all(torch.equal(value, whole[name]) for name, value in left.items())


@pytest.mark.parametrize(
    "remove", ["encoder_1", "decoder_4", "encoder_5", "decoder_0", "Encoder_2", "layer_3", "encoder_02"]
)
def test_other_layers_cannot_be_removed(remove):
    with pytest.raises(ConfigError, match=r"model\.remove.*encoder_2\.\.encoder_4, decoder_2\.\.decoder_3"):
        small(remove=remove)()


def test_decoder_1_can_go_only_where_it_is_square():
    with pytest.raises(ConfigError, match=r"decoder_1 where .*\(here 5 \+ 12 and 16\)"):
        small(latent=5, remove="decoder_1")()


def test_the_default_sizes_make_decoder_1_square():
    assert RCVAE(DataShape((3,), ("voltage_V",), ("eol", "ecl")), remove="decoder_1").decoder.keys() >= {"decoder_2"}


@pytest.mark.parametrize(("kind", "width"), [("none", 0), ("index", 1), ("raw", 2)])
def test_without_the_embedding(data, kind, width):
    model = fitted(small(remove="embedding", no_embedding=kind), data)
    vector = model.label_vector(data.cond)
    assert vector.shape == (len(data.x), width)
    assert model.embedding is None
    if width:
        assert vector.min() == 0
        assert vector.max() == 1
    if kind == "none":
        first = drawn(model, data.cond[:1], 3)
        assert torch.equal(first, drawn(model, data.cond[-1:], 3))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"loss_reading": "sum_mean"}, "loss_reading"),
        ({"no_embedding": "zero"}, "no_embedding"),
        ({"label_weight": 1.5}, "label_weight"),
        ({"layers": 1}, "layers"),
        ({"activation": "rleu"}, "activation"),
    ],
)
def test_wrong_settings_name_their_key(change, key):
    with pytest.raises(ConfigError, match=rf"model\.{key}"):
        small(**change)()


def test_labels_must_be_there_and_finite(data):
    with pytest.raises(ConfigError, match="eol"):
        RCVAE(DataShape((4,), ("voltage_V",), ("ecl", "soh")))
    cond = data.cond.clone()
    cond[3, 0] = float("nan")
    with pytest.raises(DataError, match=r"data\.censored"):
        small()().fit(data.x, cond, data.cell)


def test_choices_of_z(data):
    mean = torch.arange(8.0)[:, None]
    g = torch.Generator().manual_seed(0)
    assert torch.equal(choose_latent("mean", mean, mean, g), mean)
    mixed = choose_latent("permuted", mean, mean, g)
    assert torch.equal(mixed.sort(0).values, mean)
    assert not torch.equal(mixed, mean)
    certain = choose_latent("sample", mean, torch.full_like(mean, -60.0), g)
    torch.testing.assert_close(certain, mean)
    with pytest.raises(ValueError, match="posterior"):
        choose_latent("posterior", mean, mean, g)


def test_signal_survives_sixteen_layers_at_the_start():
    data = planted()
    model = fitted(lambda shape: RCVAE(shape, hidden=64, latent=8, embedding=56), data)
    mean, _ = model.posterior(*data)
    assert 0.1 < mean.std() < 10
    assert 0.1 < drawn(model, data.cond, 2).std() < 10


def test_a_planted_collapse_is_seen_and_its_absence_too(data):
    """A decoder that cannot see z loses every nat; one that can keeps them."""
    torch.manual_seed(0)
    nats = {}
    for blind in (True, False):
        model = fitted(small(layers=2, loss_reading="sum_sum"), type(data)(3 * data.x, data.cond, data.cell))
        if blind:
            with torch.no_grad():
                model.decoder["decoder_1"].weight[:, :4] = 0
            model.decoder["decoder_1"].weight.register_hook(
                lambda grad: torch.cat([torch.zeros_like(grad[:, :4]), grad[:, 4:]], 1)
            )
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        batch = type(data)(3 * data.x, torch.zeros_like(data.cond), data.cell)
        for _ in range(300):
            optimiser.zero_grad()
            model.loss(batch)["loss"].backward()
            optimiser.step()
        mean, log_variance = model.posterior(*batch)
        nats[blind] = gaussian_kl(mean, log_variance).sum(1).mean().item()
    assert nats[True] < 0.2
    assert nats[False] > 1.0
