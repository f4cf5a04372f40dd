import pytest
import torch

from batgen.models.layers import surface_fit
from batgen.models.layers.surface_fit import TERMS, fit_surface, lack_of_fit, spread_of_new_cells, terms
from tests.models.planted_pulses import FEATURES, LEVELS, world


def columns(rows):
    """x, SOC, SOH in float64."""
    return rows.x.double(), rows.cond[:, 0].double(), rows.cond[:, 1].double()


# ---- the polynomial ----------------------------------------------------------------------------------------------------
def test_a_planted_polynomial_of_all_terms_is_recovered_to_rounding(monkeypatch):
    monkeypatch.setattr(surface_fit, "PENALTY", 0.0)
    made = world(powers=5, noise=0.0, floor=0.0)
    _, soc, soh = columns(made.batch())
    fit = fit_surface(made.mean(torch.stack([soc, soh], 1)), soc, soh)
    new = torch.tensor([[0.02, 0.55], [0.27, 0.83], [0.6, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(fit.mean(new[:, 0], new[:, 1]), made.mean(new), rtol=1e-5, atol=1e-5)


def test_a_plane_is_recovered_to_rounding_under_the_penalty_too():
    made = world(noise=0.0, floor=0.0)
    _, soc, soh = columns(made.batch())
    fit = fit_surface(made.mean(torch.stack([soc, soh], 1)), soc, soh)
    new = torch.tensor([[0.02, 0.55], [0.6, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(fit.mean(new[:, 0], new[:, 1]), made.mean(new), rtol=1e-6, atol=1e-6)


def test_the_penalty_is_that_of_the_ridge_written_as_extra_rows():
    x, soc, soh = columns(world(powers=5).batch())
    fit = fit_surface(x, soc, soh)
    of_order = {0: 1e-9, 1: 1e-9, 2: 0.01, 3: 0.1, 4: 1.0}
    extra = torch.tensor([(len(x) * of_order[i + j]) ** 0.5 for i, j in TERMS], dtype=x.dtype).diag()
    basis = torch.cat([terms(soc, soh, fit.centre), extra])
    expected = torch.linalg.lstsq(basis, torch.cat([x, x.new_zeros(len(TERMS), FEATURES)])).solution
    torch.testing.assert_close(fit.coef, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("levels", "powers"), [((0.3,), 1), ((0.1, 0.3), 2), ((0.1, 0.2, 0.3), 3), (LEVELS, 4)])
def test_no_more_powers_of_soc_than_levels(levels, powers):
    fit = fit_surface(*columns(world(powers=5).batch(levels=levels)))
    used = {i for (i, _), row in zip(TERMS, fit.coef, strict=True) if bool((row != 0).any())}
    assert used == set(range(powers))
    assert {i for (i, _), row in zip(TERMS, fit.slope, strict=True) if bool((row != 0).any())} <= {0, 1}
    torch.testing.assert_close(fit.levels, torch.tensor(levels, dtype=torch.float64))


def test_slope_goes_on_straight_outside_and_is_the_polynomial_inside():
    x, soc, soh = columns(world(powers=5).batch())
    fit = fit_surface(x, soc, soh)
    inside = torch.linspace(0.05, 0.4, 15, dtype=torch.float64)
    age = torch.full_like(inside, 0.77)
    h = (0.77 - fit.centre[1]) / fit.centre[3]
    torch.testing.assert_close(fit.mean(inside, age, "slope"), fit.mean(inside, age), rtol=1e-12, atol=1e-12)
    for start, sign in ((0.4, 1), (0.05, -1)):
        beyond = start + sign * torch.tensor([0.0, 0.1, 0.2, 0.3], dtype=torch.float64)
        straight = fit.mean(beyond, age[:4], "slope").diff(dim=0)
        torch.testing.assert_close(straight, straight[:1].expand(3, -1), rtol=1e-9, atol=1e-9)
        rise = sum(fit.slope[TERMS.index((1, j))] * h**j for j in range(3))  # quadratic in SOH
        torch.testing.assert_close(straight[0], sign * 0.1 / fit.centre[2] * rise, rtol=1e-9, atol=1e-9)
        curved = fit.mean(beyond, age[:4]).diff(dim=0)
        assert (curved - curved[:1]).abs().max() > 0.1


# ---- what is not known -------------------------------------------------------------------------------------------------
def test_lack_of_fit_is_zero_for_a_plane_and_not_for_a_bend():
    made = world(noise=0.0, floor=0.0)
    _, soc, soh = columns(made.batch())
    plane = made.mean(torch.stack([soc, soh], 1))
    assert lack_of_fit(fit_surface(plane, soc, soh), plane, soc, soh).abs().max() < 1e-10
    bent = plane + torch.sin(20 * soc)[:, None]
    found = lack_of_fit(fit_surface(bent, soc, soh), bent, soc, soh)
    assert found.shape == (3, FEATURES, FEATURES)
    assert (found.diagonal(dim1=1, dim2=2) > 0.1).all()


def test_lack_of_fit_by_hand_between_and_beyond():
    """Inner: each inner level left out in turn; outer: both ends, under each prior."""
    x, soc, soh = columns(world(powers=5).batch(levels=(0.1, 0.2, 0.4)))
    fit = fit_surface(x, soc, soh)
    found = lack_of_fit(fit, x, soc, soh)

    def moment(level, distance, prior):
        out = (soc - level).abs() < 1e-3
        part = fit_surface(x[~out], soc[~out], soh[~out])
        change = fit.mean(soc[out], soh[out]) - part.mean(soc[out], soh[out], prior)
        return change.T @ change / len(change) / distance**2

    torch.testing.assert_close(found[0], moment(0.2, 0.1, "none"))
    for slot, prior in ((1, "none"), (2, "slope")):
        torch.testing.assert_close(found[slot], (moment(0.1, 0.1, prior) + moment(0.4, 0.2, prior)) / 2)
    two = columns(world().batch(levels=(0.1, 0.4)))
    assert lack_of_fit(fit_surface(*two), *two).abs().max() == 0


def test_new_cells_spread_wider_where_cells_have_an_offset():
    found = {}
    for offset in (0.0, 0.5):
        rows = world(noise=0.1, floor=0.05, offset=offset).batch(cells=12, stages=4)
        found[offset] = spread_of_new_cells(*columns(rows), rows.cell)
    assert 1.0 <= found[0.0] < 1.3
    assert found[0.5] > 2.5


def test_soh_known_better_than_the_grid_is_fine_does_not_widen_the_spread():
    """Noise so small that SOH is known to 1e-5, a hundredth of the step of the grid."""
    rows = world(noise=1e-4, floor=1e-4).batch(cells=12, stages=4)
    assert 1.0 <= spread_of_new_cells(*columns(rows), rows.cell) < 1.3


def test_three_cells_cannot_tell_their_spread():
    rows = world(offset=1.0).batch(cells=3)
    assert spread_of_new_cells(*columns(rows), rows.cell) == 1.0
