"""The end of life that forecasts are judged by: each cell's own threshold and cycle, and a clamp metric that can be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from omegaconf import OmegaConf

from batgen import overrides
from batgen.build import build
from batgen.cli import CONF
from batgen.config import BESIDE, without
from batgen.data.sources.percycle_csv import PercycleCsv
from batgen.data.sources.pool import Pool
from batgen.data.store import open_store
from batgen.errors import ConfigError
from batgen.evaluation.forecast_settings import ForecastEvaluation
from batgen.forecasting import _forecast
from batgen.preprocessing.cycle_sequences import CycleSequences
from batgen.sequence_part import Part
from batgen.sequence_run import eol_capacities
from tests.sequence_run_fixture import QUICK, csv, run, table

CAPACITY = "discharge_capacity_Ah"


def node(path: Path, eol_capacity_Ah: float | None) -> dict[str, Any]:
    table(4, 150).to_csv(path, index=False)
    return {
        "_target_": "batgen.data.sources.percycle_csv.PercycleCsv",
        "path": str(path),
        "nominal_capacity_Ah": 2.0,
        "eol_capacity_Ah": eol_capacity_Ah,
    }


def test_a_pool_judges_each_cell_by_the_threshold_of_its_own_dataset(tmp_path: Path, cache_dir: Path) -> None:
    """As NASA's 1.4 of 2 Ah beside the 80 % of others: else the measured end would be of one threshold, ours of another."""
    sources = {"early": node(tmp_path / "a.csv", 1.8), "common": node(tmp_path / "b.csv", None)}
    store = open_store(Pool(sources=sources), cycles=1)
    reader = CycleSequences(max_cycles=None)
    series = {info.cell_id: reader.series(store, info.cell_id) for info in store.infos}
    found = eol_capacities(cast(Part, SimpleNamespace(store=store, series=series)))
    assert {cell: round(value, 9) for cell, value in found.items()} == {
        f"{name}/c{k:02d}": level for name, level in (("early", 1.8), ("common", 1.6)) for k in range(4)
    }
    for cell, one in series.items():  # and the measured end is that of the same threshold
        at = int(one.info.eol_cycle)
        capacity = one.columns[CAPACITY]
        assert capacity[at - 1] < found[cell] <= capacity[at - 3 : at - 1].max() + 0.005


@pytest.mark.parametrize(("max_cycles", "known"), [(None, True), (100, True), (30, False)])
def test_an_end_of_life_before_max_cycles_is_known(
    tmp_path: Path, cache_dir: Path, max_cycles: int | None, known: bool
) -> None:
    fields = {key: value for key, value in node(tmp_path / "a.csv", 1.6).items() if key != "_target_"}
    store = open_store(PercycleCsv(**fields), cycles=1)
    one = CycleSequences(max_cycles=max_cycles).series(store, "c03")
    assert 40 < one.info.eol_cycle < 60
    cycle = np.arange(21, 161)
    made = _forecast(one, CAPACITY, 20, cycle, np.array([0.5]), np.ones((140, 1)), "test", {"c03": 1.6})
    assert (made.truth_eol_cycle == one.info.eol_cycle) == known
    assert np.isnan(made.truth_eol_cycle) != known


def test_a_clamp_metric_that_ends_before_the_forecasts_is_refused_before_any_training(
    tmp_path: Path, cache_dir: Path
) -> None:
    ForecastEvaluation(until=31).check_until([12, 30])
    ForecastEvaluation().check_until([5000])
    with pytest.raises(ConfigError, match=r"evaluation.until=12: tests observe up to 12 cycles"):
        run(tmp_path / "run", *QUICK, *csv(tmp_path / "cells.csv"), "evaluation.until=12")
    assert not list(tmp_path.rglob("*.ckpt"))


def test_the_unseen_schedule_is_judged_where_the_load_changes(data_dir: Path, cache_dir: Path) -> None:
    """B0038 goes from 2C to 0.5C, 1C and 2C: the rule for outliers takes the first cycles of a new load for such."""
    cfg: Any = OmegaConf.to_container(overrides.compose(["experiment=seq_c_rate", "run_name=test"], CONF), resolve=True)
    store = open_store(build(without(cfg["data"], *BESIDE["data"])), cycles=1)
    one = build(cfg["preprocessing"]).series(store, "B0038")
    changed = np.flatnonzero(np.abs(np.diff(one.columns["discharge_c_rate"])) > 0.1) + 2
    assert changed.tolist() == [12, 39, 45]
    assert np.isfinite(one.columns[CAPACITY]).all()
