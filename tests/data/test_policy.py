import math

import pytest

from batgen.data.policy import parse_policy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.4C(60%)-3.6C", (5.4, 0.6, 3.6)),
        ("4.8C(80%)-4.8C", (4.8, 0.8, 4.8)),
        ("1C(4%)-6C", (1.0, 0.04, 6.0)),
        ("2C(10%)-6C", (2.0, 0.1, 6.0)),
        ("4.9C(27%)-4.75C", (4.9, 0.27, 4.75)),
        ("5.6C(36%)-4.3C-newstructure", (5.6, 0.36, 4.3)),
        ("3.7C(31%)-5.9C(80%)", (3.7, 0.31, 5.9)),
        (" 4C(80%) - 4C ", (4.0, 0.8, 4.0)),
    ],
)
def test_two_step_policies(text: str, expected: tuple[float, float, float]) -> None:
    assert parse_policy(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["", "slowcharge", "VarCharge-5.4C", "4C-4C", "3.6C(22%)-5.5C(60%)-4C", "5C(67%)-4C(70%)", "5C(120%)-4C", "4.8C"],
)
def test_others_are_nan(text: str) -> None:
    assert all(math.isnan(value) for value in parse_policy(text))
