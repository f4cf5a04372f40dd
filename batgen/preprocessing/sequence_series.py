"""From the per-cycle summary of a cell to series on the full grid of cycles 1, 2, ... T, outlier cycles masked."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from batgen.data.cell import SUMMARY, CellInfo
from batgen.data.store import Store
from batgen.errors import DataError
from batgen.preprocessing.sequence_medians import causal_median, centred_median, held_both_ways, recent_median
from batgen.preprocessing.sequence_outliers import mask

#: Facts of a cell that are known before its first cycle (its life is not among them).
FACTS = (
    "nominal_capacity_Ah",
    "voltage_min_V",
    "voltage_max_V",
    "ambient_degC",
    "c1",
    "q1",
    "c2",
    "discharge_c_rate",
)
#: Capacity and its unit agree in magnitude with the nominal one within this factor, or somebody mixed Ah with mAh.
_MAGNITUDE = 100.0
#: Relative change of the discharge rate that is another load.
_OTHER_LOAD = 0.05


@dataclass(frozen=True, eq=False)
class Series:
    """One cell on the grid of its cycles; entry t - 1 of an array belongs to cycle t.

    columns: name -> float64 (T,) in physical units, NaN where not measured or masked. outliers: name -> bool (T,), what
    was masked. ended: the series goes to the end of a record that saw its end of life (not cut short, not censored).
    """

    info: CellInfo
    columns: Mapping[str, np.ndarray]
    outliers: Mapping[str, np.ndarray]
    ended: bool
    _memo: dict[tuple[str, str, int], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def cell_id(self) -> str:
        return self.info.cell_id

    @property
    def last_cycle(self) -> int:
        """T: the last cycle of the series."""
        return len(next(iter(self.columns.values())))

    @property
    def cycle(self) -> np.ndarray:
        """int64 (T,): 1, 2, ... T."""
        return np.arange(1, self.last_cycle + 1)

    @property
    def eol_cycle(self) -> float:
        """The end of life, if the series goes that far (one cut short may all the same); else NaN."""
        there = self.ended or self.info.eol_cycle <= self.last_cycle
        return self.info.eol_cycle if there else float("nan")

    def begin(self, names: Sequence[str]) -> int:
        """The first cycle by which each of the columns has been measured."""
        return max(int(np.isfinite(self.columns[name]).argmax()) for name in names) + 1

    @property
    def masked(self) -> dict[str, int]:
        """How many cycles of each column were masked as outliers."""
        return {name: int(flags.sum()) for name, flags in self.outliers.items()}

    def causal(self, name: str, width: int) -> np.ndarray:
        """(T,) median of the values of cycles (t - width, t]."""
        return self._once("causal", name, width, causal_median)

    def centred(self, name: str, width: int) -> np.ndarray:
        """(T,) median of the values of cycles (t - width/2, t + width/2]."""
        return self._once("centred", name, width, centred_median)

    def recent(self, name: str, count: int) -> np.ndarray:
        """(T,) median of the last `count` values at or before t."""
        return self._once("recent", name, count, recent_median)

    def filled(self, name: str, width: int) -> np.ndarray:
        """(T,) as `causal`, the last value held where nothing was measured."""
        return self._once("filled", name, width, lambda values, w: held_both_ways(causal_median(values, w)))

    def first(self, name: str, cut: int, count: int) -> float:
        """Median of the first `count` values of a column, those after cycle `cut` left out; NaN where there is none."""
        known = np.flatnonzero(np.isfinite(self.columns[name][:cut]))[:count]
        return float(np.median(self.columns[name][known])) if known.size else float("nan")

    def _once(self, kind: str, name: str, width: int, make: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
        key = (kind, name, width)
        if key not in self._memo:
            self._memo[key] = make(self.columns[name], width)
        return self._memo[key]


def read_series(
    store: Store,
    cell_id: str,
    targets: Sequence[str],
    others: Sequence[str],
    watched: Sequence[str],
    outliers: Mapping[str, Any] | None,
    last_cycle: int | None,
) -> Series:
    """The series of one cell, nothing after `last_cycle` read. Outliers are masked in the `watched` of its columns.

    `targets` must be measured; `others` that the cell does not have are NaN throughout, or left out where they are facts
    of a cell. Raises DataError for a target that is absent or never measured, and for infinite numbers.
    """
    table, info = store.summary(cell_id), store.info(cell_id)
    where = f"{store.source.name} cell {cell_id}"
    final = int(table["cycle"].iloc[-1]) if len(table) else 0
    if last_cycle is not None:
        table = table[table["cycle"] <= last_cycle]
    if table.empty:
        raise DataError(f"{where} has no cycle" + (f" up to {last_cycle}." if final else ".") + " Leave the cell out.")
    columns: dict[str, np.ndarray] = {}
    for name in dict.fromkeys([*targets, *others]):
        if name in table.columns:
            columns[name] = _on_grid(table, name, where)
        elif name in targets:
            raise DataError(
                f"{where} has no column {name}{near(name, table.columns[1:])} Choose another target, or leave such cells out "
                "with preprocessing.incomplete=leave_out."
            )
        elif name not in FACTS:
            columns[name] = np.full(int(table["cycle"].iloc[-1]), np.nan)
    masked = {}
    for name in watched if outliers else ():
        masked[name] = np.zeros(len(columns[name]), dtype=bool)
        for part in _same_load(table, len(columns[name])):  # what another load gives is no outlier
            masked[name][part] = mask(columns[name][part], **outliers)  # type: ignore[arg-type]  # it is not None here
        columns[name][masked[name]] = np.nan
    for name in targets:
        if not np.isfinite(columns[name]).any():
            measured = [c for c in table.columns if c != "cycle" and np.isfinite(table[c].to_numpy(float)).any()]
            dropped = (
                f" ({int(masked[name].sum())} values masked as outliers)" if outliers and masked[name].any() else ""
            )
            raise DataError(
                f"{where}: {name} is not known at any of its {len(table)} cycles{dropped}. Leave such cells out with "
                "preprocessing.incomplete=leave_out, or choose preprocessing.targets among "
                f"{', '.join(measured) or 'nothing: it has no measured column'}."
            )
    complete = int(table["cycle"].iloc[-1]) == final
    return Series(info, columns, masked, ended=complete and not info.censored)


def _same_load(table: pd.DataFrame, length: int) -> list[slice]:
    """Stretches of the grid of cycles 1..length within which the discharge rate changes by less than 5 % at a time."""
    if "discharge_c_rate" not in table.columns:
        return [slice(0, length)]
    rate = table[["cycle", "discharge_c_rate"]].dropna()
    jumps = rate["discharge_c_rate"].pct_change().abs().to_numpy() > _OTHER_LOAD
    starts = [0, *(rate["cycle"].to_numpy()[jumps] - 1).tolist(), length]
    return [slice(int(a), int(b)) for a, b in pairwise(starts)]


def check_names(store: Store, names: Iterable[str]) -> None:
    """Raise DataError for a name that is no column of any cell of the store, nor a fact of a cell."""
    wanted = [name for name in names if name not in (*SUMMARY, *FACTS)]
    known: dict[str, None] = dict.fromkeys([*SUMMARY[1:], *FACTS])
    for info in store.infos:
        if all(name in known for name in wanted):
            return
        known |= dict.fromkeys(store.summary(info.cell_id).columns[1:])
    for name in wanted:
        if name not in known:
            raise DataError(f"{store.source.name} has no column {name}{near(name, known)} Correct it in preprocessing.")


def check_magnitude(series: Series, name: str) -> None:
    """Raise DataError where a capacity column is 100 times off the cell's nominal capacity: mixed units."""
    nominal = series.info.nominal_capacity_Ah
    typical = float(np.nanmedian(series.columns[name])) if np.isfinite(series.columns[name]).any() else nominal
    if not nominal / _MAGNITUDE < typical < nominal * _MAGNITUDE:
        raise DataError(
            f"cell {series.cell_id}: {name} is typically {typical:.4g} where the nominal capacity is {nominal:g} Ah: mixed "
            "units, Ah and mAh? Convert the column (data.units), or correct data.nominal_capacity_Ah."
        )


def masked_summary(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One row per cell and column with masked cycles: cell_id, column, measured (before masking), masked, cycles."""
    return [
        {
            "cell_id": one.cell_id,
            "column": name,
            "measured": int((np.isfinite(one.columns[name]) | flags).sum()),
            "masked": int(flags.sum()),
            "cycles": (np.flatnonzero(flags) + 1).tolist(),
        }
        for one in series
        for name, flags in one.outliers.items()
        if flags.any()
    ]


def near(name: str, known: Iterable[str]) -> str:
    """What ends "no such name": the nearest one known, or all of them."""
    there = list(known)
    found = difflib.get_close_matches(name, there, 1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(there)}."


def _on_grid(table: pd.DataFrame, name: str, where: str) -> np.ndarray:
    """float64 (T,) with the values of the recorded cycles, NaN between."""
    cycle, values = table["cycle"].to_numpy(), table[name].to_numpy(dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(
            f"{where}: {name} is infinite at cycle {cycle[infinite[0]]} and {infinite.size - 1} others. Leave these empty."
        )
    grid = np.full(int(cycle[-1]), np.nan)
    grid[cycle - 1] = values
    return grid
