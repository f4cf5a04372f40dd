"""The split that a dataset was published with, for per-cycle sequences; validation cells are taken from its training set."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.cell import Source
from batgen.errors import ConfigError, DataError


@dataclass(frozen=True)
class PublishedSplit:
    """Train and test sets as `source.parts()` names them; every set besides `train` is a test set of its own.

    val: fraction of the training cells that validate instead, spread over their lives. seed: null takes the seed of the
    run. Raises ConfigError when `val` is not between 0 and 1.
    """

    ACCEPTS = ("sequences",)
    kind = "published"
    column = "cell_id"

    val: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_fraction(self.val)

    def divide(self, cells: pd.DataFrame, short: pd.DataFrame, source: Source, seed: int) -> dict[str, tuple[str, ...]]:
        """Cell ids of train, val and the test sets, of the `cells` that can be used; `short` are the others, a row each.

        Raises ConfigError for a source without a published split, DataError when that split is not of these cells.
        """
        parts = getattr(source, "parts", None)
        if not callable(parts):
            raise ConfigError(
                f"split=published: data={source.name} has no published split; data=mit_summary has one. "
                "Use split=cell, or split=chronological for few cells."
            )
        named: dict[str, list[str]] = parts()
        if "train" not in named or "val" in named or len(named) < 2:
            raise DataError(
                f"{source.name}: its published split has the parts {', '.join(named)}; it needs train and test."
            )
        usable = set(cells["cell_id"])
        known = usable | set(short["cell_id"])
        mentioned = [cell for ids in named.values() for cell in ids]
        if odd := sorted(known.symmetric_difference(mentioned)):
            where = "split but not in the data" if odd[0] in mentioned else "data but not in the split"
            raise DataError(f"{source.name}: cell {odd[0]} and {len(odd) - 1} others are in the published {where}.")
        kept = {part: tuple(cell for cell in ids if cell in usable) for part, ids in named.items()}
        rng = np.random.default_rng(seed if self.seed is None else self.seed)
        train, val = hold_out(cells[cells["cell_id"].isin(kept.pop("train"))], self.val, rng)
        return {"train": train, "val": val, **kept}


def check_fraction(val: float) -> None:
    if not 0 < val < 1:
        raise ConfigError(f"split.val={val}: a fraction of the training cells, between 0 and 1, such as split.val=0.2.")


def hold_out(cells: pd.DataFrame, fraction: float, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training and validation cells: a `fraction` (at least one) validates, from all sources and lengths of life.

    In order of source and life (end of life, or the last cycle of a censored cell), one of every few consecutive cells
    is drawn. Fewer than two cells leave training empty, for the caller to refuse.
    """
    life = cells["eol"].fillna(cells["last_cycle"])
    order = cells.assign(life=life).sort_values(["source", "life", "cell_id"])["cell_id"].tolist()
    count = min(len(order), max(1, round(fraction * len(order))))
    val = {str(rng.choice(block)) for block in np.array_split(np.array(order, dtype=str), count) if len(block)}
    return _in_order(cells, set(order) - val), _in_order(cells, val)


def _in_order(cells: pd.DataFrame, chosen: set[str]) -> tuple[str, ...]:
    return tuple(cell for cell in cells["cell_id"] if cell in chosen)
