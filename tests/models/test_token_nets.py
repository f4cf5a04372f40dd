import pytest
import torch

from batgen.models.layers.token_nets import TokenPair
from tests.models.planted_pulses import FEATURES, shape_of, trained_on, world


@pytest.fixture(scope="module")
def trained():
    rows = world(powers=3).batch(cells=16)
    return {
        "tokens": trained_on(rows, "tokens", 60),
        "film": trained_on(rows, "film", 1),
        "paper": trained_on(rows, "paper", 1),
    }


BEYOND = torch.tensor([[0.2, 0.8], [0.12, 0.65], [0.6, 0.9]])


def test_attention_rows_sum_to_one(trained):
    model = trained["tokens"]
    found = model.attention(BEYOND)
    assert found.shape == (FEATURES, 2 + 3)  # SOC, SOH and three latents
    assert (found > 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(FEATURES))
    assert found.std(0).max() > 1e-4  # steps differ in what they look at
    assert trained["film"].attention(BEYOND) is None
    assert trained["paper"].attention(BEYOND) is None


def test_tokens_know_their_step_by_its_description(trained):
    """Descriptions in another order: the output goes with them, voltage by voltage."""
    nets = trained["tokens"].core.nets
    g = torch.Generator().manual_seed(0)
    z, c, same = torch.randn(4, 3, generator=g), torch.randn(4, 2, generator=g), torch.eye(FEATURES).expand(4, -1, -1)
    before, order = nets.decode(z, c, same).detach(), torch.randperm(FEATURES, generator=g)
    kept = nets.steps
    try:
        nets.steps = kept[order]
        after = nets.decode(z, c, same).detach()
    finally:
        nets.steps = kept
    torch.testing.assert_close(after, before[:, order], rtol=1e-4, atol=1e-6)
    assert (after - before).abs().max() > 1e-3


def test_residual_path_carries_the_voltages():
    """Values come from the conditions alone; what a token says of its voltage reaches the posterior all the same."""
    torch.manual_seed(0)
    nets = TokenPair(torch.tensor(shape_of().tokens), 3, 2, 8, 2, 2)
    torch.nn.init.normal_(nets.posterior.weight)
    for block in nets.encoder:
        torch.nn.init.zeros_(block.attention.out.weight)
        torch.nn.init.zeros_(block.attention.out.bias)
    w, c, same = torch.randn(4, FEATURES), torch.zeros(4, 2), torch.eye(FEATURES).expand(4, -1, -1)
    assert nets.encode(w, c, same).std(0).min() > 1e-3


def test_rotation_makes_a_token_speak_of_its_own_voltage():
    """The same voltages in turned coordinates: the same posterior, and an output turned back."""
    torch.manual_seed(0)
    nets = TokenPair(torch.tensor(shape_of().tokens), 3, 2, 8, 2, 2)
    for layer in (nets.posterior, nets.out):
        torch.nn.init.normal_(layer.weight)
    turn = torch.linalg.qr(torch.randn(FEATURES, FEATURES))[0]
    volts, z, c = torch.randn(4, FEATURES), torch.randn(4, 3), torch.randn(4, 2)
    plain, turned = torch.eye(FEATURES).expand(4, -1, -1), turn.expand(4, -1, -1)
    torch.testing.assert_close(nets.encode(volts @ turn, c, turned), nets.encode(volts, c, plain), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(nets.decode(z, c, turned) @ turn.T, nets.decode(z, c, plain), rtol=1e-4, atol=1e-5)


def test_without_attention_every_step_hears_all_conditions_alike():
    torch.manual_seed(0)
    nets = TokenPair(torch.tensor(shape_of().tokens), 3, 2, 8, 2, 2, attend=False)
    found = nets.attention(torch.randn(4, 3), torch.randn(4, 2))
    torch.testing.assert_close(found, torch.full((4, FEATURES, 5), 1 / 5))
    with_it = TokenPair(torch.tensor(shape_of().tokens), 3, 2, 8, 2, 2)
    assert with_it.attention(torch.randn(4, 3), torch.randn(4, 2)).std() > 1e-3
