"""The trainings of a leaderboard: one Hydra multirun for each family, so that any Hydra launcher can spread the jobs.

A run that is finished is read, one that was stopped goes on, one that fails leaves its reason and stops no other.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from batgen import jobs as folders
from batgen.errors import ConfigError, DataError
from batgen.leaderboard_plan import Job

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
        (job.folder / folders.FAILED).unlink(missing_ok=True)
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
    ]


def multirun(jobs: Sequence[Job], out: Path) -> int:
    """Run the multirun in a process of its own, its words shown as they come; returns its exit status."""
    status = subprocess.run([sys.executable, "-c", _TRAIN, *multirun_words(jobs, out)], check=False).returncode
    if status in _STOPPED:
        raise KeyboardInterrupt
    return status


def check_folders(jobs: Sequence[Job]) -> None:
    """Raise ConfigError where the folder of a job holds a run with another config."""
    lies = {str(job.folder): _state(job) for job in jobs}
    if older := [folder for folder, found in lies.items() if found == "older"]:
        raise ConfigError(
            f"{', '.join(older)}: begun with an earlier config tree. End it with python train.py run_dir={older[0]} "
            "resume=true, or remove it."
        )
    if other := [folder for folder, found in lies.items() if found == "other"]:
        raise ConfigError(
            f"{', '.join(other)}: a run with other seeds, protocol or overrides lies there. "
            "Choose another folder with out=DIR, or ask for what lies there."
        )


def finished(job: Job) -> bool:
    """Whether the job's folder holds this run with all its parts."""
    return _state(job) == "finished"


def reason(job: Job) -> str | None:
    """Why the job failed, as its process wrote it down; None where it wrote nothing."""
    return folders.reason(job.folder)


def _state(job: Job) -> folders.State:
    return folders.state(job.folder, job.cfg, [f"model={job.model}", *job.words])
