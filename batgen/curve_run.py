"""The family of curve runs: one part after the other, trained all at once where the trainer can."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen import curve_ensemble, curve_part
from batgen.errors import BatgenError
from batgen.report.figures import draw_all as draw
from batgen.report.table import print_tables, to_markdown

__all__ = ["check_settings", "draw", "print_tables", "run_parts", "score", "to_markdown"]


def check_settings(conf: dict[str, Any]) -> None:
    """Build what costs nothing, so that a wrong value is refused before data are read or anything is trained."""
    curve_part.check_settings(conf)
    curve_ensemble.check(conf)


def run_parts(
    confs: Sequence[dict[str, Any]],
    folders: Sequence[Path],
    run_folder: Path,
    console: Console,
    done: Callable[[Path], None],
) -> list[dict[str, Any]]:
    """Train and evaluate parts (one a seed) of one protocol; returns their metric rows. done: told the folder of each part
    when its metrics.json is written.

    Raises BatgenError where one of those that are trained together could not be, when the others are done.
    """
    rows: list[dict[str, Any]] = []
    reasons = []
    curve_ensemble.train_parts(list(zip(confs, folders, strict=True)), console)
    for conf, folder in zip(confs, folders, strict=True):
        if (reason := curve_ensemble.pop_reason(folder)) is not None:
            reasons.append(f"{folder.name}: {reason}")
        else:
            rows += curve_part.run_part(conf, folder, run_folder, console)
            done(folder)
    if reasons:
        raise BatgenError("\n".join(reasons))
    return rows


def score(rows: list[dict[str, Any]]) -> float:
    """Total CRPS of the model on test rows, mean over parts: for sweeps to show. Searches judge by `curve_trial`."""
    found = [r["value"] for r in rows if r["role"] == "model" and r["metric"] == "CRPS" and r["signal"] == "Total"]
    return sum(found) / len(found) if found else float("nan")
