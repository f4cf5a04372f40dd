import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.cell_process import CellProcess
from batgen.models.layers.conditions import Features
from batgen.models.layers.policy_template import PolicyTemplate
from batgen.models.layers.row_lookup import RowLookup
from batgen.models.layers.two_level import two_level
from batgen.models.rcvae_continuous import RCVAEContinuous
from tests.models.planted import COND, SHAPE, drawn, fitted, planted


def small(**changes):
    settings = {"components": 4, "anchors": 60, "cell_latent": 2, "cycle_latent": 2, "hidden": 8, **changes}
    return lambda shape=SHAPE: RCVAEContinuous(shape, **settings)


@pytest.fixture(scope="module")
def process():
    """Twenty cells of five cycles: a smooth function, a cell effect of 0.5, noise of 0.1."""
    g = torch.Generator().manual_seed(0)
    cell = torch.arange(20).repeat_interleave(5) * 3
    features = torch.cat([torch.randn(20, 2, generator=g).repeat_interleave(5, 0), torch.randn(100, 1, generator=g)], 1)
    effect = 0.5 * torch.randn(20, 2, generator=g).repeat_interleave(5, 0)
    smooth = torch.stack([2 * features[:, 0], torch.sin(features[:, 1])], 1)
    target = smooth + effect + 0.1 * torch.randn(100, 2, generator=g)
    model = CellProcess(anchors=60, group=[True, False, False], kind=[0, 1])
    model.fit(features, target, cell, torch.arange(100))
    return model, features, target, cell


def test_regression_finds_the_size_of_both_effects(process):
    cell, noise = process[0].effects()
    assert ((cell > 0.25) & (cell < 0.9)).all()
    assert ((noise > 0.05) & (noise < 0.2)).all()


def test_leaving_a_cell_out_equals_never_having_seen_it(process):
    model, features, _, cell = process
    owner = cell.unique()[:, None].expand(model.members.shape).reshape(-1)
    kept = owner != 9
    kernel = model._kernel(model.anchors, model.anchors) + model._nugget((owner[:, None] == owner).double())
    values = (kernel @ model.weights)[:, :, :1]
    query = features[cell == 9].double()
    cross = model._kernel(model.anchors[kept], query)
    solved = torch.linalg.solve(kernel[:, kept][:, :, kept], cross)
    mean = (solved.mT @ values[:, kept])[..., 0].T * model.scale
    prior = model.amplitude.square() + model.local_amplitude.square() + query.square() @ model.slope.square().T
    variance = (prior - (cross * solved).sum(1).T) * model.scale.square()
    got_mean, got_variance = model(query, cell[cell == 9])
    torch.testing.assert_close(got_mean, mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got_variance, variance, atol=1e-4, rtol=1e-4)
    assert (model(query)[0] - mean).abs().max() > 0.01


def test_leaving_out_an_unknown_cell_leaves_all_in(process):
    model, features, _, _ = process
    for unknown in (-1, 4, 10_000):
        left = model(features, torch.full((100,), unknown))
        assert all(torch.equal(a, b) for a, b in zip(left, model(features), strict=True))


def test_regression_is_sure_near_its_data_and_unsure_far_away(process):
    model, features, _, _ = process
    near, far = model(features[:5])[1], model(features[:5] + 20)[1]
    assert (far > 10 * near).all()


def test_two_level_recovers_planted_covariances():
    g = torch.Generator().manual_seed(0)
    between, within = torch.randn(5, 2, generator=g), 0.3 * torch.randn(5, 1, generator=g)
    cell = torch.arange(2000).repeat_interleave(10)
    residual = torch.randn(2000, 2, generator=g)[cell] @ between.T
    residual = residual + torch.randn(20_000, 1, generator=g) @ within.T + 0.1 * torch.randn(20_000, 5, generator=g)
    found = two_level(residual, cell, torch.ones(20_000, 5), torch.ones(5), 2, 1)
    torch.testing.assert_close(found.cell_loading @ found.cell_loading.T, between @ between.T, atol=0.35, rtol=0.1)
    inner = found.cycle_loading @ found.cycle_loading.T + found.noise.square().diag()
    torch.testing.assert_close(inner, within @ within.T + 0.01 * torch.eye(5), atol=0.02, rtol=0.1)


def test_the_start_is_the_exact_gaussian_posterior(data):
    """At the start z has the mean and precision that Bayes' rule gives for all samples of the cell together."""
    model = fitted(small(), data)
    features, latents = model.features(data.cond), model.latents
    mean, scale = model._regress(features)
    scale = scale.mean(0).expand_as(scale)
    residual = model._scores(data.x) - mean
    mu, log_variance = latents.encode(residual, scale, features, data.cell)
    a, b, r = (t.detach().double() for t in (latents.cell_loading, latents.cycle_loading, latents.cycle_scale))
    s = scale[0].double()
    ratio = (r / s)[:, None]
    noise = latents.noise().detach().double().square().diag()
    inverse = torch.linalg.inv(ratio * (b @ b.T + noise) * ratio.T + 1e-4 * torch.eye(len(s)))
    own = residual[data.cell == 0].double() / s
    precision = torch.eye(2) + len(own) * a.T @ inverse @ a
    expected = torch.linalg.solve(precision, a.T @ inverse @ own.sum(0))
    # `two_level` averages the scale over training with cells left out, slightly wider than without.
    torch.testing.assert_close(mu[0, :2].double(), expected, atol=0.1, rtol=0.2)
    torch.testing.assert_close((-log_variance[0, :2]).exp().double(), precision.diagonal(), rtol=0.5, atol=0.1)


def test_more_cycles_of_a_cell_make_its_latent_surer(data):
    model = fitted(small(), data)
    one = model.posterior(data.x[:1], data.cond[:1], data.cell[:1])[1][0, :2]
    many = model.posterior(data.x[:8], data.cond[:8], data.cell[:8])[1]
    assert (many[:, :2] < one - 1).all()
    assert torch.equal(many[0, :2], many[7, :2])


def test_a_shared_latent_makes_rows_one_cell(data):
    model = fitted(small(), data)
    cond = data.cond[:8]
    correlation = {}
    for shared in (False, True):
        sample = model.sample(cond, 400, torch.Generator().manual_seed(0), share_latent=shared).flatten(2)
        correlation[shared] = torch.corrcoef(torch.stack([sample[:, 0, 5], sample[:, 7, 5]]))[0, 1]
    assert correlation[True] > 0.7
    assert abs(correlation[False]) < 0.2
    both = [model.sample(cond, 400, torch.Generator().manual_seed(0), share_latent=s).std(0) for s in (False, True)]
    torch.testing.assert_close(both[0], both[1], rtol=0.3, atol=0.02)


def test_generated_spread_is_that_of_unseen_cells():
    """Spread-skill over new cells: variance of draws over squared error of their mean is near 1."""
    train, test = planted(cells=40), planted(seed=5, cells=60)
    model = fitted(small(), train)
    sample = drawn(model, test.cond, 50)
    ratio = sample.var(0).mean() * (1 + 1 / 50) / (sample.mean(0) - test.x).square().mean()
    assert 0.6 < ratio < 1.6


def test_latents_are_used_from_the_start(data):
    model = fitted(small(), data)
    errors = {
        z: float((model.reconstruct(*data, z=z, generator=torch.Generator().manual_seed(0)) - data.x).abs().mean())
        for z in ("mean", "prior", "permuted")
    }
    assert errors["mean"] < 0.3 * errors["permuted"]
    assert errors["mean"] < 0.3 * errors["prior"]


def test_evaluation_does_not_depend_on_the_names_of_cells(data):
    """A test cell that happens to carry a training cell's number must not have it left out."""
    model = fitted(small(), data)
    torch.manual_seed(1)
    first = model.loss(data)["loss"]
    torch.manual_seed(1)
    renamed = type(data)(data.x, data.cond, data.cell + 1000)
    assert torch.equal(first, model.loss(renamed)["loss"])


def test_wrong_sizes_name_their_key():
    for key in ("components", "anchors", "cell_latent", "cycle_latent", "hidden"):
        with pytest.raises(ConfigError, match=rf"model\.{key}"):
            small(**{key: 0})()
    with pytest.raises(ConfigError, match=r"data\.conditions"):
        small()(DataShape((3,), ("voltage_V",), ()))


def test_few_samples_and_one_cell_are_enough_to_build():
    data = planted(cells=1, cycles=3)
    model = fitted(small(components=16), data)
    assert torch.isfinite(drawn(model, data.cond, 2)).all()


def template_data():
    """Two policies of three cells with a sharp step, one policy with one cell."""
    policy = torch.tensor([[1.0], [1.0], [1.0], [2.0], [2.0], [2.0], [3.0]]).repeat_interleave(10, 0)
    cell = torch.arange(7).repeat_interleave(10)
    curves = torch.where(torch.arange(20) < 5 * policy.long(), 4.0, 2.0)
    g = torch.Generator().manual_seed(0)
    return policy, curves + 0.001 * torch.randn(curves.shape, generator=g), cell


def test_the_template_is_taken_where_the_regression_rings():
    policy, curves, cell = template_data()
    g = torch.Generator().manual_seed(1)
    ringing = 0.1 * torch.randn(curves.shape, generator=g)
    layer = PolicyTemplate(1, 20)
    layer.fit(policy, curves, curves + ringing, cell)
    asked = torch.tensor([[1.0], [2.0], [3.0]])
    mean = torch.full((3, 20), 3.0)
    got = layer(asked, mean, torch.zeros(2, 3, 20))
    assert got.shape == (2, 3, 20)
    assert (got - torch.where(torch.arange(20) < 5 * asked.long(), 4.0, 2.0)).abs().max() < 0.01
    noisy = layer(asked, mean, 0.1 * torch.randn(500, 3, 20, generator=g))
    assert (noisy.std(0) < 0.01).all()


def test_the_regression_is_taken_where_cells_of_a_policy_differ():
    policy, curves, cell = template_data()
    curves = curves + cell[:, None]
    layer = PolicyTemplate(1, 20)
    layer.fit(policy, curves, curves + 0.001, cell)
    mean = torch.full((1, 20), 7.0)
    torch.testing.assert_close(layer(policy[:1], mean, torch.zeros(1, 20)), mean, atol=0.01, rtol=0)


def test_an_unseen_policy_is_left_alone():
    policy, curves, cell = template_data()
    layer = PolicyTemplate(1, 20)
    mean, residual = torch.full((1, 20), 7.0), torch.ones(4, 1, 20)
    assert torch.equal(layer(policy[:1], mean, residual), mean + residual)
    layer.fit(policy, curves, curves + 0.1, cell)
    assert torch.equal(layer(torch.tensor([[9.0]]), mean, residual), mean + residual)


def test_commanded_current_goes_through_the_template():
    shape = DataShape((2, 12), ("current_A", "temperature_degC"), COND)
    data = planted(cells=6, shape=shape)
    cond = data.cond.clone()
    cond[:, 2:] = cond[data.cell // 2 * 16, 2:]
    step = torch.where(torch.arange(12) < 6, 4.0, 2.0) * cond[:, 2:3]
    x = torch.stack([step, data.x[:, 1]], 1)
    model = fitted(small(components=2), type(data)(x, cond, data.cell), shape)
    assert len(model.template.policies) == 3
    error = (drawn(model, cond, 20) - x)[:, :, 0].abs()
    assert error.max() < 0.05


def test_rows_are_found_again():
    lookup = RowLookup()
    cond = torch.tensor([[1.0, 5.0], [2.0, 5.0], [1.0, 6.0], [1.0, 5.0]])
    cell = torch.tensor([7, 7, 3, 3])
    assert lookup(cond, cell) is None
    lookup.fit(cond, cell)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(lookup(cond[order], cell[order]), order)
    assert lookup(cond, torch.tensor([7, 7, 3, 8])) is None
    assert lookup(cond + 1, cell) is None


def test_looked_up_rows_are_what_the_regression_says(data):
    model = fitted(small(), data)
    features = model.features(data.cond[5:9])
    found = model._held_out(data.cond[5:9], data.cell[5:9], features)
    made = model._regress(features, data.cell[5:9])
    for a, b in zip(found, made, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_mixed_precision_leaves_the_loss_alone(data):
    model = fitted(small(), data).train()
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses.append(model.loss(data)["loss"])
    assert torch.equal(*losses)


def test_features_that_name_the_group_are_those_of_the_policy():
    assert Features(("eol", "ecl", "c1", "q1", "c2")).group == (False, False, True, True, True, False, True)
