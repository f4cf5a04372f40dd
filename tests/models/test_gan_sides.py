"""What GANs share: conditions with noise, ends of profiles hidden from critics, networks that refuse and networks that judge."""

from dataclasses import replace

import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.cgan import CGAN
from batgen.models.layers.gan_sides import Conditioner, held, pair_score, within
from batgen.models.layers.profile_critics import ConvCritic, SlidesDiscriminator
from batgen.models.layers.profile_generators import profile_generator
from batgen.models.wgan_gp import WganGp
from tests.models.planted_profiles import CENTRE, COND, POINTS, SCALE, rows, shape

STEP_S = 100.0


def lasting(duration_s: list[float]) -> torch.Tensor:
    """x of `shape(step_s=...)` with ones as its temperature and these durations."""
    log = (torch.tensor(duration_s).log() - CENTRE[1]) / SCALE[1]
    return torch.stack([torch.ones(len(log), POINTS), log[:, None].expand(-1, POINTS)], 1)


def test_points_behind_the_end_are_zero_for_a_critic() -> None:
    x = lasting([340.0, 360.0, 1e6])  # the third point ends at 300 s, and half a step is allowed
    seen = within(x, shape(step_s=STEP_S))
    assert seen[:, 0].sum(1).tolist() == [4, 5, POINTS]
    assert torch.equal(seen[0, 0], (torch.arange(POINTS) < 4).float())
    assert torch.equal(seen[:, 1], x[:, 1])
    assert within(x, shape()) is x, "points spread over the duration are all within it"


def test_draws_hold_their_last_value_behind_their_end() -> None:
    x = torch.arange(POINTS, dtype=torch.float32).repeat(1, 2, 1)
    own = shape(step_s=STEP_S)
    assert own.profile is not None
    log = torch.tensor(3.0 * STEP_S).log()  # the last point is number 3
    x[:, -1] = (log - own.profile.centre[-1]) / own.profile.scale[-1]
    assert held(x, own)[0, 0].tolist() == [0.0, 1.0, 2.0, *[3.0] * (POINTS - 3)]
    assert torch.equal(held(x, shape()), x), "on the span grid nothing is behind the end"


@pytest.mark.parametrize("build", [CGAN, WganGp])
def test_no_critic_sees_what_is_behind_the_end(build: type[CGAN | WganGp]) -> None:
    """Neither loss changes with what measured profiles hold there, and generated ones get no gradient from it."""
    torch.manual_seed(0)
    model = build(shape(step_s=STEP_S), noise=3, hidden=6)
    batch = rows(12)
    batch = batch._replace(x=lasting([340.0] * 12))
    model.fit(*batch[:3])
    losses = []
    for value in (1.0, -40.0):
        x = batch.x.clone()
        x[:, 0, 4:] = value
        torch.manual_seed(1)
        losses.append(float(model.critic_loss(batch._replace(x=x))["loss"].detach()))
    assert losses[0] == losses[1]
    x = batch.x.clone().requires_grad_()
    cond = torch.zeros(12, 4)
    (gradient,) = torch.autograd.grad(model.critic(within(x, model.shape), cond).sum(), x)
    assert (gradient[:, 0, :4] != 0).any()
    assert (gradient[:, 0, 4:] == 0).all()


def test_noise_on_conditions_is_for_training_and_for_numbers_that_vary() -> None:
    names = (*COND, "chemistry=LFP", "chemistry=NMC", "soc")
    conditioner = Conditioner(replace(shape(), cond_names=names), jitter=0.5)
    cond = rows(4000).cond
    kind = (torch.arange(4000) % 2).float()
    cond = torch.cat([cond, kind[:, None], 1 - kind[:, None], torch.full((4000, 1), 0.9)], 1)
    conditioner.fit(cond)
    clean = conditioner(cond)
    assert torch.equal(clean, conditioner(cond))
    assert clean[:, :6].std(0).tolist() == pytest.approx([1.0] * 6, abs=0.01)
    assert (clean[:, 6] == 0).all()
    difference = conditioner(cond, noisy=True) - clean
    assert difference[:, :4].std(0).tolist() == pytest.approx([0.5] * 4, abs=0.03)
    assert (difference[:, 4:] == 0).all()
    conditioner.jitter = 0.0
    assert torch.equal(conditioner(cond, noisy=True), clean)


def test_losses_are_under_noisy_conditions_and_draws_are_not() -> None:
    seen: list[bool] = []
    model = WganGp(shape(), noise=3, hidden=6, critic_hidden=4, jitter=0.3)
    model.conditioner.register_forward_pre_hook(
        lambda _, args, named: seen.append(named.get("noisy", False)), with_kwargs=True
    )
    batch = rows(8)
    model.fit(*batch[:3])
    model.critic_loss(batch)
    model.generator_loss(batch)
    model.sample(batch.cond, 2)
    assert seen == [True, True, False]


@pytest.mark.parametrize("points", [3, 8, 50, 64])
@pytest.mark.parametrize("kind", ["lstm", "conv"])
def test_networks_take_any_number_of_points(kind: str, points: int) -> None:
    made = profile_generator(kind, 5, 2, points, 8, 1)(torch.randn(4, 5))
    assert made.shape == (4, 3, points)
    for critic in (SlidesDiscriminator(3, points, 2, True), ConvCritic(3, points, 2, 4, True)):
        assert critic(made, torch.randn(4, 2)).shape == (4,)


@pytest.mark.parametrize("critic", [SlidesDiscriminator(2, POINTS, 2, True), ConvCritic(2, POINTS, 2, 4, True)])
def test_projection_multiplies_features_and_conditions(critic: SlidesDiscriminator | ConvCritic) -> None:
    """Critics that are blind to conditions but for the projection: the verdict is affine in them, with features as slopes."""
    assert critic.project is not None
    x = torch.randn(5, 2, POINTS)
    with torch.no_grad():
        for layer in critic.first if isinstance(critic, SlidesDiscriminator) else critic.dense:
            if isinstance(layer, torch.nn.Linear):
                width = 8 * POINTS * 2 // 2 if isinstance(critic, SlidesDiscriminator) else 64
                layer.weight[:, width : width + 2] = 0
        verdicts = [
            critic(x, torch.tensor([c]).expand(5, -1)) for c in ([0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0])
        ]
        assert torch.allclose(verdicts[2] - verdicts[1], verdicts[1] - verdicts[0], atol=1e-5)
        assert (verdicts[1] - verdicts[0]).std() > 0, "as much as the features of each profile say"
        critic.project.weight.zero_()
        assert torch.equal(critic(x, torch.zeros(5, 2)), critic(x, torch.ones(5, 2)))


WRONG = [
    (CGAN, {"noise": 0}, {}, r"model\.noise=0"),
    (CGAN, {"hidden": 0}, {}, r"model\.hidden=0"),
    (CGAN, {"critic_steps": 0}, {}, r"model\.critic_steps=0"),
    (CGAN, {"generator": "gru"}, {}, r"model\.generator='gru'"),
    (CGAN, {"jitter": -0.1}, {}, r"model\.jitter=-0\.1"),
    (CGAN, {"conditional": False, "projection": True}, {}, r"model\.projection=true.*conditional=true"),
    (WganGp, {"noise": 0}, {}, r"model\.noise=0"),
    (WganGp, {"critic_hidden": 0}, {}, r"model\.critic_hidden=0"),
    (WganGp, {"generator": "gru"}, {}, r"model\.generator='gru'"),
    (WganGp, {"jitter": -0.1}, {}, r"model\.jitter=-0\.1"),
    (WganGp, {"penalty": -1.0}, {}, r"model\.penalty=-1"),
    (WganGp, {"ema": 1.0}, {}, r"model\.ema=1"),
    (WganGp, {"thermal": True}, {"signals": ("voltage_V",)}, r"signal temperature_degC.*preprocessing\.signals"),
    (WganGp, {"thermal": True}, {"conditions": COND[1:]}, r"condition ambient_degC.*preprocessing\.conditions"),
    (WganGp, {"thermal": True}, {"conditions": COND[:1] + COND[2:]}, r"start_temperature_degC"),
    (WganGp, {"thermal": True}, {"conditions": COND[:2]}, r"condition c_rate"),
    (WganGp, {"thermal": True}, {"conditions": COND[:3]}, r"condition c_rate_rms"),
    (WganGp, {"thermal": True}, {"relative": "reference"}, r"preprocessing\.relative=reference.*=start"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "options", "data", "message"), WRONG, ids=lambda v: str(v) if isinstance(v, dict) else ""
)
def test_what_cannot_be_is_refused_with_its_key(build: type, options: dict, data: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(shape(**data), **options)


def test_a_generated_current_stands_in_for_the_conditions() -> None:
    of: DataShape = shape(conditions=COND[:2], signals=("temperature_degC", "current_A"))
    assert WganGp(of, thermal=True).title == "hybrid"


def test_the_score_of_two_draws_is_lowest_at_the_spread_of_the_truth() -> None:
    """Closed form for points on a line, and its minimum: not at draws that are all alike."""
    one, other, real = (torch.tensor(v).view(-1, 1, 1) for v in ([1.0, 4.0], [3.0, 4.0], [0.0, 0.0]))
    assert float(pair_score(one, other, real)) == pytest.approx((0.5 * (1 + 3 - 2) + 0.5 * (4 + 4 - 0)) / 2, abs=1e-3)
    torch.manual_seed(0)
    real = torch.randn(20000, 1, 1)
    scores = {
        w: float(pair_score(w * torch.randn_like(real), w * torch.randn_like(real), real)) for w in (0.0, 1.0, 2.0)
    }
    assert scores[1.0] < scores[0.0] - 0.1
    assert scores[1.0] < scores[2.0] - 0.05
    same = torch.zeros(3, 1, 1, requires_grad=True)
    pair_score(same, same, torch.zeros(3, 1, 1)).backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()
