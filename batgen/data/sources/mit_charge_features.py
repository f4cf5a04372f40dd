"""Charge features of the MIT cells by cycle, where the cycle of a row can be proven.

The per-cycle table of a cell (one CSV, 16 features of the end of each charge and the capacity) was filtered by its
authors, so the number of a row is not a cycle. But its capacities are those of the trajectories, digit by digit, in the
same order: a row belongs to the one cycle of equal capacity that keeps the order of the rows. Where the first and the
last cycle that a row could have differ (equal capacities in neighbouring cycles, 6 rows in all), nothing is proven.

The features describe the constant-current charge at 1C from 3.4 to 3.6 V (CC) and the constant-voltage charge at 3.6 V
from 0.5 to 0.1 A (CV) that end a charge (Wang et al., Nature Communications 15, 4332 (2024)), not the fast charge
before them; charge precedes discharge in these cycles, so those of a row come before its capacity.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from batgen.errors import DataError

#: Our column -> the table's; times in s, charges in Ah (a CC charge of 495 s has 0.1513 Ah, which is 1.1 A).
COLUMNS = {
    "cc_charge_time_s": "CC charge time",
    "cv_charge_time_s": "CV charge time",
    "cc_charge_capacity_Ah": "CC Q",
    "cv_charge_capacity_Ah": "CV Q",
}
#: Two capacities this near are the same number; the table has 7 digits.
SAME_AH = 1e-7


def read_charge_features(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(our columns, capacities in Ah), each (rows,). Raises DataError, naming the file, for anything else."""
    names = [*COLUMNS.values(), "capacity"]
    try:
        table = pd.read_csv(path, usecols=names, dtype=float)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{path}: not a table of charge features ({error}). Fetch it again, or leave such columns out with "
            "data.percycle_folder=null."
        ) from error
    return {ours: table[theirs].to_numpy() for ours, theirs in COLUMNS.items()}, table["capacity"].to_numpy()


def align(rows_Ah: np.ndarray, capacity_Ah: np.ndarray) -> tuple[np.ndarray, str]:
    """Index of the cycle of each row, (rows,), -1 where it is not proven; and in words what was not ("" for nothing).

    `rows_Ah` (rows,) and `capacity_Ah` (cycles,) are both in the order of time.
    """
    at = np.full(len(rows_Ah), -1)
    ordered = np.sort(capacity_Ah)
    below, above = (np.searchsorted(ordered, rows_Ah + step) for step in (-SAME_AH, SAME_AH))
    known = np.flatnonzero(above > below)
    first = _earliest(rows_Ah[known], capacity_Ah)
    last = _earliest(rows_Ah[known][::-1], capacity_Ah[::-1])
    if first is None or last is None:
        return at, f"the capacities of its {len(rows_Ah)} rows do not come in the order of the cycles: none is used"
    proven = first == len(capacity_Ah) - 1 - last[::-1]
    at[known[proven]] = first[proven]
    words = []
    if len(known) < len(rows_Ah):
        words.append(f"{len(rows_Ah) - len(known)} have a capacity that no cycle has")
    if not proven.all():
        words.append(f"{int((~proven).sum())} fit more than one cycle")
    return at, f"of its {len(rows_Ah)} rows " + ", ".join(words) if words else ""


def _earliest(rows: np.ndarray, capacity: np.ndarray) -> np.ndarray | None:
    """For each row the earliest cycle of equal capacity after that of the row before; None when there is none."""
    found, start = np.empty(len(rows), dtype=int), 0
    for k, value in enumerate(rows):
        while start < len(capacity) and abs(capacity[start] - value) > SAME_AH:
            start += 1
        if start == len(capacity):
            return None
        found[k] = start
        start += 1
    return found
