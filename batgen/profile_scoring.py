"""What models of all folds say of the test rows, in one set of arrays, and the rows of metrics that follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from batgen.data.profile_set import Drawn
from batgen.evaluation.profile_rows import Truth
from batgen.models.base import ProfileBatch
from batgen.profile_part import Member, Part

ModelOf = Callable[[Member], nn.Module]
#: Records of the tested cell itself, nearest in cycle, from which a measured neighbour is drawn.
_NEAREST = 5


@dataclass(frozen=True)
class Tests:
    """The test rows of all folds: row numbers (N,) in the part's profiles, and fold and test set of each."""

    rows: np.ndarray
    fold: np.ndarray
    test_set: np.ndarray

    __test__ = False  # not a test case, whatever pytest thinks of its name

    def of(self, member: Member) -> np.ndarray:
        """Places (n,) in these arrays of the member's rows."""
        return np.flatnonzero(self.fold == member.name)

    def sets(self) -> list[str]:
        return list(dict.fromkeys(self.test_set.tolist()))


def tests_of(part: Part) -> Tests:
    """All test rows, fold by fold."""
    found = [(rows, m.name, name) for m in part.members for name, rows in m.fold.tests.items()]
    return Tests(
        np.concatenate([rows for rows, _, _ in found]),
        np.concatenate([np.full(len(rows), fold) for rows, fold, _ in found]),
        np.concatenate([np.full(len(rows), name) for rows, _, name in found]),
    )


def sample(member: Member, model: nn.Module, batch: ProfileBatch, n: int, seed: int) -> Drawn:
    """n draws for each row of the batch, in physical units."""
    generator = torch.Generator().manual_seed(seed)
    x = model.sample(batch.cond, n, generator)  # type: ignore[operator]
    made: Drawn = member.preprocessing.inverse(x.numpy(), batch.base.numpy(), batch.base_duration_s.numpy())
    return made.held()


def sample_tests(part: Part, tests: Tests, model_of: ModelOf, n: int, seed: int) -> Drawn:
    """Draws (n, N, S, P) for all test rows, each from the model of its fold."""
    first = part.profiles
    curves = np.empty((n, len(tests.rows), *first.curves.shape[1:]), np.float32)
    duration = np.empty((n, len(tests.rows)))
    for number, member in enumerate(part.members):
        places = tests.of(member)
        if len(places):
            made = sample(member, model_of(member), part.batch(member, tests.rows[places]), n, seed + 7919 * number)
            curves[:, places], duration[:, places] = made.curves, made.duration_s
    return Drawn(curves, duration, first.signals, first.step_s)


def truth_of(part: Part, tests: Tests, after_s: float, seed: int) -> Truth:
    """The measured test rows, with a measured neighbour of each: a training record of the same protocol at about the same
    cycle, see `neighbours` (of another protocol, where no cell shares it)."""
    profiles, table = part.profiles, part.profiles.table
    chosen = profiles.take(tests.rows)
    rng = np.random.default_rng(seed)
    near = np.empty(len(tests.rows), dtype=np.int64)
    for member in part.members:
        near[tests.of(member)] = neighbours(table, tests.rows[tests.of(member)], member.known, rng)
    scale = np.mean([m.preprocessing.scale[:-1] for m in part.members], axis=0)
    log_scale = float(np.mean([m.preprocessing.scale[-1] for m in part.members]))
    known = np.unique(np.concatenate([m.known for m in part.members]))
    beside = profiles.take(near)
    return Truth(
        chosen.curves, chosen.duration_s, chosen.mask, chosen.time_s, profiles.signals,
        chosen.table["cell_id"].to_numpy(str), _groups(chosen.table), scale, log_scale, profiles.curves[known], after_s,
        Drawn(beside.curves, beside.duration_s, profiles.signals, profiles.step_s),
    )  # fmt: skip


def neighbours(table: pd.DataFrame, rows: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each of `rows` one of `known` (n,): of a random cell of its protocol, the record nearest in cycle, and in soc where
    it has several windows.

    Where a split trains on cycles of the tested cell, one of the `_NEAREST` of that cell: another cell is told apart at sight.
    """
    protocol, cell, ecl, soc = (table[name].to_numpy() for name in ("protocol", "cell_id", "ecl", "soc"))
    found = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        same = known[protocol[known] == protocol[row]]
        own = same[cell[same] == cell[row]]
        pool = same if len(same) else known
        mine = own if len(own) else pool[cell[pool] == rng.choice(np.unique(cell[pool].astype(str)))]
        nearest = mine[np.lexsort((np.abs(soc[mine] - soc[row]), np.abs(ecl[mine] - ecl[row])))]
        # not always the first: rows of one block would all get the record at its edge
        found[i] = rng.choice(nearest[:_NEAREST]) if len(own) else nearest[0]
    return found


def _groups(table: pd.DataFrame) -> np.ndarray:
    return (table["cell_id"].astype(str) + ", " + table["protocol"].astype(str)).to_numpy(str)


def shown_rows(tests: Tests, table: pd.DataFrame, count: int) -> np.ndarray:
    """Places of the rows that figures show draws of: of each cell, spread over its cycles."""
    cells = table["cell_id"].to_numpy(str)
    each = max(3, count // max(1, len(np.unique(cells))))
    places: list[int] = []
    for name in dict.fromkeys(cells.tolist()):
        own = np.flatnonzero(cells == name)
        places += own[np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int))].tolist()
    return np.array(sorted(places), dtype=np.int64)


def feature_table(
    method: str,
    role: str,
    tests: Tests,
    table: pd.DataFrame,
    measured: Mapping[str, Any],
    made: Mapping[str, Any],
    one: bool,
) -> pd.DataFrame:
    """One line a test row and feature: measured, predicted (mean over the draws), the 10 % and 90 % quantiles of the draws."""
    about = {
        "method": method, "role": role, "row": np.arange(len(tests.rows)), "cell_id": table["cell_id"].to_numpy(),
        "ecl": table["ecl"].to_numpy(), "fold": tests.fold, "test_set": tests.test_set,
        "protocol": table["protocol"].to_numpy(),
    }  # fmt: skip
    parts = []
    for name, true in measured.items():
        low, high = (np.full(len(true), np.nan),) * 2 if one else np.quantile(made[name], [0.1, 0.9], axis=0)
        values = {"measured": true, "predicted": made[name].mean(0), "low": low, "high": high}
        parts.append(pd.DataFrame({**about, "feature": name, **values}))
    return pd.concat(parts, ignore_index=True)
