"""Cycles that cannot be used: found for all cycles of a cell at once, explained one by one.

A cell has thousands of cycles and hardly a faulty one, so a vectorised pass names the suspects, and only these are
looked at in Python to say what is wrong.
"""

import numpy as np

from batgen.data.cell import Cycle

#: Beyond these no lithium-ion cell was measured: volt, degC.
RANGES = {"voltage_V": (0.0, 6.0), "temperature_degC": (-60.0, 150.0)}
#: Signals that must be measured where a source has them; a capacity may be absent where its part of the cycle is.
_MEASURED = ("time_s", "voltage_V", "current_A", "temperature_degC")
#: Parts in which a signal that never changes is a dead sensor. A constant current or temperature can be real.
_MUST_MOVE = {
    "charge": ("time_s", "voltage_V", "charge_capacity_Ah"),
    "discharge": ("time_s", "voltage_V", "discharge_capacity_Ah"),
}


def find_faults(cycles: list[Cycle]) -> dict[int, str]:
    """{cycle number: what is wrong with it} of the unusable ones. All cycles must have the same signals."""
    lengths = np.array([len(next(iter(c.signals.values()), ())) for c in cycles], dtype=np.int64)
    if not lengths.sum():
        return {c.cycle: "it has no samples" for c in cycles if c.signals}
    suspect = lengths == 0
    filled = np.flatnonzero(~suspect)
    suspect[filled] |= _suspects([cycles[i] for i in filled], lengths[filled])
    return {cycles[i].cycle: fault for i in np.flatnonzero(suspect) if (fault := _explain(cycles[i]))}


def _suspects(cycles: list[Cycle], lengths: np.ndarray) -> np.ndarray:
    """Mask (n,) of the cycles that may have a fault, without a false negative."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    suspect = np.zeros(len(cycles), dtype=bool)
    for name in cycles[0].signals:
        values = np.concatenate([c.signals[name] for c in cycles])
        low = np.fmin.reduceat(values, offsets[:-1])
        high = np.fmax.reduceat(values, offsets[:-1])
        floor, ceiling = RANGES.get(name, (-np.finfo(np.float32).max, np.finfo(np.float32).max))
        absent_allowed = np.isnan(low) & (name not in _MEASURED)
        suspect |= ~((low >= floor) & (high <= ceiling) | absent_allowed)
        if name == "time_s":
            bad = ~(np.diff(values) >= 0)
            bad[offsets[1:-1] - 1] = False  # from one cycle to the next time starts again
            suspect |= np.logical_or.reduceat(np.append(bad, False), offsets[:-1]) | np.isnan(values[offsets[:-1]])
        for part, names in _MUST_MOVE.items():
            if name in names or name == "current_A":
                bounds = np.array([getattr(c, part) for c in cycles]) + offsets[:-1, None]
                long = np.flatnonzero(bounds[:, 1] - bounds[:, 0] > 1)
                if long.size:
                    index = bounds[long].ravel()
                    padded = np.append(values, np.float32(np.nan))  # lets a part end with the last sample
                    least, most = np.fmin.reduceat(padded, index)[::2], np.fmax.reduceat(padded, index)[::2]
                    still = ~(least < most) if name != "current_A" else ~((least < 0) | (most > 0))
                    suspect[long] |= still
    return suspect


def _explain(cycle: Cycle) -> str:
    """What makes a cycle unusable, in words; empty when nothing does."""
    for name, values in cycle.signals.items():
        if values.size == 0:
            return "it has no samples"
        if np.isinf(values).any():
            return f"{name} has infinite values"
        if name in _MEASURED and not np.isfinite(values).any():
            return f"{name} is NaN throughout"
        low, high = RANGES.get(name, (-np.inf, np.inf))
        lowest, highest = np.fmin.reduce(values), np.fmax.reduce(values)
        if lowest < low or highest > high:
            return f"{name} reaches {lowest if lowest < low else highest:.4g}, outside {low:g} to {high:g}"
        if name == "time_s":
            if np.isnan(values).any():
                return f"time_s is NaN at sample {int(np.argmax(np.isnan(values)))}"
            if np.any(back := np.diff(values) < 0):
                return f"time_s runs backwards at sample {int(np.argmax(back)) + 1}"
    for part, names in _MUST_MOVE.items():
        start, stop = getattr(cycle, part)
        for name in (*names, "current_A"):
            if stop - start > 1 and name in cycle.signals and (fault := _still(name, cycle.signals[name][start:stop])):
                return f"{fault} throughout the {part}"
    return ""


def _still(name: str, values: np.ndarray) -> str:
    if not np.isfinite(values).any():
        return f"{name} is NaN"
    if name == "current_A":
        return "" if np.any(np.nan_to_num(values)) else "current_A is zero"
    return f"{name} is constant" if np.nanmin(values) == np.nanmax(values) else ""
