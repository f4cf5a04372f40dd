import pytest
import torch
from planted import SHAPE, drawn, fitted, planted

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.layers.cell_process import CellProcess
from batgen.models.layers.two_level import two_level
from batgen.models.rcvae_continuous import RCVAEContinuous


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
    model = CellProcess(anchors=60)
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
    values = torch.linalg.solve(model.precision, model.weights[..., None])
    query = features[cell == 9].double()
    cross = model._kernel(model.anchors[kept], query)
    solved = torch.linalg.solve(kernel[:, kept][:, :, kept], cross)
    mean = (solved.mT @ values[:, kept])[..., 0].T * model.scale
    prior = model.amplitude.square() + query.square() @ model.slope.square().T
    variance = (prior - (cross * solved).sum(1).T) * model.scale.square()
    got_mean, got_variance = model(features[cell == 9].double(), cell[cell == 9])
    torch.testing.assert_close(got_mean, mean, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(got_variance, variance, atol=1e-7, rtol=1e-6)


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
    features = model.features(data.cond)
    mean, scale = model._regress(features, None)
    scale = scale.mean(0).expand_as(scale)
    residual = model._scores(data.x) - mean
    mu, log_variance = model._encode(residual, scale, features, data.cell, None)
    a, b, r = model.cell_loading.double(), model.cycle_loading.double(), model.cycle_scale.double()
    s = scale[0].double()
    ratio = (r / s)[:, None]
    covariance = ratio * (b @ b.T + model.log_noise.exp().double().square().diag()) * ratio.T + 1e-4 * torch.eye(4)
    inverse = torch.linalg.inv(covariance)
    own = residual[data.cell == 0].double() / s
    precision = torch.eye(2) + len(own) * a.T @ inverse @ a
    expected = torch.linalg.solve(precision, a.T @ inverse @ own.sum(0))
    # `two_level` averages the scale over training with cells left out, slightly wider than without.
    torch.testing.assert_close(mu[0, :2].double(), expected, atol=0.05, rtol=0.1)
    torch.testing.assert_close((-log_variance[0, :2]).exp().double(), precision.diagonal(), rtol=0.4, atol=0.1)


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
