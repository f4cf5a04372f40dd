"""Better, level, worse: closed form."""

import math

import pytest

from batgen.report.page.judging import best, compared, cost, scored
from tests.report.evaluated_run import baseline, row


def test_scored_joins_cells_and_seeds() -> None:
    one = scored([row("CRPS", 1.0, 0.3), row("CRPS", 3.0, 0.3, seed=1)])
    assert (one.value, one.n, one.failed) == (2.0, 60, False)
    assert one.sd == pytest.approx(math.sqrt(2))
    half = math.hypot(0.3, 12.7062)  # Student's t of 1 degree of freedom times sd / sqrt(2) = 1
    assert one.low == pytest.approx(2 - half, abs=1e-3)
    assert one.high == pytest.approx(2 + half, abs=1e-3)
    single = scored([row("CRPS", 1.0, 0.3)])
    assert (single.low, single.high, single.sd) == (0.7, 1.3, None)


@pytest.mark.parametrize(
    ("metric", "direction", "good", "bad"),
    [
        ("CRPS", "lower", 0.1, 0.2),
        ("recall", "higher", 0.9, 0.1),
        ("density", "one", 1.1, 0.5),
        ("membership_AUC", "half", 0.45, 0.6),
        ("coverage_80", "", 0.75, 1.0),
        ("C2ST", "lower", 0.6, 0.9),
    ],
)
def test_direction_decides(metric: str, direction: str, good: float, bad: float) -> None:
    assert cost(metric, direction, good) < cost(metric, direction, bad)
    near, far = scored([row(metric, good, 0.01)]), scored([baseline(metric, bad, 0.01)])
    assert compared(metric, direction, near, far) == "better"
    assert compared(metric, direction, far, near) == "worse"
    assert best(metric, direction, [far, near]) is near


def test_a_classifier_below_chance_is_worth_chance() -> None:
    assert cost("C2ST", "lower", 0.3) == cost("C2ST", "lower", 0.5)


def test_intervals_that_meet_are_level() -> None:
    assert compared("CRPS", "lower", scored([row("CRPS", 1.0, 0.3)]), scored([baseline("CRPS", 1.5, 0.3)])) == "level"
    wide = scored([row("membership_AUC", 0.6, 0.2)])  # holds one half: as good as can be told
    assert compared("membership_AUC", "half", wide, scored([baseline("membership_AUC", 0.52, 0.01)])) == "level"


def test_what_cannot_be_told_is_not_said() -> None:
    assert compared("CRPS", "lower", scored([row("CRPS", 1.0)]), scored([baseline("CRPS", 9.0, 0.1)])) == ""
    assert best("kl_nats", "", [scored([row("kl_nats", 1.0)])]) is None


def test_a_failure_is_worse_than_any_value() -> None:
    failed = scored([row("CRPS", None), row("CRPS", 0.0, 0.1, seed=1)])
    assert failed.failed
    assert compared("CRPS", "lower", failed, scored([baseline("CRPS", 9.0, 0.1)])) == "worse"
