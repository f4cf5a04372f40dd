"""A leaderboard: train what fits a dataset, evaluate it, join the rows into one table, one figure, one page."""

import csv
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen.errors import BatgenError, DataError
from batgen.files import replacing, write_json
from batgen.leaderboard_jobs import train_all
from batgen.leaderboard_plan import Job, Plan
from batgen.provenance import provenance
from batgen.report.figures.leaderboard import draw_leaderboard
from batgen.report.figures.style import save
from batgen.report.leaderboard_table import Board, Failure, summarise, to_markdown, to_plain

Rows = list[dict[str, Any]]
#: A run folder, where to speak, and whether the baselines beside it are wanted too.
Evaluate = Callable[[Path, Console, bool], Sequence[Mapping[str, Any]]]
WriteReport = Callable[[Sequence[Path], Path, str], object]
#: Columns of leaderboard.csv that come first; whatever else a row holds comes after them.
COLUMNS = (
    "kind", "board", "run", "protocol", "seed", "split", "data", "method", "role", "test_set", "family", "metric",
    "signal", "value", "low", "high", "unit", "direction", "n", "cells", "floor", "note",
)  # fmt: skip


def leaderboard(
    plan: Plan,
    console: Console,
    settings: Mapping[str, int],
    evaluate: Evaluate | None = None,
    write_report: WriteReport | None = None,
) -> list[Board]:
    """Train, evaluate and write `plan.out`/leaderboard.{md,csv,json,png,html}; returns the tables.

    settings: rows and draws of the evaluation, where given. A training or an evaluation that fails is in the table with
    its reason and stops no other. Raises ConfigError where `plan.out` holds other runs, DataError when nothing finished.
    """
    started = time.time()
    for model, beside in plan.beside.items():
        console.print(f"{model}: closed form, evaluated beside {beside}")
    for job in plan.jobs:
        if job.needs:
            console.print(f"{job.model}: with {' '.join(job.needs)}, as conf/leaderboard.yaml says")
    evaluate = evaluate or _evaluation(settings)  # bad settings are refused before anything is trained
    failed = train_all(plan.jobs, plan.out, console)
    rows, evaluated = _evaluate_all(plan, failed, evaluate, console)
    if not rows:
        reasons = "\n".join(f"  {model}: {reason}" for model, reason in failed.items())
        raise DataError(f"{plan.out}: no model of data={plan.data} was trained and evaluated.\n{reasons}")
    failures = [Failure(job.model, job.kind, job.board, failed[job.model]) for job in plan.jobs if job.model in failed]
    boards = summarise(rows, failures)
    _write(plan, boards, failures, rows, started)
    save(draw_leaderboard(boards, plan.data), plan.out / "leaderboard.png")
    folders = [job.folder for job in plan.jobs if job.model in evaluated]
    (write_report or _report())(folders, plan.out / "leaderboard.html", f"Leaderboard: {plan.data}")
    for model, reason in failed.items():
        console.print(f"{model}: failed: {reason}", style="yellow", markup=False)
    console.print(f"leaderboard: {plan.out / 'leaderboard.md'}  (and .csv, .json, .png, .html beside it)")
    return boards


def _evaluate_all(plan: Plan, failed: dict[str, str], evaluate: Evaluate, console: Console) -> tuple[Rows, list[str]]:
    """Rows of all finished runs, each with its run, kind and board; adds to `failed` what could not be evaluated."""
    rows: Rows = []
    evaluated = []
    covered: set[tuple[str, str]] = set()  # boards whose baselines are scored: those of another run there are the same
    for job in plan.jobs:
        if job.model in failed:
            continue
        try:
            found = evaluate(job.folder, console, (job.kind, job.board) not in covered)
        except Exception as error:  # hours of training of others must not be lost to one
            if os.environ.get("BATGEN_TRACEBACK"):
                raise
            text = str(error) if isinstance(error, BatgenError) else f"{type(error).__name__}: {error}"
            failed[job.model] = f"evaluation: {text}"
            continue
        evaluated.append(job.model)
        covered.add((job.kind, job.board))
        rows += [_placed(row, job) for row in found]
    return rows, evaluated


def _placed(row: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The row with its run, kind and board. Two configs of one network (hybrid, wgan_gp) are two methods here."""
    method = job.model if row.get("role") == "model" else row.get("method") or row["model"]
    return {**row, "kind": job.kind, "board": job.board, "run": job.model, "method": method}


def _evaluation(settings: Mapping[str, int]) -> Evaluate:
    from batgen.evaluate import EvaluateSettings, evaluate_run  # torch

    usual = EvaluateSettings()
    wanted = EvaluateSettings(settings.get("rows", usual.rows), settings.get("draws", usual.draws))
    return lambda folder, console, beside: evaluate_run(folder, replace(wanted, baselines=beside), console)


def _report() -> WriteReport:
    from batgen.evaluate import compare_runs  # plotly

    return compare_runs


def _write(plan: Plan, boards: Sequence[Board], failures: Sequence[Failure], rows: Rows, started: float) -> None:
    runs = [_run(job, {f.model: f.reason for f in failures}) for job in plan.jobs]
    about = {"data": plan.data, "overrides": list(plan.words), "beside": plan.beside, "provenance": provenance(started)}
    content = {"about": about, "runs": runs, "tables": [to_plain(board) for board in boards], "rows": rows}
    write_json(plan.out / "leaderboard.json", content)
    keys = [*COLUMNS, *sorted({key for row in rows for key in row} - set(COLUMNS))]
    with replacing(plan.out / "leaderboard.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, keys)
        writer.writeheader()
        writer.writerows(rows)
    with replacing(plan.out / "leaderboard.md") as temporary:
        temporary.write_text(to_markdown(boards, plan.data, runs, plan.beside), encoding="utf-8")


def _run(job: Job, failed: Mapping[str, str]) -> dict[str, Any]:
    """What leaderboard.json says of a run: its state and overrides; time (s), memory (MiB) and commit where it finished."""
    try:
        record = json.loads((job.folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    return {
        "model": job.model,
        "kind": job.kind,
        "board": job.board,
        "folder": job.folder.name,
        "state": "failed" if job.model in failed else "done",
        "reason": failed.get(job.model, ""),
        "overrides": [f"model={job.model}", *job.words],
        "needs": list(job.needs),
        **{key: record.get(key) for key in ("wall_s", "peak_memory_MiB", "git_commit")},
    }
