"""Profile models that start from another run: what they take over, what is said of it, and runs one cannot start from."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import batgen
from batgen.errors import CheckpointError, ConfigError
from tests.profile_run_fixture import CGAN, FEW, PART, TINY, WGAN, run, told

COLD, HOT = ("preprocessing.where={ambient_degC:[" + span + "]}" for span in ("25,35", "35,45"))
SMALL = [*WGAN, *TINY, *FEW, "evaluation.permutations=0", "evaluation.sweep=0"]
#: Not a step away from where they start: what was taken over is then what is there.
STILL = ["model.optim.generator.lr=0.0", "model.optim.critic.lr=0.0"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def quick(patch: pytest.MonkeyPatch, cache: str) -> None:
    patch.setenv("BATGEN_CACHE_DIR", cache)
    patch.setattr("batgen.processes.cores", lambda: 1)
    patch.setattr("batgen.profile_run.draw", lambda part, folder: [folder / "none.png"])


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for this module, one thread, and no figures, which other tests look at."""
    quick(monkeypatch, cache)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """Trained on the cells at 30 degC, one fold."""
    folder = tmp_path_factory.mktemp("run") / "source"
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, cache)
        run(folder, *SMALL, COLD)
    return folder


def model(folder: Path, fold: str = "fold0") -> Any:
    return batgen.load(folder / PART / "models" / f"{fold}.ckpt")


def weights(folder: Path, fold: str = "fold0") -> dict[str, Tensor]:
    found: dict[str, Tensor] = model(folder, fold).model.state_dict()
    return found


def learnt(state: dict[str, Tensor]) -> list[str]:
    """Names without those of the average, which goes on towards what it averages even where nothing is learnt."""
    return [name for name in state if not name.startswith("averaged")]


def test_weights_and_scales_are_taken_over_for_every_fold(source: Path, tmp_path: Path) -> None:
    """A fold that the source did not have starts from its first model."""
    run(tmp_path / "run", *SMALL, *STILL, HOT, f"finetune.run={source}", "split.run=2")
    before = weights(source)
    for fold in ("fold0", "fold1"):
        after = weights(tmp_path / "run", fold)
        assert before.keys() == after.keys()
        for name in learnt(before):
            torch.testing.assert_close(after[name], before[name], msg=f"{fold} {name}")
        own, old = (model(*of).preprocessing.state() for of in ((tmp_path / "run", fold), (source,)))
        assert (own["centre"], own["scale"]) == (old["centre"], old["scale"])


def test_refit_scales_are_those_of_the_new_cells(source: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", *SMALL, *STILL, HOT, f"finetune.run={source}", "finetune.scaler=refit")
    own, old = model(tmp_path / "run"), model(source)
    assert own.preprocessing.state()["centre"] != old.preprocessing.state()["centre"]
    before, after = weights(source), weights(tmp_path / "run")
    moved = {name for name in learnt(before) if not torch.allclose(before[name], after[name])}
    assert moved
    assert all("standardise" in name for name in moved), "of the conditions, nothing else"
    mean = after["conditioner.standardise.mean"][own.conditions.columns.index("ambient_degC")]
    assert float(mean) == pytest.approx(40, abs=0.5)


def test_training_moves_on_from_the_source(source: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", *SMALL, HOT, f"finetune.run={source}")
    before, after = weights(source), weights(tmp_path / "run")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    near = max(float((after[name] - before[name]).abs().max()) for name in learnt(before) if "standardise" not in name)
    assert near < 0.1, "six small steps"
    assert not any("learnt from test" in note for note in told(tmp_path / "run" / PART)["notes"])


def test_older_cycles_of_cells_that_were_learnt_from_are_named(source: Path, tmp_path: Path) -> None:
    """Folds are dealt anew with another seed: cells that the source trained on are tested here."""
    run(tmp_path / "run", *SMALL, COLD, f"finetune.run={source}", "split.seed=5")
    notes = told(tmp_path / "run" / PART)["notes"]
    tested = {str(name) for name in model(source).facts["train_cells"]}
    told_of = [note for note in notes if "finetune.run learnt from test" in note]
    assert len(told_of) == 1
    assert any(name in told_of[0] for name in tested)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*SMALL, "model.hidden=16"], "trained with model.hidden=8, this run has 16"),
        ([*SMALL, "model.generator=lstm"], "trained with model.generator=conv, this run has lstm"),
        ([*SMALL, "preprocessing.points=20"], "trained with preprocessing.points=16, this run has 20"),
        ([*SMALL, "preprocessing.part=charge"], "trained with preprocessing.part=discharge, this run has charge"),
        ([*SMALL, "preprocessing.conditions=[ecl,ambient_degC,c_rate,c_rate_rms]"], "set preprocessing.conditions as there"),
        ([*CGAN, *TINY, *FEW], "trained with model._target_=batgen.models.wgan_gp.WganGp"),
        ([*SMALL, "finetune.train=decoder"], "a generator and its critic learn together. Use all"),
    ],
)  # fmt: skip
def test_runs_one_cannot_start_from(source: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.").replace("[", r"\[")):
        run(tmp_path / "run", *words, HOT, f"finetune.run={source}")
    assert not (tmp_path / "run" / PART).exists()


def test_an_unfinished_or_damaged_source(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "source")
    (tmp_path / "source" / PART / "metrics.json").unlink()
    with pytest.raises(CheckpointError, match="that run is not finished"):
        run(tmp_path / "run", *SMALL, HOT, f"finetune.run={tmp_path / 'source'}")
    (tmp_path / "source" / PART / "metrics.json").write_text("{}")
    (tmp_path / "source" / PART / "models" / "fold0.ckpt").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        run(tmp_path / "run", *SMALL, HOT, f"finetune.run={tmp_path / 'source'}")
