"""The numbers figures of forecasts show, on tables small enough to do by hand."""

import numpy as np
import pandas as pd
import pytest

from batgen.report.sequence_scores import (
    best_baselines,
    first_reach,
    normal_proportion,
    observed_proportion,
    rmse_by_cell,
    round_edges,
)


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_rmse_is_of_a_cell_and_of_what_was_observed() -> None:
    rows = table(cell_id=["a", "a", "a", "b"], median=[1.0, 2.0, 9.0, 5.0], truth=[4.0, 6.0, np.nan, np.nan])
    assert rmse_by_cell(rows).to_dict() == {"a": pytest.approx(np.sqrt(12.5))}


def test_baselines_are_ranked_by_the_mean_over_cells_not_over_cycles() -> None:
    # Over cycles "long" is better: it errs on the short cell only.
    cells = ["a"] * 9 + ["b"]
    long, short = [0.0] * 9 + [4.0], [1.5] * 9 + [0.0]
    rows = pd.concat(
        table(method=name, cell_id=cells, median=values, truth=0.0)
        for name, values in (("long", long), ("short", short), ("model", [0.0] * 10), ("model, conformal", [0.0] * 10))
    )
    assert best_baselines(rows, 2) == ["short", "long"]


@pytest.mark.parametrize(("first", "last"), [(1, 7), (1, 12), (1, 499), (31, 1500), (101, 8000), (1, 1)])
def test_bins_hold_everything_and_are_few(first: int, last: int) -> None:
    edges = round_edges(first, last)
    assert edges[0] <= first < edges[1]
    assert edges[-1] > last
    assert len(edges) <= 14
    assert len(set(np.diff(edges))) == 1


def test_first_reach_is_the_first_crossing_of_a_cells_own_end() -> None:
    rows = table(cell_id=list("aaabbb"), cycle=[10, 11, 12, 10, 11, 12], q=[90.0, 80.0, 85.0, 90.0, 89.0, 81.0])
    found = first_reach(rows, "q", pd.Series({"a": 80.0, "b": 80.0}))
    assert found["a"] == 11
    assert np.isnan(found["b"])
    assert first_reach(rows, "q", pd.Series({"a": 95.0, "b": np.nan}))["a"] == 10


def test_observed_proportions_count_each_cell_the_same() -> None:
    rows = table(cell_id=["a"] * 8 + ["b"] * 2, truth=0.0, low=[1.0] * 8 + [-1.0] * 2, high=1.0)
    assert observed_proportion(rows, ["low", "high"]).tolist() == [0.5, 1.0]


def test_normal_proportions_of_normal_truth_are_those_expected() -> None:
    z = 1.2815515655446004
    truth = np.random.default_rng(0).normal(3.0, 2.0, 20000)
    rows = table(cell_id="a", truth=truth, median=3.0, low=3.0 - 2 * z, high=3.0 + 2 * z)
    expected = np.linspace(0, 1, 11)
    assert normal_proportion(rows, 0.1, 0.9, expected) == pytest.approx(expected, abs=0.01)
    narrow = rows.assign(low=3.0 - z / 50, high=3.0 + z / 50)
    assert normal_proportion(narrow, 0.1, 0.9, expected)[[1, 9]] == pytest.approx([0.5, 0.5], abs=0.02)
