"""Splits of the sample table into train, val and test, with the leak each kind closes or leaves open.

- `sample`: rows in random order, as published: cycles of one cell are on every side.
- `cell`: no cell on two sides. `policy`: no charging policy on two sides. `condition`: no value of the column `by`.
- `chronological`: within each cell the earlier cycles train, the later ones test.

train : val : test are weights, only their ratios count; the paper's 94 of 124 with 4:1 inside are 75.2 : 18.8 : 30.
`train_share` below 1 keeps that share of the cells of train and of val, for learning curves: what the other cells would
give is in no part. The test set is that of train_share=1, and the cells of a share are among those of any larger one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from batgen.errors import ConfigError, DataError

PARTS = ("train", "val", "test")
#: In a saved split beside PARTS: rows that no part has, since `train_share` leaves their cells out.
LEFT_OUT = "left_out"
KINDS = ("sample", "cell", "policy", "condition", "chronological")
#: Groups are distributed anew, so many times at most, until every part is within this fraction of all samples.
_TRIES, _NEAR = 64, 0.08
_GROUP_COLUMN = {"cell": "cell_id", "policy": "policy"}


@dataclass(frozen=True)
class Split:
    """How to split. `seed` None takes the seed of the run; `by` is the column of kind `condition`; `train_share` the share
    of the cells of train and of val that are kept, at least one of each; where cells are on both sides, of all of them."""

    ACCEPTS = ("curves", "sequences", "profiles")

    kind: str
    train: float
    val: float
    test: float
    seed: int | None = None
    by: str | None = None
    train_share: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"split.kind={self.kind}: it must be one of {', '.join(KINDS)}.")
        for part in PARTS:
            if not getattr(self, part) > 0:
                raise ConfigError(f"split.{part}={getattr(self, part)}: every part needs a weight above 0.")
        if (self.by is not None) != (self.kind == "condition"):
            raise ConfigError(f"split.by={self.by}: kind=condition needs the name of a column here, other kinds none.")
        check_train_share(self.train_share)
        if self.train_share < 1 and self.kind == "chronological":
            raise ConfigError("split.train_share: kind=chronological tests every cell it trains on. Use split=cell.")

    @property
    def column(self) -> str | None:
        """The column of which no value is on two sides; None for the kinds that separate nothing."""
        return _GROUP_COLUMN.get(self.kind, self.by)

    def assign(self, samples: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
        """Row numbers (int64, ascending) of train, val and test; together every row once, but for those that train_share
        leaves out.

        The same for the same samples and seed, whatever the order of rows for the kinds that separate groups.
        Raises ConfigError when a part would be empty or the column is absent.
        """
        seed = seed if self.seed is None else self.seed
        rng = np.random.default_rng(seed)
        weights = np.array([self.train, self.val, self.test], dtype=float)
        weights /= weights.sum()
        if self.kind == "sample":
            order = rng.permutation(len(samples))
            label = np.empty(len(samples), dtype=np.int64)
            label[order] = _ranges(len(samples), weights)
        elif self.kind == "chronological":
            label = np.empty(len(samples), dtype=np.int64)
            for rows in samples.groupby("cell_id", sort=False).indices.values():
                ordered = rows[np.argsort(samples["ecl"].to_numpy()[rows], kind="stable")]
                label[ordered] = _ranges(len(rows), weights)
        else:
            label = _by_group(self._groups(samples), weights, rng)
        parts = {name: np.flatnonzero(label == number).astype(np.int64) for number, name in enumerate(PARTS)}
        self._refuse_empty(parts, samples)
        check_split(samples, parts, self.kind, self.by)
        if self.train_share == 1:
            return parts
        cells = samples["cell_id"].to_numpy(str)
        for sides in (["train"], ["val"]) if self.column else (["train", "val"],):
            there = cells[np.concatenate([parts[name] for name in sides])]
            kept = kept_cells(there, self.train_share, [seed, 2])
            parts |= {name: parts[name][np.isin(cells[parts[name]], kept)] for name in sides}
        self._refuse_empty(parts, samples)
        return parts

    def _groups(self, samples: pd.DataFrame) -> np.ndarray:
        if self.column not in samples.columns:
            raise ConfigError(
                f"split.by={self.column}: no such column of the samples; choose among {', '.join(samples.columns)}."
            )
        return samples[self.column].to_numpy()

    def _refuse_empty(self, parts: Mapping[str, np.ndarray], samples: pd.DataFrame) -> None:
        empty = [name for name in PARTS if not len(parts[name])]
        if empty:
            counts = ", ".join(f"{name} {len(parts[name])}" for name in PARTS)
            having = f"{len(samples)} samples of {samples['cell_id'].nunique()} cells"
            if self.column:
                having += f" with {samples[self.column].nunique(dropna=False)} values of {self.column}"
            raise ConfigError(
                f"split={self.kind} leaves {' and '.join(empty)} empty ({counts}) for {having}: "
                "use another split, more cycles, or weights that are less uneven."
            )


def check_train_share(share: float) -> None:
    """Raise ConfigError unless `share` is a fraction above 0 and at most 1."""
    if not 0 < share <= 1:
        raise ConfigError(f"split.train_share={share}: it must be a fraction above 0, at most 1, such as 0.1.")


def kept_cells(cells: np.ndarray, share: float, seed: list[int]) -> np.ndarray:
    """The names of `share` of the different `cells` (N,), rounded, at least one; those of a share are among any larger one's."""
    names = np.unique(cells)
    kept: np.ndarray = names[np.random.default_rng(seed).permutation(len(names))[: max(1, round(share * len(names)))]]
    return kept


def check_split(samples: pd.DataFrame, parts: Mapping[str, np.ndarray], kind: str, by: str | None = None) -> None:
    """Raise DataError unless the parts cover every row once and keep apart what the kind of split promises.

    `parts` may have LEFT_OUT beside PARTS, rows that belong to none of them.
    """
    rows = np.concatenate(list(parts.values()))
    if len(rows) != len(samples) or not np.array_equal(np.sort(rows), np.arange(len(samples))):
        raise DataError(
            f"The parts of this {kind} split have {len(rows)} rows, {len(np.unique(rows))} of them different, "
            f"of {len(samples)} samples: each must be there once."
        )
    if kind == "chronological":
        label = np.empty(len(samples), dtype=np.int64)
        for number, name in enumerate(PARTS):
            label[parts[name]] = number
        ordered = samples.assign(part=label).sort_values(["cell_id", "ecl"], kind="stable")
        back = ordered.groupby("cell_id")["part"].diff() < 0
        if back.any():
            cell = ordered.loc[back, "cell_id"].iloc[0]
            raise DataError(f"The chronological split trains on cycles of cell {cell} later than some it tests on.")
    column = _GROUP_COLUMN.get(kind, by)
    if column:
        sides = {name: set(samples[column].to_numpy()[parts[name]]) for name in PARTS}
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            if shared := sides[first] & sides[second]:
                one = min(shared, key=str)
                raise DataError(f"The {kind} split leaks: {column} {one} is in {first} and in {second}.")


def to_json(split: Split, samples: pd.DataFrame, parts: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """A split as plain containers: what made it, and per part, and of the rows left out, {cell_id: [ecl, ...]}."""
    content = {}
    lost = np.setdiff1d(np.arange(len(samples)), np.concatenate([parts[name] for name in PARTS]))
    for name, rows_of in {**parts, **({LEFT_OUT: lost} if len(lost) else {})}.items():
        chosen = samples.iloc[rows_of].sort_values(["cell_id", "ecl"])
        content[name] = {str(cell): [int(e) for e in rows["ecl"]] for cell, rows in chosen.groupby("cell_id")}
    return {
        "kind": split.kind,
        "by": split.by,
        "weights": {name: float(getattr(split, name)) for name in PARTS},
        "seed": seed if split.seed is None else split.seed,
        **({"train_share": split.train_share} if split.train_share < 1 else {}),
        "parts": content,
    }


def from_json(saved: Mapping[str, Any], samples: pd.DataFrame) -> dict[str, np.ndarray]:
    """The row numbers that a saved split means in `samples`.

    Raises DataError when the samples are not those of the saved split, or it leaks.
    """
    row = {key: number for number, key in enumerate(zip(samples["cell_id"], samples["ecl"], strict=True))}
    parts = {}
    for name in saved["parts"]:
        keys = [(cell, ecl) for cell, ecls in saved["parts"][name].items() for ecl in ecls]
        if lost := [key for key in keys if key not in row]:
            raise DataError(
                f"The saved split has cycle {lost[0][1]} of cell {lost[0][0]} and {len(lost) - 1} others that the data "
                "do not have: data or preprocessing changed since; train again."
            )
        parts[name] = np.sort(np.array([row[key] for key in keys], dtype=np.int64))
    check_split(samples, parts, saved["kind"], saved["by"])
    return {name: parts[name] for name in PARTS}


def _ranges(n: int, weights: np.ndarray) -> np.ndarray:
    """Labels (n,) 0, 1, 2 in consecutive ranges: first train + val against test, then train against val within."""
    kept = round(n * float(weights[0] + weights[1]))
    train = round(kept * float(weights[0] / (weights[0] + weights[1])))
    return np.repeat(np.arange(3), [train, kept - train, n - kept])


def _by_group(groups: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (n,): the first random distribution of whole groups that is near the weights, else the nearest of many."""
    _, number, size = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    best, least = np.zeros(len(size), dtype=np.int64), np.inf
    for _ in range(_TRIES):
        part_of = _distribute(size, weights, rng)
        share = np.bincount(part_of, weights=size, minlength=3) / len(groups)
        if (error := float(np.abs(share - weights).max())) < least:
            best, least = part_of, error
        if least <= _NEAR:
            break
    return best[number]


def _distribute(size: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Part of every group: in random order, each to the part that lacks most samples, none left empty if it can be."""
    lacking = weights * size.sum()
    part_of = np.empty(len(size), dtype=np.int64)
    empty = set(range(3))
    order = rng.permutation(len(size))
    for left, group in zip(range(len(size), 0, -1), order, strict=True):
        # the last groups go to the parts that have none yet
        choices = sorted(empty) if left <= len(empty) else [0, 1, 2]
        part = max(choices, key=lambda choice: lacking[choice])
        part_of[group] = part
        lacking[part] -= size[group]
        empty.discard(part)
    return part_of
