"""Starting from another run: what is trained of its models and what stays, and runs that one cannot start from."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

import batgen
from batgen.errors import CheckpointError, ConfigError
from batgen.finetune import PARTS, Pretrained, freeze
from batgen.models.seq2seq_quantile import Seq2SeqQuantile
from batgen.run import resume_training
from tests.models.test_seq2seq_quantile import SHAPE
from tests.sequence_run_fixture import QUICK, csv, forecasts, run, table, told

PART = "honest-seed0"


def other_cells() -> pd.DataFrame:
    """Another chemistry: twice the capacity, slower, longer."""
    frame = table(8, 60)
    return frame.assign(capacity=2 * frame["capacity"] + 0.01, cell="x" + frame["cell"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for this module, one thread, and no figures, which other tests look at."""
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)
    monkeypatch.setattr("batgen.sequence_run.draw", lambda part, folder: [folder / "none.png"])
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    folder = tmp_path_factory.mktemp("run") / "source"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", cache)
        patch.setattr("batgen.processes.cores", lambda: 1)
        run(folder, *QUICK, *csv(folder.parent / "cells.csv"))
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*csv(tmp_path_factory.mktemp("data") / "others.csv", other_cells()), "data.nominal_capacity_Ah=4.0"]


def weights(folder: Path, fold: str = "fold0") -> dict[str, Tensor]:
    found: dict[str, Tensor] = batgen.load(folder / PART / "models" / f"{fold}.ckpt").model.state_dict()
    return found


@pytest.mark.parametrize(
    ("what", "moved"),
    [
        ("decoder", {"decoder"}),
        ("heads", {"decoder.head"}),
        ("heads_and_attention", {"decoder.head", "decoder.attention"}),
        ("all", {"decoder", "encoder", "bridge", "statics"}),
    ],
)
def test_only_what_is_asked_for_is_trained(
    source: Path, others: list[str], tmp_path: Path, what: str, moved: set[str]
) -> None:
    run(tmp_path / "run", *QUICK, *others, f"finetune.run={source}", f"finetune.train={what}")
    for fold in ("fold0", "fold1"):
        before, after = weights(source, fold), weights(tmp_path / "run", fold)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        # a bias of all keys changes no softmax; what is not trained must be exactly as it was
        allowed = {name for name in before if name.startswith(tuple(moved))}
        assert changed <= allowed
        for prefix in moved:
            assert any(name.startswith(prefix) for name in changed), prefix


def test_before_and_after_are_reported_beside_each_other(source: Path, others: list[str], tmp_path: Path) -> None:
    """What was the source's model says what it says; the scales are the source's, and the horizon that of these cells."""
    run(tmp_path / "run", *QUICK, *others, f"finetune.run={source}", "finetune.train=decoder")
    own, old = (batgen.load(f / PART / "models" / "fold0.ckpt").preprocessing for f in (tmp_path / "run", source))
    assert {k: v.tolist() for k, v in own.scales.items()} == {k: v.tolist() for k, v in old.scales.items()}
    assert own.horizon_cycles > old.horizon_cycles
    methods = {r["method"] for r in told(tmp_path / "run")["rows"] if r["test_set"] == "test"}
    assert {"model", "before fine-tuning", "persistence"} <= methods
    roles = {r["role"] for r in told(tmp_path / "run")["rows"] if r["method"] == "before fine-tuning"}
    assert roles == {"model"}, "no baseline that the model could be said to lose to"
    before, after = (
        forecasts(tmp_path / "run" / PART).query("method == @name and test_set == 'test'")["q0.5"].to_numpy()
        for name in ("before fine-tuning", "model")
    )
    assert before.shape == after.shape
    assert (before != after).any()
    was = forecasts(tmp_path / "run" / PART).query("method == 'before fine-tuning'")
    assert (was["q0.1"] < was["q0.9"]).any()  # a forecaster with intervals, unlike a baseline


def test_scales_can_be_refitted(source: Path, others: list[str], tmp_path: Path) -> None:
    words = [f"finetune.run={source}", "finetune.train=all", "finetune.scaler=refit"]
    run(tmp_path / "run", *QUICK, *others, *words)
    own, old = (batgen.load(f / PART / "models" / "fold0.ckpt").preprocessing for f in (tmp_path / "run", source))
    assert own.scales["targets"].tolist() != old.scales["targets"].tolist()


def test_test_cells_that_the_source_learnt_from_are_told(source: Path, others: list[str], tmp_path: Path) -> None:
    """With another seed its training cells are test cells here."""
    words = [*QUICK, *csv(tmp_path / "cells.csv"), f"finetune.run={source}"]
    run(tmp_path / "same", *words, "split.seed=7")
    tested = forecasts(tmp_path / "same" / PART).query("test_set == 'test'")["cell_id"].unique()
    learnt = {c for k in (0, 1) for c in batgen.load(source / PART / "models" / f"fold{k}.ckpt").facts["train_cells"]}
    assert learnt & set(tested)
    (note,) = [note for note in told(tmp_path / "same" / PART)["notes"] if "finetune.run learnt from" in note]
    assert all(cell in note for cell in learnt & set(tested))
    run(tmp_path / "new", *QUICK, *others, f"finetune.run={source}")
    assert not [note for note in told(tmp_path / "new" / PART)["notes"] if "learnt from" in note]


def test_more_folds_than_the_source_had_take_its_models_in_turn(
    source: Path, others: list[str], tmp_path: Path
) -> None:
    run(tmp_path / "run", *QUICK, *others, "trainer.folds=3", f"finetune.run={source}", "finetune.train=decoder")
    third, first = weights(tmp_path / "run", "fold2"), weights(source, "fold0")
    assert all(torch.equal(third[name], first[name]) for name in first if name.startswith("encoder."))


def test_a_finetuned_run_resumes_to_the_same_numbers(source: Path, others: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, *QUICK, *others, f"finetune.run={source}", "finetune.train=decoder", "preprocessing.first_cycles=5")
    rows, made = pd.DataFrame(told(folder)["rows"]), forecasts(folder / PART)
    for name in ("metrics.json", "forecasts.csv.gz"):
        (folder / PART / name).unlink()
    resume_training(folder)
    pd.testing.assert_frame_equal(pd.DataFrame(told(folder)["rows"]), rows)
    pd.testing.assert_frame_equal(forecasts(folder / PART), made)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["preprocessing.targets=[discharge_capacity_Ah,internal_resistance_Ohm]"],
            r"trained with preprocessing.targets=\['discharge_capacity_Ah'\], this run has",
        ),
        (["preprocessing.statics={ohm:[fade]}"], "trained with preprocessing.statics="),
        (["preprocessing.covariates=[cycle]"], "trained with preprocessing.covariates="),
        (["model.hidden=16"], "trained with model.hidden=8, this run has 16"),
        (["model.levels=[0.2,0.5,0.8]"], "trained with model.levels="),
        (["model.attention=additive"], "trained with model.attention=multihead"),
        (["preprocessing.capacity=Ah"], "scales are of preprocessing.capacity=shape, this run has Ah.*scaler=refit"),
    ],
)
def test_other_targets_or_another_form_is_refused(
    source: Path, others: list[str], tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "run", *QUICK, *others, f"finetune.run={source}", *words)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_runs_one_cannot_start_from(
    source: Path, others: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(run_: Path) -> None:
        run(tmp_path / "run", *QUICK, *others, f"finetune.run={run_}")

    with pytest.raises(CheckpointError, match=r"finetune.run=.*nowhere: no models/\*.ckpt below it"):
        start(tmp_path / "nowhere")
    unfinished = tmp_path / "unfinished"
    shutil.copytree(source, unfinished)
    (unfinished / PART / "metrics.json").unlink()
    with pytest.raises(CheckpointError, match="that run is not finished"):
        start(unfinished)
    other = tmp_path / "other"
    shutil.copytree(source, other)
    for path in (other / PART / "models").glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        content["config"]["model"]["_target_"] = "batgen.models.seq2seq_quantile.Other"
        torch.save(content, path)
    monkeypatch.setattr("batgen.models.seq2seq_quantile.Other", Seq2SeqQuantile, raising=False)
    with pytest.raises(ConfigError, match=r"trained with .*Other, this run has .*Seq2SeqQuantile"):
        start(other)


def test_another_family_does_not_start_from_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="models of sequences and profiles start from another run"):
        run(tmp_path / "run", "model=rcvae", "data=sim", "finetune.run=somewhere")


@pytest.mark.parametrize("what", PARTS)
def test_freeze(what: str) -> None:
    model = Seq2SeqQuantile(SHAPE, hidden=8, heads=2)
    freeze(model, what)
    free = {name for name, p in model.named_parameters() if p.requires_grad}
    assert free == {name for name, _ in model.named_parameters() if name.startswith(PARTS[what])}
    assert free


def test_models_in_turn() -> None:
    found = Pretrained({"fold0": "a", "fold1": "b"})  # type: ignore[dict-item]
    assert [found[f"fold{k}"] for k in range(5)] == ["a", "b", "a", "b", "a"]
