"""Read back what a part folder (one protocol, one seed) of a sequence run holds for figures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.errors import DataError
from batgen.report.labels import pretty_unit, small_unit, with_unit, words
from batgen.report.sequence_explanation import Attention, Saliency, read_explanation

CAPACITY, PERCENT = "discharge_capacity_Ah", "discharge_capacity_%"
MODEL, CONFORMAL = "model", "model, conformal"
#: Test sets in the order people look at them; others stand between these and the validation cells.
_SETS = ("test", "secondary", "oxford")
_COLUMNS = {
    "forecasts.csv.gz": ("cell_id", "test_set", "target", "method", "cut_cycle", "cycle", "truth"),
    "observed.csv.gz": ("cell_id", "target", "cycle", "value", "masked"),
    "cells.csv": ("cell_id", "test_set", "nominal_capacity_Ah", "eol_capacity_Ah", "eol_cycle", "last_cycle"),
}
_UNITS = {"V", "A", "Ah", "degC", "s", "Ohm", "W", "Wh"}
_TEXT = ("cell_id", "test_set", "target", "method", "source", "policy", "chemistry")


@dataclass(frozen=True)
class Scene:
    """What one figure is about: a test set and a cut, `place` counting the cuts of a cell from its shortest.

    `first`, `last` are the smallest and largest cut cycle: records with gaps are not all cut at the same cycle number.
    """

    test_set: str
    place: int
    first: int
    last: int

    @property
    def cut(self) -> str:
        """ "100", or "95-100" where cells are not all cut at the same cycle."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def words(self) -> str:
        """ "test cells, cycles to 100 given"."""
        name = {"val": "validation", "secondary": "secondary test"}.get(self.test_set, self.test_set)
        return f"{name} cells, cycles to {self.cut} given"


@dataclass(frozen=True)
class SequencePart:
    """Everything the figures of a sequence run need; see `read_sequence_part`.

    forecasts: one row a cell, target, method, cut and cycle, with `place` (see Scene) and one column a level; cells by
    cell_id; `levels` increasing, `low` and `high` the ones the interval spans (both None for a single level).
    """

    forecasts: pd.DataFrame
    observed: pd.DataFrame
    cells: pd.DataFrame
    levels: list[float]
    low: float | None
    high: float | None
    metrics: list[dict[str, Any]]
    losses: pd.DataFrame | None = None
    attention: list[Attention] = field(default_factory=list)
    saliency: list[Saliency] = field(default_factory=list)

    def title(self) -> str:
        """What every figure says on top."""
        own = next((row for row in self.metrics if row.get("role") == "model"), {})
        found = [str(own.get("model", "model"))]
        found[0] += f" on {own['data']}" if own.get("data") else ""
        found += [f"{own['protocol']} protocol"] if own.get("protocol") else []
        found += [f"seed {own['seed']}"] if own.get("seed") is not None else []
        return ", ".join(found)

    def band(self) -> str:
        """ "10–90 %", the interval that is drawn."""
        return "" if self.low is None or self.high is None else f"{100 * self.low:g}–{100 * self.high:g} %"

    def scenes(self) -> list[Scene]:
        """Every test set and cut, the longest cut of the test cells first; validation cells only where nothing else is."""
        cuts = self.forecasts.groupby(["test_set", "place"], observed=True)["cut_cycle"].agg(["min", "max"])
        found = [Scene(str(s), int(p), int(low), int(high)) for (s, p), low, high in cuts.itertuples()]
        found = [scene for scene in found if scene.test_set != "val"] or found
        rank = {name: place for place, name in enumerate(_SETS)}
        return sorted(found, key=lambda s: (rank.get(s.test_set, len(rank)), s.test_set, -s.place))

    def targets(self) -> list[str]:
        """The forecast targets, capacity first."""
        return sorted(map(str, self.forecasts["target"].unique()), key=lambda target: target != CAPACITY)

    def own_method(self, scene: Scene, target: str) -> str:
        """The method whose interval stands for the run: after conformal calibration where there was one."""
        return MODEL if self.shown(scene, target, CONFORMAL).empty else CONFORMAL

    def factors(self, target: str) -> pd.Series:
        """cell_id -> factor from the physical unit to the one shown: % of nominal for capacity, mV for V and so on."""
        if self.in_percent(target):
            return 100.0 / self.cells["nominal_capacity_Ah"]
        return pd.Series(small_unit(_unit(target))[1], index=self.cells.index, dtype=float)

    def unit(self, target: str) -> str:
        """The unit figures show: "% of nominal" for capacity, "mV" for a voltage drop."""
        if self.in_percent(target):
            return "% of nominal"
        return pretty_unit(small_unit(_unit(target))[0])

    def label(self, target: str) -> str:
        """Axis label: "Discharge capacity [% of nominal]"."""
        name = words(target)
        return with_unit(name[:1].upper() + name[1:], self.unit(target))

    def shown(self, scene: Scene, target: str, method: str | None = None) -> pd.DataFrame:
        """Rows of a scene, target and method (all methods: None) in the shown unit, with `median`, `low`, `high`, `ahead`.

        `ahead` counts cycles after the cut. Sorted as written: by cell and cycle within a method.
        """
        table = self.forecasts.iloc[self._rows.get((scene.test_set, scene.place, target), [])]
        table = table if method is None else table[table["method"] == method]
        factor = table["cell_id"].map(self.factors(target)).to_numpy(dtype=float)
        values = table[[_column(level) for level in self.levels]].mul(factor, axis=0)
        table = table.assign(**values)
        nothing = np.full(len(table), np.nan)
        return table.assign(
            truth=table["truth"].to_numpy() * factor,
            median=_median(values.to_numpy(), self.levels),
            low=nothing if self.low is None else values[_column(self.low)],
            high=nothing if self.high is None else values[_column(self.high)],
            ahead=table["cycle"] - table["cut_cycle"],
        )

    def metric(self, scene: Scene, method: str, metric: str, signals: tuple[str, ...]) -> float:
        """The number of metrics.json for the first of the signals that has one, over the whole horizon; NaN without.

        Tables of forecasts may leave out cycles between the steps of a model; its errors do not.
        """
        found = {
            row["signal"]: float(row["value"])
            for row in self.metrics
            if (row["method"], row["test_set"], row["metric"]) == (method, scene.test_set, metric)
            and scene.first <= row["cut"] <= scene.last
            and row["horizon"] == "all"
            and row["value"] is not None
        }
        return next((found[signal] for signal in signals if signal in found), float("nan"))

    @cached_property
    def _rows(self) -> dict[Any, np.ndarray]:
        groups = self.forecasts.groupby(["test_set", "place", "target"], observed=True)
        return {key: np.asarray(rows) for key, rows in groups.indices.items()}

    def in_percent(self, target: str) -> bool:
        """Whether figures show a target in % of nominal: capacity, where the nominal capacity of all cells is known."""
        return target == CAPACITY and bool((self.cells["nominal_capacity_Ah"] > 0).all())


def read_sequence_part(part_dir: Path) -> SequencePart:
    """Read forecasts.csv.gz, observed.csv.gz, cells.csv, metrics.json and, where they are, losses.csv, explanation.h5.

    Raises DataError, naming the file, when one of the first four is absent or one is not what it should be.
    """
    folder = Path(part_dir)
    tables = {name: _table(folder / name) for name in _COLUMNS}
    forecasts, cells = tables["forecasts.csv.gz"], tables["cells.csv"]
    with _reading(folder / "forecasts.csv.gz"):
        levels = sorted(float(name[1:]) for name in map(str, forecasts) if _is_level(name))
        if not levels:
            raise ValueError('no column of a quantile such as "q0.5"')
        if unknown := sorted(set(forecasts["cell_id"].astype(str)) - set(cells["cell_id"].astype(str))):
            raise ValueError(f"cell {unknown[0]} is not in cells.csv")
        # By test set too: under a chronological split a cell is cut once for validation and later for the test.
        cuts = forecasts[["cell_id", "test_set", "cut_cycle"]].drop_duplicates()
        by_cell = cuts.groupby(["cell_id", "test_set"], observed=True)["cut_cycle"]
        cuts["place"] = by_cell.rank(method="dense").astype(int)
        forecasts = forecasts.merge(cuts, on=["cell_id", "test_set", "cut_cycle"], how="left")
    with _reading(folder / "metrics.json"):
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["rows"]
    losses = None
    if (folder / "losses.csv").is_file():
        with _reading(folder / "losses.csv"):
            losses = pd.read_csv(folder / "losses.csv")
    attention: list[Attention] = []
    saliency: list[Saliency] = []
    if (folder / "explanation.h5").is_file():
        with _reading(folder / "explanation.h5"):
            attention, saliency = read_explanation(folder / "explanation.h5")
    low = min((x for x in levels if x < 0.5), key=lambda x: abs(x - 0.1), default=None)
    high = min((x for x in levels if x > 0.5), key=lambda x: abs(x - 0.9), default=None)
    if low is None or high is None:
        low = high = None
    cells = cells.assign(cell_id=cells["cell_id"].astype(str)).drop_duplicates("cell_id").set_index("cell_id")
    return SequencePart(
        forecasts, tables["observed.csv.gz"], cells, levels, low, high, metrics, losses, attention, saliency
    )


def _table(path: Path) -> pd.DataFrame:
    with _reading(path):
        # A cell may be called NA: only numbers can be missing. Categories keep millions of rows small.
        header = pd.read_csv(path, nrows=0).columns
        missing = [name for name in _COLUMNS[path.name] if name not in header]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        empty = {name: ["", "nan"] for name in header if name not in _TEXT}
        text: Any = {name: "category" for name in header if name in _TEXT}
        return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a file of a sequence run ({error}). Evaluate the run again to rewrite it."
        ) from error


def _column(level: float) -> str:
    return f"q{level:g}"


def _is_level(name: str) -> bool:
    return name.startswith("q") and name[1:].replace(".", "", 1).isdigit()


def _median(values: np.ndarray, levels: list[float]) -> np.ndarray:
    """The 0.5 quantile (N,) of values (N, Q): linear between the levels beside it, the nearest one at an end."""
    place = float(np.interp(0.5, levels, np.arange(len(levels))))
    lower = int(place)
    if place == lower:
        return values[:, lower]
    return values[:, lower] + (place - lower) * (values[:, lower + 1] - values[:, lower])


def _unit(target: str) -> str:
    """The unit at the end of a target's name; "" for coulombic_efficiency and others without one."""
    unit = target.rpartition("_")[2]
    return unit if unit in _UNITS else ""
