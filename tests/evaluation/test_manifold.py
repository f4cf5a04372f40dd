"""Precision, recall, density, coverage: known values for one law, planted failures, and rows that hang together in cells."""

import numpy as np
import pytest

from batgen.evaluation.manifold import Manifold, manifold


def score(real: np.ndarray, made: np.ndarray, groups: np.ndarray, others: np.ndarray | None = None) -> dict[str, float]:
    others = groups if others is None else others
    both = manifold(real, made, groups, others, others)
    return both.scores(np.arange(len(real)), np.arange(len(made)))


def test_two_sets_of_one_law_have_density_1_and_coverage_of_31_in_32() -> None:
    rng = np.random.default_rng(0)
    sets = [rng.normal(size=(2, 400, 3)) for _ in range(5)]
    found = [score(x, y, np.arange(400) // 10) for x, y in sets]
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    assert means["density"] == pytest.approx(1.0, abs=0.03)
    assert means["coverage"] == pytest.approx(1 - 2**-5, abs=0.01)
    assert means["precision"] == pytest.approx(means["recall"], abs=0.02)
    assert means["precision"] > 0.97


def test_by_hand_with_one_neighbour() -> None:
    x, y = np.array([[0.0], [1.0], [4.0]]), np.array([[0.5], [6.5], [20.0]])
    both = manifold(x, y, np.arange(3), np.arange(3), np.array([7, 8, 9]))
    # Measured balls reach 1, 1 and 3; generated ones 6, 6 and 13.5. Two of two other rows may meet a measured ball,
    # three of three a generated one: 3 / 2 as many as the neighbour that k counts.
    found = both.scores(np.arange(3), np.arange(3), k=1)
    assert found == pytest.approx(
        {"precision": 2 / 3, "recall": 1.0, "density": (1 + 1 + 1) / 3 / 1.5, "coverage": 1.0}
    )
    assert both.scores(np.arange(3), np.arange(3), k=3) == {}


@pytest.mark.parametrize(
    ("planted", "name", "most"),
    [("two modes of five", "recall", 0.5), ("two modes of five", "coverage", 0.5), ("mean", "recall", 0.05),
     ("mean", "coverage", 0.2), ("far", "precision", 0.05), ("far", "density", 0.05), ("wide", "precision", 0.6)],
)  # fmt: skip
def test_planted_failures(planted: str, name: str, most: float) -> None:
    rng = np.random.default_rng(1)
    centres = 8 * np.eye(5)
    groups = np.arange(300) // 10

    def law(modes: int) -> np.ndarray:
        return centres[rng.integers(0, modes, 300)] + rng.normal(size=(300, 5))

    real, again = law(5), law(5)
    made = {
        "two modes of five": law(2),
        "mean": np.repeat(real.mean(0, keepdims=True), 300, 0) + 0.01 * rng.normal(size=(300, 5)),
        "far": law(5) + 20.0,
        "wide": again + 3 * rng.normal(size=(300, 5)),
    }[planted]
    assert score(real, made, groups)[name] < most
    assert score(real, again, groups)[name] > max(0.85, most)


def test_rows_of_one_cell_do_not_fill_the_balls() -> None:
    """Planted: cells far apart in one law, their cycles close together; the generated cells are new ones of that law."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 12)
    real, made = (rng.normal(size=(60, 2))[groups] + 0.01 * rng.normal(size=(720, 2)) for _ in range(2))
    by_row = score(real, made, np.arange(720), np.arange(720) + 720)
    by_cell = score(real, made, groups, groups)
    assert max(by_row["precision"], by_row["recall"], by_row["coverage"]) < 0.2
    assert min(by_cell["precision"], by_cell["recall"]) > 0.7
    assert min(by_cell["density"], by_cell["coverage"]) > 0.5


def test_rows_that_are_not_finite_meet_no_ball() -> None:
    rng = np.random.default_rng(3)
    real, made = rng.normal(size=(2, 100, 2))
    groups = np.arange(100) // 5
    good = score(real, made, groups)
    made[:50] = np.nan
    half = score(real, made, groups)
    assert half["precision"] == pytest.approx(good["precision"] / 2, abs=0.06)
    assert half["density"] == pytest.approx(good["density"] / 2, abs=0.15)
    made[:] = np.inf
    assert score(real, made, groups) == dict.fromkeys(good, 0.0)


def test_too_few_rows_and_bad_input() -> None:
    x = np.zeros((4, 2))
    assert score(x, x, np.arange(4)) == {}
    assert score(np.zeros((20, 2)), np.zeros((20, 2)), np.zeros(20)) == {}
    with pytest.raises(ValueError, match="one group"):
        manifold(x, x, np.arange(3), np.arange(4), np.arange(4))
    with pytest.raises(ValueError, match="need real"):
        manifold(x, np.zeros((4, 3)), np.arange(4), np.arange(4), np.arange(4))
    assert isinstance(manifold(x, x, np.arange(4), np.arange(4), np.arange(4)), Manifold)
