"""The schedules against torch's own, and at the steps where they are known."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

from batgen.errors import ConfigError
from batgen.training.schedules import SCHEDULES, linear_warmup, lr_factor, one_cycle


def rates(make, total: int) -> list[float]:
    """The rates of `total` steps of a torch scheduler with a peak of 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    seen = []
    for step in range(total):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < total - 1:
            scheduler.step()
    return seen


@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_cosine_is_torchs(total: int) -> None:
    ours = rates(lambda o: LambdaLR(o, lr_factor("cosine", total)), total)
    assert ours == pytest.approx(rates(lambda o: CosineAnnealingLR(o, total), total), abs=1e-12)
    assert lr_factor("cosine", 100)(25) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert lr_factor("cosine", 100)(50) == pytest.approx(0.5)


@pytest.mark.parametrize("total", [7, 20, 101, 1000])
def test_one_cycle_is_torchs(total: int) -> None:
    def published(optimiser):
        return OneCycleLR(
            optimiser, 1.0, total, pct_start=0.3, div_factor=25, final_div_factor=400, cycle_momentum=False
        )

    ours = rates(lambda o: LambdaLR(o, lr_factor("one_cycle", total)), total)
    assert ours == pytest.approx(rates(published, total), abs=1e-9)


def test_one_cycle_at_its_corners() -> None:
    factor = one_cycle(100)
    assert [factor(k) for k in (0, 29, 99)] == pytest.approx([0.04, 1.0, 1e-4])
    assert factor(64) == pytest.approx((1 + 1e-4) / 2)  # half way down
    assert one_cycle(101, warmup=50 / 101, start=0.2)(24) < 0.6 < one_cycle(101, warmup=50 / 101, start=0.2)(25)
    assert [one_cycle(2)(k) for k in range(2)] == pytest.approx([1.0, 1e-4])
    assert one_cycle(1)(0) == 1.0


def test_linear_warmup_rises_in_equal_parts_and_stays() -> None:
    factor = linear_warmup(40)
    assert [factor(k) for k in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert linear_warmup(3)(0) == 1.0


def test_constant_is_one() -> None:
    assert {lr_factor("constant", 9)(k) for k in range(12)} == {1.0}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total", [1, 2, 3, 10, 333])
def test_all_stay_within_bounds_and_hold_their_end(name: str, total: int) -> None:
    factor = lr_factor(name, total)
    values = [factor(k) for k in range(total)]
    assert all(0 < v <= 1 for v in values)
    assert 0 <= factor(total) <= factor(total - 1)
    assert factor(total + 50) == factor(total)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.schedule: 'cosin' .* did you mean 'cosine'\?$"):
        lr_factor("cosin", 10)
    with pytest.raises(ConfigError, match=r"known here: constant, cosine, one_cycle, linear_warmup\.$"):
        lr_factor("plateau!", 10)
    with pytest.raises(ValueError, match="0 steps"):
        lr_factor("cosine", 0)
