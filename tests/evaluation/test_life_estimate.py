"""Cycle life from indicators: a law that is known, and sets from which nothing can be learnt."""

import numpy as np
import pytest

from batgen.evaluation.life_estimate import estimated_life

CELLS = np.repeat([f"c{k}" for k in range(8)], 10)
LIFE = np.repeat(np.linspace(400.0, 1200.0, 8), 10)


def found_of(life: np.ndarray) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(size=len(life))
    return {
        "energy_Wh": 1 + 0.001 * life + 1e-4 * noise,
        "duration_s": 100.0 + 0 * life,
        "eol_V": np.full(len(life), np.nan),
    }


def test_a_linear_law_is_learnt() -> None:
    asked = np.array([500.0, 900.0])
    first, second = estimated_life(found_of(LIFE), LIFE, CELLS, [found_of(asked), found_of(asked[:1])])
    assert first == pytest.approx(asked, rel=0.02)
    assert second == pytest.approx(asked[:1], rel=0.02)


def test_rows_of_cells_whose_life_is_not_known_are_left_out() -> None:
    life = np.where(CELLS == "c3", np.nan, LIFE)
    assert estimated_life(found_of(LIFE), life, CELLS, [found_of(LIFE)])[0] == pytest.approx(LIFE, rel=0.02)


def test_what_lies_far_outside_is_held() -> None:
    far = estimated_life(found_of(LIFE), LIFE, CELLS, [found_of(np.array([1e9]))])[0]
    assert far[0] < 3000


def test_a_curve_without_the_indicator_gets_the_usual_one() -> None:
    lacking = {name: np.array([np.nan]) for name in found_of(LIFE)}
    assert 600 < estimated_life(found_of(LIFE), LIFE, CELLS, [lacking])[0][0] < 1000


@pytest.mark.parametrize("life", [np.full(80, 500.0), np.full(80, np.nan), np.where(LIFE > 600, np.nan, LIFE)])
def test_nothing_to_learn(life: np.ndarray) -> None:
    assert estimated_life(found_of(LIFE), life, CELLS, [found_of(LIFE)]) is None


def test_no_indicator_to_learn_from() -> None:
    assert estimated_life({"a_V": np.full(80, np.nan)}, LIFE, CELLS, [{"a_V": np.zeros(1)}]) is None
