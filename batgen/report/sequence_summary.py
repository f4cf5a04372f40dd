"""From tidy metrics.json rows of sequence runs to the cells of a table: seeds joined, best marked. No rendering here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from batgen.report.labels import pretty_unit, small_unit, words
from batgen.report.sequence_read import CAPACITY, CONFORMAL, MODEL, PERCENT
from batgen.report.sequence_words import verdicts
from batgen.report.summary import Value

Row = Mapping[str, Any]

#: metric -> head, in order; the direction that wins, as in metrics.json ("" where none does).
_MAIN = {
    "RMSE": ("RMSE", "lower"),
    "MAE": ("MAE", "lower"),
    "clamp_RMSE": ("clamp\nRMSE", "lower"),
    "EOL_error_median": ("EOL error,\nmedian", "lower"),
    "EOL_never_reached": ("EOL never\nreached", "lower"),
    "coverage_80": ("10–90 %\nholds", ""),
    "CRPS": ("CRPS", "lower"),
    "range_ratio": ("range\nratio → 1", "one"),
    "between_cell_ratio": ("between\ncells → 1", "one"),
}
_FURTHER = {name: (name, "lower") for name in ("RMSE", "MAE", "MAPE", "medAE")}
#: Fractions that read better in %.
_AS_PERCENT = ("coverage_80", "EOL_never_reached")
_SETS = ("test", "secondary", "oxford")
_KEYS = ("protocol", "split", "data", "model", "test_set", "cut")


@dataclass
class Column:
    """Head (with line breaks), unit, the metric and signals of its rows, the winning direction and the factor shown."""

    head: str
    unit: str
    metric: str
    signals: tuple[str, ...]
    direction: str
    factor: float = 1.0


@dataclass
class Line:
    """One method: its name, role, a value per column; `best` marks the baseline of lowest RMSE."""

    name: str
    role: str
    values: list[Value]
    best: bool = False


@dataclass
class Grid:
    """Columns and the lines that compete in them; a title for those of further targets."""

    title: str
    columns: list[Column]
    lines: list[Line]


@dataclass
class SequenceBlock:
    """The tables of one protocol, split, data, model, test set and cut, and what they say in words."""

    title: str
    caption: str
    main: Grid
    further: list[Grid] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def summarise_sequences(rows: Iterable[Row]) -> list[SequenceBlock]:
    """One block per (protocol, split, data, model, test set, cut) of the model's rows; test cells first, long cuts first.

    Baselines join every block of their protocol, split, data, test set and cut, whatever model they name. Only rows over
    the whole horizon ("all") are in tables.
    """
    rows = [row for row in rows if str(row.get("horizon") or "all") == "all"]
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["role"] == "model":
            blocks.setdefault(tuple(str(row.get(key, "")) for key in _KEYS), []).append(row)
    for key, own in blocks.items():
        place = {name: value for name, value in zip(_KEYS, key, strict=True) if name != "model"}
        own += [r for r in rows if r["role"] != "model" and all(str(r.get(k, "")) == v for k, v in place.items())]
    built = [(dict(zip(_KEYS, key, strict=True)), own) for key, own in blocks.items()]
    # A stable sort: protocols and models stay in their order of appearance.
    order = list(dict.fromkeys((p["protocol"], p["split"], p["data"], p["model"]) for p, _ in built))
    built.sort(
        key=lambda b: (
            order.index((b[0]["protocol"], b[0]["split"], b[0]["data"], b[0]["model"])),
            _rank(b[0]["test_set"]),
            -_number(b[0]["cut"]),
        )
    )
    return [_block(place, own) for place, own in built]


def _rank(test_set: str) -> tuple[int, str]:
    last = len(_SETS) + (test_set == "val")
    return (_SETS.index(test_set) if test_set in _SETS else last, test_set)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _block(place: dict[str, str], rows: list[Row]) -> SequenceBlock:
    targets = list(dict.fromkeys(str(r["signal"]) for r in rows if r["metric"] in ("RMSE", "MAE")))
    capacity = [signal for signal in (PERCENT, CAPACITY) if signal in targets]
    first = tuple(capacity or targets[:1])
    shown = first[0] if first else ""
    main = _grid(rows, "", shown, first, _MAIN)
    further = [_grid(rows, words(t), t, (t,), _FURTHER) for t in targets if t not in first]
    where = {"val": "validation", "secondary": "secondary test"}.get(place["test_set"], place["test_set"])
    about = [f"{place['model']} on {place['data']}", f"{place['protocol']} protocol", f"{place['split']} split"]
    name = words(CAPACITY) if capacity else words(shown)
    return SequenceBlock(
        title=f"{name}, {where} cells, first {place['cut']} cycles given: " + ", ".join(about),
        caption=_caption(rows),
        main=main,
        further=further,
        words=verdicts(main.lines, [(c.metric, c.head.replace("\n", " "), c.unit, c.direction) for c in main.columns]),
    )


def _grid(
    rows: list[Row], title: str, shown: str, signals: tuple[str, ...], heads: Mapping[str, tuple[str, str]]
) -> Grid:
    columns = []
    for metric, (head, direction) in heads.items():
        # Crossings, coverage and ranges are told of a cell's capacity, under whichever of its two names.
        found = [s for s in (signals if shown in signals else ()) if any(_is(r, metric, (s,)) for r in rows)]
        if metric.startswith("EOL_") and not found:
            found = [str(r["signal"]) for r in rows if _is(r, metric, (str(r["signal"]),))][:1]
        if not found:
            continue
        # One name a column: an error in Ah does not join one in %.
        unit = next(str(r["unit"]) for r in rows if _is(r, metric, (found[0],)))
        small, factor = ("%", 100.0) if metric in _AS_PERCENT else small_unit("" if unit == "1" else unit)
        columns.append(Column(head, pretty_unit(small), metric, (found[0],), direction, factor))
    lines = [
        Line(
            method, role, [_value([r for r in rows if (r["role"], r["method"]) == (role, method)], c) for c in columns]
        )
        for role, method in dict.fromkeys((str(r["role"]), str(r["method"])) for r in rows)
    ]
    lines = [line for line in lines if any(not math.isnan(v.mean) for v in line.values)]
    lines.sort(key=lambda line: (_order(line), _rmse(line, columns)))
    _mark(lines, columns)
    return Grid(title, columns, lines)


def _is(row: Row, metric: str, signals: tuple[str, ...]) -> bool:
    """Whether a row has a value of this metric: an unknown one is NaN when fresh and None when read from metrics.json."""
    known = row["value"] is not None and not math.isnan(row["value"])
    return row["metric"] == metric and row["signal"] in signals and known


def _order(line: Line) -> int:
    return {MODEL: 0, CONFORMAL: 1}.get(line.name, 2) if line.role == "model" else 3 + (line.role != "baseline")


def _rmse(line: Line, columns: list[Column]) -> float:
    value = next((v.mean for v, c in zip(line.values, columns, strict=True) if c.metric == "RMSE"), math.nan)
    return math.inf if math.isnan(value) else value


def _value(rows: list[Row], column: Column) -> Value:
    by_seed: dict[Any, list[float]] = {}
    told = [r for r in rows if _is(r, column.metric, column.signals) and not math.isnan(r["value"])]
    for row in told:
        by_seed.setdefault(row.get("seed"), []).append(float(row["value"]) * column.factor)
    numbers = [fmean(found) for found in by_seed.values()]
    if not numbers:
        return Value()
    if len(numbers) > 1:
        return Value(fmean(numbers), stdev(numbers) if all(map(math.isfinite, numbers)) else math.nan)
    if len(told) != 1 or told[0].get("low") is None or told[0].get("high") is None:
        return Value(numbers[0])
    return Value(numbers[0], low=told[0]["low"] * column.factor, high=told[0]["high"] * column.factor)


def _mark(lines: list[Line], columns: list[Column]) -> None:
    """The best of model and baselines in each column, and the baseline of lowest RMSE; floors do not compete."""
    rivals = [line for line in lines if line.role in ("model", "baseline")]
    for place, column in enumerate(columns):
        values = [line.values[place] for line in rivals if not math.isnan(line.values[place].mean)]
        losses = [abs(v.mean - 1) if column.direction == "one" else v.mean for v in values]
        for value, loss in zip(values, losses, strict=True):
            value.best = bool(column.direction) and len(values) > 1 and loss == min(losses)
    baselines = [line for line in rivals if line.role == "baseline" and math.isfinite(_rmse(line, columns))]
    if baselines:
        baselines[0].best = True


def _caption(rows: list[Row]) -> str:
    own = [row for row in rows if row["role"] == "model"]
    seeds = sorted({int(row["seed"]) for row in own if row.get("seed") is not None})
    counts = sorted({int(row["n"]) for row in own if row.get("n")})
    parts = [f"n = {counts[0]}" + (f"-{counts[-1]}" if len(counts) > 1 else "") + " cells"] if counts else []
    if len(seeds) > 1:
        parts.append(f"{len(seeds)} seeds ({', '.join(map(str, seeds))}): mean ± standard deviation")
    elif seeds:
        parts.append(f"single seed ({seeds[0]})")
    parts.append("errors: mean over cells, observed cycles only")
    if any(row["role"] == "baseline" for row in rows):
        parts += ["bold: best of a column", "*: baseline of lowest RMSE"]
    notes: dict[str, set[str]] = {}
    for row in rows:
        if row.get("note"):
            notes.setdefault(str(row["note"]), set()).add(str(row["metric"]))
    # What holds for one column only says for which.
    for note, metrics in notes.items():
        head = _MAIN.get(min(metrics), (min(metrics), ""))[0].replace("\n", " ").removesuffix(" → 1")
        parts.append(note if len(metrics) > 1 else f"{head}: {note}")
    return "; ".join(parts)
