"""Evaluate finished runs, or files of generated curves from any tool, with every metric, and write what came out."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen import config
from batgen.compared import family_of, judged, open_run
from batgen.compared.judged import EvaluateSettings, Judged
from batgen.console import Bar
from batgen.errors import BatgenError, CheckpointError
from batgen.evaluation.full import Row, full_rows, joined
from batgen.evaluation_file import EvaluationFile
from batgen.files import replacing, write_json
from batgen.provenance import provenance
from batgen.report.evaluation_table import to_markdown
from batgen.report.page.page import write_report

#: Raised by hand when a metric, or what it is computed from, changes: older evaluations are made anew.
VERSION = 3

__all__ = ["EvaluateSettings", "compare_runs", "evaluate_run"]


def evaluate_run(run: Path, settings: EvaluateSettings, console: Console, again: bool = False) -> list[Row]:
    """Evaluate every protocol and seed of a finished run; needs nothing but its folder and its data.

    Writes evaluation.json, evaluation.md, evaluation.h5 and report.html there and returns the rows. An evaluation with
    the same settings of the same run is read, not made again, unless `again`. Raises CheckpointError for a folder that
    holds no finished run, DataError where its data are gone.
    """
    cfg = open_run(run)
    wanted = {**asdict(settings), "run_started": _started(run), "version": VERSION}
    page = run / "report.html"
    if not again and (found := _done(run, wanted)) is not None:
        console.print(f"{run.name}: evaluated before, read from {run / 'evaluation.json'}")
        if not page.is_file():  # stopped before it was written
            write_report([run], page)
        return found
    family = family_of(cfg)
    about = {
        "run": str(run), "model": str(cfg.model._target_).rpartition(".")[0].rpartition(".")[2], "data": str(cfg.data.name),
        "family": family, "protocols": config.protocols(cfg), "seeds": config.seeds(cfg), "settings": wanted,
    }  # fmt: skip
    console.print(
        f"evaluating {run.name}: {family} of {about['data']}, {settings.rows} curves at most, {settings.draws} draws each"
    )
    parts = len(config.protocols(cfg)) * len(config.seeds(cfg))
    write_evaluation(run, judged(run, cfg, settings), about, console, parts)
    write_report([run], page)
    rows: list[Row] = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["rows"]
    return rows


def compare_runs(runs: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """One page of several evaluated runs. Returns the path of the page."""
    return write_report(list(runs), out, title)


def write_evaluation(
    folder: Path, found: Iterable[Judged], about: Mapping[str, Any], console: Console, parts: int = 1
) -> None:
    """Evaluate every `Judged` of `found` and write evaluation.json, .md and .h5 into `folder`."""
    started = time.time()
    rows: list[Row] = []
    notes: list[str] = []
    shown: set[tuple[str, str]] = set()
    with EvaluationFile(folder / "evaluation.h5", about) as file, Bar(console, "evaluating", parts) as advance:
        seen: set[tuple[str, int]] = set()
        for one in found:
            key = (str(one.context["protocol"]), str(one.context["test_set"]))
            part = (key[0], int(one.context["seed"] or 0))
            if part not in seen and seen:
                advance(1)
            seen.add(part)
            rows += evaluate_judged(one, file if key not in shown else None, console)
            shown.add(key)
            notes += [note for note in one.notes if note not in notes]
    about = {**about, "wall_s": round(time.time() - started, 1), "provenance": provenance(started)}
    about["peak_memory_MiB"] = about["provenance"]["peak_memory_MiB"]
    rows = joined(rows)
    write_json(folder / "evaluation.json", {"rows": rows, "about": about, "notes": notes})
    with replacing(folder / "evaluation.md") as temporary:
        temporary.write_text(to_markdown(rows, notes), encoding="utf-8")


def evaluate_judged(one: Judged, file: EvaluationFile | None, console: Console) -> list[Row]:
    """Rows of all methods of one test set; with a file, what its page draws too."""
    rows: list[Row] = []
    group = None
    for method in one.methods:
        try:
            comparison = method.comparison()
        except (BatgenError, ValueError) as error:
            if method.role == "model":
                raise
            one.notes.append(f"baseline {method.name} left out: {error}")
            continue
        context = {**one.context, "role": method.role, "method": method.name, "fold": one.fold}
        rows += full_rows(comparison, comparison.seed, context)
        if file is None:
            continue
        if group is None:
            group = file.open_set(one, comparison)
        else:
            group.baseline(method.name, comparison)
    if group is not None:
        group.sweeps(one.sweeps())
    return rows


def _started(run: Path) -> Any:
    """When the run was trained: another training has to be evaluated anew. Raises CheckpointError for a damaged run.json."""
    path = run / "run.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("started")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}). Write it anew with: python train.py run_dir={run} resume=true"
        ) from None


def _done(run: Path, wanted: Mapping[str, Any]) -> list[Row] | None:
    """The rows of an evaluation of this run with these settings, if there is one."""
    path = run / "evaluation.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made = found["about"]["settings"]
        if made.get("baselines"):  # more than is wanted, if none are
            made = {**made, "baselines": wanted["baselines"]}
        return list(found["rows"]) if made == dict(wanted) else None
    except (ValueError, KeyError, TypeError):
        return None
