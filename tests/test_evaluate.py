"""`scripts/evaluate.py`, as a user would: runs of every family, once more, several, stopped half-way, not finished."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

import batgen.evaluate as evaluate
from batgen.compared.judged import EvaluateSettings
from batgen.console import console
from batgen.errors import BatgenError
from batgen.evaluate import evaluate_run
from batgen.evaluate_cli import USAGE, main
from tests.evaluated_runs import RUNS, shared_cache, trained

#: As few curves and draws as there may be.
SETTINGS = EvaluateSettings(rows=40, draws=3, baselines=False)
WORDS = ("rows=40", "draws=3", "baselines=false")
FILES = ("evaluation.json", "evaluation.md", "evaluation.h5", "report.html")


@pytest.fixture(scope="module", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for this module, in place of a fresh one a test: the store is built once."""
    with shared_cache(tmp_path_factory.mktemp("cache")) as folder:
        yield folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished and evaluated run of each family."""
    folder = tmp_path_factory.mktemp("runs")
    found = {family: trained(family, folder / family) for family in RUNS}
    for run in found.values():
        main([f"run={run}", *WORDS])
    return found


@pytest.fixture(params=list(RUNS))
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    return runs[str(request.param)]


def content(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "evaluation.json").read_text())
    return found


def test_a_run_of_every_family_is_evaluated_from_its_folder_alone(run: Path) -> None:
    assert all((run / name).is_file() for name in FILES)
    found = content(run)
    assert found["about"]["family"] == run.name
    assert found["about"]["provenance"]["git_commit"]
    keys = [
        tuple(r.get(k) for k in ("protocol", "seed", "test_set", "method", "family", "metric", "signal"))
        for r in found["rows"]
    ]
    assert len(set(keys)) == len(keys), "folds are joined"
    families = {row["family"] for row in found["rows"]}
    assert {"fidelity", "conditional", "memorisation", "physics"} <= families
    for row in found["rows"]:
        assert {
            "protocol",
            "seed",
            "split",
            "data",
            "model",
            "role",
            "method",
            "unit",
            "direction",
            "n",
            "floor",
        } <= set(row)
        assert row["role"] == "model"
    text = (run / "evaluation.md").read_text()
    assert all(f"### {family}" in text for family in families)
    page = (run / "report.html").read_text()
    assert "<html" in page
    with h5py.File(run / "evaluation.h5") as file:
        assert json.loads(file.attrs["about"])["family"] == run.name
        first = file["sets/0"]
        shown = first["shown/measured"].shape
        assert shown[0] <= 24
        assert first["shown/draws"].shape[0] == shown[0]
        assert first["shown/mean"].shape == first["shown/low"].shape == shown
        assert len(json.loads(first["shown"].attrs["records"])) == shown[0]


def test_a_second_call_reads_and_evaluating_again_gives_the_same_numbers(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["curves"]
    before, stamp = content(run), (run / "evaluation.json").stat().st_mtime_ns
    drawn = {
        name: array_of(run, name) for name in ("shown/draws", "shown/measured", "memorisation/pca_gaussian/to_train")
    }
    assert evaluate_run(run, SETTINGS, console()) == before["rows"]
    assert "evaluated before" in capsys.readouterr().out
    assert (run / "evaluation.json").stat().st_mtime_ns == stamp
    assert evaluate_run(run, SETTINGS, console(), again=True) == before["rows"]
    assert (run / "evaluation.json").stat().st_mtime_ns > stamp
    after = content(run)
    for key in ("wall_s", "peak_memory_MiB", "provenance"):
        before["about"].pop(key), after["about"].pop(key)
    assert after == before
    assert {name: array_of(run, name) for name in drawn} == drawn


def array_of(run: Path, name: str) -> list[Any]:
    with h5py.File(run / "evaluation.h5") as file:
        found: list[Any] = file[f"sets/0/{name}"][()].tolist()
    return found


def test_other_settings_are_evaluated_anew(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    run = runs["curves"]
    first = content(run)["rows"]
    other = evaluate_run(run, EvaluateSettings(rows=40, draws=3, seed=1, baselines=False), console())
    assert other != first
    assert content(run)["about"]["settings"]["seed"] == 1
    assert evaluate_run(run, SETTINGS, console()) == first
    assert "evaluated before" not in capsys.readouterr().out


def test_a_run_that_was_trained_again_is_evaluated_anew(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["curves"]
    path = run / "run.json"
    kept = path.read_text()
    path.write_text(json.dumps({**json.loads(kept), "started": "2031-01-01T00:00:00"}))
    evaluate_run(run, SETTINGS, console())
    assert "evaluated before" not in capsys.readouterr().out
    path.write_text(kept)


def test_a_stopped_evaluation_leaves_nothing_half_written(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["curves"]
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    for name in ("full_rows", "write_json"):
        with monkeypatch.context() as patch:
            patch.setattr(evaluate, name, stop)
            with pytest.raises(KeyboardInterrupt):
                evaluate_run(run, SETTINGS, console(), again=True)
        after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
        assert set(after) == set(before), "no temporary file"
        assert after["evaluation.json"] == before["evaluation.json"]
        with h5py.File(run / "evaluation.h5") as file:
            assert len(file["sets"])


def test_a_damaged_evaluation_is_made_again(runs: dict[str, Path]) -> None:
    run = runs["curves"]
    rows = evaluate_run(run, SETTINGS, console())
    (run / "evaluation.json").write_text("{")
    assert evaluate_run(run, SETTINGS, console()) == rows
    for text in ("[]", '{"rows": []}', '{"rows": [], "about": 3}'):
        (run / "evaluation.json").write_text(text)
        assert evaluate._done(run, {}) is None
    (run / "evaluation.json").unlink()


def test_several_runs_make_one_page(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "both.html"
    main([f"runs=[{runs['curves']}, {runs['pulses']}]", f"out={out}", *WORDS])
    page = out.read_text()
    assert "pca_gaussian" in page
    assert "pulse_surface" in page
    assert "comparison:" in capsys.readouterr().out


def test_baselines_stand_beside_the_model(runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["curves"]
    alone = evaluate_run(run, SETTINGS, console())
    rows = evaluate_run(run, EvaluateSettings(rows=40, draws=3), console())
    assert {r["method"] for r in rows if r["role"] == "baseline"} == {
        "nearest_copy",
        "mean_curve",
        "knn",
        "pointwise_ridge",
    }
    assert [r for r in rows if r["role"] == "model"] == alone
    assert evaluate_run(run, SETTINGS, console()) == rows, "an evaluation with baselines is enough"
    by = {(r["method"], r["metric"], r["signal"]): r["value"] for r in rows}
    assert by["nearest_copy", "copy_share", "curve"] > 0.5 > 0.0 == by["pca_gaussian", "copy_share", "curve"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run=nowhere"], "no config.yaml"),
        (["runs=[nowhere]"], "no config.yaml"),
        (["rum=a"], "rum=a: unknown key.*run"),
        (["run"], "KEY=VALUE"),
        (["rows=40"], "give one of"),
        (["run=a", "generated=b.h5"], "give one of"),
        (["run=a", "real=b.h5"], "belongs to generated"),
        (["run=a", "rows=few"], "rows=few: not a whole number"),
        (["run=a", "rows=1"], "rows=1"),
        (["run=a", "again=maybe"], "again=maybe: write true or false"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(words: list[str], says: str) -> None:
    with pytest.raises(BatgenError, match=says):
        main(words)


def test_a_run_that_is_not_finished_or_lost_its_model_is_said(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((runs["curves"] / "config.yaml").read_text())
    with pytest.raises(BatgenError, match=r"not finished\. Go on with: python train\.py .*resume=true"):
        main([f"run={tmp_path}"])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BatgenError, match=r"run\.json"):
        main([f"run={tmp_path}"])
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(BatgenError, match=str(tmp_path)):
        main([f"run={tmp_path}"])
    assert not list(tmp_path.glob("evaluation.*"))


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    main(["--help"])
    assert capsys.readouterr().out.count(USAGE) == 2
