"""End to end on measured data, and on raw files in MIT's structure."""

import json
from pathlib import Path

import pytest

from tests.data.mit_fixture import write_dataset
from tests.test_end_to_end import CONTINUOUS, SMALL, script

QUICK = ["trainer=smoke", "evaluation.prior_samples=4", "preprocessing.points=100"]


def rows(folder: Path) -> list[dict]:
    found: list[dict] = json.loads((folder / "metrics.json").read_text())["rows"]
    return found


def test_nasa_charges_both_protocols(data_dir: Path, tmp_path: Path) -> None:
    words = ["data=nasa", "data.censored=last_record", "cycles=40", "protocol=both", f"run_dir={tmp_path / 'run'}"]
    done = script(*SMALL, *QUICK, *words, BATGEN_DATA_DIR=str(data_dir))
    assert "paper protocol, sample split" in done.stdout
    assert "honest protocol, cell split" in done.stdout
    found = rows(tmp_path / "run")
    for protocol in ("paper", "honest"):
        models = {r["model"] for r in found if r["protocol"] == protocol}
        assert {"rcvae", "nearest_copy", "mean_curve", "knn", "pointwise_ridge", "pca_gaussian"} <= models
    published = [r for r in found if r["role"] == "paper"]
    assert published
    assert all("paper protocol, other data" in r["note"] for r in published)
    assert any("last recorded cycle" in r["note"] for r in found if r["role"] == "model"), "censored cells are named"


def test_nasa_without_eol_trains_the_honest_model_on_soh(data_dir: Path, tmp_path: Path) -> None:
    words = ["data=nasa", "cycles=20", f"run_dir={tmp_path / 'run'}"]
    script(*CONTINUOUS, *words, *QUICK, BATGEN_DATA_DIR=str(data_dir))
    assert {r["signal"] for r in rows(tmp_path / "run")} >= {"voltage_V", "current_A", "temperature_degC", "time_s"}


def test_nasa_drops_censored_cells_with_a_remedy(data_dir: Path, tmp_path: Path) -> None:
    words = [*SMALL, *QUICK, "data=nasa", "cycles=20", f"run_dir={tmp_path / 'run'}"]
    done = script(*words, check=False, BATGEN_DATA_DIR=str(data_dir))
    assert done.returncode == 2  # one cell crosses 1.4 Ah: it cannot be split by cell
    assert "split" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("model", ["rcvae", "rcvae_continuous"])
def test_mit_qdlin(data_dir: Path, tmp_path: Path, model: str) -> None:
    small = SMALL if model == "rcvae" else CONTINUOUS
    script(*small, *QUICK, "data=mit_qdlin", "cycles=6", f"run_dir={tmp_path / 'run'}", BATGEN_DATA_DIR=str(data_dir))
    found = rows(tmp_path / "run")
    assert {r["signal"] for r in found if r["metric"] == "MAE"} == {"discharge_capacity_Ah", "Total"}
    curve = next(r for r in found if r["model"] == "mean_curve" and r["metric"] == "MAE")
    assert 0.002 < curve["value"] < 0.05  # Ah: about 11 mAh on all cycles


def test_mit_structured_raw_files_train(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data" / "mit", cells=(3, 3, 3), cycles=12, points=200)
    env = {"BATGEN_DATA_DIR": str(tmp_path / "data"), "BATGEN_CACHE_DIR": str(tmp_path / "cache")}
    done = script(*SMALL, *QUICK, "data=mit", "cycles=10", "protocol=both", f"run_dir={tmp_path / 'run'}", **env)
    assert "paper (Table" not in done.stdout  # the paper has no row for 10 cycles
    assert {r["protocol"] for r in rows(tmp_path / "run")} == {"paper", "honest"}
    done = script("data=mit", name="scripts/prepare_data.py", **env)
    assert "C-rate" in done.stdout


def test_prepare_data_says_what_is_in_a_store(tmp_path: Path) -> None:
    done = script("data=sim", name="scripts/prepare_data.py", BATGEN_CACHE_DIR=str(tmp_path))
    for word in ("cells", "signals", "units", "end of life", "store:"):
        assert word in done.stdout
