"""The GANs of profiles: what their draws depend on, where they begin, and what their losses are in closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from batgen.models.base import DataShape, restore
from batgen.models.cgan import CGAN
from batgen.models.layers.physical import physical_view
from batgen.models.wgan_gp import WganGp
from tests.models.planted import drawn
from tests.models.planted_profiles import CENTRE, COND, POINTS, SCALE, conditions, rows, shape

SMALL: dict[str, Callable[[DataShape], CGAN | WganGp]] = {
    "vanilla_gan": lambda s: CGAN(s, conditional=False, noise=3, hidden=6),
    "cgan": lambda s: CGAN(s, noise=3, hidden=6),
    "cgan_conv": lambda s: CGAN(s, noise=3, hidden=6, generator="conv", projection=True, step_noise=2),
    "wgan_gp": lambda s: WganGp(s, noise=3, hidden=6, critic_hidden=4),
    "wgan_gp_lstm": lambda s: WganGp(s, noise=3, hidden=6, critic_hidden=4, generator="lstm", step_noise=2, ema=0.0),
    "hybrid": lambda s: WganGp(s, thermal=True, noise=3, hidden=6, critic_hidden=4),
}


def new(name: str, of: DataShape | None = None, seed: int = 0) -> CGAN | WganGp:
    torch.manual_seed(seed)
    model = SMALL[name](of or shape())
    model.fit(*rows()[:3])
    return model.eval()


def every(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, SMALL)


@every("name")
def test_draws_are_a_function_of_conditions_count_and_generator(name: str) -> None:
    model, cond = new(name), conditions(5, seed=3)
    first = drawn(model, cond, 3, seed=4)
    assert first.shape == (3, 5, 2, POINTS)
    assert first.dtype == torch.float32
    assert not first.requires_grad
    torch.rand(11)
    assert torch.equal(first, drawn(model, cond, 3, seed=4))
    assert not torch.equal(first, drawn(model, cond, 3, seed=5))
    assert not torch.equal(first[0], first[1]), "draws of one condition differ"


@every("name")
def test_restored_gives_the_same_bits(name: str) -> None:
    model = new(name)
    if isinstance(model, WganGp):  # so that the average is not the generator
        with torch.no_grad():
            for parameter in model.averaged.parameters():
                parameter.add_(0.1)
    fresh = SMALL[name](shape()).eval()
    restore(fresh, {key: value.clone() for key, value in model.state_dict().items()})
    cond = conditions(5, seed=3)
    assert torch.equal(drawn(model, cond, 3), drawn(fresh, cond, 3))


@every("name")
def test_conditions_matter_to_all_but_the_vanilla_gan(name: str) -> None:
    model, cond = new(name), conditions(4, seed=3)
    for place in range(len(COND)):
        moved = cond.clone()
        moved[:, place] += 1.0
        same = torch.equal(drawn(model, cond, 3), drawn(model, moved, 3))
        assert same == (name == "vanilla_gan"), COND[place]


@every("name")
def test_the_duration_is_one_number_a_profile(name: str) -> None:
    duration = drawn(new(name), conditions(5), 4)[:, :, -1]
    assert torch.equal(duration, duration[..., :1].expand_as(duration))
    assert duration[..., 0].unique().numel() == 20


@pytest.mark.parametrize("name", ["wgan_gp", "wgan_gp_lstm", "hybrid"])
def test_profiles_begin_at_the_start_temperature(name: str) -> None:
    cond = conditions(6, seed=3)
    start = cond[:, 1, None, None].expand(-1, 1, POINTS)
    x = drawn(new(name), cond, 4).flatten(0, 1)
    view = physical_view(x, cond.repeat(4, 1), start.repeat(4, 1, 1), torch.ones(24), shape())
    assert torch.allclose(view.signals["temperature_degC"][:, 0], cond[:, 1].repeat(4), rtol=0, atol=1e-5)
    assert (view.signals["temperature_degC"].std(1) > 0).all()


@pytest.mark.parametrize("name", ["wgan_gp", "hybrid"])
def test_a_critic_judges_what_is_drawn(name: str) -> None:
    """Of generated profiles too, in both losses, the critic sees only such as begin where a profile is known to begin."""
    model, batch, seen = new(name), rows(12), []
    model.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 0, 0].detach()))
    model.generator_loss(batch)
    model.critic_loss(batch)
    assert [len(x) for x in seen] == [12, 24, 12], "generated; measured and generated; between these"
    for start in seen:
        assert torch.allclose(start, torch.tensor(-CENTRE[0] / SCALE[0]), atol=1e-5)


def test_without_a_start_that_is_known_nothing_is_pinned() -> None:
    assert drawn(new("wgan_gp", shape(relative="none")), conditions(6), 4)[:, :, 0, 0].std() > 0


def hybrid_that_says(departure: float, duration: float, of: DataShape) -> WganGp:
    """A hybrid with known thermal numbers, whose network says constants."""
    torch.manual_seed(0)
    model = WganGp(of, thermal=True, noise=3, hidden=6, critic_hidden=4)
    assert model.thermal is not None
    model.conditioner.fit(conditions(60))
    for name, value in {"a": 2e-3, "b": 1e-3, "h": 5e-4, "offset": 0.5}.items():
        getattr(model.thermal.thermal, name).fill_(value)
    for network in (model.generator, model.averaged):
        for layer, value in ((network.out, departure), (network.duration, duration)):
            nn.init.zeros_(layer.weight)  # type: ignore[union-attr, arg-type]
            nn.init.constant_(layer.bias, value)  # type: ignore[union-attr, arg-type]
    return model.eval()


def test_a_hybrid_whose_network_is_silent_is_the_thermal_model() -> None:
    cond, of = conditions(5, seed=3), shape()
    x = drawn(hybrid_that_says(0.0, 0.4, of), cond, 1)[0]
    seconds = math.exp(CENTRE[1] + 0.4 * SCALE[1])
    # closed form of dT/dt = heat - h (T - ambient - offset) under a constant current
    ambient, start, rate, rms = (cond[:, i, None] for i in range(4))
    level = ambient + 0.5 + (2e-3 * rms**2 + 1e-3 * rate) / 5e-4
    expected = level + (start - level) * torch.exp(-5e-4 * torch.linspace(0, seconds, POINTS))
    assert torch.allclose(x[:, 0] * SCALE[0] + CENTRE[0] + start, expected, atol=1e-3)


def test_a_hybrid_is_taught_through_its_duration_and_current() -> None:
    of = shape(signals=("temperature_degC", "current_A"))
    model = hybrid_that_says(0.0, 0.0, of)
    assert model.thermal is not None
    x = torch.randn(4, 3, POINTS).requires_grad_()
    made = model.thermal(x, conditions(4))
    made[:, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad[:, 1].abs().sum(1) > 0).all(), "current"
    assert (x.grad[:, 2].abs().sum(1) > 0).all(), "duration"
    assert torch.equal(made[:, 1:], x[:, 1:]), "only the temperature is changed"


class Slope(nn.Module):
    """The linear critic w . signals + v * duration, with the duration once, as their mean over the points."""

    def __init__(self, w: float, v: float):
        super().__init__()
        self.w, self.v = w, v

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        return self.w * x[:, :-1].sum((1, 2)) + self.v * x[:, -1].mean(1)


@pytest.mark.parametrize(("w", "v"), [(0.5, 2.0), (0.0, 3.0), (0.25, 0.0)])
def test_gradient_penalty_of_a_linear_critic(w: float, v: float) -> None:
    """|grad| = sqrt(P w^2 + v^2 / P): a slope v over P numbers that are one is v / sqrt(P) along their direction."""
    model = new("wgan_gp")
    model.critic = Slope(w, v)  # type: ignore[assignment]
    expected = (math.sqrt(POINTS * w**2 + v**2 / POINTS) - 1) ** 2
    batch = rows(20)
    penalty = model._penalty(batch.x, torch.randn_like(batch.x), torch.zeros(20, 4))  # type: ignore[operator]
    assert float(penalty) == pytest.approx(expected, rel=1e-5, abs=1e-9)
    judged = model.critic_loss(batch)
    assert float(judged["penalty"]) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_wasserstein_losses_are_differences_of_means() -> None:
    model, batch = new("wgan_gp"), rows(20)
    model.score = 0.0  # type: ignore[assignment]
    # judges by the duration; its slope is 1, the penalty 0
    model.critic = Slope(0.0, math.sqrt(POINTS))  # type: ignore[assignment]
    torch.manual_seed(1)
    made, fake = model.generator_loss(batch)
    assert made.item() == pytest.approx(-math.sqrt(POINTS) * fake[:, -1].mean().item(), abs=1e-5)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    loss = model.critic_loss(batch)["loss"]
    torch.set_rng_state(state)
    _, same = model.generator_loss(batch)
    assert loss.item() == pytest.approx(
        math.sqrt(POINTS) * (same[:, -1].mean() - batch.x[:, -1].mean()).item(), abs=1e-4
    )


def test_a_discriminator_that_does_not_know_costs_two_ln_two() -> None:
    model, batch = new("cgan"), rows(20)
    nn.init.zeros_(model.critic.last.weight)  # type: ignore[arg-type, union-attr]
    nn.init.constant_(model.critic.last.bias, 0.0)  # type: ignore[arg-type, union-attr]
    assert model.critic_loss(batch)["loss"].item() == pytest.approx(2 * math.log(2))
    assert model.generator_loss(batch)[0].item() == pytest.approx(math.log(2))
    nn.init.constant_(model.critic.last.bias, 5.0)  # type: ignore[arg-type, union-attr]  # calls all of them real
    judged = model.critic_loss(batch)
    assert float(judged["accuracy"]) == 0.5
    assert judged["loss"].item() == pytest.approx(math.log1p(math.exp(-5)) + math.log1p(math.exp(5)), rel=1e-5)


@pytest.mark.parametrize("ema", [0.9, 0.5])
def test_the_average_forgets_early_weights(ema: float) -> None:
    """Weight of step t: max(1 - ema, 9 / (9 + t)); the generator's weights are set to t before each."""
    model = WganGp(shape(), noise=3, hidden=6, critic_hidden=4, ema=ema)
    value = next(iter(model.averaged.parameters())).detach().flatten()[0].item()
    for step in range(1, 30):
        with torch.no_grad():
            for parameter in model.generator.parameters():
                parameter.fill_(float(step))
        model.average()
        weight = max(1 - ema, 9 / (9 + step))
        value += weight * (step - value)
    first = next(iter(model.averaged.parameters())).flatten()
    assert first.tolist() == pytest.approx([value] * len(first), rel=1e-5)
    assert int(model.averaged_steps) == 29


def test_draws_are_from_the_average_and_none_without() -> None:
    for ema, expected in ((0.9, True), (0.0, False)):
        model = WganGp(shape(), noise=3, hidden=6, critic_hidden=4, ema=ema).eval()
        model.fit(*rows()[:3])
        before = drawn(model, conditions(3), 2)
        with torch.no_grad():
            for parameter in model.generator.parameters():
                parameter.add_(1.0)
        assert torch.equal(before, drawn(model, conditions(3), 2)) == expected
        model.average()
        assert not torch.equal(before, drawn(model, conditions(3), 2))
