"""Grids as a user runs them: killed in the middle and started again, and two at once on one folder."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = [
    "-m", "model=mean_curve", "data=sim", "cycles=3", "trainer=smoke", "evaluation.prior_samples=2", "preprocessing.points=16",
    "~evaluation.baselines", "seed=0,1",
]  # fmt: skip


def started(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *WORDS, f"hydra.sweep.dir={folder}"],
            stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def finished(folder: Path) -> dict[str, int]:
    """The jobs that are done, and when."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("seed-*/run.json")}


def test_a_killed_grid_goes_on_and_two_at_once_train_no_job_twice(tmp_path: Path) -> None:
    """SIGKILL after the first job; then two processes at once: one trains what is left, the other finds it done."""
    folder = tmp_path / "sweep"
    first = started(folder, tmp_path / "first.log")
    deadline = time.time() + 300
    while not finished(folder) and first.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert set(finished(folder)) == {"seed-0"}, (tmp_path / "first.log").read_text()
    before = finished(folder)["seed-0"]
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    both = [started(folder, log) for log in logs]
    said = "".join(log.read_text() for process, log in zip(both, logs, strict=True) if process.wait() is not None)
    assert [process.returncode for process in both] == [0, 0], said
    assert said.count("1 of 2 jobs done before") >= 1
    assert finished(folder)["seed-0"] == before
    assert json.loads((folder / "seed-1" / "metrics.json").read_text())["rows"]
    assert said.count("honest protocol, seed 1:") == 1, "trained by one of them alone"
