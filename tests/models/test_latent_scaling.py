import pytest
import torch

from batgen.errors import ConfigError
from tests.models.planted_pulses import LEVELS, trained_on, world

VARIANTS = ("tokens", "film", "paper")


@pytest.fixture(scope="module")
def rows():
    return world(powers=3).batch(cells=16)


@pytest.fixture(scope="module")
def trained(rows):
    return {variant: trained_on(rows, variant, 50) for variant in VARIANTS}


def draws(model, cond, n, seed=0, prior="none"):
    return model.sample(cond, n, torch.Generator().manual_seed(seed), prior)


@pytest.mark.parametrize("variant", VARIANTS)
def test_latent_scaling_by_hand(trained, rows, variant):
    model = trained[variant]
    mean, logvar = model.posterior(rows.x, rows.cond)
    stages = torch.unique(rows.cond[:, 1])[:4]

    def law(*socs):
        """The law of z for these SOCs at four training SOHs each, and the training rows it may come from."""
        cond = torch.cartesian_prod(torch.tensor(socs), stages)
        return cond, *model._latent_law(cond, "latent_scaling")

    for socs in ((0.15, 0.25), LEVELS, (0.05,), (0.4,)):  # inside the training range: as encoded
        cond, centre, spread = law(*socs)
        for soh, one, sd in zip(cond[:, 1], centre, spread, strict=True):
            same = rows.cond[:, 1] == soh
            assert ((mean[same] - one).abs() + ((0.5 * logvar[same]).exp() - sd).abs() < 1e-6).all(1).any()
    # outside: mean 0.6 over mean 0.21, variance 0.01 over that of LEVELS, ((.16 .11 .01 .09 .19)^2 / 5 = 0.0164)
    cond, centre, spread = law(0.5, 0.7)
    by_mean, by_variance = 0.6 / 0.21, 0.01 / 0.0164
    for soh, one, sd in zip(cond[:, 1], centre, spread, strict=True):
        same = rows.cond[:, 1] == soh
        expected = by_mean * mean[same], (0.5 * by_variance * logvar[same]).exp()
        assert ((expected[0] - one).abs() + (expected[1] - sd).abs() < 1e-4).all(1).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_latent_scaling_of_one_row_beyond(trained, variant):
    """One row has no variance: T_logvar is 0, the latent of unit width."""
    centre, spread = trained[variant]._latent_law(torch.tensor([[0.6, 0.9]]), "latent_scaling")
    assert torch.equal(spread, torch.ones(1, 3))
    assert torch.isfinite(centre).all()
    assert torch.isfinite(draws(trained[variant], torch.tensor([[0.6, 0.9]]), 2, prior="latent_scaling")).all()


def test_latent_scaling_needs_two_training_socs():
    rows = world().batch(levels=(0.2,))
    model = trained_on(rows, "film", steps=2)
    assert torch.isfinite(draws(model, rows.cond, 1, prior="latent_scaling")).all()
    with pytest.raises(ConfigError, match=r"all are 0\.2\. Use prior=none"):
        draws(model, torch.tensor([[0.3, 0.8]]), 1, prior="latent_scaling")
