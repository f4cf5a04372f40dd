import pytest
import torch

from batgen.models.cross_attention_cvae import CrossAttentionCVAE
from tests.models.planted_pulses import fitted_to, shape_of, whole, world


def noise_for(model, count, seed=0):
    return torch.randn(count, model.noise_size, generator=torch.Generator().manual_seed(seed))


def draws(model, cond, n, seed=0, prior="none"):
    return model.sample(cond, n, torch.Generator().manual_seed(seed), prior)


def published():
    torch.manual_seed(0)
    return CrossAttentionCVAE(shape_of(21), variant="paper", latent=2, width=64)


def test_published_parameter_count():
    embed, hidden, unfold, out = 2 * 64 + 64, 21 * 64 + 64, 2 * 64 + 64, 64 * 21 + 21
    attention = 3 * (64 + 64) + 64 + 1
    heads = 2 * (64 * 2 + 2)
    expected = embed + hidden + 2 * attention + heads + unfold + out
    assert sum(p.numel() for p in published().parameters()) == expected == 4315


def test_published_output_stays_within_the_training_range():
    rows = world(features=21).batch()
    model = published()
    model.fit(rows.x, rows.cond, rows.cell)
    with torch.no_grad():
        model.core.out.weight.mul_(1e3)  # the sigmoid saturates: both ends are reached, none is passed
    drawn = draws(model, torch.tensor([[0.2, 0.8], [3.0, 5.0], [-3.0, -5.0]]), 50)
    low, high = rows.x.amin(0), rows.x.amax(0)
    slack = 1e-5 * (high - low)
    assert (drawn >= low - slack).all()
    assert (drawn <= high + slack).all()
    assert ((drawn - low).abs() < 1e-3).any()
    assert ((drawn - high).abs() < 1e-3).any()


def test_published_attention_has_no_residual():
    """Where the keys and values are one constant, the softmax has nothing to choose: x and z change nothing."""
    rows = world(features=21).batch()
    model = published()
    model.fit(rows.x, rows.cond, rows.cell)
    before = model.posterior(rows.x, rows.cond)[0]
    assert before.std(0).max() > 1e-5
    with torch.no_grad():
        model.core.embed.weight.zero_()
        model.core.embed.bias.fill_(0.7)
    after = model.posterior(rows.x, rows.cond)[0]
    assert after.std(0).max() < 1e-6
    drawn = draws(model, rows.cond[:3], 5)
    torch.testing.assert_close(drawn, drawn[:1, :1].expand_as(drawn), rtol=1e-5, atol=1e-6)


def test_published_loss_by_hand():
    rows = world(features=21).batch()
    model = published()
    model.fit(rows.x, rows.cond, rows.cell)
    torch.nn.init.ones_(model.core.z_logvar.bias)
    noise = noise_for(model, len(rows.x))
    mean, logvar = model.posterior(rows.x, rows.cond)
    decoded = model.core.decode(mean + (logvar / 2).exp() * noise, rows.cond)
    width = rows.x.amax(0) - rows.x.amin(0)
    error = 21 * ((decoded - rows.x) / width).square().mean()
    kl = (-0.5 * (1 + logvar - mean**2 - logvar.exp())).sum(1).mean()
    parts = model.loss(whole(rows), noise)
    torch.testing.assert_close(parts["loss"], error + kl)
    torch.testing.assert_close(parts["kl_nats"], kl)


def test_targets_widen_the_scaling_of_conditions():
    rows = world().batch()
    targets = torch.tensor([[0.9, 0.5], [0.1, 0.7]])
    alone, widened = fitted_to(rows, "paper"), fitted_to(rows, "paper")
    widened.fit(rows.x, rows.cond, rows.cell, targets)
    assert alone.core.cond_high[0] == pytest.approx(0.4)
    assert widened.core.cond_high.tolist() == pytest.approx([0.9, float(rows.cond[:, 1].max())])
    assert widened.core.cond_low.tolist() == pytest.approx([0.05, 0.5])
    assert torch.equal(alone.core.high, widened.core.high)
    ours = fitted_to(rows, "film"), fitted_to(rows, "film")
    ours[1].fit(rows.x, rows.cond, rows.cell, targets)
    assert torch.equal(draws(ours[0], targets, 2), draws(ours[1], targets, 2))
