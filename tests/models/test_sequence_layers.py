"""The parts of the sequence forecaster: padding leaves no trace, attention by hand and against torch, quantile order."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.layers.quantile_head import QuantileHead, check_levels
from batgen.models.layers.sequence_attention import AdditiveAttention, MultiHeadAttention, attention_of
from batgen.models.layers.sequence_decoder import mixed
from batgen.models.layers.sequence_encoder import SequenceEncoder, _tail

LENGTHS = (7, 3, 1, 5)


def rows(features: int = 4, longest: int = 7) -> tuple[Tensor, Tensor]:
    """Sequences of LENGTHS with garbage behind their ends."""
    torch.manual_seed(0)
    return torch.randn(len(LENGTHS), longest, features), torch.tensor(LENGTHS)


def encoder(bidirectional: bool = True, window: int | None = None) -> SequenceEncoder:
    torch.manual_seed(1)
    return SequenceEncoder(4, 6, 2, bidirectional, 0.1, window).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("window", [None, 4])
def test_a_batch_encodes_as_each_of_its_sequences_alone(bidirectional: bool, window: int | None) -> None:
    """Read backwards as well, padding must not be the first thing that is read."""
    past, length = rows()
    net = encoder(bidirectional, window)
    states, real, final = net(past, length)
    assert states.shape == (4, window or 7, 12 if bidirectional else 6)
    for k, n in enumerate(LENGTHS):
        own, _, own_final = net(past[k : k + 1, :n], length[k : k + 1])
        kept = min(n, window or n)
        assert real[k].tolist() == [True] * kept + [False] * (states.shape[1] - kept)
        torch.testing.assert_close(states[k, :kept], own[0])
        torch.testing.assert_close(final[k], own_final[0])
        assert (states[k, kept:] == 0).all()


def test_skip_connection_and_normalisation() -> None:
    """With a silent LSTM the states are the layer-normalised projection of the input."""
    past, length = rows()
    net = encoder(False)
    for parameter in net.lstm.parameters():
        nn.init.zeros_(parameter)
    states, _, final = net(past, length)
    projected = net.skip(past)[0]
    wanted = (projected - projected.mean(-1, keepdim=True)) / (
        projected.var(-1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(states[0], wanted)
    assert (final == 0).all()


def test_the_window_is_the_last_real_steps() -> None:
    past, length = rows()
    tail, kept = _tail(past, length, 4)
    assert kept.tolist() == [4, 3, 1, 4]
    for k, n in enumerate(LENGTHS):
        torch.testing.assert_close(tail[k, : kept[k]], past[k, max(0, n - 4) : n], rtol=0, atol=0)
        assert (tail[k, kept[k] :] == 0).all()
    same, all_kept = _tail(past, length, 99)
    assert all_kept.tolist() == list(LENGTHS)
    assert same.shape == past.shape


def test_additive_attention_by_hand() -> None:
    """Eq. 1 with W1 = [1], b = 0, W2 = [2], v = [3]: e = 3 tanh(h_t + 2 h_s); eqs. 2 and 3 written out."""
    net = AdditiveAttention(1, 1, 1)
    for parameter, value in (
        (net.query.weight, 1.0),
        (net.query.bias, 0.0),
        (net.key.weight, 2.0),
        (net.score.weight, 3.0),
    ):
        nn.init.constant_(parameter, value)
    states = torch.tensor([[[0.1], [-0.4], [0.5]]])
    query = torch.tensor([[[0.2], [-0.3]]])
    context, weights = net(query, *net.prepare(states), torch.tensor([[True, True, False]]))
    for t, h in enumerate((0.2, -0.3)):
        e = torch.exp(3 * torch.tanh(torch.tensor([h + 0.2, h - 0.8])))
        alpha = e / e.sum()
        torch.testing.assert_close(weights[0, t], torch.cat([alpha, torch.zeros(1)]))
        torch.testing.assert_close(context[0, t, 0], (alpha * torch.tensor([0.1, -0.4])).sum())


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_multihead_attention_is_torchs(heads: int) -> None:
    torch.manual_seed(2)
    net = MultiHeadAttention(5, 3, 8, heads)
    query, states = torch.randn(2, 6, 5), torch.randn(2, 4, 3)
    real = torch.tensor([[True, True, True, False], [True, True, True, True]])
    context, weights = net(query, *net.prepare(states), real)

    def split(x: Tensor) -> Tensor:
        return x.view(2, -1, heads, 8 // heads).permute(0, 2, 1, 3)

    found = nn.functional.scaled_dot_product_attention(
        split(net.query(query)), split(net.key(states)), split(net.value(states)), attn_mask=real[:, None, None]
    )
    torch.testing.assert_close(context, net.join(found.permute(0, 2, 1, 3).reshape(2, 6, 8)))
    assert weights.shape == (2, 6, 4)


@pytest.mark.parametrize("kind", ["additive", "multihead"])
def test_attention_leaves_padding_out(kind: str) -> None:
    torch.manual_seed(3)
    net = attention_of(kind, 5, 3, 8, 2)
    query, states = torch.randn(2, 6, 5), torch.randn(2, 4, 3)
    real = torch.tensor([[True, True, False, False], [True, True, True, True]])
    context, weights = net(query, *net.prepare(states), real)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    assert (weights[0, :, 2:] == 0).all()
    assert (weights[1] > 0).all()
    other = torch.where(real[..., None], states, torch.tensor(1e3))
    torch.testing.assert_close(net(query, *net.prepare(other), real)[0], context)
    alone, _ = net(query[:1], *net.prepare(states[:1, :2]), real[:1, :2])
    torch.testing.assert_close(alone, context[:1])


def test_attention_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"model.attention=dot: it is additive or multihead"):
        attention_of("dot", 4, 4, 4, 2)
    with pytest.raises(ConfigError, match=r"model.heads=3 does not divide model.hidden=8"):
        attention_of("multihead", 4, 4, 8, 3)


LEVELS = [[0.5], [0.1, 0.5, 0.9], [0.05, 0.6], [0.4, 0.7, 0.95], [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]]


@pytest.mark.parametrize("levels", LEVELS)
def test_ordered_quantiles_never_cross(levels: Sequence[float]) -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        head = QuantileHead(5, 3, levels, ordered=True)
        nn.init.normal_(head.linear.weight, std=5.0)
        made = head(torch.randn(64, 5))
        assert made.shape == (64, 3, len(levels))
        assert (made.diff(dim=-1) >= 0).all()


def test_the_middle_is_its_own_output_and_gaps_add_up() -> None:
    head = QuantileHead(1, 1, [0.1, 0.3, 0.5, 0.7, 0.9], ordered=True)
    nn.init.zeros_(head.linear.weight)
    head.linear.bias.data = torch.tensor([1.0, 2.0, 0.4, -1.0, 3.0])
    gap = torch.nn.functional.softplus(head.linear.bias.data - 3.0)
    wanted = torch.stack([0.4 - gap[1] - gap[0], 0.4 - gap[1], torch.tensor(0.4), 0.4 + gap[3], 0.4 + gap[3] + gap[4]])
    torch.testing.assert_close(head(torch.zeros(1, 1))[0, 0], wanted)
    assert head.middle == 2


def test_independent_heads_can_cross() -> None:
    head = QuantileHead(1, 1, [0.1, 0.5, 0.9], ordered=False)
    head.linear.bias.data = torch.tensor([2.0, 0.0, 1.0])
    torch.testing.assert_close(head(torch.zeros(1, 1))[0, 0], torch.tensor([2.0, 0.0, 1.0]))


@pytest.mark.parametrize("levels", [[], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, 1.0], [float("nan")]])
def test_levels_must_increase_between_0_and_1(levels: Sequence[float]) -> None:
    with pytest.raises(ConfigError, match=r"model\.levels="):
        check_levels(levels)


@pytest.mark.parametrize("levels", [[0.05, 0.2], [0.6, 0.7, 0.95]])
def test_errors_are_of_the_median_which_the_levels_must_hold(levels: Sequence[float]) -> None:
    with pytest.raises(ConfigError, match="Add 0.5"):
        check_levels(levels)
    check_levels([0.25, 0.75])


def test_mixed_takes_the_truth_for_whole_windows_in_the_share_asked_for() -> None:
    torch.manual_seed(0)
    made, truth = torch.zeros(4000, 1, 3), torch.ones(4000, 1, 3)
    got = mixed(made, truth, 0.3)
    assert (got == got[:, :, :1]).all()
    assert got.mean() == pytest.approx(0.3, abs=0.03)
