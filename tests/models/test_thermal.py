"""The lumped thermal model: what it recovers, what it simulates, and the baseline made of it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.base import DataShape, ProfileScales, restore
from batgen.models.layers.physical import PhysicalView, physical_view
from batgen.models.layers.slopes import row_mean, slope, window_ends, window_mean
from batgen.models.layers.thermal import ThermalModel
from batgen.models.thermal_model import ThermalProfile
from tests.models.profile_views import POINTS, made, nasa, planted_model, varied, with_temperature

A, B, H, OFFSET = 2e-3, 3e-3, 1 / 1500, 1.5
TRAIN = ("B0005", "B0006", "B0018", "B0025", "B0029", "B0030")
CONDITIONS = ("ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms")


def test_simulate_is_the_closed_form_under_a_constant_current() -> None:
    model = planted_model(A, B, H, OFFSET)
    view = made(model, torch.tensor([24.0]), torch.full((1, POINTS), 2.0), torch.tensor([37.0]), torch.tensor([21.0]))
    time_s = 37.0 * torch.arange(POINTS, dtype=torch.float64)
    settled = 24.0 + OFFSET + (4 * A + 2 * B) / H
    expected = settled + (21.0 - settled) * torch.exp(-H * time_s)
    torch.testing.assert_close(view.signals["temperature_degC"][0].double(), expected, atol=1e-4, rtol=0)


def test_simulate_without_loss_and_with_a_current_that_stops() -> None:
    rate = torch.ones(1, 9)
    rate[:, 5:] = 0.0
    view = made(planted_model(A, 0.0, 0.0, 0.0), torch.zeros(1), rate, torch.tensor([10.0]), torch.zeros(1))
    steps = torch.tensor(
        [0.0, 1, 2, 3, 4, 4.5, 4.5, 4.5, 4.5]
    )  # between the last point with and the first without: half
    torch.testing.assert_close(view.signals["temperature_degC"][0], steps * 10 * A, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("refine", "share"), [(False, 0.03), (True, 0.005)])
def test_fit_recovers_planted_numbers(refine: bool, share: float) -> None:
    view = varied(planted_model(A, B, H, OFFSET))
    model = ThermalModel(refine=refine)
    model.fit(view)
    for name, value in (("a", A), ("b", B), ("h", H), ("offset", OFFSET)):
        assert getattr(model, name).item() == pytest.approx(value, rel=share)
    assert model.residual(view).abs().max() < 0.05


def test_heat_from_nowhere_gives_no_negative_a_or_h() -> None:
    view = varied(planted_model(A, B, H, OFFSET))
    upside_down = 2 * view.signals["temperature_degC"][:, :1] - view.signals["temperature_degC"]
    model = ThermalModel()
    model.fit(with_temperature(view, upside_down))
    assert model.a.item() >= 0
    assert model.h.item() > 0


def test_rate_and_residual_say_the_same_in_their_units() -> None:
    model = planted_model(A, B, H, OFFSET)
    view = varied(model)
    measured = torch.diff(view.signals["temperature_degC"], dim=1) / view.step_s[:, None]
    middle = (model.rate(view)[:, 1:] + model.rate(view)[:, :-1]) / 2
    torch.testing.assert_close(measured, middle, atol=2e-5, rtol=1e-2)
    warmed = with_temperature(view, view.signals["temperature_degC"] + view.time_s / 60)
    extra = model.residual(warmed) - model.residual(view)
    ends = window_ends(view.step_s, view.mask, model.window_s)
    torch.testing.assert_close(extra, 1 + H * window_mean(view.time_s, ends), atol=2e-3, rtol=0)


def test_gradients_reach_current_duration_and_temperature() -> None:
    model = planted_model(A, B, H, OFFSET)
    view = varied(model)
    rate, step_s = view.current_C.clone().requires_grad_(), view.step_s.clone().requires_grad_()
    generated = replace(view, current_C=rate, current_sq_C2=rate**2, step_s=step_s)
    for found in torch.autograd.grad(model.simulate(generated).sum(), [rate, step_s]):
        assert torch.isfinite(found).all()
        assert (found.abs() > 0).float().mean() > 0.9
    temperature = view.signals["temperature_degC"].clone().requires_grad_()
    (found,) = torch.autograd.grad(model.residual(with_temperature(view, temperature)).square().sum(), [temperature])
    assert (found.abs() > 0).float().mean() > 0.9


def test_windows_stay_within_the_record() -> None:
    mask = torch.ones(2, 10)
    mask[1, 4:] = 0.0
    first, last = window_ends(torch.tensor([10.0, 10.0]), mask, 40.0)
    assert (last - first)[0].tolist() == [4] * 10
    assert (last - first)[1].tolist() == [3] * 10
    assert last[1].max() == 3
    line = 3.0 * torch.arange(10.0).expand(2, 10).clone()
    line[1, 4:] = 1e6
    ends = (first, last)
    assert slope(line, torch.tensor([10.0, 10.0]), ends)[:, :4].flatten().tolist() == pytest.approx([0.3] * 8)
    assert row_mean(line, mask).tolist() == pytest.approx([13.5, 4.5])


def test_points_behind_the_end_do_not_count() -> None:
    view = varied(planted_model(A, B, H, OFFSET))
    mask = view.mask.clone()
    mask[:, 40:] = 0.0
    held = view.signals["temperature_degC"].clone()
    held[:, 40:] = 1e3
    model, short = ThermalModel(refine=False), replace(with_temperature(view, held), mask=mask)
    model.fit(short)
    assert model.h.item() == pytest.approx(H, rel=0.03)
    assert (model.residual(short) * mask).abs().max() < 0.05


@pytest.mark.parametrize("missing", ["temperature_degC", "ambient_degC", "start_temperature_degC"])
def test_what_is_missing_is_said(missing: str) -> None:
    view = varied(planted_model(A, B, H, OFFSET))
    view = replace(view, signals={}) if missing == "temperature_degC" else replace(view, **{missing: None})
    with pytest.raises(ValueError, match=missing):
        ThermalModel().fit(view)


def test_measured_discharges_of_other_cells(data_dir: Path) -> None:
    train, test = nasa(data_dir, "discharge", *TRAIN), nasa(data_dir, "discharge", "B0007", "B0026", "B0032")
    peak_error = {}
    for refine in (False, True):
        model = ThermalModel(refine=refine)
        model.fit(train)
        off = model.simulate(test).amax(1) - test.signals["temperature_degC"].amax(1)
        peak_error[refine] = off.abs().mean().item()
    assert peak_error[True] < 1.8
    assert peak_error[True] < peak_error[False] - 0.2
    assert 10 < 1 / model.h.item() / 60 < 60, "minutes"


def profiles(view: PhysicalView, relative: str) -> tuple[DataShape, torch.Tensor, torch.Tensor]:
    """Shape, x (N, 3, P) of temperature and a made-up voltage, conditions, of records with constant currents."""
    temperature, rate = view.signals["temperature_degC"], view.current_C[:, 0]
    start = temperature[:, :1] if relative == "start" else torch.zeros(len(rate), 1)
    log_duration = (view.step_s * (POINTS - 1)).log()
    voltage = 4.0 - 0.2 * rate[:, None] * torch.linspace(0, 1, POINTS)
    x = torch.stack(
        [(temperature - start - 5) / 4, (voltage - 3.5) / 0.3, ((log_duration - 8) / 0.5)[:, None] + 0 * voltage], 1
    )
    scales = ProfileScales((5.0, 3.5, 8.0), (4.0, 0.3, 0.5), None, 2.0, relative, "discharge")
    shape = DataShape(tuple(x.shape[1:]), ("temperature_degC", "voltage_V", "log_duration"), CONDITIONS, (), scales)
    assert view.ambient_degC is not None
    return shape, x, torch.stack([view.ambient_degC, temperature[:, 0], rate, rate], dim=1)


def constant_currents() -> PhysicalView:
    """A discharge takes as long as its current says: 3600 s over the rate."""
    g = torch.Generator().manual_seed(1)
    rate = 0.8 + 1.5 * torch.rand(60, generator=g)
    ambient = torch.tensor([0.0, 24.0, 43.0]).repeat(20)
    start = ambient + torch.rand(60, generator=g)
    return made(
        planted_model(A, B, H, OFFSET), ambient, rate[:, None].expand(-1, POINTS), 3600 / rate / (POINTS - 1), start
    )


@pytest.mark.parametrize("relative", ["start", "none"])
def test_the_baseline_draws_what_obeys_the_model(relative: str) -> None:
    shape, x, cond = profiles(constant_currents(), relative)
    model = ThermalProfile(shape)
    model.fit(x[:40], cond[:40], torch.arange(40) // 5)
    drawn = model.sample(cond[40:], 3)
    assert drawn.shape == (3, 20, 3, POINTS)
    assert bool((drawn[0] == drawn[2]).all())
    base = torch.zeros(20, 2, POINTS)
    base[:, 0] = cond[40:, 1:2] if relative == "start" else 0.0
    view = physical_view(drawn[0], cond[40:], base, torch.ones(20), shape)
    real = physical_view(x[40:], cond[40:], base, torch.ones(20), shape)
    assert (view.signals["temperature_degC"] - real.signals["temperature_degC"]).abs().max() < 0.6
    assert (view.signals["voltage_V"] - real.signals["voltage_V"]).abs().max() < 0.01
    assert (view.step_s / real.step_s).log().abs().max() < 0.05
    again = ThermalProfile(shape)
    restore(again, model.state_dict())
    torch.testing.assert_close(again.sample(cond[40:], 1), drawn[:1], atol=0, rtol=0)


def test_the_baseline_refuses_what_it_cannot_simulate() -> None:
    shape, _, _ = profiles(constant_currents(), "start")
    assert shape.profile is not None
    with pytest.raises(ConfigError, match="relative=reference"):
        ThermalProfile(replace(shape, profile=replace(shape.profile, relative="reference")))
    with pytest.raises(ConfigError, match="temperature_degC"):
        ThermalProfile(replace(shape, slices=("current_A", "voltage_V", "log_duration")))
    few = tuple(f"other{i}" if name == "c_rate" else name for i, name in enumerate(shape.cond_names))
    with pytest.raises(ConfigError, match="needs the condition c_rate"):
        ThermalProfile(replace(shape, cond_names=few))


def test_durations_far_out_stay_finite() -> None:
    model = planted_model(A, B, H, OFFSET)
    view = made(model, torch.tensor([24.0]), torch.ones(1, POINTS), torch.tensor([1e6]), torch.tensor([24.0]))
    assert view.signals["temperature_degC"][0, -1].item() == pytest.approx(24 + OFFSET + (A + B) / H, rel=1e-4)
    assert math.isfinite(view.signals["temperature_degC"].sum().item())
