"""From a finished run and a user's table to forecasts of the rest of each cell's life, and what to mind about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from batgen import checkpoint
from batgen.build import build
from batgen.data.sources.percycle_csv import CAPACITY, EOL_FRACTION
from batgen.errors import CheckpointError, ConfigError, DataError
from batgen.evaluation.conformal import Conformal
from batgen.evaluation.eol_error import crossing
from batgen.evaluation.forecast import Forecast
from batgen.forecast_notes import listed, what_to_mind
from batgen.forecast_table import UserTable, unknown_columns
from batgen.forecasting import model_forecasts
from batgen.generate import find_checkpoint
from batgen.preprocessing.sequence_series import Series

#: to_eol looks ahead so many times as far as training did.
FARTHEST = 2


@dataclass(frozen=True)
class Forecaster:
    """The models of one part of a run, one a fold. calibration: target -> cut -> state of a `Conformal`, may be empty."""

    part: Path
    members: list[checkpoint.Trained]
    calibration: Mapping[str, Mapping[str, Any]]

    @property
    def preprocessing(self) -> Any:
        return self.members[0].preprocessing

    @property
    def cuts(self) -> tuple[int, int]:
        """The first and last cycle at which training cells were cut."""
        config = self.members[0].config
        first, last = build(config["trainer"]).cuts(config["cycles"])
        return int(first), int(last)

    @property
    def reach(self) -> int:
        """Cycles ahead that forecasts may go: `FARTHEST` times what training saw."""
        return FARTHEST * max(m.preprocessing.horizon_cycles for m in self.members)

    @property
    def train_cells(self) -> set[str]:
        return {cell for m in self.members for cell in m.facts["train_cells"]}

    def calibrated(self, forecast: Forecast) -> tuple[Forecast, str]:
        """The forecast with intervals calibrated at the nearest cut (in log), and which that is; "" where there is none."""
        states = self.calibration.get(forecast.target, {})
        if not states:
            return forecast, ""
        cut = min(states, key=lambda c: abs(np.log(max(int(c), 1) / forecast.cut_cycle)))
        conformal = Conformal()
        conformal.load(states[cut])
        return conformal.apply(forecast), cut


def open_run(run: str | Path) -> Forecaster:
    """The forecaster of a run folder (its honest part of the lowest seed), a part folder, or one models/*.ckpt.

    Raises CheckpointError where there is no finished run, ConfigError where its models are not of cycle sequences.
    """
    run = Path(run)
    if not run.exists():
        raise CheckpointError(f"run={run}: there is no such folder. Name the folder of a finished run.")
    first = find_checkpoint(run)
    trained = checkpoint.load(first)
    if trained.preprocessing.PRODUCES != "sequences":
        kind = trained.config["model"]["_target_"].rpartition(".")[2]
        raise ConfigError(
            f"run={run}: its model ({kind}) forecasts no cycle sequences; scripts/generate.py draws from it. Name a run "
            "of model=seq2seq_quantile."
        )
    part = first.parent.parent
    members = [trained]
    if not run.is_file():
        if not (part / "metrics.json").is_file():
            raise CheckpointError(
                f"run={run}: that run is not finished (no {part.name}/metrics.json). Go on with: "
                f"python train.py run_dir={part.parent} resume=true"
            )
        members = [checkpoint.load(path) for path in sorted(first.parent.glob("*.ckpt"))]
    saved = part / "calibration.json"
    calibration = json.loads(saved.read_text(encoding="utf-8")) if saved.is_file() else {}
    return Forecaster(part, members, calibration)


@dataclass(frozen=True)
class Made:
    """Forecasts of every cell and target; notes: what to mind, in words; calibrated: cuts whose calibration was used."""

    forecasts: list[Forecast]
    notes: list[str]
    calibrated: list[str]


def read_cells(forecaster: Forecaster, table: UserTable) -> list[Series]:
    """Every cell of the table as preprocessing reads it, outliers masked. Raises DataError for a missing covariate."""
    preprocessing = forecaster.preprocessing
    for name, cells in unknown_columns(table, preprocessing).items():
        if name in preprocessing.plan.covariates:
            raise DataError(
                f"covariate {name} is missing for the future of cell {cells[0]} ({len(cells)} of {len(table.infos)} cells), "
                f"and the run was trained with it. Give it once, {name}=VALUE, or as a column, columns.{name}=NAME."
            )
    return [preprocessing.series(table, info.cell_id) for info in table.infos]


def last_observed(one: Series, targets: Sequence[str]) -> int:
    """The last cycle with a value of a target, masked or not; later rows (a schedule) are no observations."""
    found = [np.isfinite(one.columns[name]) | one.outliers.get(name, False) for name in targets]
    return int(np.flatnonzero(np.any(found, axis=0))[-1]) + 1


def forecast(
    forecaster: Forecaster,
    table: UserTable,
    cycles: int | None,
    horizon: int | None,
    until: int | None,
    calibrated: bool,
) -> Made:
    """Forecast every cell of the table after its cycle `cycles` (None: after its last one).

    horizon: cycles ahead; until: to that cycle; both None: until all quantiles reached the end of life, or `FARTHEST` times
    the training horizon. Raises DataError for a cell shorter than `cycles`, ConfigError for a horizon that cannot be.
    """
    targets = forecaster.preprocessing.target_names
    to_eol = horizon is None and until is None
    if to_eol and CAPACITY not in targets:
        raise ConfigError(
            f"horizon=to_eol: this run forecasts {', '.join(targets)}, and the end of life is one of {CAPACITY}. Give a "
            "number of cycles, horizon=200."
        )
    series = read_cells(forecaster, table)
    cuts = []
    for one in series:
        last = last_observed(one, targets)
        if cycles is not None and cycles > last:
            raise DataError(
                f"cycles={cycles}: cell {one.cell_id} is shorter, its last cycle is {last}. Use cycles={last} or less, or "
                "leave the cell out."
            )
        limit = forecaster.preprocessing.max_cycles
        if cycles is None and limit is not None and int(table.summary(one.cell_id)["cycle"].iloc[-1]) > limit:
            raise ConfigError(
                f"cell {one.cell_id} goes on after cycle {limit}, and this run reads no more "
                f"(preprocessing.max_cycles={limit}). Use cycles={limit} or less."
            )
        cuts.append(cycles or last)
    if until is not None and until <= max(cuts):
        raise ConfigError(
            f"until={until}: cell {series[int(np.argmax(cuts))].cell_id} is observed to cycle {max(cuts)}. Give a later one."
        )
    ends = [until or cut + (horizon or forecaster.reach) for cut in cuts]
    made = physical(forecaster, table, series, cuts, max(ends))
    last_of = {one.cell_id: end for one, end in zip(series, ends, strict=True)}
    made = [clip(f, last_of[f.cell_id]) for f in made]
    used: list[str] = []
    if calibrated:
        pairs = [forecaster.calibrated(f) for f in made]
        made, used = [f for f, _ in pairs], sorted({cut for _, cut in pairs if cut}, key=int)
    if to_eol:
        reached = {f.cell_id: crossing(f, float(f.levels[-1])) for f in made if f.target == CAPACITY}
        made = [clip(f, int(reached[f.cell_id][0])) for f in made]
    notes = [
        *table.notes,
        *what_to_mind(forecaster, table, series, cuts),
    ]
    if horizon is not None and horizon > forecaster.reach:
        notes.append(
            f"horizon={horizon}: training looked {forecaster.reach // FARTHEST} cycles ahead; beyond, it is a guess"
        )
    if to_eol and (open_ended := [cell for cell, (_, there) in reached.items() if not there]):
        notes.append(
            f"not every quantile reaches the end of life within {forecaster.reach} cycles, {FARTHEST} times the training "
            f"horizon: {listed(open_ended)}"
        )
    return Made(made, notes, used)


def physical(
    forecaster: Forecaster, table: UserTable, series: Sequence[Series], cuts: Sequence[int], until: int
) -> list[Forecast]:
    """The mean forecasts of all models, from each cut to cycle `until`, not calibrated."""
    given = table.source.eol_capacity_Ah
    eol = {one.cell_id: given or EOL_FRACTION * one.info.nominal_capacity_Ah for one in series}
    fitted = [(m.preprocessing, m.model) for m in forecaster.members]
    return model_forecasts(fitted, series, cuts, until, "input", eol)


def clip(forecast: Forecast, last: int) -> Forecast:
    """The forecast up to cycle `last`, of which at least its first cycle stays."""
    kept = max(int((forecast.cycle <= last).sum()), 1)
    return replace(
        forecast, cycle=forecast.cycle[:kept], quantiles=forecast.quantiles[:kept], truth=forecast.truth[:kept]
    )
