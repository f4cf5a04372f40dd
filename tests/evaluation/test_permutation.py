"""Permutation of conditions with known answers: what is used, what is not, what cannot be told."""

import numpy as np
import pytest

from batgen.evaluation.permutation import permutation_rows

#: ambient_degC, c_rate, ecl, soh, a constant
BLOCKS = {"ambient_degC+c_rate": [0, 1], "ecl": [2], "soh": [3], "dead": [4], "ambient_degC": [0], "c_rate": [1]}


def rows() -> tuple[np.ndarray, np.ndarray]:
    """30 rows of each of 3 protocols; ambient and rate go with the protocol, ecl and soh vary within."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], 30)
    ambient, rate = np.array([24.0, 24.0, 43.0])[kind], np.array([1.0, 2.0, 2.0])[kind] + 0.001 * rng.normal(size=90)
    ecl = np.tile(np.arange(30.0), 3)
    cond = np.stack([ambient, rate, ecl, rng.permutation(1 - 0.005 * ecl), np.full(90, 0.7)], axis=1)
    return cond, np.array(["24 degC, 1 C", "24 degC, 2 C", "43 degC, 2 C"])[kind]


COND, PROTOCOL = rows()
TRUTH = COND[:, 0] + 5 * COND[:, 1] + 0.1 * COND[:, 2]


def listens(cond: np.ndarray) -> np.ndarray:
    """A model that knows everything but soh."""
    return np.abs(cond[:, 0] + 5 * cond[:, 1] + 0.1 * cond[:, 2] - TRUTH)


def table(error: object = listens, noise: float = 0.05, **more: int) -> dict[str, dict[str, object]]:
    found = permutation_rows(error, COND, BLOCKS, PROTOCOL, noise, seed=0, **more)  # type: ignore[arg-type]
    assert [row["block"] for row in found] == list(BLOCKS)
    return {str(row["block"]): row for row in found}


def test_what_is_used_is_learnt_and_what_is_not_is_not() -> None:
    found = table()
    assert {name: row["learnt"] for name, row in found.items()} == {
        "ambient_degC+c_rate": "yes", "ecl": "yes", "soh": "no", "dead": "constant", "ambient_degC": "yes",
        "c_rate": "yes",
    }  # fmt: skip
    assert {row["n"] for row in found.values()} == {90}
    assert found["soh"]["value"] == found["soh"]["unpermuted"] == found["dead"]["value"] == 0.0


def test_a_model_that_ignores_its_conditions_learnt_none() -> None:
    found = table(lambda cond: np.abs(30.0 - TRUTH))
    assert {row["learnt"] for row in found.values()} == {"no", "constant"}


def test_protocol_conditions_go_across_others_stay_within_their_protocol() -> None:
    seen: list[np.ndarray] = []

    def spy(cond: np.ndarray) -> np.ndarray:
        seen.append(cond)
        return np.zeros(len(cond))

    found = table(spy, repeats=2)
    assert [row["how"] for row in found.values()][:3] == ["across", "within protocol", "within protocol"]
    # The mean current scatters a little within a protocol, which is no variation to learn from.
    assert found["ambient_degC"]["how"] == found["c_rate"]["how"] == "across"
    block, ecl = seen[1], seen[3]
    # Each row has ambient and rate of one row of another protocol, together, and keeps all else.
    pairs = {tuple(p): name for p, name in zip(COND[:, :2], PROTOCOL, strict=True)}
    assert all(pairs[tuple(p)] != own for p, own in zip(block[:, :2], PROTOCOL, strict=True))
    np.testing.assert_array_equal(block[:, 2:], COND[:, 2:])
    for name in np.unique(PROTOCOL):
        at = name == PROTOCOL
        np.testing.assert_array_equal(np.sort(ecl[at, 2]), np.sort(COND[at, 2]))
    assert (ecl[:, 2] != COND[:, 2]).mean() > 0.8


def test_values_in_closed_form_and_the_noise_decides() -> None:
    """Two protocols, 10 K apart, one row each: across swaps them, 10 K of error a row."""
    cond, protocol = np.array([[24.0], [34.0]]), np.array(["a", "b"])

    def error(c: np.ndarray) -> np.ndarray:
        return np.abs(c[:, 0] - cond[:, 0]) + 1

    for noise, learnt in ((9.0, "yes"), (11.0, "no")):
        (row,) = permutation_rows(error, cond, {"ambient_degC": [0]}, protocol, noise, 0)
        assert row == {
            "block": "ambient_degC",
            "how": "across",
            "value": 11.0,
            "unpermuted": 1.0,
            "n": 2,
            "learnt": learnt,
        }


def test_it_is_seeded_and_a_block_does_not_depend_on_those_before() -> None:
    assert table() == table()
    alone = permutation_rows(listens, COND, {"ambient_degC+c_rate": [0, 1]}, PROTOCOL, 0.05, seed=0)
    assert alone[0] == table()["ambient_degC+c_rate"]
    other = permutation_rows(listens, COND, {"ecl": [2]}, PROTOCOL, 0.05, seed=1)
    assert other[0]["value"] != table()["ecl"]["value"]


def test_rows_without_an_error_do_not_count_and_one_that_loses_it_is_infinite() -> None:
    def unknown(cond: np.ndarray) -> np.ndarray:
        return np.where(np.arange(90) < 30, np.nan, listens(cond))

    assert {row["n"] for row in table(unknown).values()} == {60}

    def loses(cond: np.ndarray) -> np.ndarray:
        return np.where(listens(cond) > 5, np.nan, listens(cond))

    assert table(loses)["ambient_degC+c_rate"]["value"] == np.inf
    with pytest.raises(ValueError, match="some of them known"):
        table(lambda cond: np.full(90, np.nan))
    with pytest.raises(ValueError, match="columns"):
        permutation_rows(listens, COND, {"x": [7]}, PROTOCOL, 0.0, 0)
    with pytest.raises(ValueError, match="one protocol"):
        permutation_rows(listens, COND, BLOCKS, PROTOCOL[:3], 0.0, 0)
