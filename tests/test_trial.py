"""Trials of curve models: trained on training rows, judged on validation rows, blind for test rows."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from batgen import curve_part, run
from batgen.data.store import Store
from batgen.errors import BatgenError, ConfigError
from batgen.preprocessing.quasi_video import QuasiVideo
from batgen.training.watch import Pruned
from tests.trial_fixture import CURVES, RCVAE, composed, conf_of, csv_rows, tried

Poison = Callable[[list[str], str], None]


@pytest.fixture(autouse=True)
def one_store(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests here: to make it takes longer than a trial. (After `cache_dir`, which gives each its own.)"""
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "trial-cache"))


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Makes the curves of one part of the split of these words NaN, and its lives and conditions a million."""
    read, table_of = QuasiVideo.read, curve_part.sample_table

    def poisoned(words: list[str], part: str) -> None:
        data = curve_part.prepare(conf_of(tmp_path, *words))
        chosen = data.table.iloc[data.parts[part]]
        keys = set(zip(chosen["cell_id"], chosen["ecl"].astype(int), strict=True))

        def among(samples: pd.DataFrame) -> np.ndarray:
            return np.array([key in keys for key in zip(samples["cell_id"], samples["ecl"].astype(int), strict=True)])

        def table(*args: Any, **options: Any) -> tuple[pd.DataFrame, list[str]]:
            samples, notes = table_of(*args, **options)
            samples.loc[among(samples), ["eol", "soh", "ambient_degC", "c1", "c2"]] = 1e6
            return samples, notes

        def curves(self: QuasiVideo, store: Store, samples: pd.DataFrame) -> Any:
            found, rows, notes = read(self, store, samples)
            found = found.copy()
            found[among(samples.iloc[rows])] = np.nan
            return found, rows, notes

        monkeypatch.setattr(curve_part, "sample_table", table)
        monkeypatch.setattr(QuasiVideo, "read", curves)

    return poisoned


@pytest.mark.parametrize("words", [CURVES, [*RCVAE, "protocol=paper", "split=cell"]], ids=["honest", "paper"])
def test_what_is_tested_changes_nothing(tmp_path: Path, poison: Poison, words: list[str]) -> None:
    clean = tried(tmp_path / "clean", *words)
    poison(words, "test")
    assert tried(tmp_path / "poisoned", *words) == clean


def test_the_poison_is_felt_where_it_is_looked_at(tmp_path: Path, poison: Poison) -> None:
    poison(CURVES, "val")
    with pytest.raises(ConfigError, match="no finite value"):
        tried(tmp_path, *CURVES)


def test_the_values_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    values = tried(tmp_path, *CURVES)
    rows = csv_rows(tmp_path / "honest-seed0" / "metrics.csv")
    best = min(rows, key=lambda row: row["val/crps"])
    assert {name: value for name, value in values.items() if name.startswith("val/")} == {
        name: value for name, value in best.items() if name.startswith("val/")
    }
    assert (values["best_epoch"], values["epochs"]) == (best["epoch"], len(rows) == 4 and 4)
    told = json.loads((tmp_path / "trial.json").read_text())
    assert told == {**values, "train_s": told["train_s"]}


def test_a_trial_is_what_a_run_does_until_it_tests(tmp_path: Path) -> None:
    words = [*CURVES, "trainer.early_stopping=disjoint", "evaluation.baselines={}"]
    run.train(composed(tmp_path / "run", *words), tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "honest-seed0" / "metrics.json").read_text())["training"]
    values = tried(tmp_path / "trial", *CURVES, "trainer.early_stopping=retrain")
    assert values["val/crps"] == pytest.approx(facts["best_score"])
    assert values["best_epoch"] == facts["best_epoch"]


def test_validation_rows_are_not_trained_on_under_any_protocol(tmp_path: Path) -> None:
    words = [*RCVAE, "protocol=paper"]
    disjoint = tried(tmp_path / "d", *words, "trainer.early_stopping=disjoint")
    assert tried(tmp_path / "l", *words, "trainer.early_stopping=literal") == disjoint


def test_a_trial_repeats_and_leaves_no_model(tmp_path: Path) -> None:
    first = tried(tmp_path / "a", *CURVES, "trainer.save_every_s=0")
    torch.rand(17)  # nothing hangs on the state of the global generator
    assert tried(tmp_path / "b", *CURVES) == first
    there = {p.relative_to(tmp_path / "a").as_posix() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert there == {"config.yaml", "trial.json", "honest-seed0/metrics.csv"}
    assert tried(tmp_path / "c", *CURVES, "seed=1") != first


def test_every_validation_is_reported_and_one_may_end_it(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def until_second(step: int, score: float) -> bool:
        told.append((step, score))
        return step == 1

    with pytest.raises(Pruned) as ended:
        tried(tmp_path, *CURVES, report=until_second)
    rows = csv_rows(tmp_path / "honest-seed0" / "metrics.csv")
    assert ended.value.step == 1
    assert told == [(int(row["epoch"]), row["val/crps"]) for row in rows]
    assert len(told) == 2
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not (tmp_path / "trial.json").exists()


def test_what_is_reported_is_the_monitor(tmp_path: Path) -> None:
    words, told = [*CURVES, "trainer.monitor=val/loss", "trainer.val_every=2"], []
    values = tried(tmp_path, *words, report=lambda step, score: bool(told.append((step, score))))
    assert [step for step, _ in told] == [1, 3]
    assert values["val/loss"] == min(score for _, score in told)
    assert run.monitored(composed(tmp_path, *words)) == "val/loss"


def test_pruned_travels_between_processes() -> None:
    assert pickle.loads(pickle.dumps(Pruned(7))).step == 7


def test_a_search_that_cannot_be_told_ends_the_trial(tmp_path: Path) -> None:
    def unreachable(step: int, score: float) -> bool:
        raise ConfigError("search.storage: gone")

    with pytest.raises(ConfigError, match="gone"):
        tried(tmp_path, *CURVES, report=unreachable)


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(BatgenError, match="no longer finite"):
        tried(tmp_path, *CURVES, "model.optim.lr=1e30")
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([*CURVES, "protocol=both"], "protocol=both: a search is of one protocol"),
        (["data=sim", "model=knn"], "model=knn: it is fitted in one step"),
        ([*CURVES, "trainer.monitor=val/nothing"], "is none of val/loss"),
    ],
)
def test_what_cannot_be_a_trial_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        tried(tmp_path, *words)
    assert not (tmp_path / "honest-seed0").exists()


def test_the_loggers_of_the_config_hear_of_it(tmp_path: Path) -> None:
    tried(tmp_path, *CURVES, "logger=tensorboard")
    assert list((tmp_path / "tensorboard" / "honest-seed0").glob("events.*"))
