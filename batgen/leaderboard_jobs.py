"""The trainings of a leaderboard: one Hydra multirun for each family, so that any Hydra launcher can spread the jobs.

A run that is finished is read, one that was stopped goes on, one that fails leaves its reason and stops no other.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from batgen.config import same_run
from batgen.errors import BatgenError, ConfigError, DataError
from batgen.files import write_json
from batgen.leaderboard_plan import Job

FAILED = "failed.json"
#: As train.py, also where batgen is installed without it.
_TRAIN = "from batgen.cli import train_main; train_main()"
_STOPPED = (-2, 130)


def train_all(jobs: Sequence[Job], out: Path, console: Console) -> dict[str, str]:
    """Train what is not trained yet; returns model -> reason of those that failed.

    Raises ConfigError where a folder holds another run, KeyboardInterrupt when stopped: the same command goes on then.
    """
    check_folders(jobs)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another folder with out=DIR.") from None
    failed: dict[str, str] = {}
    for group in groups(jobs):
        todo = [job for job in group if not finished(job)]
        for job in group:
            if job not in todo:
                console.print(f"{job.model}: trained before, read from {job.folder}")
        if todo:
            failed.update(_train_group(todo, out))
    return failed


def _train_group(todo: Sequence[Job], out: Path) -> dict[str, str]:
    for job in todo:
        (job.folder / FAILED).unlink(missing_ok=True)
    status = multirun(todo, out)
    failed: dict[str, str] = {}
    for job in todo:
        if not finished(job) and reason(job) is None and len(todo) > 1:
            status = multirun([job], out)  # another job took the process with it: this one gets its own
        if not finished(job):
            failed[job.model] = reason(job) or (
                f"its process ended with status {status} and gave no reason (killed, or out of memory)"
            )
    return failed


def groups(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Jobs that can be one multirun: the same kind of data and the same overrides."""
    found: dict[tuple[str, tuple[str, ...]], list[Job]] = {}
    for job in jobs:
        found.setdefault((job.kind, job.words), []).append(job)
    yield from found.values()


def multirun_words(jobs: Sequence[Job], out: Path) -> list[str]:
    """The words of `python train.py` that train these jobs, each in its own folder below `out`."""
    folder = str(out).replace("\\", "\\\\").replace("'", "\\'")
    return [
        "-m",
        f"model={','.join(job.model for job in jobs)}",
        *jobs[0].words,
        f"hydra.sweep.dir='{folder}'",
        "hydra.sweep.subdir=${hydra:runtime.choices.model}",
        f"+hydra.callbacks.leaderboard._target_={JobNotes.__module__}.{JobNotes.__name__}",
    ]


def multirun(jobs: Sequence[Job], out: Path) -> int:
    """Run the multirun in a process of its own, its words shown as they come; returns its exit status."""
    status = subprocess.run([sys.executable, "-c", _TRAIN, *multirun_words(jobs, out)], check=False).returncode
    if status in _STOPPED:
        raise KeyboardInterrupt
    return status


def check_folders(jobs: Sequence[Job]) -> None:
    """Raise ConfigError where the folder of a job holds a run with another config."""
    other = [job for job in jobs if _began(job) and not _same(job) and not finished(job)]
    if older := [str(job.folder) for job in other if _as_typed(job)]:
        raise ConfigError(
            f"{', '.join(older)}: begun with an earlier config tree. End it with python train.py run_dir={older[0]} "
            "resume=true, or remove it."
        )
    if other:
        raise ConfigError(
            f"{', '.join(str(job.folder) for job in other)}: a run with other seeds, protocol or overrides lies there. "
            "Choose another folder with out=DIR, or ask for what lies there."
        )


def finished(job: Job) -> bool:
    """Whether the job's folder holds this run with all its parts: of the same config, or, where the config tree has
    changed since (a new key, say), of the same overrides."""
    whole = (job.folder / "run.json").is_file() and (job.folder / "metrics.json").is_file()
    return whole and (_same(job) or _as_typed(job))


def reason(job: Job) -> str | None:
    """Why the job failed, as its process wrote it down; None where it wrote nothing."""
    try:
        return str(json.loads((job.folder / FAILED).read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError):
        return None


def _same(job: Job) -> bool:
    path = job.folder / "config.yaml"
    saved = OmegaConf.load(path) if path.is_file() else None
    return isinstance(saved, DictConfig) and same_run(saved, job.cfg)


def _as_typed(job: Job) -> bool:
    """Whether the run was started with the overrides of the job, as Hydra wrote them down."""
    path = job.folder / ".hydra" / "overrides.yaml"
    saved = OmegaConf.load(path) if path.is_file() else ()
    typed = {str(word) for word in saved if not str(word).startswith(("run_dir=", "hydra"))}
    return typed == {f"model={job.model}", *(w for w in job.words if not w.startswith("hydra"))}


def _began(job: Job) -> bool:
    return (job.folder / "run.json").is_file() or any(job.folder.glob("*-seed*/splits.json"))


class JobNotes:
    """A callback of Hydra, in the process of each job: holds the job's folder, and writes down why the job failed.

    The lock makes a leaderboard that was started again wait for a job that an earlier one, killed, left running.
    """

    def __init__(self) -> None:
        self._lock: FileLock | None = None

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.runtime.output_dir)
        self._lock = FileLock(folder / ".leaderboard.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            print(f"{folder}: another process trains there: waiting for it.", file=sys.stderr, flush=True)
            self._lock.acquire()
        (folder / FAILED).unlink(missing_ok=True)

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        try:
            _ = job_return.return_value
        except Exception as error:
            # An error of ours is a sentence; of any other its name helps too.
            text = str(error) if isinstance(error, BatgenError) else f"{type(error).__name__}: {error}"
            write_json(Path(config.hydra.runtime.output_dir) / FAILED, {"reason": text})
        finally:
            if self._lock is not None:
                self._lock.release()

    def _nothing(self, config: DictConfig, **_: Any) -> None:
        return

    on_run_start = on_run_end = on_multirun_start = on_multirun_end = _nothing
