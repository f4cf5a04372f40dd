"""The sequence forecaster as a whole: both decoding passes agree, nothing leaks, the loss counts what it should."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from batgen.errors import ConfigError
from batgen.models.seq2seq_quantile import Seq2SeqQuantile, pinball_by_target
from batgen.models.sequence_base import SequenceBatch, SequenceShape

SHAPE = SequenceShape(("a", "b"), ("extra",), ("cycle", "rate"), (("first", ("x", "y")), ("second", ("z",))), 1)
BARE = SequenceShape(("a",), (), (), (), 5)
WINDOWS, STEPS, PAST = 4, 7, 9
#: Nearly 1: decoded block after block, and the truth is always fed back.
BY_LOOP = 1 - 1e-12

WAYS: dict[str, dict[str, Any]] = {
    "plain": {"feedback": False},
    "feedback": {},
    "blocks": {"block": 3},
    "blocks, no feedback": {"block": 3, "feedback": False},
    "additive, two ways": {"attention": "additive", "bidirectional": True, "layers": 2},
    "window": {"window": 4},
    "level": {"residual": False, "block": 2},
    "independent": {"ordered": False},
    "arcana": {"arcana_compat": True, "window": 5, "attention": "additive", "bidirectional": True},
}
OURS = [name for name in WAYS if name != "arcana"]


def made(shape: SequenceShape = SHAPE, **options: Any) -> Seq2SeqQuantile:
    torch.manual_seed(5)
    return Seq2SeqQuantile(shape, **({"hidden": 8, "heads": 2} | options)).eval()


def batch(shape: SequenceShape = SHAPE, windows: int = WINDOWS, seed: int = 0) -> SequenceBatch:
    torch.manual_seed(seed)
    targets = len(shape.targets)
    length = torch.tensor([PAST, 2, 6, 1][:windows])
    past = torch.randn(windows, PAST, shape.past_size) * (torch.arange(PAST) < length[:, None])[..., None]
    return SequenceBatch(
        past=past,
        length=length,
        statics=torch.randn(windows, shape.static_size),
        known=torch.ones(windows, len(shape.groups)),
        future=torch.randn(windows, STEPS, len(shape.covariates)),
        last=torch.randn(windows, targets),
        target=torch.randn(windows, STEPS, targets),
        weight=torch.ones(windows, STEPS, targets),
        cell=torch.arange(windows),
    )


@pytest.fixture(params=WAYS)
def model(request: pytest.FixtureRequest) -> Seq2SeqQuantile:
    return made(**WAYS[request.param])


@pytest.fixture(params=OURS)
def ours(request: pytest.FixtureRequest) -> Seq2SeqQuantile:
    return made(**WAYS[request.param])


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_shapes_and_every_option(model: Seq2SeqQuantile) -> None:
    given = batch()
    quantiles, weights = model.forecast(given), model.attention(given)
    assert quantiles.shape == (WINDOWS, STEPS, 2, 3)
    assert torch.isfinite(quantiles).all()
    assert weights.shape[:2] == (WINDOWS, STEPS)
    torch.testing.assert_close(weights.sum(-1), torch.ones(WINDOWS, STEPS))
    assert (weights[3, :, 1:] == 0).all()  # one real step
    if model.decoder.head.ordered:  # type: ignore[union-attr]
        assert (quantiles.diff(dim=-1) >= 0).all()


def test_nothing_at_all_beside_the_target() -> None:
    """No covariates, no statics, no further inputs, no feedback: the decoder counts its steps."""
    quantiles = made(BARE, feedback=False).forecast(batch(BARE))
    assert quantiles.shape == (WINDOWS, STEPS, 1, 3)
    assert (quantiles[:, 1:] != quantiles[:, :-1]).any()


def test_the_vectorised_pass_is_the_loop_with_the_truth_fed_back(model: Seq2SeqQuantile) -> None:
    given = batch()
    torch.testing.assert_close(model._decode(given, 1.0)[0], model._decode(given, BY_LOOP)[0])
    torch.testing.assert_close(model._decode(given, 1.0)[1], model._decode(given, BY_LOOP)[1])


def test_forced_on_its_own_medians_it_says_what_it_says_running_freely(model: Seq2SeqQuantile) -> None:
    given = batch()
    free = model.forecast(given)
    forced = model._decode(given._replace(target=free[..., 1]), 1.0)[0]
    torch.testing.assert_close(forced, free, rtol=1e-4, atol=1e-5)
    other = model._decode(given._replace(target=free[..., 1] + 1), 1.0)[0]
    fed = getattr(model.decoder, "feedback", True)
    assert torch.allclose(other[:, model.block :], free[:, model.block :], atol=1e-3) != fed
    torch.testing.assert_close(other[:, : model.block], free[:, : model.block])


@pytest.mark.parametrize("forcing", [0.0, 1.0])
def test_covariates_of_a_cycle_act_at_that_cycle_and_never_before(ours: Seq2SeqQuantile, forcing: float) -> None:
    given = batch()
    before = ours._decode(given, forcing)[0]
    for step in range(STEPS):
        future = given.future.clone()
        future[:, step] += 1.0
        after = ours._decode(given._replace(future=future), forcing)[0]
        start = step // ours.block * ours.block
        torch.testing.assert_close(after[:, :start], before[:, :start], rtol=0, atol=1e-6)
        assert ((after - before)[:, step].abs().amax((1, 2)) > 1e-5).all()


def test_published_covariates_act_one_cycle_late() -> None:
    """There the row of a cycle enters the window behind its forecast; kept for parity."""
    model, given = made(**WAYS["arcana"]), batch()
    before = model.forecast(given)
    future = given.future.clone()
    future[:, 2] += 1.0
    after = model.forecast(given._replace(future=future))
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert (after[:, 3] != before[:, 3]).any()


def test_residual_forecasts_move_with_the_level(model: Seq2SeqQuantile) -> None:
    given, shift = batch(), torch.tensor([0.7, -1.3])
    past = given.past.clone()
    past[..., :2] += shift
    moved = given._replace(past=past, last=given.last + shift, target=given.target + shift)
    for forcing in (0.0, 1.0):
        difference = model._decode(moved, forcing)[0] - model._decode(given, forcing)[0]
        same = torch.allclose(difference, shift[:, None].expand_as(difference), atol=1e-5)
        assert same == model.residual


@pytest.mark.parametrize(("name", "magnified"), [("plain", True), ("level", False), ("arcana", False)])
def test_gains_magnify_what_was_seen_relative_to_the_cut(name: str, magnified: bool) -> None:
    """A gain of 3 is as if the first target had moved three times as far before the cut, and nothing else."""
    given, gained = batch(), made(replace(SHAPE, gains=(3.0, 1.0)), **WAYS[name])
    past = given.past.clone()
    if magnified:
        past[..., 0] = given.last[:, None, 0] + 3 * (past[..., 0] - given.last[:, None, 0])
    torch.testing.assert_close(gained.forecast(given), made(**WAYS[name]).forecast(given._replace(past=past)))


def test_padding_and_company_change_nothing(model: Seq2SeqQuantile) -> None:
    given = batch()
    wanted = model.forecast(given)
    garbage = torch.where((torch.arange(PAST) < given.length[:, None])[..., None], given.past, torch.tensor(50.0))
    torch.testing.assert_close(model.forecast(given._replace(past=garbage)), wanted)
    longer = torch.cat([given.past, torch.zeros(WINDOWS, 4, SHAPE.past_size)], 1)
    torch.testing.assert_close(model.forecast(given._replace(past=longer)), wanted)
    for k, n in enumerate(given.length.tolist()):
        alone = SequenceBatch(*(x[k : k + 1] for x in given))
        alone = alone._replace(past=alone.past[:, :n])
        torch.testing.assert_close(model.forecast(alone)[0], wanted[k])


def test_the_encoder_reads_no_further_back_than_its_window() -> None:
    given = batch()
    past = given.past.clone()
    past[0, : PAST - 4] += 3.0
    torch.testing.assert_close(made(window=4).forecast(given._replace(past=past)), made(window=4).forecast(given))
    assert (made().forecast(given._replace(past=past))[0] != made().forecast(given)[0]).any()


def first(given: SequenceBatch, steps: int) -> SequenceBatch:
    return given._replace(**{name: getattr(given, name)[:, :steps] for name in ("future", "target", "weight")})


def test_a_longer_horizon_goes_on_where_a_shorter_one_stopped(model: Seq2SeqQuantile) -> None:
    given = batch()
    torch.testing.assert_close(model.forecast(first(given, 6)), model.forecast(given)[:, :6])
    torch.testing.assert_close(model.loss(given, 0.0, steps=5)["loss"], model.loss(first(given, 5))["loss"])


@pytest.mark.parametrize("name", OURS)
def test_a_block_cut_short_reads_its_last_covariates_on(name: str) -> None:
    """Blocks of three: steps 6 and 7 of a horizon of seven are those of nine whose covariates stay as they are."""
    given, model = batch(), made(**WAYS[name])
    longer = given._replace(
        future=torch.cat([given.future, given.future[:, -1:].expand(-1, 2, -1)], 1),
        target=torch.zeros(WINDOWS, STEPS + 2, 2),
        weight=torch.zeros(WINDOWS, STEPS + 2, 2),
    )
    torch.testing.assert_close(model.forecast(longer)[:, :STEPS], model.forecast(given))


def test_pinball_by_hand_and_every_window_counts_once() -> None:
    levels = torch.tensor([0.1, 0.5])
    quantiles = torch.tensor([1.0, 2.0]).expand(2, 10, 1, 2)
    target = torch.full((2, 10, 1), 4.0)
    target[1] = 0.0
    weight = torch.ones(2, 10, 1)
    weight[1, 1:] = 0  # one point against ten
    above, below = 0.1 * 3 + 0.5 * 2, 0.9 * 1 + 0.5 * 2
    torch.testing.assert_close(
        pinball_by_target(quantiles, target, weight, levels), torch.tensor([(above + below) / 2])
    )
    weight[1] = 0  # a window without a point counts nothing
    torch.testing.assert_close(pinball_by_target(quantiles, target, weight, levels), torch.tensor([above]))
    weight[0, 0], target[0, 0] = 3.0, 0.0  # weights within a window: 3 of 12
    mixed = (3 * below + 9 * above) / 12
    torch.testing.assert_close(pinball_by_target(quantiles, target, weight, levels), torch.tensor([mixed]))


def test_targets_are_weighted_and_one_never_measured_is_left_out() -> None:
    given = batch()
    by_target = pinball_by_target(made().forecast(given), given.target, given.weight, made().levels)
    torch.testing.assert_close(made().loss(given)["loss"], by_target.mean())
    weighted = made(target_weights={"b": 3.0}).loss(given)["loss"]
    torch.testing.assert_close(weighted, (by_target[0] + 3 * by_target[1]) / 4)
    weight = given.weight.clone()
    weight[..., 1] = 0
    torch.testing.assert_close(
        made(target_weights={"b": 3.0}).loss(given._replace(weight=weight))["loss"], by_target[0]
    )


def test_masked_points_do_not_touch_loss_or_gradient(model: Seq2SeqQuantile) -> None:
    given = batch()
    weight, target = given.weight.clone(), given.target.clone()
    weight[0, 3:], weight[2] = 0, 0
    target[0, 3:], target[2] = 1e3, -1e3
    found = []
    for one in (given._replace(weight=weight), given._replace(weight=weight, target=target)):
        with torch.enable_grad():
            model.zero_grad()
            model.loss(one)["loss"].backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)


def test_a_batch_without_any_truth_has_no_loss() -> None:
    given = batch()
    assert made().loss(given._replace(weight=torch.zeros_like(given.weight)))["loss"] == 0


@pytest.mark.parametrize("forcing", [0.0, 0.5, 1.0])
def test_gradients_reach_every_parameter(model: Seq2SeqQuantile, forcing: float) -> None:
    with torch.enable_grad():
        model.loss(batch(), forcing)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # the same number added to every key changes no softmax
        assert (parameter.grad != 0).any() or name == "decoder.attention.key.bias", name


def test_published_form_learns_and_is_another(model: Seq2SeqQuantile) -> None:
    given = batch()
    arcana = made(**WAYS["arcana"])
    assert not torch.allclose(
        arcana.forecast(given), made(**(WAYS["arcana"] | {"arcana_compat": False})).forecast(given)
    )
    optimiser = torch.optim.Adam(arcana.parameters(), 0.01)
    losses = []
    with torch.enable_grad():
        for _ in range(30):
            optimiser.zero_grad()
            loss = arcana.loss(given, 0.5)["loss"]
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_groups_of_statics_can_be_unknown() -> None:
    """In training a dropped group looks just as one that is not known; other groups stay."""
    given, blind = batch(), made(static_dropout={"first": 1.0}).train()
    seen = blind._perturb(given)
    assert (seen.statics[:, :2] == 0).all()
    assert (seen.known == torch.tensor([0.0, 1.0])).all()
    torch.testing.assert_close(seen.statics[:, 2], given.statics[:, 2])
    assert blind.eval()._perturb(given) is given
    unknown = given._replace(statics=seen.statics, known=seen.known)
    assert not torch.allclose(made().forecast(unknown), made().forecast(given))
    half = made(static_dropout={"second": 0.5}).train()._perturb(batch(windows=4))
    assert set(half.known[:, 1].tolist()) <= {0.0, 1.0}


def test_noise_goes_to_its_group_and_not_to_what_is_unknown() -> None:
    given = batch()
    known, statics = given.known.clone(), given.statics.clone()
    known[1, 0], statics[1, :2] = 0, 0
    given = given._replace(known=known, statics=statics)
    seen = made(static_noise={"first": 0.5}).train()._perturb(given)
    assert (seen.statics[[0, 2, 3], :2] != given.statics[[0, 2, 3], :2]).all()
    assert (seen.statics[1, :2] == 0).all()
    torch.testing.assert_close(seen.statics[:, 2], given.statics[:, 2])
    assert (seen.known == given.known).all()


@pytest.mark.parametrize("levels", [[0.1, 0.5, 0.9], [0.5]])
def test_samples_lie_between_the_quantiles(levels: list[float]) -> None:
    model, given = made(levels=levels), batch()
    quantiles = model.forecast(given)
    samples = model.sample(given, 50, torch.Generator().manual_seed(3))
    assert samples.shape == (50, WINDOWS, STEPS, 2)
    if len(levels) == 1:
        assert (samples == quantiles[..., 0]).all()
        return
    drawn = torch.rand(50, WINDOWS, generator=torch.Generator().manual_seed(3))
    q10, q50, q90 = quantiles.unbind(-1)
    for k in range(50):
        level = drawn[k][:, None, None]
        low = q10 + (level - 0.1) / 0.4 * (q50 - q10)
        high = q50 + (level - 0.5) / 0.4 * (q90 - q50)
        torch.testing.assert_close(samples[k], torch.where(level <= 0.5, low, high), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.sample(given, 50, torch.Generator().manual_seed(3)), samples)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"block": 0}, "model.block=0"),
        ({"window": 0}, "model.window=0"),
        ({"arcana_compat": True}, "give model.window"),
        ({"levels": [0.9, 0.1]}, "model.levels"),
        ({"attention": "dot"}, "model.attention=dot"),
        ({"heads": 3}, "model.heads=3"),
        ({"target_weights": {"c": 1.0}}, "model.target_weights.c: the preprocessing has no such name; it has a, b"),
        ({"static_noise": {"third": 1.0}}, "model.static_noise.third.*first, second"),
        ({"static_dropout": {"x": 1.0}}, "model.static_dropout.x"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made(**options)


def test_memory_of_the_past_is_used(model: Seq2SeqQuantile) -> None:
    """What was seen before the last value matters, for every window that has such steps."""
    given = batch()
    past = given.past.clone()
    past[:, 0] += 1.0
    after, before = model.forecast(given._replace(past=past)), model.forecast(given)
    reach: Tensor = given.length <= (PAST if model.arcana else model.window or PAST)
    assert ((after - before).abs().amax((1, 2, 3)) > 1e-6).tolist() == reach.tolist()


def test_a_null_takes_back_the_noise_of_a_group() -> None:
    """As when a config leaves out a group of statics that its dataset has noise for."""
    assert made(static_noise={"nobody": None}, static_dropout={"nobody": None}).static_noise == {}
    with pytest.raises(ConfigError, match="nobody"):
        made(static_noise={"nobody": 0.1})
