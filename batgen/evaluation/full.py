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
#: Folds from which the spread between them is an interval.
_FOLDS = 3


def full_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[Row]:
    """Rows of all families; a family that has nothing to say of these curves gives none.

    An infinite value is a generator that failed (null in JSON); NaN is no value, and its row is left out.
    """
    rows = [row for family in FAMILIES.values() for row in family(comparison, seed, context)]
    return [row for row in rows if not np.isnan(row["value"])]


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
    weights = np.array([max(1, row["n"]) for row in rows], dtype=float)
    values = np.array([row["value"] for row in rows], dtype=float)
    known = ~np.isnan(values)
    if not known.any():
        return {**rows[0], "n": int(weights.sum()), "low": None, "high": None}
    value = float(np.average(values[known] ** power, weights=weights[known]) ** (1 / power))
    floors = [(row["floor"], w) for row, w in zip(rows, weights, strict=True) if row.get("floor") is not None]
    floor = None
    if floors:
        floor = float(np.average([f**power for f, _ in floors], weights=[w for _, w in floors]) ** (1 / power))
    low = high = None
    if known.sum() >= _FOLDS and np.isfinite(values[known]).all():
        half = float(t.ppf(0.975, known.sum() - 1) * values[known].std(ddof=1) / np.sqrt(known.sum()))
        low, high = value - half, value + half
    return {**rows[0], "value": value, "low": low, "high": high, "floor": floor, "n": int(weights.sum())}
