"""Trials of forecasters: folds of training and validation cells; series of test cells are not even read."""

import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from batgen import run, sequence_part, sequence_run
from batgen.data.store import Store
from batgen.errors import ConfigError
from batgen.preprocessing.cycle_sequences import CycleSequences
from batgen.preprocessing.sequence_series import Series
from batgen.training.watch import Pruned
from tests.sequence_run_fixture import QUICK, csv
from tests.trial_fixture import composed, conf_of, csv_rows, tried


@pytest.mark.parametrize("split", ["cell", "chronological"])
def test_what_is_tested_is_neither_read_nor_felt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    words = [*QUICK, *csv(tmp_path / "cells.csv"), f"split={split}"]
    parts = sequence_part.prepare(conf_of(tmp_path, *words), tmp_path / "part").parts
    clean = tried(tmp_path / "clean", *words)
    tested, stops = set(parts.cells["test"]), parts.stops or {}
    summary_of, series_of = Store.summary, CycleSequences.series

    def poisoned(self: Store, cell_id: str) -> pd.DataFrame:
        table = summary_of(self, cell_id).copy()
        rows = table["cycle"] > (stops[cell_id][1] if stops else 0)
        if cell_id in tested:
            table.loc[rows, [name for name in table.columns if name != "cycle"]] = 1e6
        return table

    def watched(self: CycleSequences, store: Store, cell_id: str, last_cycle: int | None = None) -> Series:
        if stops:
            assert last_cycle is not None
            assert last_cycle <= stops[cell_id][1]
        else:
            assert cell_id not in tested
        return series_of(self, store, cell_id, last_cycle)

    monkeypatch.setattr(Store, "summary", poisoned)
    monkeypatch.setattr(CycleSequences, "series", watched)
    assert tried(tmp_path / "poisoned", *words) == clean


def test_the_values_are_what_a_run_says_of_its_validation_cells(tmp_path: Path) -> None:
    words = [*QUICK, *csv(tmp_path / "cells.csv"), "evaluation.baselines={}", "evaluation.cuts=[12,9]"]
    values = tried(tmp_path / "trial", *words)
    conf, part = conf_of(tmp_path, *words), tmp_path / "run" / "honest-seed0"
    rows_of_run = sequence_run.run_parts([conf], [part], part.parent, Console(quiet=True), lambda done: None)
    assert values["val/crps"] == pytest.approx(sequence_run.score(rows_of_run), rel=1e-6)
    facts = json.loads((part / "metrics.json").read_text())["training"]
    best = [facts[name]["best_score"] for name in ("fold0", "fold1")]
    assert values["val/loss"] == pytest.approx(sum(best) / 2)
    rows = csv_rows(tmp_path / "trial" / "honest-seed0" / "losses_fold0.csv")
    assert min(row["val/loss"] for row in rows if "val/loss" in row) == pytest.approx(best[0])
    assert not list((tmp_path / "trial").rglob("*.ckpt"))


def test_the_first_fold_is_reported_and_may_end_it(tmp_path: Path) -> None:
    words = [*QUICK, *csv(tmp_path / "cells.csv"), "trainer.val_every=1"]
    told: list[tuple[int, float]] = []
    tried(tmp_path / "whole", *words, report=lambda step, score: bool(told.append((step, score))))
    rows = csv_rows(tmp_path / "whole" / "honest-seed0" / "losses_fold0.csv")
    assert told == [(int(row["epoch"]), row["val/loss"]) for row in rows]  # three epochs, of one fold of the two
    with pytest.raises(Pruned) as ended:
        tried(tmp_path / "pruned", *words, report=lambda step, score: step == 1)
    part = tmp_path / "pruned" / "honest-seed0"
    assert ended.value.step == 1
    assert len(csv_rows(part / "losses_fold0.csv")) == 2
    assert not (part / "losses_fold1.csv").exists()
    assert not list(part.glob("*.ckpt"))
    assert run.monitored(composed(tmp_path, *words)) == "val/loss"


def test_cuts_behind_every_validation_cell_are_refused(tmp_path: Path) -> None:
    made = [*QUICK, *csv(tmp_path / "cells.csv"), "trainer.last_cut=12"]
    with pytest.raises(ConfigError, match=r"evaluation\.cuts=\[500\]: no validation cell is known"):
        tried(tmp_path / "t", *made, "evaluation.cuts=[500]")
