"""Eqs. 7 and 8 worked by hand, and what rounding must not break."""

import math

import pytest

from batgen.errors import ConfigError
from batgen.training.curriculum import Curriculum, constant


def test_eq7_by_hand() -> None:
    """Weights 1, 0.7408, 0.5488, 0.4066, 0.3012 (sum 2.9974) of 100 epochs: 33.36, 24.72, 18.31, 13.56, 10.05."""
    assert Curriculum(100, segments=5, decay=0.3).lengths == (33, 25, 18, 14, 10)


def test_missing_epochs_go_to_the_most_robbed_the_earlier_of_equals() -> None:
    assert Curriculum(10, segments=4).lengths == (3, 3, 2, 2)  # 2.5 each rounds to 2, two are missing
    # 11.47 9.39 7.69 6.30 5.15 round to 39 in all; the first lost most
    assert Curriculum(40, segments=5, decay=0.2).lengths == (12, 9, 8, 6, 5)


def test_surplus_epochs_are_taken_from_the_most_favoured_the_later_of_equals() -> None:
    assert Curriculum(11, segments=4).lengths == (3, 3, 3, 2)  # 2.75 each rounds to 3, one too many
    # 8.90 6.59 4.89 3.62 round to 25 in all; the second gained most
    assert Curriculum(24, segments=4, decay=0.3).lengths == (9, 6, 5, 4)


@pytest.mark.parametrize("decay", [0.0, 0.05, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("segments", [1, 2, 3, 5, 8, 13])
def test_every_epoch_has_a_place(segments: int, decay: float) -> None:
    for epochs in range(1, 80):
        lengths = Curriculum(epochs, segments, decay).lengths
        shares = [math.exp(-decay * i) for i in range(segments)]
        exact = [epochs * share / sum(shares) for share in shares]
        assert sum(lengths) == epochs
        assert min(lengths) >= 0
        assert lengths[-1] >= 1
        if exact[-1] >= 1:  # nowhere a whole epoch away from eq. 7, and no later segment longer than an earlier
            assert max(abs(a - b) for a, b in zip(lengths, exact, strict=True)) < 1
            assert list(lengths) == sorted(lengths, reverse=True)


def test_ratio_falls_in_every_segment_by_eq8() -> None:
    schedule = Curriculum(6, segments=2, start=0.9, end=0.3)
    assert [schedule.ratio(e) for e in range(6)] == pytest.approx([0.9, 0.7, 0.5, 0.9, 0.7, 0.5])
    d, eps = 33, 1e-8
    published = [0.5 - (0.5 - 0.005) / (d + eps) * t for t in range(d)]
    ours = Curriculum(100, segments=5, decay=0.3, start=0.5, end=0.005)
    assert [ours.ratio(e) for e in range(d)] == pytest.approx(published, abs=1e-9)
    assert ours.ratio(33) == 0.5


def test_one_segment_is_a_plain_linear_fall_on_the_whole_length() -> None:
    schedule = Curriculum(4, start=1.0, end=0.0)
    assert [schedule.ratio(e) for e in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert [schedule.length(e, 17) for e in range(6)] == [17] * 6


def test_length_grows_by_segment_and_never_falls() -> None:
    schedule = Curriculum(10, segments=4)  # 3 3 2 2 epochs
    assert [schedule.length(e, 10) for e in range(12)] == [3, 3, 3, 5, 5, 5, 8, 8, 10, 10, 10, 10]
    for epochs, segments, decay, steps in [(100, 5, 0.3, 477), (7, 3, 1.0, 1), (3, 8, 0.0, 50), (1, 5, 2.0, 9)]:
        lengths = [Curriculum(epochs, segments, decay).length(e, steps) for e in range(epochs)]
        assert lengths == sorted(lengths)
        assert lengths[0] >= 1
        assert lengths[-1] == steps


def test_fewer_epochs_than_segments_end_on_the_whole_length() -> None:
    assert Curriculum(1, segments=5).lengths == (0, 0, 0, 0, 1)
    assert Curriculum(2, segments=5).lengths == (1, 0, 0, 0, 1)
    assert Curriculum(10, segments=5, decay=2.0).lengths == (8, 1, 0, 0, 1)  # 8.65 1.17 0.16 0.02 0.00
    schedule = Curriculum(2, segments=5, start=0.8, end=0.2)
    assert [(schedule.length(e, 100), schedule.ratio(e)) for e in range(2)] == [(20, 0.8), (100, 0.8)]


def test_constant() -> None:
    schedule = constant(0.4)
    assert {schedule.ratio(e) for e in range(50)} == {0.4}
    assert {schedule.length(e, 30) for e in range(50)} == {30}


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("epochs", {"epochs": 0}),
        ("segments", {"segments": 0}),
        ("decay", {"decay": -0.1}),
        ("decay", {"decay": math.nan}),
        ("decay", {"decay": math.inf}),
        ("start", {"start": 1.5}),
        ("end", {"end": -0.1}),
        ("end", {"end": math.nan}),
        ("start", {"start": 0.1, "end": 0.5}),
    ],
)
def test_an_impossible_schedule_names_its_key(key: str, changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"^trainer\.curriculum\.{key}: "):
        Curriculum(**{"epochs": 10, **changes})  # type: ignore[arg-type]


def test_a_negative_epoch_is_our_own_bug() -> None:
    with pytest.raises(ValueError, match="negative"):
        Curriculum(10).ratio(-1)
