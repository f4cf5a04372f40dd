"""End of life: the first sustained crossing of a capacity threshold, one rule for every source.

The rule, on the records with a finite capacity in order of cycle:

1. A record is *low* when its capacity is below the threshold. Records of one kind in a row form a run.
2. A low run is sustained when it has at least `sustain` records. A shorter one (a single bad record, such as 1.386 Ah
   in the middle of NASA B0026) is ignored, unless the record ends with it and it continues the fade: its first capacity
   lies at most 2 % of the threshold below the record before, which is how a test that stops at its end of life ends.
3. It is a crossing only when the cell was seen above the threshold before: NASA B0038 starts with twelve low records
   under another load and then recovers, and has not reached its end of life. A high run counts as such when it
   has `sustain` records or is the first of all.

The end of life is the first cycle of the first such low run. A later recovery above the threshold (regeneration after
a rest, as in NASA B0018 after cycle 105) does not undo it.
"""

import numpy as np
from numpy.typing import ArrayLike

_TAIL_STEP = 0.02


def eol_cycle(cycle: ArrayLike, capacity_Ah: ArrayLike, threshold_Ah: float, sustain: int = 3) -> float:
    """Cycle of the first sustained crossing of `threshold_Ah`, NaN if there is none.

    `cycle` and `capacity_Ah` are (n,), in increasing order of cycle; NaN capacities are skipped.
    Raises ValueError when the shapes differ or `sustain` is below 1.
    """
    cycles, capacity = np.asarray(cycle, dtype=float), np.asarray(capacity_Ah, dtype=float)
    if cycles.shape != capacity.shape or cycles.ndim != 1:
        raise ValueError(f"cycle {cycles.shape} and capacity {capacity.shape} must be vectors of one length")
    if sustain < 1:
        raise ValueError(f"sustain must be at least 1, not {sustain}")
    finite = np.isfinite(capacity)
    cycles, capacity = cycles[finite], capacity[finite]
    if capacity.size == 0:
        return float("nan")

    low = capacity < threshold_Ah
    start = np.flatnonzero(np.r_[True, low[1:] != low[:-1]])
    length = np.diff(np.r_[start, low.size])
    run_low = low[start]

    long_enough = length >= sustain
    fading_tail = (start == start[-1]) & (capacity[start - 1] - capacity[start] <= _TAIL_STEP * threshold_Ah)
    sustained_high = ~run_low & (long_enough | (start == 0))
    seen_high = np.cumsum(sustained_high) > 0
    crossing = run_low & (long_enough | fading_tail) & seen_high
    return float(cycles[start[crossing][0]]) if crossing.any() else float("nan")


def eol_fields(
    cycle: ArrayLike, capacity_Ah: ArrayLike, threshold_Ah: float, nominal_capacity_Ah: float, sustain: int = 3
) -> dict:
    """The `CellInfo` fields that tell the life of a cell: eol_cycle, eol_definition, censored, last_cycle."""
    eol = eol_cycle(cycle, capacity_Ah, threshold_Ah, sustain)
    cycles = np.asarray(cycle)
    return {
        "eol_cycle": eol,
        "eol_definition": eol_definition(threshold_Ah, nominal_capacity_Ah, eol, sustain),
        "censored": bool(np.isnan(eol)),
        "last_cycle": int(cycles.max()) if cycles.size else 0,
    }


def eol_definition(threshold_Ah: float, nominal_capacity_Ah: float, eol: float, sustain: int = 3) -> str:
    """In words, where an `eol_cycle` came from; `eol` NaN says that the record ends before it."""
    rule = (
        f"first sustained ({sustain} records) discharge capacity below {threshold_Ah:g} Ah "
        f"({threshold_Ah / nominal_capacity_Ah:.0%} of nominal {nominal_capacity_Ah:g} Ah)"
    )
    return f"not reached within the record: {rule}" if np.isnan(eol) else rule
