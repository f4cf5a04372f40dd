"""Grids and ablations: every job runs once, wherever it was stopped; one that fails is told and stops no other."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console

from batgen import config, jobs, run, sweep_file, tracking
from batgen.build import signature
from batgen.console import Bar, console, duration, from_here
from batgen.grid_plan import Grid, GridJob, plan
from batgen.multirun import Multirun, Outcome
from batgen.processes import check_devices
from batgen.report.headline import headlines

_LOOK_EVERY_S = 2.0


def run_grid(multirun: Multirun) -> None:
    """Run every job of a multirun that is not finished, and say what came out.

    Raises BatgenError where a job cannot be run (before any is started), SystemExit with status 1 where some failed,
    with 130 when stopped.
    """
    out = console()

    def check(cfg: Any) -> None:
        config.validate(cfg)
        run.check(cfg, elsewhere=multirun.parallel)
        if not multirun.parallel:
            check_devices(cfg.trainer.get("devices", 1), cfg.trainer.get("num_nodes", 1))

    grid = plan(multirun, out, check)
    sweep_file.write(grid, multirun.folder, multirun.typed)
    todo = [job for job in grid.jobs if job.state != "finished"]
    done = len(grid.jobs) - len(todo)
    begun = sum(job.state == "begun" for job in todo)
    out.print(
        f"{grid.kind} {grid.name}: {len(grid.jobs)} jobs in {from_here(multirun.folder)}"
        + (f"; {done} of {len(grid.jobs)} jobs done before" if done else "")
        + (f"; {begun} begun before, to go on with" if begun else ""),
        markup=False,
    )
    started = time.time()
    try:
        _train_together(multirun.folder, todo)
        failed = _side_by_side(multirun, todo, out) if multirun.parallel else _in_turn(multirun, grid, todo, out)
    except KeyboardInterrupt:
        left = sum(not _finished(job) for job in todo)
        out.print(
            f"\nStopped; {left} of {len(grid.jobs)} jobs are left. The same command goes on"
            + (f", with hydra.sweep.dir={from_here(multirun.folder)}." if grid.kind == "grid" else "."),
            markup=False,
        )
        raise SystemExit(130) from None  # all is said
    if todo:
        out.print(
            f"{len(todo) - len(failed)} of {len(todo)} jobs done in {duration(time.time() - started)}", markup=False
        )
    above = sorted({f"{from_here(job.folder.parent)}/*/wandb" for job in grid.jobs})
    if said := next(filter(None, (tracking.upload(job.cfg, *above) for job in grid.jobs)), None):
        out.print(said, markup=False)
    out.print(f"one table of all: python scripts/collect.py sweep={from_here(multirun.folder)}", markup=False)
    if failed:
        out.print(_told(failed, multirun.folder), style="yellow", markup=False)
        raise SystemExit(1)


def _in_turn(multirun: Multirun, grid: Grid, todo: Sequence[GridJob], out: Console) -> dict[str, str]:
    """One job after the other; those that another process runs at this moment come last. Returns label -> why it failed."""
    failed: dict[str, str] = {}
    took: list[float] = []
    numbers = {job.folder: i for i, job in enumerate(grid.jobs, 1)}
    waiting = deque(todo)
    while waiting:
        job = next((job for job in waiting if not jobs.held(job.folder)), waiting[0])
        waiting.remove(job)
        head = f"[{numbers[job.folder]}/{len(grid.jobs)}] {job.label}"
        if _finished(job):
            out.print(f"{head}: done by another process", markup=False)
            continue
        out.print(f"{head} ...", markup=False)
        started = time.time()
        (_, error), *_ = multirun.start([multirun.placed(job.words, _below(job, multirun))], numbers[job.folder] - 1)
        took.append(time.time() - started)
        left = f"; about {duration(sum(took) / len(took) * len(waiting))} left" if waiting else ""
        if error is not None:
            failed[job.label] = jobs.words_of(error)
            out.print(f"{head}: failed: {failed[job.label].splitlines()[0]}{left}", style="yellow", markup=False)
        else:
            out.print(f"{head}: {duration(took[-1])}{_result(job.folder)}{left}", markup=False)
    return failed


def _side_by_side(multirun: Multirun, todo: Sequence[GridJob], out: Console) -> dict[str, str]:
    """All jobs at once, as the launcher has room for them. Returns label -> why it failed."""
    for job in todo:
        (job.folder / jobs.FAILED).unlink(missing_ok=True)
    words = [multirun.placed(job.words, _below(job, multirun)) for job in todo]
    outcomes: list[Outcome] = []
    ended = ""
    with _watched(todo, out):
        try:
            outcomes = multirun.start(words, 0) if words else []
        except (
            Exception
        ) as error:  # a worker was killed: the launcher gives up, jobs that finished are there all the same
            ended = f"the launcher ended with {jobs.words_of(error)}"
    failed: dict[str, str] = {}
    for i, job in enumerate(todo):
        problem = outcomes[i][1] if i < len(outcomes) else None
        if problem is not None:
            failed[job.label] = jobs.words_of(problem)
        elif not _finished(job):
            runs = "it still runs: the same command waits for it" if jobs.held(job.folder) else ""
            failed[job.label] = (
                jobs.reason(job.folder) or runs or ended or "it ended without a result and gave no reason"
            )
        else:
            out.print(f"{job.label}{_result(job.folder).replace(',', ':', 1)}", markup=False)
    return failed


@contextmanager
def _watched(todo: Sequence[GridJob], out: Console) -> Iterator[None]:
    """A bar that counts the folders of jobs that finished or failed, wherever they run."""
    over = threading.Event()

    def ended(job: GridJob) -> bool:
        return (job.folder / "run.json").is_file() or (job.folder / jobs.FAILED).is_file()

    def look(advance: Any) -> None:
        counted: set[Path] = set()
        while not over.wait(_LOOK_EVERY_S):
            new = {job.folder for job in todo if ended(job)} - counted
            counted |= new
            advance(len(new))

    with Bar(out, "jobs", len(todo)) as advance:
        watch = threading.Thread(target=look, args=(advance,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()


def _train_together(folder: Path, todo: Sequence[GridJob]) -> None:
    """Train at once the jobs whose trainer can do so: they find their models then, and only evaluate."""
    group = [job for job in todo if signature(job.cfg.trainer._target_).constants.get("TOGETHER")]
    if group:
        with FileLock(folder / ".together.lock"):  # of two processes on one sweep, the second finds the models too
            run.train_together([job.cfg for job in group], [job.folder for job in group])


def _below(job: GridJob, multirun: Multirun) -> str:
    return job.folder.relative_to(multirun.folder).as_posix()


def _finished(job: GridJob) -> bool:
    return jobs.state(job.folder, job.cfg, job.words) == "finished"


def _result(folder: Path) -> str:
    """What a run's metrics.json says first of all: ", Total MAE 0.126 (paper protocol)"."""
    try:
        rows = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError):
        return ""
    return "".join(f", {found.text()} ({found.protocol} protocol)" for found in headlines(rows))


def _told(failed: dict[str, str], folder: Path) -> str:
    """Each reason once, with the jobs that failed for it."""
    by_reason: dict[str, list[str]] = {}
    for label, why in failed.items():
        by_reason.setdefault(why, []).append(label)
    lines = [f"  {why}\n    in {'; '.join(labels)}" for why, labels in by_reason.items()]
    return f"{len(failed)} failed (the same command tries them again):\n" + "\n".join(lines)
