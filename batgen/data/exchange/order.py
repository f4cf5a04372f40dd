"""How the curves of a set become the cycles of cells, for the formats that are told by cell and cycle."""

import numpy as np

from batgen.data.curve_set import CurveSet


def cycle_numbers(curves: CurveSet) -> tuple[np.ndarray, np.ndarray]:
    """Cycle number of each curve of one cell (N,), and the order (N,) that makes them go up.

    The number is `ecl` where that is whole and another one in every curve; else (many draws for one cycle) the curves
    are counted from 1 in their own order.
    """
    ecl = curves.column("ecl")
    if np.isfinite(ecl).all() and (ecl == np.rint(ecl)).all() and (ecl >= 0).all() and len(set(ecl)) == len(ecl):
        return ecl.astype(np.int64), np.argsort(ecl)
    return np.arange(1, len(curves) + 1), np.arange(len(curves))


def ended(curves: CurveSet) -> np.ndarray:
    """Number of points up to the last one at which any signal is known (N,)."""
    known = np.isfinite(curves.values).any(axis=1)
    found: np.ndarray = known.shape[1] - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), found, 0)


def samples(curves: CurveSet) -> np.ndarray:
    """(N,) the row of each curve in the whole set, where this is the part of one cell (column `sample`); else its own row."""
    found: np.ndarray = curves.table["sample"].to_numpy() if "sample" in curves.table else np.arange(len(curves))
    return found
