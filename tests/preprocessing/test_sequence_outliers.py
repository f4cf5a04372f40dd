from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.data.cell import CellInfo
from batgen.data.sources.mit_summary import MitSummary
from batgen.data.store import open_store
from batgen.preprocessing.sequence_outliers import mask
from batgen.preprocessing.sequence_series import read_series

RULE = {"window": 10, "limit": 6.0, "floor": 0.01, "patience": 3}


def fading(n: int = 200) -> np.ndarray:
    """A slow fade that turns into a knee at two thirds: 0.02 % a cycle, then up to 1 % a cycle; a little noise."""
    cycle = np.arange(n)
    knee = np.maximum(cycle - 2 * n // 3, 0)
    return 1 - 2e-4 * cycle - 8e-5 * knee**2 + 1e-4 * np.random.default_rng(0).standard_normal(n)


def test_planted_glitches_are_masked_and_nothing_else() -> None:
    values = fading()
    values[[40, 90, 91, 150]] = [0.5, 1.3, 0.2, 1.05]
    assert np.flatnonzero(mask(values, **RULE)).tolist() == [40, 90, 91, 150]


def test_a_knee_is_no_outlier() -> None:
    assert fading()[-1] < 0.7
    assert not mask(fading(), **RULE).any()


def test_a_step_that_stays_is_believed_after_patience() -> None:
    values = fading()
    values[60:] += 0.05  # regeneration after a rest
    assert np.flatnonzero(mask(values, **RULE)).tolist() == [60, 61, 62]
    assert np.flatnonzero(mask(values, **RULE | {"patience": 5})).tolist() == [60, 61, 62, 63, 64]


def test_masked_values_that_disagree_are_not_believed_before_a_window_of_them() -> None:
    values = np.ones(60)
    values[20:40] = np.tile([1.2, 0.7, 1.5, 0.4], 5)
    flags = mask(values, **RULE)
    assert flags[20:30].all()
    assert not flags[50:].any(), "what follows is judged again, not masked for ever"


def test_only_earlier_values_are_looked_at() -> None:
    rng = np.random.default_rng(1)
    values = fading() + 0.01 * rng.standard_normal(200)
    values[rng.choice(200, 20, replace=False)] += 0.2
    values[rng.choice(200, 20, replace=False)] = np.nan
    whole = mask(values, **RULE)
    assert whole.sum() > 5
    for stop in range(1, 200):
        np.testing.assert_array_equal(mask(values[:stop], **RULE), whole[:stop])


def test_missing_cycles_are_passed_over() -> None:
    values = fading()
    values[77] = 0.1
    sparse = np.full(2000, np.nan)
    sparse[::10] = values
    assert np.flatnonzero(mask(sparse, **RULE)).tolist() == [770]
    assert not mask(np.full(5, np.nan), **RULE).any()


def test_the_tolerance_is_the_larger_of_spread_and_floor() -> None:
    quiet, noisy = np.full(30, 2.0), 2.0 + 0.1 * (-1.0) ** np.arange(30)
    for values in (quiet, noisy):
        values[20] = 2.1
    assert mask(quiet, **RULE)[20]
    assert not mask(quiet, **RULE | {"floor": 0.06})[20]
    assert not mask(noisy, **RULE)[20]
    noisy[20] = 2.0 + 7 * 1.4826 * 0.1
    assert mask(noisy, **RULE)[20]


@pytest.mark.slow
def test_measured_mit_cells_lose_glitches_and_no_knee(data_dir: Path) -> None:
    folder = "severson_soh_trajectories"
    store = open_store(MitSummary(folder=folder, qdlin_folder=None, percycle_folder=None), 1, progress=False)
    found = {}
    for info in store.infos:
        values = store.summary(info.cell_id)["discharge_capacity_Ah"].to_numpy()
        flags = mask(values, **RULE | {"floor": 0.03})
        found[info.cell_id] = int(flags.sum())
        assert not flags[-30:].any(), f"{info.cell_id}: the knee is masked"
    assert sum(found.values()) == 16
    assert max(found, key=lambda cell: found[cell]) == "b1c0"


def test_what_another_load_gives_is_no_outlier() -> None:
    class OneCell:
        """A store with a cell that goes from 1C to 2C at cycle 41 and back at cycle 61, and one bad record at each rate."""

        source, table = MitSummary(), pd.DataFrame({"cycle": np.arange(1, 81)})

        def summary(self, cell_id: str) -> pd.DataFrame:
            return self.table

        def info(self, cell_id: str) -> CellInfo:
            return CellInfo("c", "made", "LFP", 1.1, 2.0, 3.6, 25.0)

    rate = np.where((OneCell.table["cycle"] > 40) & (OneCell.table["cycle"] <= 60), 2.0, 1.0)
    values = np.where(rate > 1, 0.8, 1.0) - 1e-4 * OneCell.table["cycle"].to_numpy()
    values[[29, 49]] = 0.4
    store = OneCell()
    store.table["discharge_capacity_Ah"] = values
    blind = read_series(store, "c", ["discharge_capacity_Ah"], [], ["discharge_capacity_Ah"], RULE, None)
    store.table["discharge_c_rate"] = rate
    seen = read_series(store, "c", ["discharge_capacity_Ah"], [], ["discharge_capacity_Ah"], RULE, None)
    assert np.flatnonzero(seen.outliers["discharge_capacity_Ah"]).tolist() == [29, 49]
    assert blind.outliers["discharge_capacity_Ah"][40:43].all(), "the rule that does not know the load"
