"""Jobs side by side, typed as a user types them: joblib's processes, submitit's (which stands for SLURM), a GPU for each."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from batgen import config, errors, overrides
from batgen.cli import CONF
from batgen.errors import ConfigError
from batgen.processes import check_devices, gpu_of

pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

ROOT = Path(__file__).parents[1]
#: Closed form and few numbers. No cell has lived as long as the last asks for, which shows only when data are read.
JOBS = ["model=mean_curve", "data=sim", "cycles=5,6,100000", "trainer=smoke", "preprocessing.points=36",
        "~evaluation.baselines", "evaluation.prior_samples=4"]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def multirun(folder: Path, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-m", *words, f"hydra.sweep.dir={folder}"],
        cwd=folder.parent, capture_output=True, text=True, timeout=300, check=False,
        env={**env, "BATGEN_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10", "hydra.launcher.cpus_per_task=1"],
    ],
    ids=["joblib", "submitit_local"],
)
def test_jobs_finish_and_one_that_fails_is_told(launcher: list[str], tmp_path: Path, cache: Path) -> None:
    done = multirun(tmp_path / "sweep", cache, *JOBS, *launcher)
    assert done.returncode == 1, done.stderr[-3000:]
    for name in ("cycles-5", "cycles-6"):
        folder = tmp_path / "sweep" / name
        rows = json.loads((folder / "metrics.json").read_text())["rows"]
        assert {row["seed"] for row in rows} == {0}
        assert (folder / "run.json").is_file()
        assert (folder / "log.txt").stat().st_size > 100  # what each said is in its folder, not mixed on the terminal
    (failed,) = (tmp_path / "sweep").glob("*/failed.json")
    reason = json.loads(failed.read_text())["reason"]
    assert reason.startswith("cycles=100000: the longest record of sim")
    assert reason in done.stdout
    assert "2 of 3 jobs done" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", [errors.BatgenError, errors.ConfigError, errors.DataError, errors.CheckpointError])
def test_errors_travel_between_processes(kind: type[Exception]) -> None:
    back = pickle.loads(pickle.dumps(kind("data: no cells.")))
    assert type(back) is kind
    assert str(back) == "data: no cells."


def test_jobs_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["hydra/launcher=gpus", "hydra.launcher.n_jobs=3"], return_hydra_config=True)
    assert cfg.hydra.launcher._target_.endswith("JoblibLauncher")
    gpus = []
    for number in range(5):
        cfg.hydra.job.num = number
        gpus.append(OmegaConf.to_container(cfg.hydra.job.env_set, resolve=True)["CUDA_VISIBLE_DEVICES"])  # type: ignore[index, call-overload]
    assert gpus == ["0", "1", "2", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6, GPU-x")
    assert [gpu_of(number, 3) for number in range(4)] == ["4", "6", "GPU-x", "4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_of(1, 2) == "", "somebody hid them all"
    with pytest.raises(ConfigError, match=r"n_jobs=-1"):
        gpu_of(0, -1)


def test_a_job_of_a_multirun_takes_one_device_unless_a_cluster_starts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_NTASKS", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    check_devices(1)
    with pytest.raises(ConfigError, match=r"trainer\.devices=4: .*tasks_per_node=4"):
        check_devices(4)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    check_devices(4)


def test_several_machines_need_the_name_of_one_folder(tmp_path: Path) -> None:
    words = ["model=rcvae", "trainer=ddp", "trainer.num_nodes=2"]
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes=2: .*run_dir=DIR"):
        overrides.check_whole(words, CONF, config.validate)
    overrides.check_whole([*words, f"run_dir={tmp_path / 'run'}"], CONF, config.validate)
