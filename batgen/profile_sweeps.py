"""Condition sweeps: all conditions but one held at those of a measured record, that one varied over its range and beyond."""

from typing import Any

import numpy as np
import torch

from batgen.data.profile_set import Drawn
from batgen.models.base import ProfileBatch
from batgen.preprocessing.conditions import NUMERIC, POSITIVE
from batgen.profile_part import Member, Part
from batgen.profile_scoring import sample

#: How far a sweep goes beyond the training range on either side, as a share of the range.
BEYOND = 0.25
_DRAWS = 24


def sweep(
    part: Part, member: Member, name: str, count: int, seed: int
) -> tuple[np.ndarray, Drawn, dict[str, Any]] | None:
    """Values (V,) of the condition, draws (K, V, S, P) at each, and the facts: low, high of training, the fixed others.

    The others are those of the training record nearest to the median of all conditions. None for a condition that is
    constant in training or no number.
    """
    conditions = member.conditions
    if name in conditions.kinds or name in member.preprocessing.constant:
        return None
    known = part.profiles.take(member.known)
    table = conditions.encode(known.table).astype(float)
    spread = np.maximum(table.std(0), 1e-9)
    typical = int(np.argmin((np.abs(table - np.median(table, 0)) / spread).sum(1)))
    low, high = conditions.low[name], conditions.high[name]
    values = np.linspace(low - BEYOND * (high - low), high + BEYOND * (high - low), count)
    if name in POSITIVE:
        values = values[values > 0]
    if NUMERIC[name] == "fraction":
        values = values[values <= 1.2]
    rows = known.table.iloc[[typical] * len(values)].reset_index(drop=True).assign(**{name: values})
    moved = {name}
    if name == "ambient_degC":  # a record starts near its ambient: alone, the ambient would start it out of balance
        moved.add("start_temperature_degC")
        rows["start_temperature_degC"] += values - float(known.table["ambient_degC"].iloc[typical])
    base, duration = member.preprocessing.base_for(rows)
    cond = torch.from_numpy(conditions.encode(rows))
    own = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (base, duration))
    batch = ProfileBatch(torch.zeros(0), cond, torch.zeros(0), *own)
    drawn = sample(member, member.trained, batch, _DRAWS, seed)
    fixed = {c: _plain(known.table[c].iloc[typical]) for c in conditions.names if c not in moved}
    fixed |= {"cell_id": str(known.table["cell_id"].iloc[typical])}
    return values, drawn, {"low": low, "high": high, "fixed": fixed}


def _plain(value: Any) -> float | str:
    return str(value) if isinstance(value, str) else float(value)
