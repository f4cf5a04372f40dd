"""What a part of a sequence run leaves for figures and readers: forecasts, observations, cells, losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.build import build
from batgen.evaluation.forecast import Forecast
from batgen.evaluation.quantile_scores import is_deterministic
from batgen.files import replacing
from batgen.sequence_part import Part


def write_forecasts(path: Path, methods: Mapping[str, Sequence[Forecast]], stride: int) -> None:
    """One row a cell, target, method, cut and step: cycle, truth, one column a quantile (q0.1 ...); physical units.

    A baseline, which is one line, has its median only. Cycles between the steps are left out: forecasts are straight there.
    """
    tables = []
    for method, forecasts in methods.items():
        for f in forecasts:
            at = np.arange(stride - 1, len(f.cycle), stride)
            table = pd.DataFrame({"cycle": f.cycle[at], "truth": f.truth[at]})
            for place, level in enumerate(f.levels):
                line = level != 0.5 and is_deterministic(f)
                table[f"q{level:g}"] = np.nan if line else f.quantiles[at, place]
            table = table.assign(
                cell_id=f.cell_id, test_set=f.test_set, target=f.target, method=method, cut_cycle=f.cut_cycle
            )
            tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    first = ["cell_id", "test_set", "target", "method", "cut_cycle", "cycle", "truth"]
    _write(path, whole[[*first, *(c for c in whole.columns if c not in first)]])


def write_observed(path: Path, part: Part) -> None:
    """Every measured value of the targets, and what of the record changes the load; masked: 1 for an outlier."""
    tables = []
    for one in part.series.values():
        for name in (*part.members[0].preprocessing.target_names, "discharge_c_rate"):
            if name not in one.columns:
                continue
            raw = part.store.summary(one.cell_id)[["cycle", name]].dropna()
            raw = raw[raw["cycle"] <= one.last_cycle]
            flags = one.outliers.get(name)
            masked = flags[raw["cycle"].to_numpy() - 1].astype(int) if flags is not None else 0
            tables.append(
                pd.DataFrame(
                    {
                        "cell_id": one.cell_id,
                        "target": name,
                        "cycle": raw["cycle"],
                        "value": raw[name],
                        "masked": masked,
                    }
                )
            )
    _write(path, pd.concat(tables, ignore_index=True))


def write_cells(path: Path, part: Part, eol_capacity_Ah: Mapping[str, float]) -> None:
    """One row a cell: facts, and the part it was in."""
    where = {cell: name for name, ids in part.parts.cells.items() for cell in ids}
    rows = [
        {
            "cell_id": one.cell_id,
            "source": one.info.source,
            "test_set": where[one.cell_id],
            "nominal_capacity_Ah": one.info.nominal_capacity_Ah,
            "eol_capacity_Ah": eol_capacity_Ah[one.cell_id],
            "eol_cycle": one.eol_cycle,
            "last_cycle": one.last_cycle,
            "policy": one.info.policy,
            "chemistry": one.info.chemistry,
        }
        for one in part.series.values()
    ]
    _write(path, pd.DataFrame(rows))


def write_losses(part: Part) -> None:
    """losses.csv: one row a model and epoch."""
    names = {"train/loss": "train_loss", "val/loss": "val_loss"}
    rows = [
        {"member": member.name, **{names.get(k, k): v for k, v in row.items()}}
        for member in part.members
        for row in member.facts["history"]
    ]
    table = pd.DataFrame(rows)
    if "val_loss" in table:  # the trainer repeats the last one until the next
        every = build(part.conf["trainer"]).validated_every
        table.loc[(table["epoch"] + 1) % every != 0, "val_loss"] = np.nan
    _write(part.folder / "losses.csv", table)


def _write(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        if path.suffix == ".gz":
            table.to_csv(temporary, index=False, float_format="%.6g", compression="gzip")
        else:
            table.to_csv(temporary, index=False, float_format="%.6g")
