"""Drawing profiles for conditions the user names: what is filled in, what start they have, what lies in no training row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from batgen.checkpoint import Trained
from batgen.errors import ConfigError

#: A value further than this share of the training range from all training values lies in a gap.
_GAP = 0.1


def draw_profiles(trained: Trained, row: np.ndarray, n: int, seed: int, cell: str | None) -> dict[str, np.ndarray]:
    """n profiles at the encoded conditions `row` (columns,): signal -> (n, P) in physical units, time_s among them.

    Behind the end of a profile (fixed time steps) values are NaN. cell: in reference runs, the cell whose first records the
    profiles continue. Raises ConfigError where a cell is needed and not known, or named where none is needed.
    """
    preprocessing = trained.preprocessing
    table = pd.DataFrame([row], columns=list(trained.conditions.columns))
    if preprocessing.relative == "reference":
        if cell is None:
            raise ConfigError(
                "cell=ID is missing: this run generates what comes after a cell's first records. It knows "
                f"{', '.join(preprocessing.references)}."
            )
        if "start_temperature_degC" not in table and cell in preprocessing.references:
            reference = preprocessing.references[cell]
            change = table.get("start_temperature_change_degC", pd.Series([0.0]))
            table["start_temperature_degC"] = reference.start_temperature_degC + change
    elif cell is not None:
        raise ConfigError(f"cell={cell}: only runs with preprocessing.relative=reference know cells. Leave it out.")
    base, duration = preprocessing.base_for(table.assign(cell_id=cell or ""))
    generator = torch.Generator().manual_seed(seed)
    x = trained.model.sample(torch.from_numpy(row[None]), n, generator)  # type: ignore[operator]
    drawn = preprocessing.inverse(x.numpy(), base, duration)
    curves = np.where(drawn.mask[:, :, None], drawn.curves, np.nan)[:, 0]
    signals = {name: curves[:, k] for k, name in enumerate(drawn.signals)}
    signals["time_s"] = np.where(drawn.mask, drawn.time_s, np.nan)[:, 0].astype(np.float32)
    return signals


def of_cell(trained: Trained, given: Mapping[str, Any], cell: str | None) -> dict[str, float]:
    """How the cell that profiles continue was run: ambient and currents of its first records, where the run knows them as
    conditions and they are not given. Any other ambient or current would be that of another cell."""
    reference = trained.preprocessing.references.get(cell)
    if reference is None:
        return {}
    names = [name for name in ("ambient_degC", "c_rate", "c_rate_rms") if name in trained.conditions.columns]
    values = {name: float(getattr(reference, name)) for name in names if name not in given}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def balanced_start(trained: Trained, row: np.ndarray, given: Mapping[str, Any]) -> str | None:
    """Where the ambient is given and the start temperature is not, set that in `row` to the ambient plus what training cells
    had above it: any other start would be out of balance. Returns "name=value" of what was set, else None."""
    columns = trained.conditions.columns
    name = "start_temperature_degC"
    if "ambient_degC" not in given or name in given or name not in columns:
        return None
    row[columns.index(name)] = float(given["ambient_degC"]) + trained.preprocessing.start_offset_degC
    return f"{name}={row[columns.index(name)]:g}"


def gaps(trained: Trained, given: Mapping[str, Any]) -> list[str]:
    """A note where the model ignores what is given, and on each given number within the training range that lies far from
    every training value."""
    table, notes = trained.train_table.numpy(), []
    if given and trained.config["model"].get("conditional") is False:
        notes.append(
            "this model ignores its conditions (model.conditional=false): only where profiles start follows them"
        )
    for name, value in given.items():
        if name in trained.conditions.kinds or name not in trained.conditions.columns:
            continue
        known = np.unique(table[:, trained.conditions.columns.index(name)])
        number, span = float(value), known[-1] - known[0]
        if span > 0 and known[0] < number < known[-1] and np.abs(known - number).min() > _GAP * span:
            low, high = known[known < number].max(), known[known > number].min()
            notes.append(
                f"{name}={number:g}: training has nothing between {low:g} and {high:g}; the model interpolates."
            )
    return notes
