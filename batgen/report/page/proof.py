"""The downstream part: what a regression gains from synthetic curves, from downstream.json where there is one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batgen.evaluation.downstream import SOURCES, joined
from batgen.report.downstream_words import verdict
from batgen.report.page.packing import plain

_TARGETS = {
    "soh": ("SOH", "MAE of SOH [% of nominal]", 100.0),
    "eol": ("End of life", "MAE of end of life [cycles]", 1.0),
}


def downstream_curves(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """{title, label, sentence, shares, cells, lines: [{source, value, low, high}]}, one a dataset, model and target.

    Each folder's downstream.json is read once; one that is absent or damaged is passed over.
    """
    entries = []
    for folder in dict.fromkeys(f.resolve() for f in folders):
        rows = _rows(folder / "downstream.json")
        groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault((str(row["data"]), str(row["model"]), str(row["target"])), []).append(row)
        entries += [_entry(*key, own) for key, own in groups.items()]
    return entries


def _entry(data: str, model: str, target: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    name, label, scale = _TARGETS.get(target, (target, f"MAE of {target} [{rows[0]['unit']}]", 1.0))
    table = joined(rows)
    shares = sorted({j.share for j in table})
    lines = []
    for source in SOURCES:
        own = [j for j in table if j.source == source]
        columns = {k: plain([scale * getattr(j, k) for j in own]) for k in ("value", "low", "high")}
        if own:
            lines.append({"source": source, "share": plain([100 * j.share for j in own]), **columns})
    cells = [next(j.cells for j in table if j.share == share) for share in shares]
    return {
        "title": f"{name}: {model}, {data}", "label": label, "sentence": verdict(rows),
        "shares": plain([100 * s for s in shares]), "cells": plain(cells), "lines": lines,
    }  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    wanted = {"data", "model", "target", "share", "cells", "repeat", "source", "value", "unit"}
    return [r for r in rows if isinstance(r, dict) and wanted <= set(r) and isinstance(r["value"], int | float)]
