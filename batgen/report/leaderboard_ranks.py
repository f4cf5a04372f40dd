"""Which of two values of a metric is better, and the places that follow: nobody gains by being better than measured."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from scipy.stats import rankdata

from batgen.report.page.judging import cost, judged


def counted(rows: Sequence[Mapping[str, Any]]) -> float:
    """The value that ranks: mean over the signals (checks of physics) of `rows` of one metric and method, each the mean
    over seeds, capped at its floor (`capped`). NaN without rows; infinite where a value is null: there it failed."""
    if any(r.get("value") is None for r in rows):
        return math.inf
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        parts.setdefault(str(row["signal"]), []).append(row)
    found = []
    for part in parts.values():
        value, floor = (by_seed(part, key) for key in ("value", "floor"))
        if value:
            at = fmean(floor.values()) if floor else math.nan
            found.append(capped(str(part[0]["metric"]), str(part[0]["direction"]), fmean(value.values()), at))
    return fmean(found) if found else math.nan


def by_seed(rows: Sequence[Mapping[str, Any]], key: str) -> dict[Any, float]:
    """The mean of a seed's rows, for each seed; null, text and what is not finite are left out."""
    seeds: dict[Any, list[float]] = {}
    for row in rows:
        if isinstance(row.get(key), int | float) and math.isfinite(row[key]):
            seeds.setdefault(row["seed"], []).append(float(row[key]))
    return {seed: fmean(values) for seed, values in seeds.items()}


def capped(metric: str, direction: str, value: float, floor: float) -> float:
    """The value without what is better than measured data score, which is no merit; floor NaN: there is none.

    One curve for all has a precision of 1, breaks no law of physics and leaks nobody: that must not beat curves that
    are as the measured ones. Where higher is better, and for a condition read back from the curve, the floor is the best;
    for membership it is, or guessing where that is more; for a ratio whose best is 1, all from 1 to the floor is alike. A
    classifier (C2ST) that does worse than guessing guesses. Errors (RMSE, CRPS, energy score) have no cap: their floor is
    one curve of another cell, which good draws beat.
    """
    known = not math.isnan(floor)
    if metric == "C2ST":
        return max(value, 0.5)
    if metric == "membership_AUC":
        return max(value, 0.5, floor) if known else max(value, 0.5)
    if known and metric == "condition_error":
        return max(value, floor)
    if known and direction == "higher":
        return min(value, floor)
    if known and direction == "one":
        return 1.0 + value - min(max(value, min(1.0, floor)), max(1.0, floor))
    return value


def badness(metric: str, direction: str, value: float) -> float:
    """How far a counted value is from the best one, the lower the better; NaN where nobody can say. What prints alike, to
    three digits, is alike."""
    if not math.isfinite(value):
        return value
    if not judged(metric, direction):
        return math.nan
    bad = cost(metric, direction, float(f"{value:.3g}"))
    return float(f"{bad:.9g}")  # 0.85 and 0.75 are as far from 0.8, whatever floats say


def places(bad: Mapping[str, float]) -> dict[str, float]:
    """Name -> place, 1 is the lowest; ties share their mean place. NaN, a value that others have, is last, as are failures:
    not to be measurable is no merit. Nothing where fewer than two take part or none has a value."""
    if len(bad) < 2 or all(math.isnan(x) for x in bad.values()):
        return {}
    ordered = rankdata([math.inf if math.isnan(x) else x for x in bad.values()], method="average")
    return {name: float(place) for name, place in zip(bad, ordered, strict=True)}
