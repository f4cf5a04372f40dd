"""Split of pulse tests by state of charge: train at the SOCs of a list, test at all others.

A case is one list of training SOCs. cells=shared is the published protocol: every cell is on both sides, at other SOCs.
cells=disjoint separates physical cells as well, in k folds: an ageing stage of a training cell is never tested. Where a
case extrapolates (there are SOCs outside its list's range), `calibration` can give the training some cells that were
measured at all SOCs; these are not tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from batgen.data.split import check_train_share, kept_cells
from batgen.data.unseen_soc_member import SAME_SOC, Member, check_members, grid_rows, same_soc
from batgen.errors import ConfigError, DataError

CELLS = ("shared", "disjoint")
NONE, QUANTILE, RANDOM = CALIBRATIONS = ("none", "quantile", "random")


@dataclass(frozen=True, kw_only=True)
class UnseenSoc:
    """How to split pulse tests.

    cases: lists of training SOCs (fractions) by name. use: names of those that are trained; None: all. cells: shared |
    disjoint. folds: of physical cells, for disjoint. calibration: any of none, quantile (cells whose mean SOH is nearest
    to the quantiles (i + 1/2)/k of the training cells') and random; cases that interpolate get none. calibration_cells:
    how many of each battery type. seed: None takes the seed of the run. train_share: the share of each fold's training
    cells that is kept, at least one of each type and always the same for one seed; the tested rows stay as they are. run:
    only the first so many folds are run; None: all.
    """

    ACCEPTS = ("pulses",)

    cases: Mapping[str, list[float]]
    cells: str
    use: list[str] | None = None
    folds: int = 5
    calibration: list[str] = field(default_factory=lambda: [NONE])
    calibration_cells: int = 3
    seed: int | None = None
    train_share: float = 1.0
    run: int | None = None

    def __post_init__(self) -> None:
        _check_options(self)

    @property
    def chosen(self) -> dict[str, list[float]]:
        """The cases that are trained: name and training SOCs, ascending."""
        names = self.cases if self.use is None else map(str, self.use)
        socs = {str(name): sorted(map(float, listed)) for name, listed in self.cases.items()}
        return {name: socs[name] for name in map(str, names)}

    def members(self, table: pd.DataFrame, seed: int) -> list[Member]:
        """Every training of every case, fold and calibration, in this order; the same for the same table and seed.

        Raises DataError where the table lacks a training SOC or a second cell, or leaves a part empty; ConfigError where
        folds or calibration cells are more than there are cells.
        """
        seed = seed if self.seed is None else self.seed
        grid, soc, cell = grid_rows(table), table["soc"].to_numpy(float), table["cell_id"].to_numpy(str)
        for case, socs in self.chosen.items():
            self._check_case(table[grid], case, socs)
        made = []
        folds = self._folds(table, seed)
        for case, socs in self.chosen.items():
            trained = same_soc(soc, socs)
            outside = (soc < socs[0]) | (soc > socs[-1])
            extrapolates = bool((grid & outside & ~trained).any())
            for fold, tested_cells in enumerate(folds[: self.run]):
                tested = np.isin(cell, tested_cells)
                training = grid & (~tested if self.cells == "disjoint" else True)
                if self.train_share < 1:
                    training &= np.isin(cell, self._kept(table[training], seed, fold))
                for calibration in self.calibration if extrapolates else [NONE]:
                    chosen = self._calibrated(table[training], calibration, seed, fold)
                    calibrating = np.isin(cell, chosen)
                    member = Member(
                        case=case,
                        fold=fold,
                        calibration=calibration,
                        train=np.flatnonzero(training & (trained | calibrating)).astype(np.int64),
                        test=np.flatnonzero(grid & tested & ~trained & ~calibrating).astype(np.int64),
                        random=np.flatnonzero(~grid & tested & ~trained & ~calibrating).astype(np.int64),
                        calibration_cells=chosen,
                        extrapolates=extrapolates,
                    )
                    self._refuse_empty(table, member)
                    made.append(member)
        check_members(made, table, self.cells)
        return made

    def _check_case(self, grid: pd.DataFrame, case: str, socs: list[float]) -> None:
        where = f"split.cases.{case}={socs}"
        for battery, rows in grid.groupby("battery"):
            there = np.unique(rows["soc"].to_numpy(float).round(6))
            absent = [s for s in socs if not same_soc(there, [s]).any()]
            if absent:
                raise DataError(
                    f"{where}: {battery} was not measured at SOC {', '.join(map(str, absent))}. Choose among "
                    f"{', '.join(map(str, there))}."
                )
            if same_soc(there, socs).all():
                raise DataError(
                    f"{where}: these are all SOCs at which {battery} was measured, so there is none to test. Take one out."
                )

    def _folds(self, table: pd.DataFrame, seed: int) -> list[np.ndarray]:
        """The cells tested in each fold: all of them in one where cells are shared.

        Within each type cells go to folds in random order, the largest first and each to the smallest fold. Cells that
        have no grid rows are dealt out after the others, so that every fold can be trained and tested.
        """
        cells = table.assign(on_grid=grid_rows(table)).groupby(["battery", "cell_id"], sort=True)["on_grid"]
        counted = pd.DataFrame({"grid": cells.sum(), "rows": cells.size()}).reset_index()
        for battery, having in counted[counted["grid"] > 0].groupby("battery"):
            if len(having) < 2:
                raise DataError(
                    f"{battery} has one physical cell only, {having['cell_id'].iloc[0]}: nothing learned from it can be "
                    "tested on another. Add cells, or check which column tells them apart."
                )
            if self.cells == "disjoint" and len(having) < self.folds:
                raise ConfigError(
                    f"split.folds={self.folds}: {battery} has {len(having)} physical cells only. Use "
                    f"split.folds={len(having)} or fewer."
                )
        if self.cells == "shared":
            return [counted["cell_id"].to_numpy(str)]
        rng = np.random.default_rng([seed, 0])
        fold_of = np.empty(len(counted), dtype=np.int64)
        total = np.zeros(self.folds, dtype=np.int64)
        for _, of_type in counted.groupby("battery"):
            for part, size in ((of_type[of_type["grid"] > 0], "grid"), (of_type[of_type["grid"] == 0], "rows")):
                load = np.zeros(self.folds, dtype=np.int64)
                shuffled = part.iloc[rng.permutation(len(part))].sort_values(size, ascending=False, kind="stable")
                for number, weight in zip(shuffled.index, shuffled[size], strict=True):
                    fold = np.lexsort((total, load))[0]  # the smallest of this type, then of all types
                    fold_of[number] = fold
                    load[fold] += weight
                    total[fold] += weight
        return [counted["cell_id"].to_numpy(str)[fold_of == fold] for fold in range(self.folds)]

    def _kept(self, training: pd.DataFrame, seed: int, fold: int) -> list[str]:
        """The training cells of one fold that `train_share` keeps, of each battery type."""
        types = training.groupby("battery", sort=True)["cell_id"]
        kept = [kept_cells(cells.to_numpy(str), self.train_share, [seed, 2, fold]) for _, cells in types]
        return [str(cell) for cells in kept for cell in cells]

    def _calibrated(self, training: pd.DataFrame, kind: str, seed: int, fold: int) -> tuple[str, ...]:
        """The calibration cells of one fold, of each type `calibration_cells` of its training cells."""
        if kind == NONE:
            return ()
        rng = np.random.default_rng([seed, 1, fold])
        chosen: list[str] = []
        stages = training.drop_duplicates("stage_id")  # a stage counts once, at however many SOCs it was measured
        for battery, rows in stages.groupby("battery"):
            soh = rows.groupby("cell_id")["soh"].mean()
            most = len(soh) - (self.cells == "shared")
            if self.calibration_cells > most:
                raise ConfigError(
                    f"split.calibration_cells={self.calibration_cells}: {battery} has {len(soh)} training cells"
                    f"{', one of which must be left to test' if self.cells == 'shared' else ''}. Use {most} or fewer."
                )
            names = soh.index.to_numpy(str)
            if kind == RANDOM:
                chosen += rng.choice(names, self.calibration_cells, replace=False).tolist()
            else:
                chosen += _nearest_to_quantiles(names, soh.to_numpy(), self.calibration_cells)
        return tuple(sorted(chosen))

    def _refuse_empty(self, table: pd.DataFrame, member: Member) -> None:
        for battery in table["battery"].unique():
            for part in ("train", "test"):
                if not (table["battery"].to_numpy()[getattr(member, part)] == battery).any():
                    raise DataError(
                        f"split.cases.{member.case}, fold {member.fold}, calibration {member.calibration}: {battery} has no "
                        f"{part} rows left, since its {part} cells were not measured at the SOCs wanted. Use fewer "
                        "split.folds or split.calibration_cells, or other SOCs."
                    )


def _nearest_to_quantiles(names: np.ndarray, soh: np.ndarray, count: int) -> list[str]:
    """`count` different cells, whose SOH is nearest to the quantiles (i + 1/2)/count of them all."""
    free = np.ones(len(names), dtype=bool)
    for wanted in np.quantile(soh, (np.arange(count) + 0.5) / count):
        free[np.argmin(np.where(free, np.abs(soh - wanted), np.inf))] = False
    return [str(name) for name in names[~free]]


def _check_options(split: UnseenSoc) -> None:
    """Raise ConfigError for an option that cannot be meant."""
    check_train_share(split.train_share)
    names = [str(name) for name in split.cases]
    if not names:
        raise ConfigError(
            "split.cases is empty: name one case at least, such as split.cases={mine: [0.05, 0.25, 0.5]}."
        )
    if split.use is not None:
        if isinstance(split.use, str | int):
            raise ConfigError(f"split.use={split.use}: it must be a list, such as split.use=[{split.use}].")
        use = [str(name) for name in split.use]
        unknown = [name for name in use if name not in names]
        if unknown or not use or len(set(use)) < len(use):
            what = (
                f"there is no case {unknown[0]}" if unknown else "a case is named twice" if use else "no case is named"
            )
            raise ConfigError(f"split.use=[{', '.join(use)}]: {what}. Choose among {', '.join(names)}; null uses all.")
    for name, socs in split.cases.items():
        _check_socs(f"split.cases.{name}", socs)
    if split.cells not in CELLS:
        raise ConfigError(f"split.cells={split.cells}: it must be {' or '.join(CELLS)}.")
    if split.cells == "disjoint" and split.folds < 2:
        raise ConfigError(f"split.folds={split.folds}: cells can be separated in 2 folds or more.")
    if split.run is not None and split.run < 1:
        raise ConfigError(f"split.run={split.run}: at least 1, or null for all folds.")
    known = ", ".join(CALIBRATIONS)
    kinds = split.calibration
    if isinstance(kinds, str) or not kinds or len(set(kinds)) < len(kinds):
        raise ConfigError(f"split.calibration={kinds}: it must be a list of some of {known}, each once.")
    for kind in kinds:
        if kind not in CALIBRATIONS:
            raise ConfigError(f"split.calibration: {kind!r} is none of {known}.")
    if split.calibration_cells < 1:
        raise ConfigError(
            f"split.calibration_cells={split.calibration_cells}: give 1 or more; split.calibration=[none] uses none."
        )


def _check_socs(key: str, socs: list[float]) -> None:
    if isinstance(socs, str) or not socs:
        raise ConfigError(f"{key}={socs}: it must be a list of training SOCs, such as [0.05, 0.25, 0.5].")
    for soc in socs:
        if isinstance(soc, bool) or not isinstance(soc, int | float):
            raise ConfigError(f"{key}: {soc!r} is not a number. Give SOCs as fractions, such as 0.25.")
        if soc > 1:
            raise ConfigError(f"{key}: {soc:g} is no fraction. If it is percent, write {soc / 100:g}.")
        if not soc >= 0:
            raise ConfigError(f"{key}: {soc:g} is below 0. SOCs are fractions from 0 to 1.")
    ordered = sorted(socs)
    for first, second in pairwise(ordered):
        if second - first < SAME_SOC:
            raise ConfigError(f"{key}: SOC {first:g} is in the list twice. Leave one of them out.")
