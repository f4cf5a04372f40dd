"""Eq. 11 by hand, and both rules on planted courses of a training."""

import math
from pathlib import Path

import pytest
import torch

from batgen.errors import ConfigError
from batgen.training.stopping import EarlyStopping, generalisation_loss, progress_quotient


def stopped_at(rule: EarlyStopping, train: list[float], val: list[float]) -> int | None:
    """The first update (from 0) that says stop."""
    return next((i for i, pair in enumerate(zip(train, val, strict=True)) if rule.update(*pair)), None)


def test_generalisation_loss_by_hand() -> None:
    assert generalisation_loss(1.2, 1.0) == pytest.approx(20.0)
    assert generalisation_loss(0.5, 0.5) == 0.0
    assert generalisation_loss(0.0, 0.0) == 0.0
    assert generalisation_loss(0.1, 0.0) == math.inf
    assert math.isnan(generalisation_loss(math.nan, 1.0))


def test_progress_quotient_by_hand() -> None:
    assert progress_quotient([3.0, 2.0, 1.0]) == pytest.approx(1000.0)  # mean 2, lowest 1
    assert progress_quotient([1.02, 1.0, 1.04, 1.0, 1.04]) == pytest.approx(20.0)
    assert progress_quotient([0.7, 0.7, 0.7]) == 0.0
    assert progress_quotient([0.0, 0.0]) == 0.0
    assert progress_quotient([1.0, 0.0]) == math.inf
    assert math.isnan(progress_quotient([1.0, math.nan, 0.5]))
    for n in range(2, 12):  # the mean of equal numbers may round to either side of them
        assert 0 <= progress_quotient([0.1] * n) < 1e-9


TRAIN = [1.0, 0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.46, 0.43, 0.4]
VAL = [2.0, 1.5, 1.2, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]


def test_gl_pq_by_hand() -> None:
    """After seven updates: GL = 30 %; PQ of 0.8 0.7 0.6 0.55 0.5 is 1000 (0.63 / 0.5 - 1) = 260; the ratio 0.1154."""
    rule = EarlyStopping(None, gl_pq=0.115)
    assert stopped_at(rule, TRAIN, VAL) == 6
    assert rule.reason.startswith("GL/PQ = 0.115 is above 0.115 (generalisation loss 30 %, training progress 260 per")
    # One later: 40 % over 1000 (0.562 / 0.46 - 1) = 221.7: 0.1804
    assert stopped_at(EarlyStopping(None, gl_pq=0.116), TRAIN, VAL) == 7
    assert stopped_at(EarlyStopping(None, gl_pq=5.0), TRAIN, VAL) is None


def test_the_ratio_alone_does_not_stop_without_a_rising_trend() -> None:
    saw = [1.0, *[1.5, 1.4] * 10]  # GL of 40 % and more for ever, but never two rises in a row
    flat = [1.0] * len(saw)
    assert stopped_at(EarlyStopping(None, gl_pq=0.01, trend=2), flat, saw) is None
    assert stopped_at(EarlyStopping(None, gl_pq=0.01, trend=1), flat, saw) == 5  # the first rise with a whole strip


def test_a_rising_trend_alone_does_not_stop_below_the_best() -> None:
    """Three rises in a row after a spike downwards, while the training error still halves: the ratio stays small."""
    fast = [2.0**-i for i in range(8)]
    val = [2.0, 1.0, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006]
    assert stopped_at(EarlyStopping(None, gl_pq=0.1), fast, val) is None
    assert stopped_at(EarlyStopping(None, gl_pq=0.1), [1.0] * 8, val) == 4  # no progress: any loss is too much


def test_an_equal_error_is_no_rise() -> None:
    val = [1.0, 1.1, 1.2, 1.2, 1.3, 1.4, 1.5]
    assert stopped_at(EarlyStopping(None, gl_pq=0.01), [1.0] * 7, val) == 6


def test_the_rule_waits_for_a_whole_strip() -> None:
    val = [1.0 + 0.1 * i for i in range(12)]
    assert stopped_at(EarlyStopping(None, gl_pq=0.01, strip=10), [1.0] * 12, val) == 9


def test_patience() -> None:
    rule = EarlyStopping(3, None)
    assert stopped_at(rule, [1.0] * 8, [1.0, 0.9, 0.95, 0.9, 0.8, 0.8, 0.9, 1.0]) == 7
    assert rule.reason == "3 validations brought no lower validation error (lowest 0.8)"
    assert (rule.best, rule.since) == (0.8, 3)
    assert stopped_at(EarlyStopping(None, None), TRAIN, VAL) is None


def test_nan_is_no_improvement_and_no_rise() -> None:
    nan = math.nan
    rule = EarlyStopping(4, None)
    assert stopped_at(rule, [1.0] * 4, [nan] * 4) == 3
    assert "none was finite" in rule.reason
    assert stopped_at(EarlyStopping(2, None), [1.0] * 5, [nan, 1.0, nan, 0.9, nan]) is None
    broken = [1.0, 1.1, 1.2, nan, 1.3, 1.4, 1.5, 1.6]
    assert stopped_at(EarlyStopping(None, gl_pq=0.01), [1.0] * 8, broken) == 7
    # and a training error of NaN says nothing of progress
    assert stopped_at(EarlyStopping(None, gl_pq=0.01), [nan] * 8, [1.0 + i for i in range(8)]) is None


@pytest.mark.parametrize("cut", range(1, 7))
def test_it_goes_on_from_its_state_as_if_never_interrupted(cut: int) -> None:
    settings = {"patience": 6, "gl_pq": 0.115}
    whole, first, second = (EarlyStopping(**settings) for _ in range(3))  # type: ignore[arg-type]
    for pair in list(zip(TRAIN, VAL, strict=True))[:cut]:
        whole.update(*pair)
        first.update(*pair)
    state = first.state()
    first.update(0.1, 0.1)  # what was handed out must not follow
    second.load(state)
    assert second.state() == whole.state()
    assert stopped_at(second, TRAIN[cut:], VAL[cut:]) == stopped_at(whole, TRAIN[cut:], VAL[cut:]) == 6 - cut
    assert second.reason == whole.reason


def test_the_state_passes_a_weights_only_checkpoint(tmp_path: Path) -> None:
    rule = EarlyStopping(3, 0.5)
    rule.update(1.0, math.nan)
    torch.save(rule.state(), tmp_path / "state.pt")
    again = EarlyStopping(3, 0.5)
    again.load(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (again.best, again.since, again.reason) == (math.inf, 1, "")


@pytest.mark.parametrize(
    ("key", "changes"),
    [("patience", {"patience": 0}), ("gl_pq", {"gl_pq": 0.0}), ("gl_pq", {"gl_pq": math.nan}), ("strip", {"strip": 1}),
     ("trend", {"trend": 0})],
)  # fmt: skip
def test_useless_settings_are_refused_by_name(key: str, changes: dict) -> None:
    with pytest.raises(ConfigError, match=rf"^trainer\.{key}: "):
        EarlyStopping(**{"patience": 5, "gl_pq": 1.0, **changes})
