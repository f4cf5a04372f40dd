"""The family of curve runs: one part after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen.curve_part import check_settings, run_part
from batgen.report.figures import draw_all as draw
from batgen.report.table import print_tables, to_markdown

__all__ = ["check_settings", "draw", "print_tables", "run_parts", "score", "to_markdown"]


def run_parts(
    confs: Sequence[dict[str, Any]], folders: Sequence[Path], run_folder: Path, console: Console
) -> list[dict[str, Any]]:
    """Train and evaluate parts (one a seed) of one protocol; returns their metric rows."""
    rows: list[dict[str, Any]] = []
    for conf, folder in zip(confs, folders, strict=True):
        rows += run_part(conf, folder, run_folder, console)
    return rows


def score(rows: list[dict[str, Any]]) -> float:
    """Total CRPS of the model, mean over parts."""
    found = [r["value"] for r in rows if r["role"] == "model" and r["metric"] == "CRPS" and r["signal"] == "Total"]
    return sum(found) / len(found) if found else float("nan")
