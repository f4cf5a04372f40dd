"""Physics losses: nearly zero on measured profiles, alive on bad ones, and checks that tell the two apart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from batgen.errors import ConfigError
from batgen.evaluation.physics import pass_rates, passed
from batgen.models.base import restore
from batgen.models.layers.physical import PhysicalView
from batgen.models.physics.bounds import Bounds
from batgen.models.physics.rate import Rate
from batgen.models.physics.slides import Slides
from batgen.models.physics.smoothness import Smoothness
from batgen.models.physics.thermal_balance import ThermalBalance
from tests.models.profile_views import POINTS, nasa, planted_model, varied, with_temperature

LOSSES = (ThermalBalance, Bounds, Rate, Smoothness)
ALL = (*LOSSES, Slides)
#: (training cells, cells held out): each protocol is in both.
DISCHARGE = (("B0005", "B0006", "B0018", "B0025", "B0029", "B0030"), ("B0007", "B0026", "B0032"))
CHARGE = (("B0005", "B0025", "B0029", "B0030"), ("B0026", "B0032"))
#: What a loss of nothing is: degC/min, shares of the width of the bounds, degC/min, degC/min^2.
NEARLY_ZERO = {"thermal_balance": 0.05, "bounds": 1e-3, "rate": 0.01, "smoothness": 0.05}
MODEL = (2e-3, 3e-3, 1 / 1500, 1.5)

Bad = Callable[[Tensor], Tensor]


def flat(value: Tensor) -> Tensor:
    return value[:, :1].expand(-1, POINTS)


def jagged(value: Tensor) -> Tensor:
    return value + 0.6 * (-1.0) ** torch.arange(POINTS)


def jumping(value: Tensor) -> Tensor:
    return value + 8.0 * (torch.arange(POINTS) >= POINTS // 2)


def exploding(value: Tensor) -> Tensor:
    return value + 60.0 * torch.linspace(0, 1, POINTS) ** 4


def freezing(value: Tensor) -> Tensor:
    return value - 40.0 * torch.linspace(0, 1, POINTS) ** 4


#: Which checks must fail which curves; others may.
CAUGHT = {
    flat: (ThermalBalance,),
    jagged: (Smoothness,),
    jumping: (ThermalBalance, Rate),
    exploding: (ThermalBalance, Bounds),
    freezing: (ThermalBalance, Bounds),
}


@pytest.fixture
def planted() -> PhysicalView:
    view = varied(planted_model(*MODEL), 80)
    noise = 0.01 * torch.randn(view.mask.shape, generator=torch.Generator().manual_seed(3))
    return with_temperature(view, view.signals["temperature_degC"] + noise)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("part", "cells"), [("discharge", DISCHARGE), ("charge", CHARGE)])
def test_measured_cells_held_out_pass_and_cost_next_to_nothing(
    data_dir: Path, part: str, cells: tuple[tuple[str, ...], tuple[str, ...]], loss: type
) -> None:
    check, held_out = loss(), nasa(data_dir, part, *cells[1])
    check.fit(nasa(data_dir, part, *cells[0]))
    assert check.passes(nasa(data_dir, part, *cells[0])).float().mean() >= 0.98
    assert check.passes(held_out).float().mean() >= 0.95
    assert check(held_out) < NEARLY_ZERO[check.name]


@pytest.mark.parametrize(("bad", "losses"), CAUGHT.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_bad_curves_fail_and_have_a_way_back(data_dir: Path, bad: Bad, losses: tuple[type, ...]) -> None:
    train, view = nasa(data_dir, "discharge", *DISCHARGE[0]), nasa(data_dir, "discharge", *DISCHARGE[1])
    for loss in losses:
        check = loss()
        check.fit(train)
        curve = bad(view.signals["temperature_degC"]).clone().requires_grad_()
        value = check(with_temperature(view, curve))
        (gradient,) = torch.autograd.grad(value, [curve])
        assert value > 5 * check(view)
        assert value > 0.01
        assert torch.isfinite(gradient).all()
        assert (gradient.abs().amax(1) > 0).float().mean() > 0.9, "nearly every curve is pulled back"
        assert check(with_temperature(view, (curve - 0.05 / gradient.abs().max() * gradient).detach())) < value
        assert check.passes(with_temperature(view, curve)).float().mean() < 0.1


@pytest.mark.parametrize(("loss", "power"), [(Rate, 1), (Smoothness, 2)])
def test_units_and_limits_in_closed_form(planted: PhysicalView, loss: type, power: int) -> None:
    time_min = planted.time_s / 60.0
    check = loss()
    check.fit(with_temperature(planted, time_min**power / power))
    for size, allowed in ((1.1, True), (1.3, False)):
        steeper = with_temperature(planted, size * time_min**power / power)
        assert check(steeper).item() == pytest.approx(size - 1, abs=0.02 if power == 2 else 1e-3)
        assert check.passes(steeper).float().mean() == float(allowed)


@pytest.mark.parametrize("loss", LOSSES)
def test_twenty_below_is_a_temperature(planted: PhysicalView, loss: type) -> None:
    check = loss()
    check.fit(planted)
    cold = planted.ambient_degC == -20.0
    assert planted.signals["temperature_degC"][cold].min() < -19
    assert check.passes(planted)[cold].all()


def test_twenty_below_at_home_is_cold_where_the_ambient_is_not(planted: PhysicalView) -> None:
    check = Bounds()
    check.fit(planted)
    cold = planted.ambient_degC == -20.0
    warm = replace(planted, ambient_degC=torch.full((80,), 25.0), start_temperature_degC=torch.full((80,), 25.0))
    assert not check.passes(warm)[cold].any()


def test_the_flaw_of_the_slides(data_dir: Path, planted: PhysicalView) -> None:
    check, view = Slides(), nasa(data_dir, "discharge", *DISCHARGE[0])
    check.fit(view)
    torch.testing.assert_close(check.trend, view.signals["temperature_degC"].mean(0))
    value = view.signals["temperature_degC"]
    assert check(view).item() == pytest.approx((value - check.trend).square().mean().item(), rel=1e-4)
    assert check(view) > 10, "measured profiles are punished for their conditions"
    cold = with_temperature(view, torch.full_like(value, -10.0).requires_grad_())
    check.trend = torch.full((POINTS,), -10.0)
    assert check(cold).item() == pytest.approx(10.0)


@pytest.mark.parametrize("loss", ALL)
def test_points_behind_the_end_never_count(planted: PhysicalView, loss: type) -> None:
    mask = planted.mask.clone()
    mask[:, 40:] = 0.0
    value = planted.signals["temperature_degC"].clone()
    value[:, 40:] = 500.0
    check, other = loss(), loss()
    check.fit(replace(with_temperature(planted, value), mask=mask))
    value = value.clone()
    value[:, 40:] = -300.0
    value.requires_grad_()
    behind = replace(with_temperature(planted, value), mask=mask)
    other.fit(behind)
    for name, buffer in check.state_dict().items():
        if name != "trend":
            torch.testing.assert_close(buffer, other.state_dict()[name], rtol=1e-4, atol=1e-7)
    (gradient,) = torch.autograd.grad(check(behind) + 0 * value.sum(), [value])
    assert bool((gradient[:, 40:] == 0).all())
    assert check.passes(behind).float().mean() > 0.95


def test_electric_bounds(data_dir: Path) -> None:
    view = nasa(data_dir, "discharge", *DISCHARGE[0])
    for name, away in (("voltage_V", -2.0), ("voltage_V", 1.5), ("current_A", -6.0), ("current_A", 5.0)):
        check = Bounds()
        check.fit(view)
        moved = (view.signals[name] + away).requires_grad_()
        bad = replace(view, signals={**view.signals, name: moved})
        (gradient,) = torch.autograd.grad(check(bad), [moved])
        assert check.passes(bad).float().mean() < 0.1
        assert (gradient * away).max() > 0
        assert (gradient * away).min() >= 0
    given = Bounds(voltage_V=[2.5, 3.0])
    given.fit(view)
    assert (given.low[1].item(), given.high[1].item()) == (2.5, 3.0)
    assert given(view) > 0.1


def test_upper_limit_by_data_chemistry_or_config(planted: PhysicalView) -> None:
    highest = planted.signals["temperature_degC"].max().item()
    upper = {}
    for name, check in {"data": Bounds(), "config": Bounds(upper_degC=70.0), "LFP": Bounds(chemistry="LFP")}.items():
        check.fit(with_temperature(planted, planted.signals["temperature_degC"] - 30))
        upper[name] = check.high[0].item()
    assert upper == pytest.approx({"data": highest - 27, "config": 70.0, "LFP": max(60.0, highest - 27)}, abs=1e-3)
    with pytest.raises(ConfigError, match="upper_degC"):
        Bounds(chemistry="lead")
    with pytest.raises(ConfigError, match="voltage_V"):
        Bounds(voltage_V=[4.2, 2.5])


@pytest.mark.parametrize("loss", ALL)
def test_what_is_missing_is_named_with_a_remedy(planted: PhysicalView, loss: type) -> None:
    with pytest.raises(ConfigError, match=rf"model.physics.{loss.name} needs .*temperature_degC.*null"):
        loss().fit(replace(planted, signals={"soc": planted.mask}))
    no_ambient = replace(planted, ambient_degC=None)
    if loss in (ThermalBalance, Bounds):
        with pytest.raises(ConfigError, match=rf"model.physics.{loss.name} .*add ambient_degC"):
            loss().fit(no_ambient)
    else:
        loss().fit(no_ambient)


def test_no_current_no_balance(planted: PhysicalView) -> None:
    none = torch.zeros_like(planted.mask)
    with pytest.raises(ConfigError, match=r"thermal_balance needs a current.*c_rate"):
        ThermalBalance().fit(replace(planted, current_C=none, current_sq_C2=none))


def test_state_restores_and_pass_rates_count(planted: PhysicalView) -> None:
    checks = [loss() for loss in ALL]
    for check in checks:
        check.fit(planted)
    value = planted.signals["temperature_degC"].clone()
    value[:20] = exploding(value[:20]) + 100
    value[20] = torch.nan
    bad = with_temperature(planted, value)
    again = [loss() for loss in ALL]
    for old, new in zip(checks, again, strict=True):
        restore(new, old.state_dict())
    rates = pass_rates(again, bad)
    assert rates == pass_rates(checks, bad)
    assert list(rates) == ["thermal_balance", "bounds", "rate", "smoothness", "slides"]
    assert rates["bounds"] == pytest.approx(59 / 80)
    assert not any(found[20] for found in passed(checks, bad).values())
    with pytest.raises(ValueError, match="at least one"):
        pass_rates(checks, replace(planted, mask=planted.mask[:0]))
