"""Through the command line, as a user would: train, look, generate, stop and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
#: As small as a run can be and still touch everything.
TINY = ["data=sim", "cycles=5", "trainer=smoke", "evaluation.prior_samples=4", "preprocessing.points=36"]
SMALL = ["model=rcvae", "model.hidden=32", "model.latent=8", "model.embedding=24", "model.layers=3"]

CONTINUOUS = ["model=rcvae_continuous", "model.components=4", "model.anchors=60", "model.hidden=16"]


def script(*words: str, name: str = "train.py", check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / name), *words], capture_output=True, text=True, env={**os.environ, **env}, cwd=ROOT
    )
    if check and done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache for this module, so that the sim store is built once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: str) -> Path:
    folder = tmp_path_factory.mktemp("run") / "both"
    script(*TINY, *SMALL, "protocol=both", "seed=[0,1]", f"run_dir={folder}", BATGEN_CACHE_DIR=shared_cache)
    return folder


def test_run_folder_is_complete_and_every_row_says_its_protocol(finished: Path) -> None:
    for name in ("config.yaml", "run.json", "metrics.json", "metrics.md", ".hydra/config.yaml"):
        assert (finished / name).is_file(), name
    for part in ("paper-seed0", "paper-seed1", "honest-seed0", "honest-seed1"):
        for name in ("splits.json", "metrics.csv", "model.ckpt", "samples.h5", "metrics.json"):
            assert (finished / part / name).is_file(), (part, name)
        assert not list((finished / part).glob("last_*")), "resume checkpoints are not kept"
    rows = pd.DataFrame(json.loads((finished / "metrics.json").read_text())["rows"])
    assert set(rows["protocol"]) == {"paper", "honest"}
    assert set(rows.loc[rows["protocol"] == "honest", "split"]) == {"cell"}
    assert {"rcvae", "nearest_copy", "mean_curve", "knn", "pointwise_ridge", "pca_gaussian"} <= set(rows["model"])
    assert {"MAE", "RMSE", "R2", "CRPS", "variance_ratio", "active_units", "kl_nats"} <= set(rows["metric"])
    assert set(rows.loc[rows["role"] == "model", "seed"]) == {0, 1}
    record = json.loads((finished / "run.json").read_text())
    assert record["parts"]["honest-seed0"]["data_hash"]
    assert record["git_commit"]
    assert record["peak_memory_MiB"] > 0


def test_honest_split_shares_no_cell_and_the_papers_does(finished: Path) -> None:
    honest = json.loads((finished / "honest-seed0" / "splits.json").read_text())["parts"]
    assert not set(honest["train"]) & set(honest["test"])
    assert not set(honest["val"]) & (set(honest["test"]) | set(honest["train"]))
    paper = json.loads((finished / "paper-seed0" / "splits.json").read_text())["parts"]
    assert set(paper["train"]) & set(paper["test"])


def test_figures_are_drawn_for_each_protocol(finished: Path) -> None:
    for protocol in ("paper", "honest"):
        names = {p.stem for p in (finished / "figures" / protocol).glob("*.png")}
        assert {"overlay", "errors", "images_capacity", "images_rgb", "embedding", "fade", "training"} <= names


def test_generate_in_three_formats(finished: Path, tmp_path: Path) -> None:
    words = (f"run={finished}", "eol=800", "ecl=3", "n=7", "seed=5")
    done = script(*words, f"out={tmp_path / 'curves.h5'}", name="scripts/generate.py")
    assert "7 synthetic cycles" in done.stdout
    with h5py.File(tmp_path / "curves.h5") as file:
        voltage = file["curves/voltage_V"][:]
        assert voltage.shape == (7, 36)
        assert file["curves/voltage_V"].attrs["unit"] == "V"
        assert bool(file.attrs["synthetic"])
        assert file.attrs["condition_eol"] == 800
        assert file.attrs["data_hash"]
    script(*words, f"out={tmp_path / 'curves.csv'}", name="scripts/generate.py")
    table = pd.read_csv(tmp_path / "curves.csv")
    np.testing.assert_allclose(table["voltage_V"].to_numpy().reshape(7, 36), voltage, rtol=1e-5)
    assert table["synthetic"].all()
    script(*words, f"out={tmp_path / 'curves.parquet'}", name="scripts/generate.py")
    np.testing.assert_allclose(pd.read_parquet(tmp_path / "curves.parquet")["voltage_V"], voltage.ravel(), rtol=1e-6)


def test_generate_warns_and_refuses(finished: Path, tmp_path: Path) -> None:
    done = script(f"run={finished}", "eol=9999", "ecl=3", f"out={tmp_path / 'a.h5'}", name="scripts/generate.py")
    assert "outside the training range" in done.stdout
    for words, message in (
        (["eol=-1", "ecl=3"], "eol=-1: must be a positive number"),
        (["eol=soon", "ecl=3"], "eol=soon: not a number"),
        (["eool=800"], "did you mean 'eol'?"),
        (["eol=800", "out=x.pdf"], "one of .h5, .csv, .parquet"),
    ):
        done = script(f"run={finished}", *words, name="scripts/generate.py", check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = script(f"run={tmp_path}", "eol=800", name="scripts/generate.py", check=False)
    assert "no model.ckpt there" in done.stderr


def test_checkpoint_loads_in_a_new_process_with_bit_equal_samples(finished: Path, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, torch, batgen\n"
        "t = batgen.load(sys.argv[1])\n"
        "np.save(sys.argv[2], t.generate(torch.tensor([[800.0, 3.0, 4.0, 0.4, 3.6, 30.0]]), 5, seed=3))\n"
    )
    for name in ("a.npy", "b.npy"):
        subprocess.run(
            [sys.executable, "-c", code, str(finished / "honest-seed0" / "model.ckpt"), str(tmp_path / name)],
            check=True,
        )
    a, b = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    assert a.shape == (5, 1, 6, 36)
    assert np.array_equal(a, b)


def test_killed_run_resumes_to_the_same_metrics(tmp_path: Path, shared_cache: str) -> None:
    """SIGKILL in the middle of training; `run_dir=DIR resume=true` and nothing else ends where the unbroken run ends."""
    words = [*TINY, *SMALL, "trainer.max_epochs=60", "trainer.patience=60", "trainer.save_every_s=0.0"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    script(*words, f"run_dir={whole}", BATGEN_CACHE_DIR=shared_cache)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *words, f"run_dir={broken}"],
        env={**os.environ, "BATGEN_CACHE_DIR": shared_cache}, stdout=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    last, part = broken / "honest-seed0" / "last_train.ckpt", broken / "honest-seed0"
    deadline = time.time() + 120
    while not last.is_file() and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last.is_file()
    assert not (part / "model.ckpt").is_file(), "killed too late for this test to mean anything"
    before = (broken / ".hydra" / "overrides.yaml").read_text()
    stamp = (broken / ".hydra" / "config.yaml").stat().st_mtime_ns
    refused = script("resume=true", f"run_dir={broken}", "cycles=7", check=False, BATGEN_CACHE_DIR=shared_cache)
    assert refused.returncode == 2
    assert "cycles=7" in refused.stderr
    script(f"run_dir={broken}", "resume=true", BATGEN_CACHE_DIR=shared_cache)
    assert (broken / ".hydra" / "overrides.yaml").read_text() == before
    assert (broken / ".hydra" / "config.yaml").stat().st_mtime_ns == stamp
    rows = [json.loads((f / "metrics.json").read_text())["rows"] for f in (whole, broken)]
    assert rows[0] == rows[1]
    a, b = (pd.read_csv(f / "honest-seed0" / "metrics.csv") for f in (whole, broken))
    pd.testing.assert_frame_equal(a, b)


def test_multirun_leaves_one_folder_a_job(tmp_path: Path, shared_cache: str) -> None:
    script(
        "-m",
        "model=nearest_copy,mean_curve",
        "seed=0,1",
        *TINY,
        f"hydra.sweep.dir={tmp_path}",
        BATGEN_CACHE_DIR=shared_cache,
    )
    assert len(list(tmp_path.glob("*/metrics.json"))) == 4


def test_hydra_run_dir_is_honoured(tmp_path: Path, shared_cache: str) -> None:
    script(*TINY, "model=mean_curve", f"hydra.run.dir={tmp_path / 'here'}", BATGEN_CACHE_DIR=shared_cache)
    assert (tmp_path / "here" / "metrics.json").is_file()
    again = script(*TINY, "model=knn", f"run_dir={tmp_path / 'here'}", check=False, BATGEN_CACHE_DIR=shared_cache)
    assert "holds a run with another config" in again.stderr


def test_a_refused_run_leaves_nothing_behind(tmp_path: Path, shared_cache: str) -> None:
    """Not a folder in the way of the corrected command, nor another run's `.hydra` overwritten."""
    folder = tmp_path / "run"
    for words in (["+trainer.foo=1"], ["evaluation.reconstruct_z=foo"], ["cycles=999999"], ["trainer.max_epochs=abc"]):
        done = script(
            *TINY, "model=mean_curve", *words, f"run_dir={folder}", check=False, BATGEN_CACHE_DIR=shared_cache
        )
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
    script(*TINY, "model=mean_curve", f"run_dir={folder}", BATGEN_CACHE_DIR=shared_cache)
    before = (folder / ".hydra" / "overrides.yaml").read_text()
    done = script(*TINY, "model=knn", f"run_dir={folder}", check=False, BATGEN_CACHE_DIR=shared_cache)
    assert "holds a run with another config" in done.stderr
    assert (folder / ".hydra" / "overrides.yaml").read_text() == before


def test_a_moved_run_can_be_resumed(tmp_path: Path, shared_cache: str) -> None:
    script(*TINY, "model=mean_curve", f"run_dir={tmp_path / 'a'}", BATGEN_CACHE_DIR=shared_cache)
    (tmp_path / "a").rename(tmp_path / "b")
    done = script(f"run_dir={tmp_path / 'b'}", "resume=true", "model=mean_curve", BATGEN_CACHE_DIR=shared_cache)
    assert "done before" in done.stdout


def test_bad_value_in_a_multirun_is_one_message(tmp_path: Path, shared_cache: str) -> None:
    words = ["-m", "model=mean_curve", *TINY, "evaluation.reconstruct_z=foo", f"hydra.sweep.dir={tmp_path}"]
    done = script(*words, check=False, BATGEN_CACHE_DIR=shared_cache)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    done = script("-m", "model=mean_curve", f"run_dir={tmp_path}", check=False)
    assert "hydra.sweep.dir" in done.stderr


def test_help_and_config_answer_quickly() -> None:
    for words, expected in ((["--help"], "rcvae_continuous"), (["--cfg", "job"], "_target_: batgen.data")):
        started = time.perf_counter()
        done = script(*words)
        assert expected in done.stdout
        assert time.perf_counter() - started < 10  # about 0.8 s on an idle machine; the target is 2 s


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cycels=100"], "did you mean 'cycles'?"),
        (["data=mit"], "2017-05-12_batchdata_updated_struct_errorcorrect.mat"),
        (["data=nasa"], "BATGEN_DATA_DIR"),
        (["cycles=999999"], "cycles=999999"),
        (["device=cuda"], "trainer=gpu"),
        (["run_dir=/proc/no/such/place"], "cannot be"),
    ],
)
def test_bad_input_gets_one_clear_message(words: list[str], message: str, shared_cache: str, tmp_path: Path) -> None:
    where = [] if any(w.startswith("run_dir") for w in words) else [f"run_dir={tmp_path / 'run'}"]
    env = {"BATGEN_CACHE_DIR": shared_cache, "BATGEN_DATA_DIR": str(tmp_path) if "data=mit" in words else ""}
    done = script(*words, *where, check=False, **env)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
