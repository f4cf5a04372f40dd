"""What a finished part (one protocol, one seed) has to show elsewhere, as plain tables: its metric rows, its main numbers,
some generated curves beside the measured ones, and losses that no logger has seen. Nothing here knows W&B or TensorBoard."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from batgen.errors import DataError
from batgen.report.examples import Example, read_examples
from batgen.report.headline import pick, tested

#: Columns of `Published.metrics`; what else a row says of its setting is joined in `setting`.
COLUMNS = (
    "model", "data", "protocol", "seed", "role", "method", "metric", "signal", "setting", "value", "low", "high", "unit",
    "direction", "n", "note",
)  # fmt: skip
_SETTING = ("test_set", "cut", "horizon", "mode", "case", "battery", "calibration", "prior")
#: A main number is that of the first of these in the file, and the mean over what they leave open: cases, batteries, cuts.
#: Before the first comes what the headline says of method, calibration and horizon; the headline itself is `pick`ed.
_FIRST = ("mode", "method", "test_set", "calibration", "prior", "horizon")


@dataclass(frozen=True)
class Published:
    """A finished part.

    metrics: one row a number, COLUMNS. main: "CRPS/voltage_V" -> the model's own value on test rows. training: what the
    training says of itself, "best_score" and the like. examples: generated beside measured curves. losses: one row an epoch
    of parts that were trained without a logger; means over the part's models, under the names of other families ("train/loss").
    """

    metrics: pd.DataFrame
    main: dict[str, float]
    training: dict[str, float]
    examples: list[Example] = field(default_factory=list)
    losses: pd.DataFrame | None = None

    def model(self) -> str:
        """The model as tables name it: "hybrid", "cross_attention_cvae (film)"."""
        return str(self.metrics.loc[self.metrics["role"] == "model", "model"].iloc[0])

    def title(self) -> str:
        """ "rcvae on mit, honest protocol, seed 0"."""
        own = self.metrics[self.metrics["role"] == "model"]
        data, protocol, seed = own[["data", "protocol", "seed"]].iloc[0]
        return f"{self.model()} on {data}, {protocol} protocol, seed {seed}"

    def markdown(self) -> str:
        """The metric rows as a markdown table, the model's first."""
        names = ["method", "metric", "signal", "setting", "value", "unit"]
        table = self.metrics.sort_values("role", key=lambda roles: roles != "model", kind="stable")
        lines = ["| " + " | ".join(names) + " |", "|---" * 4 + "|---:|---|"]
        known = table["value"].map(lambda value: f"{value:.6g}").where(table["value"].notna(), "")
        for cells in table.assign(value=known)[names].astype(str).to_numpy():
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines)


def read_published(part_dir: Path) -> Published:
    """Read what the part folder holds. Raises DataError, naming the file, where it is absent or damaged."""
    path = Path(part_dir) / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows, training = content["rows"], content["training"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as the metrics of a part ({error}). Evaluate the run again to rewrite it."
        ) from error
    folder = Path(part_dir)
    return Published(_table(rows), _main(rows), _training(training), read_examples(folder), _losses(folder))


def _table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    found = []
    for row in rows:
        # rows of curves name a baseline as the model
        method = row.get("method") or row["model"]
        setting = ", ".join(f"{name} {row[name]}" for name in _SETTING if row.get(name) not in (None, ""))
        found.append({**{name: row.get(name) for name in COLUMNS}, "method": method, "setting": setting})
    table = pd.DataFrame(found, columns=list(COLUMNS))
    for name in ("value", "low", "high"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def _main(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    mine = tested(rows)
    choice, picked = pick(mine)
    says = {key: choice.says[key] for key in ("method", "calibration", "horizon") if choice and key in choice.says}
    first: dict[str, tuple[Any, ...]] = {}
    values: dict[str, list[float]] = {}
    for row in sorted(mine, key=lambda r: any(r.get(key) != value for key, value in says.items())):
        name, where = _name(row), tuple(row.get(key) for key in _FIRST)
        if first.setdefault(name, where) == where:
            values.setdefault(name, []).append(float(row["value"]))
    for name in {_name(row) for row in picked}:  # over all its settings: the same number as in every table of runs
        values[name] = [float(row["value"]) for row in picked if _name(row) == name]
    return {name: fmean(found) for name, found in values.items()}


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['metric']}/{row['signal']}"


def _training(facts: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of the training: best_score, epochs, ...; means over the models of a part that has several."""
    each = [facts] if {"epochs", "steps"} & facts.keys() else [f for f in facts.values() if isinstance(f, dict)]
    found: dict[str, list[float]] = {}
    for fact in each:
        for name in ("epochs", "steps", "best_epoch", "chosen_step", "best_score"):
            value = fact.get(name) if fact.get(name) is not None else fact.get("search", {}).get(name)
            if isinstance(value, int | float):
                found.setdefault(name, []).append(float(value))
    return {name: sum(values) / len(values) for name, values in found.items()}


def _losses(part_dir: Path) -> pd.DataFrame | None:
    """Pulse models are trained side by side, without Lightning: the mean of their losses in each epoch."""
    path = part_dir / "losses.csv"
    if not (part_dir / "pulses.h5").is_file() or not path.is_file():
        return None
    try:
        table = pd.read_csv(path).drop(columns="member")
        means = table.groupby("epoch", as_index=False).mean(numeric_only=True)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path} is no table of training losses ({error}). Delete it to publish the rest.") from error
    return means.rename(columns={name: f"train/{name}" for name in means if name != "epoch"})
