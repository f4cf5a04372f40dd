"""Trials of pulse models: a split within the training rows of one fold, blind for its test cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen import pulse_part, pulse_trial, run
from batgen.build import build
from batgen.errors import ConfigError
from batgen.evaluation.pulses import Generator
from tests.pulse_run_fixture import CASE, QUICK, csv
from tests.trial_fixture import composed, conf_of, tried

ONE = [*QUICK, CASE, "split.run=1"]


def _poison(monkeypatch: pytest.MonkeyPatch, rows: np.ndarray) -> None:
    """Makes the voltages of these rows of the pulse table NaN, and their SOH ten times 1."""
    read = pulse_part.pulse_table

    def poisoned(conf: dict[str, Any]) -> tuple[Any, pd.DataFrame]:
        store, table = read(conf)
        table = table.copy()
        table.loc[rows, [name for name in table.columns if name.startswith("U")]] = np.nan
        table.loc[rows, "soh"] = 10.0
        return store, table

    monkeypatch.setattr(pulse_part, "pulse_table", poisoned)
    monkeypatch.setattr(pulse_trial, "pulse_table", poisoned)


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_what_is_tested_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    words = [*ONE, *csv(tmp_path / "pulses.csv"), f"protocol={protocol}"]
    conf = conf_of(tmp_path, *words)
    table = pulse_part.pulse_table(conf)[1]
    (member,) = build(conf["split"]).members(table, 0)
    tested = np.concatenate([member.test, member.random])
    if protocol == "honest":  # these cells are not looked at, at whatever SOC
        tested = np.flatnonzero(table["cell_id"].isin(set(table["cell_id"].iloc[tested])))
    clean = tried(tmp_path / "clean", *words)
    assert 0 < clean["val/mape_soh"] < 100
    assert 0 < clean["val/crps"] < 1
    _poison(monkeypatch, tested)
    assert tried(tmp_path / "poisoned", *words) == clean


def test_the_poison_is_felt_where_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*ONE, *csv(tmp_path / "pulses.csv")]
    conf = conf_of(tmp_path, *words)
    (member,) = build(conf["split"]).members(pulse_part.pulse_table(conf)[1], 0)
    _poison(monkeypatch, member.train[:1])
    with pytest.raises(Exception, match="not known|NaN|finite"):
        tried(tmp_path / "t", *words)


def test_losses_are_kept_and_models_are_not(tmp_path: Path) -> None:
    words = [*ONE, *csv(tmp_path / "pulses.csv")]
    values = tried(tmp_path / "t", *words)
    there = {p.relative_to(tmp_path / "t").as_posix() for p in (tmp_path / "t").rglob("*") if p.is_file()}
    assert there == {"config.yaml", "trial.json", "honest-seed0/losses.csv"}
    assert len(pd.read_csv(tmp_path / "t" / "honest-seed0" / "losses.csv")) == values["epochs"] == 2
    assert run.monitored(composed(tmp_path, *words)) is None


def test_the_score_of_voltages_is_in_volts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Generator.draw

    def ten_millivolts_off(self: Generator, rows: pd.DataFrame, n: int) -> np.ndarray:
        if "U1" not in rows:  # conditions alone: what regressors learn from
            return draw(self, rows, n)
        return np.repeat(self.task.volts(rows)[None] + 0.010, n, axis=0)

    monkeypatch.setattr(Generator, "draw", ten_millivolts_off)
    assert tried(tmp_path / "t", *ONE, *csv(tmp_path / "pulses.csv"))["val/crps"] == pytest.approx(0.010)


def test_the_error_of_soh_is_that_of_the_held_out_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[pd.DataFrame] = []

    def two_percent_high(
        ours: Any, train: Any, made: Any, tested: pd.DataFrame, settings: Any
    ) -> dict[str, np.ndarray]:
        held.append(tested)
        return {"average": 1.02 * tested["soh"].to_numpy(float)}

    monkeypatch.setattr(pulse_trial, "estimates", two_percent_high)
    assert tried(tmp_path / "t", *ONE, *csv(tmp_path / "pulses.csv"))["val/mape_soh"] == pytest.approx(2.0)
    assert {float(one["soc"].iloc[0]) for one in held} == {0.25}
    assert [len(one) for one in held] == [2, 2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["split.run=null"], r"cells that one model is tested on train another\. Use split\.run=1"),
        (["protocol=paper", 'split.use=["3","7"]'], r"pulse tests that one model is tested on train another"),
        (['split.use=["7"]'], r"split\.cases\.7=\[0\.05, 0\.1\]: a search holds out one training SOC"),
    ],
)
def test_what_would_show_what_is_tested_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        tried(tmp_path / "t", *ONE, *csv(tmp_path / "pulses.csv"), *words)
