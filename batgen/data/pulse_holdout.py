"""A split within the training rows of a pulse split, for choosing settings: validation that is like the test, without it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from batgen.data.unseen_soc_member import Member, check_members, same_soc
from batgen.errors import ConfigError, DataError

#: Share of the training cells of each battery type that validate.
SHARE = 0.2


def hold_out(
    member: Member, table: pd.DataFrame, socs: Sequence[float], cells: str, seed: int
) -> tuple[Member, list[float]]:
    """A member whose train and test are both of `member.train`, and its training SOCs; the same for the same seed.

    As in the test, neither the SOC nor (cells "disjoint") the cells of its test rows are trained on. The SOC is an inner
    one of `socs`; where the case extrapolates, the end of `socs` beyond which more is tested. The cells are a fifth of each
    type's, at least one; where cells are shared, all of them. Calibration cells keep all their rows and validate nothing.
    Raises ConfigError for a case with fewer than three SOCs, DataError for a type with fewer than two such cells.
    """
    held = _held_soc(member, table, socs)
    rows = member.train
    cell, at_held = table["cell_id"].to_numpy(str)[rows], same_soc(table["soc"].to_numpy(float)[rows], [held])
    calibrating = np.isin(cell, member.calibration_cells)
    validating = ~calibrating
    if cells == "disjoint":
        candidates = table.iloc[rows[at_held & ~calibrating]].groupby("battery", sort=True)["cell_id"]
        rng = np.random.default_rng([seed, 3, member.fold])
        validating &= np.isin(cell, [name for kind, of in candidates for name in _drawn(str(kind), of, rng)])
    known = ~at_held & ~validating if cells == "disjoint" else ~at_held
    made = Member(
        case=member.case,
        fold=member.fold,
        calibration=member.calibration,
        train=rows[known | calibrating],
        test=rows[at_held & validating],
        random=rows[:0],
        calibration_cells=member.calibration_cells,
        extrapolates=member.extrapolates,
    )
    _refuse_empty(made, sorted(set(table["battery"].iloc[rows])), table, held)
    check_members([made], table, cells)
    return made, [soc for soc in socs if not same_soc(np.array([soc]), [held])[0]]


def _held_soc(member: Member, table: pd.DataFrame, socs: Sequence[float]) -> float:
    if len(socs) < 3:
        raise ConfigError(
            f"split.cases.{member.case}={list(socs)}: a search holds out one training SOC to judge by, so it needs three or "
            "more. Search with another case, such as split.use=[3], and train this one with best=..."
        )
    if not member.extrapolates:
        inner = socs[1:-1]
        return inner[len(inner) // 2]
    asked = table["soc"].to_numpy(float)[member.test]
    return socs[0] if (asked < socs[0]).sum() > (asked > socs[-1]).sum() else socs[-1]


def _drawn(battery: str, cells: pd.Series, rng: np.random.Generator) -> list[str]:
    names = np.unique(cells.to_numpy(str))
    if len(names) < 2:
        raise DataError(
            f"{battery}: {len(names)} cell to train on, so a search has none to hold out. Use fewer split.folds or "
            "split.calibration_cells, or a larger split.train_share."
        )
    return [str(name) for name in rng.permutation(names)[: max(1, round(SHARE * len(names)))]]


def _refuse_empty(made: Member, kinds: Sequence[str], table: pd.DataFrame, held: float) -> None:
    battery = table["battery"].to_numpy(str)
    for kind in kinds:
        for part, rows in (("to train on", made.train), ("to judge by", made.test)):
            if not (battery[rows] == kind).any():
                raise DataError(
                    f"split.cases.{made.case}, fold {made.fold}: a search holds out SOC {held:g}, which leaves {kind} no rows "
                    f"{part}. Use fewer split.folds or split.calibration_cells, or other SOCs."
                )
