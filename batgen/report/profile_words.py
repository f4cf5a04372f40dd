"""What the tables of profiles say, in words: against the best baseline, against measured profiles, condition by condition."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Protocol

from batgen.report.profile_labels import table_number
from batgen.report.summary import Value

#: The classifier test says something where a measured neighbour scores between these: above, cells are told apart as such;
#: below chance, profiles that stand on both sides of the test turn it upside down.
SAYS_SOMETHING = (0.4, 0.9)
#: Within-condition variance over the measured one that is neither collapsed nor too wide.
_VARIANCE = (0.5, 1.5)
#: Points (%) below measured profiles that physics checks may lose, and above them that failures may have.
_PASS_POINTS, _FAIL_POINTS = 2.0, 1.0


class Head(Protocol):
    """A column: its head, unit, metric and signal, and which direction wins."""

    head: str
    unit: str
    metric: str
    direction: str


class Entry(Protocol):
    """A line: method, role, its values in the order of the columns, and what each was by seed."""

    name: str
    role: str
    values: list[Value]
    by_seed: list[dict[Any, float]]


class Table(Protocol):
    """Columns and lines."""

    @property
    def columns(self) -> Sequence[Head]: ...
    @property
    def lines(self) -> Sequence[Entry]: ...


def verdicts(grids: Sequence[Table], seeds: int) -> list[str]:
    """Sentences on the model of the first table against its best baseline, then on the further tables.

    A difference is counted in standard deviations of itself over the seeds both have: "2.1 seed spreads". The grids are
    those of `summarise_profiles`, in its order.
    """
    main, other, statistics, physics, failures, utility, effects = grids
    found = _against_baselines(main, seeds) + _against_baselines(other, seeds)[:1]
    found += _variance(main) + _c2st(statistics)
    found += _against_measured(physics, "passes physics checks less often than measured profiles", -1, _PASS_POINTS)
    found += _against_measured(failures, "fails more often than measured profiles", 1, _FAIL_POINTS)
    found += _utility(utility) + _effects(effects)
    return found


def _against_baselines(table: Table, seeds: int) -> list[str]:
    sentences: list[str] = []
    better: list[str] = []
    within: list[str] = []
    worse: list[str] = []
    for place, column in enumerate(table.columns):
        pair = _model_and_best(table, place)
        if column.direction != "lower" or pair is None:
            continue
        model, best = pair
        mine, theirs = model.values[place].mean, best.values[place].mean
        gain, spread = _difference(model.by_seed[place], best.by_seed[place])
        spreads = f"{abs(gain) / spread:.1f} seed spreads" if spread > 0 else ""
        name, unit = _name(column), f" {column.unit}" if column.unit else ""
        against = f"{table_number(mine)} against {table_number(theirs)}{unit}"
        if not place:
            how = "better" if gain > 0 else "worse" if gain < 0 else "no better and no worse"
            by = f"{table_number(abs(gain))}{unit} ({100 * abs(gain) / theirs:.0f} %) " if gain and theirs else ""
            over = f"{spreads}, n = {seeds} seeds" if spreads else _seeds(seeds)
            found = f"In {name} the model is {by}{how} than the best baseline: {against} ({best.name}); {over}."
            sentences.append(found)
            continue
        text = f"{name} ({against}; {spreads})" if spreads else f"{name} ({against})"
        (within if spread > abs(gain) else better if gain > 0 else worse).append(text)
    sentences += [f"Better than the best baseline in {'; '.join(better)}."] if better else []
    sentences += [f"No more than the spread of the seeds apart in {'; '.join(within)}."] if within else []
    sentences += [f"Worse than the best baseline in {'; '.join(worse)}."] if worse else []
    return sentences


def _model_and_best(table: Table, place: int) -> tuple[Entry, Entry] | None:
    known = [line for line in table.lines if not math.isnan(line.values[place].mean)]
    model = next((line for line in known if line.role == "model"), None)
    rivals = [line for line in known if line.role == "baseline"]
    return (model, min(rivals, key=lambda line: line.values[place].mean)) if model and rivals else None


def _difference(mine: Mapping[Any, float], theirs: Mapping[Any, float]) -> tuple[float, float]:
    """Baseline minus model and its standard deviation over seeds, 0.0 where there is one; seed by seed where they share."""
    shared = [seed for seed in mine if seed in theirs]
    if len(shared) > 1:
        gains = [theirs[seed] - mine[seed] for seed in shared]
    else:
        gains = [fmean(theirs.values()) - value for value in mine.values()]
    known = len(gains) > 1 and all(map(math.isfinite, gains))  # a generator that fails is infinitely far off
    return fmean(gains), stdev(gains) if known else 0.0


def _seeds(seeds: int) -> str:
    return "one seed, so its spread is not known" if seeds == 1 else f"n = {seeds} seeds, all alike"


def _variance(table: Table) -> list[str]:
    low, high = _VARIANCE
    for place, column in enumerate(table.columns):
        model = next((line for line in table.lines if line.role == "model"), None)
        if column.metric != "variance_ratio" or model is None or math.isnan(model.values[place].mean):
            continue
        ratio = model.values[place].mean
        if not low <= ratio <= high:
            how = "too little: it has collapsed towards one curve a condition" if ratio < low else "too much"
            return [f"Within a condition the model varies {how} ({table_number(ratio)} of the measured variance)."]
    return []


def _c2st(table: Table) -> list[str]:
    measured = next((line for line in table.lines if line.role == "floor"), None)
    for place, column in enumerate(table.columns):
        if column.metric != "C2ST" or measured is None:
            continue
        floor, (low, high) = measured.values[place].mean, SAYS_SOMETHING
        if floor > high:
            return [f"C2ST says nothing here: two sets of measured profiles score {table_number(floor)} already."]
        if floor < low:
            return [f"C2ST says nothing here: two sets of measured profiles score {table_number(floor)}, below chance."]
    return []


def _against_measured(table: Table, sentence: str, sign: int, points: float) -> list[str]:
    model = next((line for line in table.lines if line.role == "model"), None)
    measured = next((line for line in table.lines if line.role in ("measured", "floor")), None)
    if model is None:
        return []
    bad = []
    for place, column in enumerate(table.columns):
        mine, theirs = model.values[place].mean, measured.values[place].mean if measured else math.nan
        if math.isnan(theirs) and sign > 0:
            theirs = 0.0  # no measured profile counts as a failure
        if sign * (mine - theirs) > points:
            bad.append(f"{_name(column)} ({table_number(mine)} against {table_number(theirs)} %)")
    return [f"The model {sentence}: {'; '.join(bad)}."] if bad else []


def _utility(table: Table) -> list[str]:
    model = next((line for line in table.lines if line.role == "model"), None)
    measured = next((line for line in table.lines if line.role == "measured"), None)
    if model is None or measured is None:
        return []
    mine, theirs = model.values[0].mean, measured.values[0].mean
    constant = next((line.values[0].mean for line in table.lines if line.name == "constant"), math.nan)
    told = f"from generated profiles errs by {table_number(mine)} %, from measured ones by {table_number(theirs)} %"
    told += "" if math.isnan(constant) else f", a constant by {table_number(constant)} %"
    return [f"State of health learnt {told}."]


def _effects(table: Table) -> list[str]:
    silent = [line.name for line in table.lines if line.role == "not learnt"]
    constant = [line.name for line in table.lines if line.role == "constant"]
    found = [f"Without effect on the error, so not learnt: {', '.join(silent)}."] if silent else []
    found += [f"Constant in the tested records, so not known: {', '.join(constant)}."] if constant else []
    return found


def _name(column: Head) -> str:
    return column.head.replace("\n", " ").replace("temp.", "temperature").replace("dist.", "distance")
