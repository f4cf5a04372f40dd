"""Saliency against one gradient at a time, against a linear model whose gradients are known, and its cost."""

import time

import pytest
import torch
from torch import Tensor, nn

from batgen.evaluation.saliency import saliency
from batgen.models.seq2seq_quantile import Seq2SeqQuantile
from batgen.models.sequence_base import SequenceBatch
from tests.models.test_seq2seq_quantile import PAST, SHAPE, STEPS, WAYS, WINDOWS, batch, made


class Linear(nn.Module):
    """Quantile q of target t at step m is (q + 1) (t + 1) (m + 1) times the sum of the last input's channel t."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor([0.1, 0.9]))

    def forecast(self, given: SequenceBatch) -> Tensor:
        steps, targets = given.future.shape[1], given.last.shape[1]
        seen = given.past[..., :targets].sum(1)
        factor = torch.arange(1, steps + 1)[:, None, None] * torch.tensor([1.0, -2.0])
        return seen[:, None, :, None] * torch.arange(1, targets + 1)[:, None] * factor


def test_a_linear_model_by_hand() -> None:
    found = saliency(Linear(), batch(), target=1, steps=3, at_once=5)
    assert found.shape == (WINDOWS, 3, 2, PAST, SHAPE.past_size)
    for step in range(3):
        for level, factor in enumerate((1.0, 2.0)):
            assert (found[:, step, level, :, 1] == 2 * (step + 1) * factor).all()
    assert (found[..., [0, *range(2, SHAPE.past_size)]] == 0).all()


@pytest.mark.parametrize("name", ["feedback", "blocks, no feedback", "additive, two ways", "arcana"])
@pytest.mark.parametrize("at_once", [4, 512])
def test_it_is_the_gradient_of_each_output(name: str, at_once: int) -> None:
    model, given = made(**WAYS[name]), batch()
    found = saliency(model, given, target=1, steps=4, at_once=at_once)
    for window, step, level in ((0, 0, 0), (1, 3, 1), (2, 2, 2), (3, 1, 1)):
        past, last = given.past.clone().requires_grad_(True), given.last.clone().requires_grad_(True)
        model.forecast(given._replace(past=past, last=last))[window, step, 1, level].backward()
        assert past.grad is not None
        assert last.grad is not None
        expected = past.grad[window].clone()
        expected[given.length[window] - 1, : last.shape[1]] += last.grad[window]
        torch.testing.assert_close(found[window, step, level], expected.abs(), rtol=1e-4, atol=1e-6)
    real = torch.arange(PAST) < given.length[:, None]
    assert (found.sum((1, 2, 4))[~real] == 0).all()
    assert (found.sum((1, 2, 4))[:, 0] > 0).all()


def test_the_model_is_left_as_it_was() -> None:
    model = made().train()
    before = [p.clone() for p in model.parameters()]
    saliency(model, batch(), 0, 2)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert torch.is_grad_enabled()


def test_it_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        found = saliency(made(), batch(), 0, STEPS)
    assert (found > 0).any()


def test_eighty_steps_cost_no_more_than_thirty_forecasts() -> None:
    """3 quantiles of 80 steps, each forecast fed back; the published program needs 167. The best of three looks at each."""
    model = Seq2SeqQuantile(SHAPE, hidden=32, heads=4, feedback=True).eval()
    given = batch(windows=1)
    given = given._replace(
        future=torch.randn(1, 80, 2), target=torch.zeros(1, 80, 2), weight=torch.ones(1, 80, 2),
        past=torch.randn(1, 60, SHAPE.past_size), length=torch.tensor([60]),
    )  # fmt: skip

    def best(work) -> float:  # type: ignore[no-untyped-def]
        took = []
        for _ in range(4):
            start = time.perf_counter()
            work()
            took.append(time.perf_counter() - start)
        return min(took[1:])

    with torch.no_grad():
        plain = best(lambda: model.forecast(given))
    ratio = best(lambda: saliency(model, given, 0, 80)) / plain
    assert ratio < 60  # measured: 18; twice the target, because other programs may run beside this one


def test_the_value_at_the_cut_counts_with_the_last_observed_step() -> None:
    """A forecast that is the last value and nothing else hangs on the last real step, and on no other."""

    class Holds(nn.Module):
        levels = torch.tensor([0.5])

        def forecast(self, batch: SequenceBatch) -> torch.Tensor:
            ahead = batch.last[:, None, :, None].expand(-1, batch.future.shape[1], -1, 1)
            return ahead + 0 * batch.past.sum()

    batch = SequenceBatch(
        past=torch.randn(2, 5, 4), length=torch.tensor([5, 3]), statics=torch.zeros(2, 0), known=torch.zeros(2, 0),
        future=torch.zeros(2, 6, 2), last=torch.randn(2, 1), target=torch.zeros(2, 6, 1), weight=torch.ones(2, 6, 1),
        cell=torch.arange(2),
    )  # fmt: skip
    found = saliency(Holds(), batch, 0, 6)
    expected = torch.zeros(2, 6, 1, 5, 4)
    expected[0, :, 0, 4, 0] = expected[1, :, 0, 2, 0] = 1.0
    torch.testing.assert_close(found, expected)
