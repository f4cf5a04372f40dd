import numpy as np
import pandas as pd
import pytest

from batgen.errors import ConfigError, DataError
from batgen.preprocessing.conditions import Conditions

TABLE = pd.DataFrame({"cell_id": ["a", "b"], "eol": [500.0, 900.0], "ecl": [1, 50], "chemistry": ["LFP", "NMC"]})


def fitted() -> Conditions:
    made = Conditions(["eol", "ecl", "chemistry"])
    made.fit(TABLE)
    return made


def test_numbers_stay_physical_and_chemistry_is_one_hot() -> None:
    made = fitted()
    assert made.columns == ("eol", "ecl", "chemistry=LFP", "chemistry=NMC")
    np.testing.assert_array_equal(made.encode(TABLE), [[500, 1, 1, 0], [900, 50, 0, 1]])
    unseen = TABLE.assign(chemistry="LCO")
    assert made.encode(unseen)[:, 2:].sum() == 0
    again = Conditions.from_state(made.state())
    np.testing.assert_array_equal(again.encode(TABLE), made.encode(TABLE))


def test_outside_the_training_range_warns() -> None:
    assert fitted().check({"eol": 700, "ecl": 3}) == []
    (warning,) = fitted().check({"eol": "3000"})
    assert "outside the training range 500 to 900" in warning


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"eol": "soon"}, "not a number"),
        ({"eol": -5}, "positive"),
        ({"ecl": 0}, "positive"),
        ({"eol": float("nan")}, "positive"),
        ({"soh": 0.9}, "no condition 'soh'"),
        ({"chemistry": "LCO"}, "LFP, NMC"),
    ],
)
def test_wrong_conditions_are_refused(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted().check(wanted)


def test_unknown_for_a_cell_names_cell_and_remedy() -> None:
    made = Conditions(["eol", "ecl"])
    with pytest.raises(DataError, match=r"'eol' is not known for cell b.*data\.conditions=\[ecl\]"):
        made.fit(TABLE.assign(eol=[500.0, np.nan]))
    with pytest.raises(ConfigError, match="'age' is no condition"):
        Conditions(["age"])
