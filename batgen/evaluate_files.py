"""Evaluation of files of curves, from any tool: read, matched, compared like a run."""

import json
from pathlib import Path

import numpy as np
from rich.console import Console

from batgen.compared.judged import EvaluateSettings, Judged, Method, evenly, told_conditions
from batgen.data.curve_set import CurveSet
from batgen.data.exchange import read
from batgen.errors import DataError
from batgen.evaluate import write_evaluation
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.full import Row
from batgen.report.page.page import write_report

#: What says that a generated and a measured curve are of one condition, where no column `pair` does.
_SAME = ("cell_id", "ecl", "soc", "soh", "eol")


def evaluate_files(
    generated: Path, real: Path, train: Path | None, folder: Path, settings: EvaluateSettings, console: Console
) -> list[Row]:
    """Compare the curves of `generated` with those of `real`; writes the same files as for a run into `folder`.

    Raises DataError where the files cannot be read or do not hold the same signals at the same number of points.
    """
    made, held_out = read(generated), read(real)
    learnt = read(train) if train is not None else None
    shared = tuple(s for s in held_out.signals if s in made.signals and (learnt is None or s in learnt.signals))
    if not shared:
        raise DataError(
            f"{generated}: has {', '.join(made.signals)}, but {real} has {', '.join(held_out.signals)}: no signal in common."
        )
    for path, one in ((generated, made), (train, learnt)):
        if one is not None and len(one.axis) != len(held_out.axis):
            raise DataError(
                f"{path}: {len(one.axis)} points a curve, but {real} has {len(held_out.axis)}. Resample one of them."
            )
    notes = []
    if left := sorted({*made.signals, *held_out.signals} - set(shared)):
        notes.append(f"not in all files, left out: {', '.join(left)}")
    held_out, made = held_out.only(shared), made.only(shared)
    learnt = learnt.only(shared) if learnt is not None else None
    comparison, more = compare_sets(made, held_out, learnt, settings)
    name = str(made.facts.get("model", generated.stem))
    context = {
        "protocol": str(made.facts.get("protocol", "given")), "seed": None, "split": "as given", "model": name,
        "data": str(made.facts.get("data", real.stem)), "test_set": real.stem,
    }  # fmt: skip
    judged = Judged(context, "", [Method(name, "model", lambda: comparison)], dict, notes + more)
    about = {
        "generated": str(generated), "real": str(real), "train": None if train is None else str(train), "model": name,
        "data": context["data"], "family": "files", "protocols": [context["protocol"]], "seeds": [], "settings": vars(settings),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for note in judged.notes:
        console.print(f"  note: {note}", style="yellow")
    write_evaluation(folder, [judged], about, console)
    write_report([folder], folder / "report.html")
    rows: list[Row] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["rows"]
    return rows


def compare_sets(
    made: CurveSet, held_out: CurveSet, learnt: CurveSet | None, settings: EvaluateSettings
) -> tuple[Comparison, list[str]]:
    """A comparison of generated with measured curves, matched where they can be, and remarks."""
    notes = []
    pairs = _pairs(made, held_out)
    every = learnt
    if learnt is not None:
        learnt = learnt.take(evenly(np.arange(len(learnt)), settings.rows))
    else:
        notes.append("no training curves given: nothing can be said of memorisation, and there is no floor")
    told = told_conditions(made.conditions, held_out, *([learnt] if learnt is not None else []))
    counts = (
        np.bincount(pairs[pairs >= 0], minlength=len(held_out)) if pairs is not None else np.zeros(len(held_out), int)
    )
    rows = np.flatnonzero(counts)
    if not len(rows):
        notes.append("no generated curve says which measured one it was drawn for: only whole sets are compared")
        held_out = held_out.take(evenly(np.arange(len(held_out)), settings.rows))
        made = made.take(evenly(np.arange(len(made)), settings.rows))
        return Comparison(held_out, made, None, learnt, None, told, settings.seed, every=every), notes
    assert pairs is not None
    rows = evenly(rows, settings.rows)
    draws = int(min(counts[rows].min(), settings.draws))
    if len(rows) < len(held_out):
        notes.append(
            f"{len(rows)} of {len(held_out)} measured curves are evaluated: the others have no generated curve, or are too many"
        )
    places = np.stack([np.flatnonzero(pairs == row)[:draws] for row in rows], axis=1)
    real = held_out.take(rows)
    values = made.values[places]
    return Comparison(real, real.with_values(values[0]), values, learnt, None, told, settings.seed, every=every), notes


def _pairs(made: CurveSet, held_out: CurveSet) -> np.ndarray | None:
    """For each generated curve the row of the measured one it was drawn for (N,), -1 for none; None where nothing tells."""
    if "pair" in made.table:
        pairs = made.table["pair"].to_numpy(np.int64)
        if len(pairs) and (pairs.max() >= len(held_out) or pairs.min() < -1):
            raise DataError(f"pair={pairs.max()}: the measured file has {len(held_out)} curves, numbered from 0.")
        return pairs
    names = [n for n in _SAME if n in made.table and n in held_out.table]
    if "cell_id" not in names or len(names) < 2:
        return None
    keys = {key: row for row, key in enumerate(zip(*(held_out.table[n] for n in names), strict=True))}
    if len(keys) < len(held_out):  # several measured curves of one condition: which one was meant nobody can tell
        return None
    return np.array([keys.get(key, -1) for key in zip(*(made.table[n] for n in names), strict=True)])
