"""Stand-ins for a generator come from other cells, nearest in condition first."""

import numpy as np
import pandas as pd

from batgen.data.curve_set import CurveSet
from batgen.evaluation.condition_neighbours import nearest_of_cells, of_another_cell, of_other_cells


def set_of(cells: list[str], soh: list[float]) -> CurveSet:
    table = pd.DataFrame({"cell_id": cells, "soh": soh})
    return CurveSet(np.zeros((len(cells), 1, 2), np.float32), ("voltage_V",), np.arange(2.0), "record", table)


TRAIN = set_of(["a", "a", "b", "c"], [0.7, 0.9, 0.84, 1.0])
ROWS = set_of(["a", "x"], [0.9, 0.82])


def test_the_nearest_curve_of_each_cell_and_never_of_the_own_one() -> None:
    distance, place = nearest_of_cells(ROWS, TRAIN, ("soh",))
    wanted = np.array([[np.inf, 0.06, 0.1], [0.08, 0.02, 0.18]]) / np.std([0.7, 0.9, 0.84, 1.0])
    np.testing.assert_allclose(distance, wanted)
    assert place[0, 1] == 2
    assert place[1].tolist() == [1, 2, 3]


def test_cells_come_in_order_of_distance_and_none_where_too_few_are_left() -> None:
    found = of_other_cells(ROWS, TRAIN, ("soh",), 2, 0)
    assert found is not None
    assert found.T.tolist() == [[2, 3], [2, 1]]
    assert of_other_cells(ROWS, TRAIN, ("soh",), 3, 0) is None
    one = of_another_cell(ROWS, TRAIN, ("soh",), 0)
    assert one is not None
    assert set(one.tolist()) <= {1, 2, 3}
    assert one[0] in (2, 3)
    assert of_another_cell(ROWS.take(np.array([0])), TRAIN.take(np.array([0, 1])), ("soh",), 0) is None


def test_without_conditions_every_cell_is_as_near_as_any_other() -> None:
    cells = [str(number) for number in range(20)]
    rows, train = set_of(["x"] * 400, [1.0] * 400), set_of(cells, [1.0] * 20)
    found = of_other_cells(rows, train, (), 1, 3)
    assert found is not None
    assert len(np.unique(found)) == 20
