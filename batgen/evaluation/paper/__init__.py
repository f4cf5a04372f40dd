"""The published numbers of RCVAE as data, from Tables 1, 2, S1 and S2 of "Generating Comprehensive Lithium Battery
Charging Data with Generative AI" (arXiv 2404.07577), transcribed from our text of it.

The CSV files beside this module hold them as printed (columns cycles, detach, signal, metric, value, unit, table, note;
an empty value is unreadable; `note` says where our text is damaged and what was read). All are reconstructions with the
true test curve in the encoder, on samples of cells that were also trained on: no prior-only number was published.
"""

import csv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from batgen.evaluation.reconstruction import PAPER_WEIGHTS, TOTAL
from batgen.evaluation.rows import metric_rows

#: Ampere per unit of the paper's current: it is MIT's C-rate divided by 1.1 once more, and 1C is 1.1 A.
AMPERE = 1.1 * 1.1


@cache
def _table(name: str) -> tuple[dict[str, str], ...]:
    """Rows of one CSV file as printed."""
    with (Path(__file__).parent / f"rcvae_{name}.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def printed_rows(name: str) -> list[dict[str, str]]:
    """All rows of "table1", "table2", "table_s1" or "table_s2" as printed, in the paper's units."""
    return [dict(row) for row in _table(name)]


def paper_rows(cycles: int, detach: str = "None") -> list[dict[str, Any]]:
    """MAE and RMSE that the paper prints for training on the first `cycles` cycles, in our units, as metrics.json rows.

    `detach` is the removed layer ("Decoder_1" .. "Encoder_16", "Embedding"), "None" the full model, for which Table 1
    is taken. Current is converted to A (x 1.21). The Total is recomputed from the converted parts and its note keeps
    the printed one. Keys: model, role, mode, signal, metric, value, unit, direction, n, table, note and the (empty)
    interval. Empty for numbers of cycles (the paper has 20, 40, 60, 80, 100) or layers that the paper does not have;
    values unreadable in our text are left out, and so is the Total that needs them.
    """
    sources = ("table1",) if detach == "None" else ("table2", "table_s1", "table_s2")
    found: dict[tuple[str, str], dict[str, str]] = {}
    for source in sources:
        for entry in _table(source):
            if (entry["cycles"], entry["detach"]) == (str(cycles), detach) and entry["value"]:
                found.setdefault((entry["metric"], entry["signal"]), entry)
    result = []
    for metric, power in (("MAE", 1), ("RMSE", 2)):
        values = {}
        for signal in PAPER_WEIGHTS:
            row = found.get((metric, signal))
            if row is None:
                continue
            current = signal == "current_A"
            values[signal] = float(row["value"]) * (AMPERE if current else 1.0)
            notes = [f"printed {row['value']}, x 1.21 to A" if current else "", row["note"]]
            result += _row(metric, signal, values[signal], row["table"], "; ".join(filter(None, notes)))
        if len(values) == len(PAPER_WEIGHTS):
            mean = np.average([values[s] ** power for s in PAPER_WEIGHTS], weights=list(PAPER_WEIGHTS.values()))
            tables = sorted({found[metric, signal]["table"] for signal in PAPER_WEIGHTS})
            printed = found.get((metric, TOTAL))
            note = "recomputed from the parts with current in A" + (f"; printed {printed['value']}" if printed else "")
            result += _row(metric, TOTAL, float(mean) ** (1 / power), ", ".join(tables), note)
    return result


def _row(metric: str, signal: str, value: float, table: str, note: str) -> list[dict[str, Any]]:
    context = {"model": "paper", "role": "paper", "mode": "reconstruction", "n": None, "table": table, "note": note}
    return metric_rows(metric, {signal: value}, context)
