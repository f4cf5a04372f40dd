"""The raw MIT batches against what else was published of the same cells: lives, charging policies, Qd(V).

For a user who has both the raw files and the folders `severson_*`: a wrong cleaning table, a shift of cycle numbers or
a wrong unit shows here. Run by `scripts/prepare_data.py data=mit`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.sources.mit_qdlin import FIRST_CYCLE, GRID_V, crosswalk_ids, read_crosswalk, read_curves
from batgen.data.store import Store

#: Differences that are worth a word: cycles of life, C-rate or fraction of a policy, mean mAh of a discharge curve.
LIFE_CYCLES, POLICY, CURVE_MAH = 3, 0.005, 5.0
#: Where curves are compared, in V: above the constant-voltage end of the discharge, below the relaxed start.
WINDOW_V = (2.05, 3.25)


def cross_check(store: Store, data_dir: Path) -> tuple[int, list[str]]:
    """How many cells of a `mit` store are also in `data_dir`, and one sentence per disagreement.

    Compares eol_cycle and (c1, q1, c2) with `severson_crosswalk_DERIVED.csv`, and the discharges of cycles 2 to 100
    with `severson_qdlin_first100`. A table or folder that is not there is not compared.
    """
    table = data_dir / "severson_crosswalk_DERIVED.csv"
    if not table.is_file():
        return 0, []
    frame = read_crosswalk(table)
    frame.index = pd.Index(crosswalk_ids(frame))
    infos = {info.cell_id: info for info in store.infos if info.cell_id in frame.index}
    found = []
    for cell_id, info in infos.items():
        row = frame.loc[cell_id]
        if not abs(info.eol_cycle - row["cycle_life"]) <= LIFE_CYCLES:
            found.append(f"{cell_id}: life {info.eol_cycle:g} ({info.eol_definition}), published {row['cycle_life']:g}")
        published = (row["C1"], row["Q1_percent"] / 100, row["C2"])
        if not np.allclose((info.c1, info.q1, info.c2), published, atol=POLICY, rtol=0):
            found.append(f"{cell_id}: policy {info.policy}, published {row['charging_policy']}")
        path = data_dir / "severson_qdlin_first100" / row["qdlin_file"]
        if path.is_file() and (words := _compare_curves(store, cell_id, read_curves(path))):
            found.append(f"{cell_id}: {words}")
    return len(infos), found


def _compare_curves(store: Store, cell_id: str, published: np.ndarray) -> str:
    """In what the store's Qd(V) differs from the published (1000, 99), in words; "" if it does not."""
    last = FIRST_CYCLE + published.shape[1] - 1
    curves = store.curves(cell_id, ("voltage_V", "discharge_capacity_Ah"), "discharge", last)
    low, high = WINDOW_V
    rows = (low < GRID_V) & (high > GRID_V)
    ours = np.full((int(rows.sum()), last + 1), np.nan)
    for n, begin, end in zip(curves.cycle, curves.offsets[:-1], curves.offsets[1:], strict=True):
        fall = np.minimum.accumulate(curves.columns["voltage_V"][begin:end])
        ours[:, n] = np.interp(-GRID_V[rows], -fall, curves.columns["discharge_capacity_Ah"][begin:end])
    theirs = np.full_like(ours, np.nan)
    theirs[:, FIRST_CYCLE:] = published[rows]
    apart = {shift: _mean_mAh(ours, np.roll(theirs, -shift, axis=1)) for shift in (0, -1, 1)}
    if np.isnan(apart[0]):
        return ""
    if apart[0] > CURVE_MAH:
        return f"Qd(V) is {apart[0]:.3g} mAh from the published curves"
    best = min(apart, key=lambda shift: apart[shift])
    if best and apart[best] < apart[0] / 2:
        return (
            f"cycle n fits the published cycle n{best:+d} better ({apart[best]:.3g} mAh) than n ({apart[0]:.3g} mAh): "
            "the cycle numbers seem shifted"
        )
    return ""


def _mean_mAh(a: np.ndarray, b: np.ndarray) -> float:
    """Median over the cycles both have (columns) of the mean distance, in mAh; NaN when they share none."""
    distance = np.abs(a - b).mean(axis=0)
    return float(np.nanmedian(distance)) * 1000 if np.isfinite(distance).any() else float("nan")
