"""From tidy metrics.json rows to the cells of a table: seeds joined, best values marked. No rendering here."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from batgen.evaluation.reconstruction import TOTAL
from batgen.report.labels import in_order, small_unit, symbol

#: (metric, mode) -> title of the group of rows.
TITLES = {
    ("MAE", "reconstruction"): "MAE, reconstruction",
    ("MAE", "prior"): "MAE, prior mean",
    ("RMSE", "reconstruction"): "RMSE, reconstruction",
    ("RMSE", "prior"): "RMSE, prior mean",
    ("R2", "reconstruction"): "R², reconstruction",
    ("R2", "prior"): "R², prior mean",
    ("CRPS", "prior"): "CRPS, prior draws",
    ("variance_ratio", "prior"): "Variance ratio → 1",
}
SHORT = (("MAE", "reconstruction"), ("MAE", "prior"), ("CRPS", "prior"), ("variance_ratio", "prior"))
LATENT = {
    "active_units": "active units",
    "kl_nats": "KL [nat]",
    "MAE_posterior": "MAE, z posterior",
    "MAE_prior": "MAE, z prior",
    "MAE_permuted": "MAE, z permuted",
}
_ROLES = ("model", "baseline", "paper", "floor")


@dataclass
class Value:
    """A number of the table: mean over seeds, their standard deviation, or the interval of a single seed; NaN: none."""

    mean: float = math.nan
    spread: float = math.nan
    low: float = math.nan
    high: float = math.nan
    best: bool = False


@dataclass
class Line:
    """One model in a group: its name, role and a value per column."""

    model: str
    role: str
    values: list[Value]


@dataclass
class Group:
    """Lines that compete with each other: one metric, one mode."""

    title: str
    lines: list[Line]


@dataclass
class Block:
    """All groups of one protocol and split: columns are (name, unit)."""

    title: str
    columns: list[tuple[str, str]]
    groups: list[Group]
    latent: list[Line]
    latent_columns: list[tuple[str, str]]
    caption: str
    notes: list[str] = field(default_factory=list)


def summarise(rows: Iterable[Mapping[str, Any]], groups: Sequence[tuple[str, str]] = SHORT) -> list[Block]:
    """One block per (protocol, split), in order of appearance, from metrics.json rows.

    Errors are shown in mV, mA, mAh; the Total stays in its mixed units and is left out where there is one signal only.
    """
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    rows = list(rows)
    for row in rows:
        if row.get("role") != "paper":
            parts.setdefault((str(row["protocol"]), str(row.get("split", ""))), []).append(row)
    for row in rows:
        # The paper's rows join every block of their protocol, whatever split they name.
        if row.get("role") == "paper":
            homes = [key for key in parts if key[0] == str(row["protocol"])]
            for key in homes or [(str(row["protocol"]), str(row.get("split", "")))]:
                parts.setdefault(key, []).append(row)
    return [_block(protocol, split, part, groups) for (protocol, split), part in parts.items()]


def _block(protocol: str, split: str, rows: list[Mapping[str, Any]], groups: Sequence[tuple[str, str]]) -> Block:
    signals = in_order(r["signal"] for r in rows if r["signal"] not in (TOTAL, "latent"))
    keys = [*signals, TOTAL] if len(signals) > 1 else signals
    units = {r["signal"]: r["unit"] for r in rows if r["metric"] in ("MAE", "RMSE", "CRPS")}
    shown = {s: small_unit(units.get(s, "")) for s in keys}
    built = []
    for metric, mode in groups:
        found = [r for r in rows if (r["metric"], r["mode"]) == (metric, mode)]
        scale = {s: 1.0 if metric in ("R2", "variance_ratio") else shown[s][1] for s in keys}
        lines = _lines(found, [("signal", s, scale[s]) for s in keys])
        if lines:
            built.append(Group(TITLES[metric, mode], _mark_best(lines, found[0]["direction"])))
    latent_rows = [r for r in rows if r["metric"] in LATENT]
    latent_keys = [m for m in LATENT if any(r["metric"] == m for r in latent_rows)]
    latent_units = {r["metric"]: r["unit"] for r in latent_rows if r["metric"].startswith("MAE")}
    # A Total alone does not tell that it is the Total of a single signal, and so has a unit.
    latent_shown = {m: shown[keys[0]] if len(keys) == 1 else small_unit(latent_units.get(m, "")) for m in latent_keys}
    latent = _lines(
        latent_rows, [("metric", m, latent_shown[m][1] if m.startswith("MAE") else 1.0) for m in latent_keys]
    )
    return Block(
        title=f"{protocol} protocol, {split} split" if split else f"{protocol} protocol",
        columns=[(s if s == TOTAL else symbol(s), "" if s == TOTAL else shown[s][0]) for s in keys],
        groups=built,
        latent=latent,
        latent_columns=[(LATENT[m], latent_shown[m][0] if m.startswith("MAE") else "") for m in latent_keys],
        caption=_caption(rows, with_total=TOTAL in keys),
        notes=_notes(rows),
    )


def _lines(rows: list[Mapping[str, Any]], columns: list[tuple[str, str, float]]) -> list[Line]:
    """A line per model: model, baselines, paper, floor; in order of appearance within each."""
    models = dict.fromkeys((str(r["role"]), str(r["model"])) for r in rows)
    lines = []
    for role, model in sorted(models, key=lambda m: _ROLES.index(m[0]) if m[0] in _ROLES else len(_ROLES)):
        mine = [r for r in rows if (r["role"], r["model"]) == (role, model)]
        values = [_join([r for r in mine if r[key] == name], scale) for key, name, scale in columns]
        if any(not math.isnan(value.mean) for value in values):
            tables = {str(r["table"]) for r in mine if r.get("table")}
            lines.append(Line(f"{model} ({', '.join(sorted(tables))})" if tables else model, role, values))
    return lines


def _join(rows: list[Mapping[str, Any]], scale: float) -> Value:
    known = [r for r in rows if r["value"] is not None and not math.isnan(r["value"])]
    numbers = [float(r["value"]) * scale for r in known]
    if not numbers:
        return Value()
    if len(numbers) > 1:
        finite = all(math.isfinite(x) for x in numbers)
        return Value(fmean(numbers), stdev(numbers) if finite else math.nan)
    low, high = known[0].get("low"), known[0].get("high")
    return Value(
        numbers[0],
        low=math.nan if low is None else low * scale,
        high=math.nan if high is None else high * scale,
    )


def _mark_best(lines: list[Line], direction: str) -> list[Line]:
    """Mark the best of model and baselines in each column; the paper's numbers and floors do not compete."""
    rivals = [line for line in lines if line.role in ("model", "baseline")]
    for column in range(len(lines[0].values)):
        values = [line.values[column] for line in rivals if not math.isnan(line.values[column].mean)]
        losses = [_loss(value.mean, direction) for value in values]
        for value, loss in zip(values, losses, strict=True):
            value.best = len(values) > 1 and math.isfinite(loss) and loss == min(losses)
    return lines


def _loss(value: float, direction: str) -> float:
    if direction == "one":
        return abs(math.log(value)) if value > 0 and math.isfinite(value) else math.inf
    return -value if direction == "higher" else value


def _notes(rows: list[Mapping[str, Any]]) -> list[str]:
    """Every remark once; those on the paper's numbers say on which."""
    remarks = []
    for row in rows:
        about = f"paper, {symbol(row['signal'])} {row['metric']}: " if row["role"] == "paper" else ""
        remarks += [f"{about}{row['note']}"] if row.get("note") else []
    return list(dict.fromkeys(remarks))


def _caption(rows: list[Mapping[str, Any]], with_total: bool) -> str:
    own = [r for r in rows if r["role"] in ("model", "baseline")]
    seeds = sorted({int(r["seed"]) for r in own if r.get("seed") is not None})
    if len(seeds) == 1:
        parts = [f"single seed ({seeds[0]})"]
    else:
        parts = [f"{len(seeds)} seeds ({', '.join(map(str, seeds))}): mean ± standard deviation"] if seeds else []
    for key, text in (("n", "{} test samples"), ("K", "{} prior samples a condition")):
        counts = sorted({int(r[key]) for r in own if r.get(key)})
        if counts:
            parts.append(text.format(counts[0] if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"))
    if with_total:
        parts.append("Total mixes V, A, °C, Ah")
    published = [set(str(r.get("note") or "").split("; ")) for r in rows if r["role"] == "paper"]
    parts += sorted(set.intersection(*published) - {""}) if published else []
    return "; ".join(parts)
