"""The physics plot: pass rates of generated curves beside those of measured ones, check by check."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from batgen.report.evaluation_table import grouped
from batgen.report.page.judging import scored
from batgen.report.page.metric_words import signal_name
from batgen.report.page.packing import plain
from batgen.report.page.read import Row
from batgen.report.page.tables import methods_of


def physics_plots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """{label, checks, measured, methods: [{name, role, rate, low, high}]}, one a protocol and test set, in per cent."""
    rates = [r for r in rows if r["metric"] == "pass_rate"]
    plots = []
    for (data, _, test_set, protocol, board), own in grouped(
        rates, "data", "kind", "test_set", "protocol", "board"
    ).items():
        checks = grouped(own, "signal")
        floors = [
            [float(r["floor"]) for r in some if isinstance(r.get("floor"), int | float)] for some in checks.values()
        ]
        methods = []
        for name, role in methods_of(own):
            found = [
                scored(mine) if (mine := [r for r in some if r["method"] == name]) else None for some in checks.values()
            ]
            columns = {
                key: plain([_percent(None if s is None else getattr(s, at)) for s in found])
                for key, at in (("rate", "value"), ("low", "low"), ("high", "high"))
            }
            methods.append({"name": name, "role": role, **columns})
        plots.append({
            "label": f"{data}, {protocol} protocol: {test_set}" + (f" ({board})" if board else ""),
            "checks": [signal_name(str(c[0])) for c in checks],
            "measured": plain([_percent(fmean(f) if f else None) for f in floors]), "methods": methods,
        })  # fmt: skip
    return plots


def _percent(value: float | None) -> float:
    return float("nan") if value is None else 100 * value
