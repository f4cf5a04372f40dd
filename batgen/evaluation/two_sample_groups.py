"""Which rows hang together, where measured and generated curves are compared as sets."""

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison

#: Fewer cells than this are too few to leave out one at a time.
LEAST_CELLS = 5
_BLOCK_ROWS, _MOST_BLOCKS = 10, 20


def two_sample_groups(comparison: Comparison, other: CurveSet) -> tuple[np.ndarray, np.ndarray]:
    """Groups of the measured rows (N,) and of the rows of `other` (M,), text: cells, or blocks of cycles of a cell.

    Cells, which is the stricter, where both sides have five or more and the split does not train on the tested cells.
    Else blocks: about 10 measured rows that follow one another in `ecl` (in the order of rows where it is not known), 2 to
    20 blocks a cell; a cell has as many blocks on both sides, of the same names, each the same share of its rows.
    """
    real = comparison.real
    numbers = [len(np.unique(one.cells)) for one in (real, other)]
    trained = comparison.train is not None and bool(np.isin(real.cells, comparison.train.cells).any())
    if min(numbers) >= LEAST_CELLS and not trained:
        return real.cells, other.cells
    names, counts = np.unique(real.cells, return_counts=True)
    wanted = {str(name): _blocks(int(count)) for name, count in zip(names, counts, strict=True)}
    return _in_blocks(real, wanted), _in_blocks(other, wanted)


def _blocks(rows: int) -> int:
    return min(max(rows // _BLOCK_ROWS, 2), _MOST_BLOCKS)


def _in_blocks(curves: CurveSet, wanted: dict[str, int]) -> np.ndarray:
    cells, cycle = curves.cells, np.nan_to_num(curves.column("ecl"))
    labels = np.empty(len(cells), dtype=object)
    for name in np.unique(cells):
        rows = np.flatnonzero(cells == name)
        rows = rows[np.argsort(cycle[rows], kind="stable")]
        count = wanted.get(str(name), _blocks(len(rows)))
        labels[rows] = [f"{name} block {number}" for number in np.arange(len(rows)) * count // len(rows)]
    return labels.astype(str)
