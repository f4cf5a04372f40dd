"""Every family of metrics of one comparison, and how several models of one test set become one number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from batgen.evaluation.comparison import Comparison
from batgen.evaluation.conditional_rows import conditional_rows
from batgen.evaluation.curve_utility import utility_rows
from batgen.evaluation.diversity_rows import diversity_rows
from batgen.evaluation.draw_calibration import calibration_rows
from batgen.evaluation.fidelity import fidelity_rows
from batgen.evaluation.indicator_rows import indicator_rows
from batgen.evaluation.memorisation_rows import memorisation_rows
from batgen.evaluation.physics_rows import physics_rows
from batgen.evaluation.rare import rare_rows

Row = dict[str, Any]
FAMILIES: dict[str, Callable[[Comparison, int, Mapping[str, Any]], list[Row]]] = {
    "fidelity": fidelity_rows,
    "conditional": conditional_rows,
    "calibration": calibration_rows,
    "diversity": diversity_rows,
    "memorisation": memorisation_rows,
    "physics": physics_rows,
    "indicators": indicator_rows,
    "utility": utility_rows,
    "rare": rare_rows,
}
#: Metrics that are roots of mean squares: folds are joined as squares.
_ROOTS = ("RMSE",)
#: Shares, which an interval must not leave.
_SHARES = ("pass_rate", "copy_share", "coverage_80", "precision", "recall", "coverage", "membership_AUC", "C2ST")
#: Folds from which the spread between them is an interval.
_FOLDS = 3


def full_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[Row]:
    """Rows of all families; a family that has nothing to say of these curves gives none.

    An infinite value is a generator that failed (null in JSON); NaN is no value, and its row is left out.
    """
    rows = [row for family in FAMILIES.values() for row in family(comparison, seed, context)]
    cells = len(np.unique(comparison.real.cells))
    return [{**_clipped(row), "cells": cells} for row in rows if not np.isnan(row["value"])]


def _clipped(row: Row) -> Row:
    """The row of a share with its interval within 0 and 1, which a symmetric one may leave."""
    ends = (row["low"], row["high"])
    if row["metric"] not in _SHARES or None in ends or np.isnan(ends).any():
        return row
    return {**row, "low": max(0.0, row["low"]), "high": min(1.0, row["high"])}


def joined(rows: Sequence[Row]) -> list[Row]:
    """Rows of several folds (each with a model and test cells of its own) as one set.

    The value is the mean over folds, each weighed by its number of curves (of squares for an RMSE); so is the floor. The
    interval of three folds or more is that of their mean, value +/- t s / sqrt(F), t with F - 1 degrees of freedom:
    models and cells differ between folds. Of two folds there is none; one fold keeps its own.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row.get(k) for k in ("protocol", "seed", "test_set", "method", "family", "metric", "signal"))
        groups.setdefault(key, []).append(row)
    return [_mean(group) if len(group) > 1 else group[0] for group in groups.values()]


def _mean(rows: Sequence[Row]) -> Row:
    power = 2.0 if rows[0]["metric"] in _ROOTS else 1.0
    rows = [row for row in rows if not np.isnan(row["value"])] or rows[:1]
    weights = np.array([max(1, row["n"]) for row in rows], dtype=float)
    values = np.array([row["value"] for row in rows], dtype=float) ** power
    value = float(np.average(values, weights=weights))
    low = high = None
    if len(values) >= _FOLDS and np.isfinite(values).all():
        half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        low, high = ((max(0.0, x) ** 0.5 if power == 2.0 else x) for x in (value - half, value + half))
    joined_rows = {
        "value": value ** (1 / power), "low": low, "high": high, "floor": _average(rows, "floor", power), "fold": "all",
        "n": int(weights.sum()), "cells": sum(row.get("cells", 0) for row in rows),
    }  # fmt: skip
    if "constant" in rows[0]:
        joined_rows["constant"] = _average(rows, "constant", 1.0)
    notes = list(dict.fromkeys(str(row["note"]) for row in rows if row.get("note")))
    return _clipped({**rows[0], **joined_rows, **({"note": "; ".join(notes)} if notes else {})})


def _average(rows: Sequence[Row], key: str, power: float) -> float | None:
    """Mean over the folds that have it, weighed by their curves."""
    known = [(row[key], max(1, row["n"])) for row in rows if row.get(key) is not None and not np.isnan(row[key])]
    if not known:
        return None
    return float(np.average([x**power for x, _ in known], weights=[w for _, w in known]) ** (1 / power))
