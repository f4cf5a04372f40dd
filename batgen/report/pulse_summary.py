"""From tidy metrics.json rows of pulse runs to the cells of a table: seeds joined, best marked. No rendering here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from batgen.report.summary import Value

Row = Mapping[str, Any]

#: method -> head; also the order of the columns. Other methods follow under their own name.
OURS = {
    "inversion": "inver-\nsion",
    "generated": "gener-\nated",
    "generated+measured": "gen. +\nmeas.",
    "average": "aver-\nage",
    "inversion+GP": "inv. +\nGP",
    "published_forest": "forest\nas publ.",
}
BASELINES = {
    "surface": "surface",
    "ridge": "ridge",
    "forest": "forest",
    "nearest_soc": "nearest\nSOC",
    "gaussian_process": "GP",
    "constant": "con-\nstant",
}
PUBLISHED = ("published_without", "published_with")
#: Shown in the second table: the SOC is not given to it, so that it does not compete.
SOC_UNKNOWN = "inversion_soc_unknown"
PROTOCOLS = {
    "paper": "paper: cells shared between sides",
    "honest": "honest: physical cells disjoint",
}


@dataclass
class Column:
    """Head (with line breaks), unit, the kind of rows in it, and the factor from their unit to the one shown."""

    head: str
    unit: str
    role: str
    method: str
    metric: str = "MAPE"
    factor: float = 1.0


@dataclass
class Line:
    """A case, or the mean over cases: its name, its training SOCs ("5 25 50") and a value per column."""

    name: str
    train_soc: str
    values: list[Value]


@dataclass
class Grid:
    """Columns and lines that belong together."""

    columns: list[Column]
    lines: list[Line]


@dataclass
class PulseBlock:
    """The tables of one battery, protocol, calibration, prior, model and test set."""

    title: str
    caption: str
    published_elsewhere: bool
    error: Grid
    detail: Grid


def summarise_pulses(rows: Iterable[Row]) -> list[PulseBlock]:
    """One block per (battery, protocol, calibration, prior, model, test set) of the model's rows, in their order.

    Baselines join the blocks of their battery, protocol, calibration, test set and prior (those on measured rows have the
    prior "any"); the published figures join all of their battery.
    """
    rows = list(rows)
    keys = ("battery", "protocol", "calibration", "prior", "model", "test_set")
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["role"] == "model":
            blocks.setdefault(tuple(_text(row, key) for key in keys), []).append(row)
    for key, own in blocks.items():
        place = dict(zip(keys, key, strict=True))
        cases = {str(row["case"]) for row in own}
        for row in rows:
            same = ("battery",) if row["role"] == "paper" else ("battery", "protocol", "calibration", "test_set")
            if row["role"] == "paper" and place["test_set"] != "grid":
                continue
            if row["role"] == "baseline" and _text(row, "prior") not in (place["prior"], "any"):
                continue
            if row["role"] != "model" and str(row["case"]) in cases and all(_text(row, k) == place[k] for k in same):
                own.append(row)
    return [_block(dict(zip(keys, key, strict=True)), found) for key, found in blocks.items()]


def _text(row: Row, key: str) -> str:
    return str(row.get(key) or {"test_set": "grid", "calibration": "none", "prior": "none"}.get(key, ""))


def _block(place: dict[str, str], rows: list[Row]) -> PulseBlock:
    used = [f"calibration cells: {place['calibration']}"] if place["calibration"] != "none" else []
    used += [f"prior: {place['prior']}"] if place["prior"] != "none" else []
    used += ["SOCs off the grid"] if place["test_set"] != "grid" else []
    own = [row for row in rows if row["role"] == "model"]
    cases = list(dict.fromkeys(str(row["case"]) for row in own))
    error = Grid(columns := _error_columns(rows), _lines(rows, cases, columns))
    for line in error.lines:
        _mark_best(line, columns)
    detail = Grid(columns := _detail_columns(rows), _lines(rows, cases, columns))
    title = ", ".join([f"{place['model']} on {place['battery']}", f"{place['protocol']} protocol", *used])
    published = any(row["role"] == "paper" for row in rows)
    return PulseBlock(
        title=f"MAPE of SOH in %: {title}",
        caption=_caption(place, own, published),
        # Published: cells shared and, outside the training SOCs, a voltage shift set by hand.
        published_elsewhere=place["protocol"] != "paper" or bool(used),
        error=error,
        detail=detail,
    )


def _error_columns(rows: list[Row]) -> list[Column]:
    found = dict.fromkeys((str(r["role"]), str(r["method"])) for r in rows if r["metric"] == "MAPE")
    columns = [Column("", "%", "paper", method) for method in PUBLISHED if ("paper", method) in found]
    for role, heads in (("model", OURS), ("baseline", BASELINES)):
        there = [method for r, method in found if r == role and method != SOC_UNKNOWN]
        ordered = [m for m in heads if m in there] + [m for m in there if m not in heads]
        columns += [Column(heads.get(method, method), "%", role, method) for method in ordered]
    return columns


def _detail_columns(rows: list[Row]) -> list[Column]:
    columns = [
        Column("90 % interval\ncovers", "%", "model", "inversion", "coverage_90", 100.0),
        Column("90 % interval\nwidth", "% SOH", "model", "inversion", "interval_width_90", 100.0),
        Column("MAPE, SOC\nunknown", "%", "model", SOC_UNKNOWN),
        Column("std of APE,\naverage", "%", "model", "average", "APE_std"),
        Column("KL of\nlatent", "nat", "model", "latent", "kl_nats"),
        Column("active\nunits", "", "model", "latent", "active_units"),
    ]
    makers = dict.fromkeys((str(r["role"]), str(r["method"])) for r in rows if r["metric"] == "voltage_MAE")
    for role, method in sorted(makers, key=lambda m: m[0] != "model"):
        name = "model" if role == "model" else BASELINES.get(method, method).replace("-\n", "").replace("\n", " ")
        unit = next(r["unit"] for r in rows if r["metric"] == "voltage_MAE")
        factor = 1e3 if unit == "V" else 1.0
        columns.append(Column(f"U error,\n{name}", "mV", role, method, "voltage_MAE", factor))
    return [c for c in columns if any(_belongs(row, c) for row in rows)]


def _belongs(row: Row, column: Column) -> bool:
    return (row["role"], row["method"], row["metric"]) == (column.role, column.method, column.metric)


def _lines(rows: list[Row], cases: list[str], columns: list[Column]) -> list[Line]:
    by_case = {case: [row for row in rows if str(row["case"]) == case] for case in cases}
    values = {case: [_by_seed(by_case[case], column) for column in columns] for case in cases}
    lines = [
        Line(case, _train_soc(by_case[case]), [_value(s, by_case[case], c) for s, c in zip(values[case], columns, strict=True)])
        for case in cases
    ]  # fmt: skip
    for name, members in _means(by_case).items():
        seeds = [_mean_over([values[case][place] for case in members]) for place in range(len(columns))]
        lines.append(Line(name, "", [_value(found, [], c) for found, c in zip(seeds, columns, strict=True)]))
    return lines


def _means(by_case: dict[str, list[Row]]) -> dict[str, list[str]]:
    """Name of each mean and its cases; interpolation and extrapolation are not averaged with each other."""
    far = [case for case, rows in by_case.items() if any(row.get("extrapolates") for row in rows)]
    near = [case for case in by_case if case not in far]
    if far and near:
        return {"mean interpolated": near, "mean extrapolated": far}
    return {"mean of cases": far or near} if len(by_case) > 1 else {}


def _by_seed(rows: list[Row], column: Column) -> dict[Any, float]:
    """Seed -> the mean of its values: a baseline may be told once per prior, a voltage error once per voltage."""
    numbers: dict[Any, list[float]] = {}
    for row in rows:
        if _belongs(row, column) and row["value"] is not None and not math.isnan(row["value"]):
            numbers.setdefault(row.get("seed"), []).append(float(row["value"]) * column.factor)
    return {seed: fmean(found) for seed, found in numbers.items()}


def _mean_over(cases: list[dict[Any, float]]) -> dict[Any, float]:
    """The mean over cases of each seed that has them all: a mean of fewer cases would not compare."""
    return {seed: fmean(case[seed] for case in cases) for seed in cases[0] if all(seed in case for case in cases)}


def _value(by_seed: dict[Any, float], rows: list[Row], column: Column) -> Value:
    numbers = list(by_seed.values())
    if not numbers:
        return Value()
    if len(numbers) > 1:
        return Value(fmean(numbers), stdev(numbers))
    told = [row for row in rows if _belongs(row, column) and row.get("low") is not None and row.get("high") is not None]
    if len(told) != 1:
        return Value(numbers[0])
    return Value(numbers[0], low=told[0]["low"] * column.factor, high=told[0]["high"] * column.factor)


def _mark_best(line: Line, columns: list[Column]) -> None:
    """The lowest of ours and the baselines; the published figures do not compete."""
    rivals = [v for v, c in zip(line.values, columns, strict=True) if c.role != "paper" and not math.isnan(v.mean)]
    for value in rivals:
        value.best = len(rivals) > 1 and value.mean == min(rival.mean for rival in rivals)


def _train_soc(rows: list[Row]) -> str:
    return next((" ".join(f"{100 * soc:.4g}" for soc in row["train_soc"]) for row in rows if row.get("train_soc")), "")


def _caption(place: dict[str, str], own: list[Row], published: bool) -> str:
    seeds = sorted({int(row["seed"]) for row in own if row.get("seed") is not None})
    counts = sorted({int(row["n"]) for row in own if row.get("n") and row["metric"] == "MAPE"})
    parts = [f"n = {counts[0]}" + (f"-{counts[-1]}" if len(counts) > 1 else "") + " test rows a case"] if counts else []
    if len(seeds) > 1:
        parts.append(f"{len(seeds)} seeds ({', '.join(map(str, seeds))}): mean ± standard deviation")
    elif seeds:
        parts.append(f"single seed ({seeds[0]})")
    parts.append(PROTOCOLS.get(place["protocol"], f"{place['protocol']} protocol"))
    beyond = ", beyond the training SOCs a shift set by hand" if any(row.get("extrapolates") for row in own) else ""
    parts += [f"published: without → with generated rows, cells shared{beyond}"] if published else []
    return "; ".join(parts)
