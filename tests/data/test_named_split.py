"""Cells that are named are tested on, and nothing else is."""

import pandas as pd
import pytest

from batgen.data.named_split import NamedSplit
from batgen.data.sources.sim import Sim
from batgen.errors import ConfigError

CELLS = pd.DataFrame({"cell_id": [f"c{k}" for k in range(10)], "source": "sim", "eol": 500.0, "last_cycle": 600.0})
SHORT = pd.DataFrame({"cell_id": ["early"]})


def test_named_cells_test_and_the_others_train_and_validate() -> None:
    parts = NamedSplit(test=["c3", "c7"], val=0.25).divide(CELLS, SHORT, Sim(), seed=0)
    assert parts["test"] == ("c3", "c7")
    assert len(parts["val"]) == 2
    assert sorted([*parts["train"], *parts["val"], *parts["test"]]) == sorted(CELLS["cell_id"])
    assert parts == NamedSplit(test=["c3", "c7"], val=0.25).divide(CELLS, SHORT, Sim(), seed=0)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (["c33"], "did you mean 'c3'"),
        (["early"], "early is too short"),
        ([], "name the cells"),
        ("c3", "name the cells"),
    ],
)
def test_cells_that_cannot_be_tested_on_are_refused(test: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NamedSplit(test=test).divide(CELLS, SHORT, Sim(), seed=0)
