"""Trials of profile models: one fold, judged on its validation cells, blind for its test cells."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batgen import profile_part, run
from batgen.data.profile_set import ProfileSet
from batgen.data.store import Store
from batgen.errors import ConfigError
from batgen.preprocessing.profiles import Profiles
from batgen.training.watch import Pruned
from tests.trial_fixture import PROFILES, composed, conf_of, csv_rows, tried

Poison = Callable[[str], None]


@pytest.fixture(autouse=True)
def one_store(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests here: to make it takes longer than a trial. (After `cache_dir`, which gives each its own.)"""
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "trial-cache"))


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Makes the curves of the test rows, or of the validation rows, of the first fold NaN, and their facts a million."""
    fold = profile_part.prepare(conf_of(tmp_path, *PROFILES), tmp_path / "clean-part").members[0].fold
    read = Profiles.read

    def poisoned(part: str) -> None:
        rows = np.concatenate(list(fold.tests.values())) if part == "test" else fold.val

        def records(self: Profiles, store: Store, cycles: int | None) -> tuple[ProfileSet, list[str]]:
            found, notes = read(self, store, cycles)
            curves, duration_s, base, table = (
                found.curves.copy(), found.duration_s.copy(), found.base.copy(), found.table.copy(),
            )  # fmt: skip
            curves[rows], duration_s[rows], base[rows] = np.nan, 1e6, 1e6
            for name in ("soh", "start_temperature_degC", "c_rate", "nominal_capacity_Ah", "duration_s"):
                table.loc[rows, name] = 1e6
            return replace(found, curves=curves, duration_s=duration_s, base=base, table=table), notes

        monkeypatch.setattr(Profiles, "read", records)

    return poisoned


def test_what_is_tested_changes_nothing(tmp_path: Path, poison: Poison) -> None:
    clean = tried(tmp_path / "clean", *PROFILES)
    poison("test")
    assert tried(tmp_path / "poisoned", *PROFILES) == clean


def test_the_poison_is_felt_where_it_is_looked_at(tmp_path: Path, poison: Poison) -> None:
    poison("val")
    with pytest.raises(Exception, match="constant|finite|NaN|number"):
        tried(tmp_path, *PROFILES)


def test_the_values_are_those_of_the_step_that_a_run_chooses(tmp_path: Path) -> None:
    values = tried(tmp_path / "trial", *PROFILES, "trainer.choose=last")
    rows = csv_rows(tmp_path / "trial" / "honest-seed0" / "health_fold0.csv")
    chosen = min((row for row in rows if row["step"] >= 6), key=lambda row: row.get("val_energy_score", np.inf))
    assert values["val/energy_score"] == chosen["val_energy_score"]
    assert values["val/energy_distance"] == chosen["val_energy_distance"]
    assert values["best_step"] == chosen["step"]
    assert values["steps"] == 12
    assert "epochs" not in values
    assert not list((tmp_path / "trial").rglob("*.ckpt"))
    part = profile_part.prepare(conf_of(tmp_path, *PROFILES, "trainer.choose=retrain"), tmp_path / "run")
    profile_part.train(part)
    facts = part.members[0].facts["search"]
    assert values["val/energy_score"] == pytest.approx(facts["best_score"])
    assert values["best_step"] == facts["chosen_step"]


def test_only_what_may_be_chosen_is_reported(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def at_once(step: int, score: float) -> bool:
        told.append((step, score))
        return True

    with pytest.raises(Pruned) as ended:
        tried(tmp_path, *PROFILES, report=at_once)
    assert ended.value.step == 1
    assert [step for step, _ in told] == [5], "a pruner is told steps, as the table has them"
    rows = csv_rows(tmp_path / "honest-seed0" / "health_fold0.csv")
    assert rows[-1]["step"] == 6
    assert rows[-1]["val_energy_score"] == told[0][1]
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not (tmp_path / "trial.json").exists()


def test_the_mean_of_the_folds_is_never_of_cells_that_are_tested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"profiles that one model is tested on train another\. Use split\.run=1"):
        tried(tmp_path, *PROFILES, "split.run=2")


def test_a_model_without_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model=protocol_mean: it is fitted in one step"):
        tried(tmp_path, "data=sim", "model=protocol_mean", "preprocessing=profiles", "trainer=adversarial",
              "split=held_out_cells", "evaluation=profiles")  # fmt: skip


def test_the_monitor_is_what_is_reported(tmp_path: Path) -> None:
    cfg = composed(tmp_path, *PROFILES, "trainer.monitor=val/energy_distance")
    told: list[Any] = []
    values = run.trial(cfg, tmp_path, lambda step, score: bool(told.append(score)))
    assert run.monitored(cfg) == "val/energy_distance"
    assert values["val/energy_distance"] == min(told)
