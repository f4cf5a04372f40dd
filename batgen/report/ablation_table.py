"""The ablation tables of the RCVAE paper with ours beside: Tables 1, 2, S1, S2, in the paper's row order. Reads rows alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from batgen.evaluation.paper import paper_rows, printed_rows
from batgen.evaluation.reconstruction import TOTAL
from batgen.evaluation.rows import unit_of
from batgen.report.labels import number, pretty_unit, symbol

Row = Mapping[str, Any]
#: (cycles, removed layer as the paper writes it).
Place = tuple[int, str]
#: (place, metric, signal).
Key = tuple[Place, str, str]
#: (place, metric, signal, what is in doubt about the print).
Remark = tuple[Place, str, str, str]
#: The axes that the paper varies; others would mix different networks in one line.
AXES = ("model.remove", "cycles", "seed", "protocol")
_METRICS = ("MAE", "RMSE")
_SIGNALS = {
    "table_2": (TOTAL, "voltage_V", "current_A"),
    "table_s1": ("voltage_V", "current_A"),
    "table_s2": ("temperature_degC", "charge_capacity_Ah"),
}
_TITLES = {
    "table_1": "Table 1: the full model",
    "table_2": "Table 2: one layer removed (the paper prints it for 100 cycles)",
    "table_s1": "Table S1: one layer removed, voltage and current",
    "table_s2": "Table S2: one layer removed, temperature and charge capacity",
}


@dataclass(frozen=True)
class Errors:
    """Errors of reconstruction on test rows. ours: mean over seeds under the paper's protocol, spread: their standard
    deviation; honest: mean under ours; paper: as printed, current in A. NaN where there is none."""

    ours: float = math.nan
    spread: float = math.nan
    honest: float = math.nan
    paper: float = math.nan


@dataclass(frozen=True)
class PaperTable:
    """One table. stubs: names of the first columns; columns: heads of the others; lines: stubs' values, errors by column."""

    name: str
    title: str
    stubs: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[tuple[str, ...], tuple[Errors, ...]], ...]
    notes: tuple[str, ...]


def layers_in_order(names: Iterable[str]) -> list[str]:
    """Removed layers in the order of the paper's tables; those it does not have come last."""
    order = [row["detach"] for row in printed_rows("table2")]
    return sorted(dict.fromkeys(names), key=lambda name: (order.index(name) if name in order else len(order), name))


def place_of(values: Mapping[str, Any]) -> Place | None:
    """Where a job with these values of the axes stands; None where the number of cycles is none of them."""
    return (int(values["cycles"]), _detached(values.get("model.remove"))) if "cycles" in values else None


def reconstruction_errors(rows: Iterable[Row]) -> dict[Key, Errors]:
    """(place, metric, signal) -> errors of the RCVAE itself, over whatever seeds there are.

    A seed that lies in several folders (seed=0, then seed=[0,1]) is one seed: the mean over its rows.
    """
    found: dict[Key, dict[str, dict[Any, list[float]]]] = {}
    for row in rows:
        mine = (row["role"], row["method"], row.get("mode")) == ("model", "rcvae", "reconstruction")
        if mine and row["metric"] in _METRICS and row["value"] is not None:
            place = (int(row["cycles"]), _detached(row.get("model.remove")))
            by_protocol = found.setdefault((place, row["metric"], row["signal"]), {})
            by_seed = by_protocol.setdefault(row["protocol"], {})
            by_seed.setdefault(row.get("seed"), []).append(float(row["value"]))
    result = {}
    for key, values in found.items():
        ours, honest = ([fmean(v) for v in values.get(p, {}).values()] for p in ("paper", "honest"))
        result[key] = Errors(
            fmean(ours) if ours else math.nan,
            stdev(ours) if len(ours) > 1 else math.nan,
            fmean(honest) if honest else math.nan,
        )
    return result


def paper_tables(rows: Sequence[Row], places: Iterable[Place], trained: Sequence[str] = ()) -> list[PaperTable]:
    """The tables that these rows fill, a line for each of `places` (jobs that did not finish have empty ones).

    trained: how the networks were trained, to be said below each table.
    """
    found = reconstruction_errors(rows)
    everywhere = sorted({*places, *(place for place, _, _ in found)})
    cycles = sorted({place[0] for place in everywhere})
    layers = layers_in_order(place[1] for place in everywhere)
    ordered = [(c, layer) for c in cycles for layer in layers if (c, layer) in everywhere]
    printed, remarks = _printed(ordered)
    keys = [(place, m, s) for place in ordered for m in _METRICS for s in _SIGNALS["table_2"] + _SIGNALS["table_s2"]]
    whole = {key: replace(found.get(key, Errors()), paper=printed.get(key, math.nan)) for key in keys}
    data = sorted({str(row["data"]) for row in rows})
    notes = ["Current in A: the paper's unit is C-rate / 1.1, x 1.21. The Total is that of the parts in these units."]
    notes += trained
    if data != ["mit"]:
        notes.append(
            f"The paper's numbers are on MIT, ours on {', '.join(data)}: the difference is not one of the method."
        )
    tables = []
    if full := [place for place in ordered if place[1] == "None"]:
        tables.append(_first_table(full, whole, [*notes, *_of([r for r in remarks if r[0] in full])]))
    if layers != ["None"]:
        for name, signals in _SIGNALS.items():
            pairs = [(metric, signal) for signal in signals for metric in _METRICS]
            lines = tuple(
                ((str(place[0]), place[1]), tuple(whole[(place, metric, signal)] for metric, signal in pairs))
                for place in ordered
            )
            heads = tuple(_head(metric, signal) for metric, signal in pairs)
            own = [*notes, *_chance(whole, ordered, signals[0]), *_of(remarks, signals)]
            tables.append(PaperTable(name, _TITLES[name], ("cycles", "detach"), heads, lines, tuple(own)))
    return tables


def _first_table(places: Sequence[Place], whole: Mapping[Any, Errors], notes: Sequence[str]) -> PaperTable:
    """Table 1 as printed: a line a signal and metric, a column a number of cycles."""
    signals = ("voltage_V", "current_A", "temperature_degC", "charge_capacity_Ah", TOTAL)
    lines = tuple(
        ((_named(signal), metric), tuple(whole[(place, metric, signal)] for place in places))
        for signal in signals
        for metric in _METRICS
    )
    heads = tuple(f"{place[0]} cycles" for place in places)
    return PaperTable("table_1", _TITLES["table_1"], ("signal", "metric"), heads, lines, tuple(notes))


def to_markdown(table: PaperTable) -> str:
    """Each column: ours (± standard deviation over seeds), the paper's, the difference; honest beside where it was run."""
    honest = any(not math.isnan(e.honest) for _, errors in table.lines for e in errors)
    beside = ["paper", "difference", *(["honest protocol"] if honest else [])]
    heads = [*table.stubs, *(head for column in table.columns for head in (column, *beside))]
    text = [f"## {table.title}", "", "| " + " | ".join(heads) + " |"]
    text.append("|" + "---|" * len(table.stubs) + "---:|" * (len(heads) - len(table.stubs)))
    for stubs, errors in table.lines:
        cells = []
        for e in errors:
            spread = "" if math.isnan(e.spread) else f" ± {number(e.spread, 2)}"
            difference = e.ours - e.paper
            signed = (
                number(difference)
                if math.isnan(difference)
                else f"{'+' if difference >= 0 else ''}{number(difference)}"
            )
            cells += [number(e.ours) + spread, number(e.paper), signed, *([number(e.honest)] if honest else [])]
        text.append("| " + " | ".join([*stubs, *cells]) + " |")
    return "\n".join([*text, "", *(f"- {note}" for note in table.notes), ""])


def to_records(table: PaperTable) -> list[dict[str, Any]]:
    """Lines for a CSV file: stubs, then for each column its value, spread, honest value, the paper's and the difference."""
    records = []
    for stubs, errors in table.lines:
        record: dict[str, Any] = dict(zip(table.stubs, stubs, strict=True))
        for column, e in zip(table.columns, errors, strict=True):
            record[column] = e.ours
            record[f"{column}, spread"] = e.spread
            record[f"{column}, paper"] = e.paper
            record[f"{column}, difference"] = e.ours - e.paper
            record[f"{column}, honest"] = e.honest
        records.append(record)
    return records


def _printed(places: Sequence[Place]) -> tuple[dict[Key, float], list[Remark]]:
    """The paper's values in our units, and remarks on those whose print is in doubt."""
    values: dict[Key, float] = {}
    remarks: list[Remark] = []
    for place in places:
        for row in paper_rows(*place):
            values[(place, str(row["metric"]), str(row["signal"]))] = float(row["value"])
            parts = str(row["note"]).split("; ")
            if said := "; ".join(p for p in parts if p and not p.startswith(("printed", "recomputed"))):
                remarks.append((place, str(row["metric"]), str(row["signal"]), said))
    return values, remarks


def _chance(errors: Mapping[Key, Errors], places: Sequence[Place], signal: str) -> list[str]:
    """What chance alone does: removals of one side leave one and the same network, begun at other random weights."""
    said = []
    for side in ("Encoder", "Decoder"):
        for cycles in sorted({c for c, _ in places}):
            rows = [errors[(place, "MAE", signal)] for place in places if place[0] == cycles and side in place[1]]
            spreads = []
            for name, values in (("ours", [e.ours for e in rows]), ("the paper's", [e.paper for e in rows])):
                there = [value for value in values if not math.isnan(value)]
                if len(there) > 2:
                    spreads.append(f"{name} {number(stdev(there), 2)}")
            if spreads:
                said.append(f"{side} at {cycles} cycles {', '.join(spreads)}")
    if not said:
        return []
    return [
        "Whichever square layer of a side is removed, what is left is the same network, begun at other random weights: rows "
        f"of one side differ by chance alone. Standard deviation of MAE {_named(signal)} over them: {'; '.join(said)}."
    ]


def _of(remarks: Sequence[Remark], signals: Sequence[str] = ()) -> list[str]:
    """Each remark once, with the numbers it is on."""
    found: dict[str, list[str]] = {}
    for (cycles, layer), metric, signal, text in remarks:
        if not signals or signal in signals:
            found.setdefault(text, []).append(f"{layer} at {cycles} {metric} {_named(signal)}")
    return [f"paper: {text}: {', '.join(on)}" for text, on in found.items()]


def _detached(remove: Any) -> str:
    return "None" if remove in (None, "null") else str(remove).capitalize()


def _named(signal: str) -> str:
    return TOTAL if signal == TOTAL else f"{symbol(signal)} [{pretty_unit(unit_of(signal))}]"


def _head(metric: str, signal: str) -> str:
    return metric if signal == TOTAL else f"{metric} {_named(signal)}"
