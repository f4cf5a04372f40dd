"""Which of two methods is better by a metric, and whether the difference is beyond their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t

from batgen.report.page.read import Row

#: Metrics of intervals: the share of measured values that must lie in them.
NOMINAL = {"coverage_80": 0.8, "coverage_90": 0.9, "EOL_coverage": 0.8}


@dataclass(frozen=True)
class Scored:
    """A metric of one method over its seeds: mean value, 95 % interval (None where there is none), sd over seeds, count.

    The interval joins what other cells and what other seeds would change: the root of the summed squares of the mean
    half-interval over cells and of t s / sqrt(k) over k seeds. `failed`: some seed has no finite value.
    """

    method: str
    role: str
    value: float
    low: float | None
    high: float | None
    sd: float | None
    n: int | None
    failed: bool


def scored(rows: Sequence[Row]) -> Scored:
    """Join the rows of one method, metric and signal: one a seed."""
    first = rows[0]
    values = [_number(row.get("value")) for row in rows]
    counts = [int(row["n"]) for row in rows if row.get("n") is not None]
    n = max(counts) if counts else None
    failed = not all(map(math.isfinite, values))
    if failed:
        return Scored(str(first["method"]), str(first["role"]), math.inf, None, None, None, n, True)
    value = fmean(values)
    sd = stdev(values) if len(values) > 1 else None
    ends = [(_number(row.get("low")), _number(row.get("high"))) for row in rows]
    if not all(math.isfinite(low) and math.isfinite(high) for low, high in ends):
        low = high = None
    else:
        spread = 0.0 if sd is None else float(t.ppf(0.975, len(values) - 1)) * sd / math.sqrt(len(values))
        below = fmean(v - low for v, (low, _) in zip(values, ends, strict=True))
        above = fmean(high - v for v, (_, high) in zip(values, ends, strict=True))
        low, high = value - math.hypot(below, spread), value + math.hypot(above, spread)
    return Scored(str(first["method"]), str(first["role"]), value, low, high, sd, n, False)


def judged(metric: str, direction: str) -> bool:
    """Whether this metric has a good end at all."""
    return bool(direction) or metric in NOMINAL


def cost(metric: str, direction: str, value: float) -> float:
    """The value as a loss, lower is better: distance from its target, or the value itself, or minus it.

    A two-sample test (C2ST) below one half tells the sets apart no better than chance, and is worth as much as one half.
    """
    if metric in NOMINAL:
        return abs(value - NOMINAL[metric])
    if metric == "C2ST":
        return max(value, 0.5)
    return {"higher": -value, "one": abs(value - 1), "half": abs(value - 0.5)}.get(direction, value)


def cost_interval(metric: str, direction: str, one: Scored) -> tuple[float, float] | None:
    """The interval of the value as an interval of the loss; None where there is none."""
    if one.low is None or one.high is None:
        return None
    ends = [cost(metric, direction, value) for value in (one.low, one.high)]
    target = NOMINAL.get(metric, {"one": 1.0, "half": 0.5}.get(direction, math.nan))
    if one.low <= target <= one.high:
        return 0.0, max(ends)
    return min(ends), max(ends)


def best(metric: str, direction: str, found: Sequence[Scored]) -> Scored | None:
    """The one with the least loss; None where nothing is finite or the metric has no good end."""
    usable = [s for s in found if not s.failed]
    if not usable or not judged(metric, direction):
        return None
    return min(usable, key=lambda s: cost(metric, direction, s.value))


def compared(metric: str, direction: str, one: Scored, other: Scored) -> str:
    """ "better", "level" or "worse" of `one` against `other`; level where their intervals meet, "" without intervals."""
    if one.failed or other.failed:
        return "level" if one.failed and other.failed else "worse" if one.failed else "better"
    mine, theirs = (cost_interval(metric, direction, s) for s in (one, other))
    if mine is None or theirs is None:
        return ""
    if mine[1] < theirs[0]:
        return "better"
    return "worse" if mine[0] > theirs[1] else "level"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
