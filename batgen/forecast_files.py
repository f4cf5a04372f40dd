"""What the forecast command leaves and says: a table of quantiles, an account of where it came from, lines for people."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import batgen
from batgen.data.sources.percycle_csv import CAPACITY
from batgen.errors import ConfigError
from batgen.evaluation.eol_error import crossing
from batgen.evaluation.forecast import Forecast
from batgen.files import replacing
from batgen.forecast_run import Forecaster
from batgen.forecast_table import UserTable
from batgen.provenance import git_commit

FORMATS = (".csv", ".csv.gz", ".parquet")
#: Lines of a printed table; the rest is in the files.
_LINES = 30


def check_out(path: Path) -> Path:
    """The path without its ending, for the files beside it. Raises ConfigError for an ending that is no format."""
    found = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    if not found:
        raise ConfigError(f"out={path}: the ending decides the format; use one of {', '.join(FORMATS)}.")
    return path.with_name(path.name[: -len(found[-1])])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the format of its ending, whole or not at all."""
    with replacing(path) as temporary:
        if path.name.lower().endswith(".parquet"):
            table.to_parquet(temporary, index=False)
        else:
            compression = "gzip" if path.name.lower().endswith(".gz") else None
            table.to_csv(temporary, index=False, float_format="%.7g", compression=compression)  # type: ignore[arg-type]


def quantile_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """One row a cell, target and cycle after the cut: cell_id, target, cycle, one column a quantile (q0.1 ...), truth.

    In the target's physical unit; truth is NaN where the table goes no further.
    """
    tables = []
    for f in forecasts:
        columns = {f"q{level:g}": f.quantiles[:, place] for place, level in enumerate(f.levels)}
        tables.append(
            pd.DataFrame({"cell_id": f.cell_id, "target": f.target, "cycle": f.cycle, **columns, "truth": f.truth})
        )
    return pd.concat(tables, ignore_index=True)


def outer_levels(forecast: Forecast) -> tuple[float, float]:
    """0.1 and 0.9, or the outermost levels within them."""
    return max(0.1, float(forecast.levels[0])), min(0.9, float(forecast.levels[-1]))


def eol_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """One row a capacity forecast: cell_id, observed, eol_low, eol_median, eol_high, eol_measured, in cycles.

    low and high are where the curves of `outer_levels` reach the threshold; NaN where the forecast does not get there.
    """
    rows = []
    for f in forecasts:
        if f.target == CAPACITY:
            low, high = outer_levels(f)
            ends = [crossing(f, level) for level in (low, 0.5, high)]
            early, median, late = (cycle if there else float("nan") for cycle, there in ends)
            rows.append((f.cell_id, f.cut_cycle, early, median, late, f.truth_eol_cycle))
    return pd.DataFrame(rows, columns=["cell_id", "observed", "eol_low", "eol_median", "eol_high", "eol_measured"])


def account(forecaster: Forecaster, table: UserTable, path: Path) -> dict[str, Any]:
    """Where a forecast came from: run, models, data and commit of the training; table, commit and command of this one."""
    first = forecaster.members[0]
    saved = forecaster.part.parent / "run.json"
    run = json.loads(saved.read_text(encoding="utf-8")) if saved.is_file() else {}
    return {
        "run": str(forecaster.part.resolve()),
        "models": len(forecaster.members),
        "model": first.config["model"]["_target_"].rpartition(".")[2],
        "trained_on": first.config["data"]["name"],
        "data_hash": first.facts["data_hash"],
        "run_commit": run.get("git_commit", "unknown"),
        "input": str(path.resolve()),
        "input_sha256": table.sha256,
        "batgen": batgen.__version__,
        "commit": git_commit(),
        "command": " ".join(sys.argv),
    }


def lines(forecasts: Sequence[Forecast], to_eol: bool) -> list[str]:
    """The forecast for people, a line a cell: its end of life with the interval; else each target at its last cycle."""
    low, high = outer_levels(forecasts[0])
    band = f"median [{100 * low:.0f}-{100 * high:.0f} %]"
    if to_eol:
        table = eol_table(forecasts)
        width = max(8, *(len(cell) for cell in table["cell_id"]))
        found = [f"{'cell':<{width}}  observed to  end of life, {band}"]
        for _, row in table.iterrows():
            measured = f", measured {row['eol_measured']:.0f}" if np.isfinite(row["eol_measured"]) else ""
            found.append(f"{row['cell_id']:<{width}}  {row['observed']:>11}  {interval(row)}{measured}")
    else:
        width = max(8, *(len(f.cell_id) for f in forecasts))
        found = [f"{'cell':<{width}}  observed to  forecast, {band}"]
        for f in forecasts:
            span = f"[{f.at(low)[-1]:.4g} - {f.at(high)[-1]:.4g}]"
            found.append(
                f"{f.cell_id:<{width}}  {f.cut_cycle:>11}  {f.target} at cycle {f.cycle[-1]}: {f.median[-1]:.4g} {span}"
            )
    more = len(found) - 1 - _LINES
    return found if more <= 0 else [*found[: _LINES + 1], f"... and {more} more in the files"]


def interval(row: pd.Series) -> str:
    """A row of `eol_table` in words: "812 [700 - 930]"; "beyond the forecast" for what is not reached."""
    if row["eol_measured"] <= row["observed"]:
        return f"reached at cycle {row['eol_measured']:.0f}, observed"
    ends = (row[f"eol_{name}"] for name in ("median", "low", "high"))
    median, early, late = (f"{end:.0f}" if np.isfinite(end) else "beyond the forecast" for end in ends)
    return f"{median} [{early} - {late}]"
