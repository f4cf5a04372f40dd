"""Which conditions a generator listens to: does the error rise when it is told another row's conditions?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

#: A condition varies within protocols if its standard deviation there is more than this share of that over all rows:
#: below it is scatter of the measured value (the mean current of a constant-current record).
VARIES = 0.05
#: Beyond rounding: relative to the size of the values.
_CONSTANT = 1e-9


def permutation_rows(
    error: Callable[[np.ndarray], np.ndarray],
    cond: np.ndarray,
    blocks: Mapping[str, Sequence[int]],
    protocol: np.ndarray,
    noise: float,
    seed: int,
    repeats: int = 5,
) -> list[dict[str, Any]]:
    """One dict a block: block, how, value, unpermuted, n, learnt. Permutation importance of Breiman 2001, by block.

    Args:
        error: (N, C) conditions -> (N,) error of each row against its own measurement, lower is better, such as
            |predicted - measured| peak temperature or the energy score. It should use the same noise in every call.
        cond: (N, C) the true conditions of the rows.
        blocks: name -> columns of `cond` that move together: conditions that no data can tell apart (ambient and
            current on NASA), the one-hot columns of a category, or a single one.
        protocol: (N,) label of how each row was run.
        noise: by how much the mean error moves from one set of draws to another (say twice its standard deviation);
            what rises by less is not seen to be learnt.
        repeats: permutations over which `value` is the mean.

    how: "within protocol" where every varying condition of the block varies there (see VARIES): values are shuffled
    among the rows of each protocol, so that only combinations that occur are asked for; else "across": each row is given
    the block of a random row of another protocol. value and unpermuted: mean error with and without, over the n rows
    whose own error is known (not NaN); unit of `error`. learnt: "yes" if value exceeds unpermuted by more than `noise`,
    "no" if not, "constant" where the block does not vary over the rows, so that these rows cannot tell. Raises
    ValueError for shapes that do not match, columns that are not there and no known error.
    """
    cond, protocol = np.asarray(cond), np.asarray(protocol)
    if cond.ndim != 2 or protocol.shape != (len(cond),):
        raise ValueError(f"need conditions (N, C) and one protocol a row, got {cond.shape} and {protocol.shape}")
    wrong = {name: list(c) for name, c in blocks.items() if not len(c) or min(c) < 0 or max(c) >= cond.shape[1]}
    if wrong or repeats < 1:
        raise ValueError(f"blocks without columns of the {cond.shape[1]} there are, or no repeats: {wrong}, {repeats}")
    own = np.asarray(error(cond), dtype=np.float64)
    known = ~np.isnan(own)
    if own.shape != (len(cond),) or not known.any():
        raise ValueError(f"need one error for each of {len(cond)} rows, and some of them known, got {own.shape}")
    unpermuted = float(own[known].mean())
    labels = np.unique(protocol, return_inverse=True)[1]
    rows = []
    for name, columns in blocks.items():
        how = _how(cond[:, list(columns)], labels)
        value, learnt = unpermuted, "constant"
        if how:
            rng = np.random.default_rng(seed)
            values = []
            for _ in range(repeats):
                moved = cond.copy()
                sources = _within(labels, rng) if how == "within protocol" else _across(labels, rng)
                moved[:, list(columns)] = cond[sources][:, list(columns)]
                found = np.asarray(error(moved), dtype=np.float64)[known]
                values.append(np.nan_to_num(found, nan=np.inf).mean())
            value = float(np.mean(values))
            learnt = "yes" if value - unpermuted > noise else "no"
        rows.append(
            {
                "block": name,
                "how": how or "across",
                "value": value,
                "unpermuted": unpermuted,
                "n": int(known.sum()),
                "learnt": learnt,
            }
        )
    return rows


def _how(values: np.ndarray, labels: np.ndarray) -> str:
    """ "within protocol", "across", or "" for a block (N, B) that is constant."""
    values = values.astype(np.float64)
    spread = values.std(axis=0)
    varying = spread > _CONSTANT * (1.0 + np.abs(values).max(axis=0))
    if not varying.any():
        return ""
    counts = np.bincount(labels)
    means = np.stack([np.bincount(labels, weights=column) / counts for column in values.T], axis=1)
    inside = np.sqrt(np.square(values - means[labels]).mean(axis=0))
    return "within protocol" if (inside > VARIES * spread)[varying].all() else "across"


def _within(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) row numbers: a permutation that stays within each protocol."""
    sources = np.arange(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        sources[rows] = rng.permutation(rows)
    return sources


def _across(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) row numbers: for each row a random one of another protocol, with replacement: a permutation that changes
    every protocol does not exist where one protocol has more than half of the rows."""
    sources = np.arange(len(labels))
    for label in np.unique(labels):
        rows = labels == label
        sources[rows] = rng.choice(np.flatnonzero(~rows), int(rows.sum()))
    return sources
