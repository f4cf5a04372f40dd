"""Condition sweeps: all conditions but one held at those of a measured record, that one varied over its range and beyond."""

from typing import Any

import numpy as np
import torch

from batgen.data.profile_set import Drawn
from batgen.models.base import ProfileBatch
from batgen.preprocessing.conditions import NOT_NEGATIVE, NUMERIC, POSITIVE
from batgen.profile_part import Member, Part
from batgen.profile_scoring import sample

#: Values beyond the training range on either side; the ends of the range are values too.
_BEYOND = 2
_DRAWS = 24
#: One start said in two ways, as it is and over that of a cell's first records: they move together.
_STARTS = ("start_temperature_degC", "start_temperature_change_degC")


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
    inside = max(count - 2 * _BEYOND, 2)
    beyond = (high - low) / (inside - 1) * np.arange(1, _BEYOND + 1)
    values = np.concatenate([low - beyond[::-1], np.linspace(low, high, inside), high + beyond])
    if name in POSITIVE:
        values = values[values > 0]
    if name in NOT_NEGATIVE:
        values = values[values >= 0]
    if NUMERIC[name] == "fraction":
        values = values[values <= (1.0 if name == "soc" else 1.2)]
    rows = known.table.iloc[[typical] * len(values)].reset_index(drop=True).assign(**{name: values})
    shift = values - float(known.table[name].iloc[typical])
    # a record starts near its ambient: alone, the ambient would start it out of balance
    beside = {"ambient_degC": _STARTS, _STARTS[0]: _STARTS[1:], _STARTS[1]: _STARTS[:1]}.get(name, ())
    for start in beside:
        rows[start] += shift
    moved = {name, *beside}
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
