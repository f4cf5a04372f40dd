import pytest
import torch

from batgen.errors import ConfigError, DataError
from batgen.models.base import restore
from batgen.models.layers.surface import Surface
from batgen.models.pulse_surface import PulseSurface
from tests.models.planted_pulses import FEATURES, shape_of, world


def fitted(rows, types=1):
    surface = Surface(rows.x.shape[1], shape_of(types=types).cond_names)
    surface.fit(*rows)
    return surface


@pytest.fixture(scope="module")
def rows():
    return world().batch()


@pytest.fixture(scope="module")
def surface(rows):
    return fitted(rows)


# ---- battery types -----------------------------------------------------------------------------------------------------
def test_types_keep_surfaces_of_their_own_and_an_unseen_one_takes_the_nearest():
    made = world(types=3, noise=0.05)  # of 2.1, 10 and 17.9 Ah
    rows = made.batch(cells=30)
    all_three = fitted(rows, types=3)
    torch.testing.assert_close(all_three.features(rows.cond)[:, 2:].mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    for kind in range(3):
        mine = rows.cond[:, 2] == kind
        cond = rows.cond[mine]
        alone = fitted(type(rows)(rows.x[mine], cond[:, :2], rows.cell[mine]))
        torch.testing.assert_close(all_three.mean(cond), alone.mean(cond[:, :2]), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(all_three.root(cond), alone.root(cond[:, :2]), rtol=1e-4, atol=1e-5)
        assert (all_three.mean(cond) - made.mean(cond)).abs().mean() < 0.05
        near = cond.clone()
        near[:, 3] += 3.0  # another capacity, still nearest to this type
        assert torch.equal(all_three.mean(near), all_three.mean(cond))


@pytest.mark.parametrize("types", [1, 2])
def test_too_few_rows_of_a_type(types):
    rows = world(types=types).batch(cells=types, stages=1)
    rows = type(rows)(*(part[:7] if types == 1 else part for part in rows))
    with pytest.raises(DataError, match=r"\d training rows of one battery type are too few .* 8 are needed"):
        fitted(rows, types)


def test_eight_rows_are_enough():
    rows = type(r := world().batch())(*(part[:8] for part in r))
    assert torch.isfinite(fitted(rows).root(rows.cond)).all()


# ---- the whitening frame -----------------------------------------------------------------------------------------------
def test_whiten_and_back(surface, rows):
    new = world().batch(seed=5)
    w = surface.whiten(new.x, new.cond)
    back = surface.mean(new.cond) + torch.einsum("bfg,bg->bf", surface.rotation(new.cond) @ surface.frame(new.cond), w)
    torch.testing.assert_close(back, new.x, rtol=1e-4, atol=1e-4)


def test_whitened_training_rows_have_unit_covariance():
    rows = world().batch(cells=60)
    w = fitted(rows).whiten(rows.x, rows.cond)
    assert w.mean(0).abs().max() < 0.02
    assert (w.T @ w / len(w) - torch.eye(FEATURES)).abs().max() < 0.12
    doubled = fitted(rows).whiten(rows.x + (rows.x - fitted(rows).mean(rows.cond)), rows.cond)
    assert (doubled.T @ doubled / len(w)).diagonal().min() > 3.5


def test_covariance_follows_soc():
    """Noise three times as wide at high SOC is wider there in the frame."""
    rows = world(floor=0.1, noise=0.0).batch(cells=60)
    smooth = world().mean(rows.cond)
    x = smooth + (rows.x - smooth) * (1 + 2 * (rows.cond[:, :1] > 0.25))
    made = fitted(type(rows)(x, rows.cond, rows.cell))
    cond = torch.tensor([[0.05, 0.8], [0.4, 0.8]])
    low, high = made.frame(cond).square().sum(-1).sqrt().mean(1)
    assert low == pytest.approx(0.1, rel=0.25)
    assert high == pytest.approx(0.3, rel=0.15)


def test_root_at_training_socs_is_the_spread_times_the_frame(surface, rows):
    expected = surface.spread[0].double() * (surface.rotation(rows.cond) @ surface.frame(rows.cond)).double()
    for prior in ("none", "slope"):
        found = surface.root(rows.cond, prior)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found @ found.mT, expected @ expected.mT, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("slot", "prior"), [(1, "none"), (2, "slope")])
def test_root_by_hand(slot, prior):
    """Spread^2 x (frame + lack of fit x gap^2): the lack between the training SOCs, or the one of the prior beyond."""
    surface = fitted(world(powers=5, seed=2).batch())
    for soc, place, gap in ((0.25, 0, 0.05), (0.02, slot, 0.03), (0.6, slot, 0.2)):
        cond = torch.tensor([[soc, 0.8]])
        known = (surface.rotation(cond) @ surface.frame(cond))[0].double()
        expected = surface.spread.double() ** 2 * (known @ known.mT + surface.lack[0, place].double() * gap**2)
        root = surface.root(cond, prior)[0]
        torch.testing.assert_close(root @ root.mT, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prior", ["none", "slope"])
def test_root_grows_with_the_distance_to_the_nearest_training_soc(prior):
    surface = fitted(world(powers=5).batch())

    def size(*socs):
        root = surface.root(torch.tensor([[soc, 0.8] for soc in socs]), prior)
        return root.square().sum((1, 2)).tolist()

    outside, near = size(0.4, 0.45, 0.5, 0.6, 0.9), size(0.3, 0.31, 0.33, 0.35)
    assert outside == sorted(outside)
    assert near == sorted(near)
    growth = [(value - outside[0]) for value in outside]
    assert growth[2] / growth[1] == pytest.approx(4, rel=1e-3)  # variance goes with the squared distance
    below = size(0.05, 0.04, 0.02)
    assert below == sorted(below)
    assert below[0] < below[-1]


def test_networks_see_standardised_conditions_that_stop_at_the_edge(surface, rows):
    """What they add in whitened space goes on unchanged beyond the training SOCs."""
    seen = surface.features(rows.cond)
    torch.testing.assert_close(seen.mean(0), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.std(0), torch.ones(2), rtol=1e-4, atol=0)
    edge, beyond = torch.tensor([[0.05, 0.8], [0.4, 0.9]]), torch.tensor([[0.01, 0.8], [0.9, 0.9]])
    assert torch.equal(surface.features(edge), surface.features(beyond))
    assert torch.equal(surface.frame(edge), surface.frame(beyond))


# ---- the module and the baseline ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("types", [1, 2])
def test_restored_surface_gives_the_same_bits(types):
    rows = world(types=types, powers=5).batch()
    model = PulseSurface(shape_of(types=types))
    model.fit(rows.x, rows.cond, rows.cell)
    fresh = PulseSurface(shape_of(types=types))
    restore(fresh, {name: value.clone() for name, value in model.state_dict().items()})
    cond = rows.cond.clone()
    cond[:, 0] += 0.33
    for prior in ("none", "slope"):
        for one, two in zip(model.moments(cond, prior), fresh.moments(cond, prior), strict=True):
            assert torch.equal(one, two)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())


def test_draws_have_the_moments(surface, rows):
    model = PulseSurface(shape_of())
    model.fit(*rows)
    cond = torch.tensor([[0.2, 0.8], [0.6, 0.7]])
    drawn = model.sample(cond, 20_000, torch.Generator().manual_seed(0), prior="slope")
    assert drawn.shape == (20_000, 2, FEATURES)
    mean, cov = model.moments(cond, "slope")
    sd = cov.diagonal(dim1=1, dim2=2).sqrt()
    assert ((drawn.double().mean(0) - mean) / sd).abs().max() < 4 / 20_000**0.5
    for place in (0, 1):
        found = torch.cov(drawn[:, place].double().T)
        assert ((found - cov[place]) / (sd[place][:, None] * sd[place])).abs().max() < 0.05
    again = model.sample(cond, 3, torch.Generator().manual_seed(7))
    assert torch.equal(again, model.sample(cond, 3, torch.Generator().manual_seed(7)))


def test_unknown_prior_is_refused(rows):
    model = PulseSurface(shape_of())
    model.fit(*rows)
    for call in (lambda: model.sample(rows.cond, 1, prior="latent_scaling"), lambda: model.moments(rows.cond, "slop")):
        with pytest.raises(ConfigError, match="pulse_surface has none, slope"):
            call()
