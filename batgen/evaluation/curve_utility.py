"""What generated curves are good for: a regressor of soh or life learns from them and is tested on measured curves."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.profile_utility import TrainingRows, estimate, utility_inputs
from batgen.evaluation.score_rows import per_row

TARGETS = ("soh", "eol")
#: Folds of cells where the generator was only asked at held-out conditions.
FOLDS = 3
#: Fewer measured rows with a known target teach and test nothing.
_LEAST_ROWS = 8
#: Test inputs go this many standard deviations from the training mean at most, and estimates this many ranges beyond targets.
_CLIP, _BEYOND = 6.0, 0.5
_USELESS = "measured curves tell this target no better than a constant: it judges no generator"


def utility_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the family "utility", for the targets soh (1) and eol (cycles) that the table knows; lower is better.

    TSTR_MAE: mean absolute error on measured held-out rows of a ridge regression trained on generated curves, labelled
        with the target of the row that they were drawn for. floor: trained on as many measured curves instead (TRTR).
    augmented_MAE: trained on both together; floor: on the measured ones alone. Synthetic data help where it is lower.
    Both rows have a further key "constant": the error of the mean of the training targets, for every row. Where the floor is
    not below it, a note says that the target judges nothing.
    Inputs are the feature map of `utility_inputs`: means of each signal over 8 stretches, and log duration where there
    is time_s; conditions are not among them. The strength of the ridge is chosen by leaving out cells. Interval: bootstrap
    over the tested cells. A target that the generator was told is no leak: what is tested is whether curve and target
    belong together as in measured curves.

    With draws at the training conditions (`at_train`), the first draw stands beside the training curves; tested cells are
    not learnt from, unless a split by cycles leaves no others. Without, the first draw of `draws` stands beside the held-out
    curves, and both are learnt from and tested by cross-fitting, the tested cells left out. Measured curves with gaps are
    left out. No rows where neither is there, of sequences over cycles, where fewer than two cells can be learnt from, and
    for a constant target. Source: TSTR of Esteban et al. 2017; augmentation after Ravuri & Vinyals 2019.
    """
    about = {**context, "family": "utility"}
    learnt, made = _sources(comparison)
    if learnt is None or made is None or not len(comparison.real) or comparison.real.axis_name == "cycle":
        return []
    inputs = [_inputs(learnt, learnt.values), _inputs(learnt, made), _inputs(comparison.real, comparison.real.values)]
    rows = []
    for target in TARGETS:
        errors = _errors(comparison, learnt, inputs, target)
        if errors is None:
            continue
        constant = float(np.nanmean(errors["constant"]))
        told = about
        if np.nanmean(errors["measured"]) >= constant:
            told = {**about, "note": "; ".join(filter(None, (str(context.get("note") or ""), _USELESS)))}
        for metric, source in (("TSTR_MAE", "made"), ("augmented_MAE", "both")):
            value, floor = {target: errors[source]}, {target: errors["measured"]}
            found = per_row(metric, value, floor, comparison.real.cells, seed, told)
            rows += [{**row, "constant": constant} for row in found]
    return rows


def _sources(comparison: Comparison) -> tuple[CurveSet | None, np.ndarray | None]:
    """Measured curves to learn from, and generated ones (rows, S, P) for the same conditions."""
    if comparison.train is not None and comparison.at_train is not None and len(comparison.at_train):
        return comparison.train, comparison.at_train[0]
    if comparison.draws is not None and len(comparison.draws):
        return comparison.real, comparison.draws[0]
    return None, None


def _inputs(like: CurveSet, values: np.ndarray) -> np.ndarray:
    """(N, F), as in `utility_inputs`; the duration is 1 s where there is no time."""
    curves = like.with_values(values)
    time = curves.signal("time_s").astype(np.float64) if curves.has("time_s") else None
    duration = np.ones(len(curves)) if time is None else np.maximum(time[:, -1] - time[:, 0], 1.0)
    rest = [name for name in curves.signals if name != "time_s"]
    return utility_inputs(curves.only(rest).values, duration, np.empty((len(curves), 0)))


def _errors(
    comparison: Comparison, learnt: CurveSet, inputs: list[np.ndarray], target: str
) -> dict[str, np.ndarray] | None:
    """Absolute error of each measured row (N,) by each source: "measured", "made", "both", "constant"; NaN where the row's
    target is not known. None where there is nothing to learn."""
    real = comparison.real
    goal, label = real.column(target), learnt.column(target)
    known = np.isfinite(label) & np.isfinite(inputs[0]).all(axis=1)
    asked = np.isfinite(goal) & np.isfinite(inputs[2]).all(axis=1)
    if min(known.sum(), asked.sum()) < _LEAST_ROWS or not np.ptp(label[known]) > 0:
        return None
    if len(np.unique(learnt.cells[known])) < 2:
        return None
    names = ("measured", "made", "both", "constant")
    errors = {name: np.full(len(real), np.nan) for name in names}
    for train, test in _folds(comparison, learnt, known, asked):
        measured, made = (TrainingRows(one[train], label[train], learnt.cells[train]) for one in inputs[:2])
        both = TrainingRows(*(np.concatenate(pair) for pair in zip(_parts(measured), _parts(made), strict=True)))
        shared = partial(_estimate, measured, inputs[2][test])
        said = comparison.once(f"{target} of row {test[0]} and others", shared)  # the same for every method
        errors["measured"][test] = np.abs(said - goal[test])
        for name, source in (("made", made), ("both", both)):
            errors[name][test] = np.abs(_estimate(source, inputs[2][test]) - goal[test])
        errors["constant"][test] = np.abs(label[train].mean() - goal[test])
    return errors


def _parts(rows: TrainingRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.inputs, rows.target, rows.cells


def _folds(
    comparison: Comparison, learnt: CurveSet, known: np.ndarray, asked: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to learn from and, of the measured set, to test on."""
    if learnt is not comparison.real:
        own = np.flatnonzero(known & ~np.isin(learnt.cells, comparison.real.cells))
        # A split by cycles trains on the tested cells: then there are no others to learn from.
        yield (own if len(np.unique(learnt.cells[own])) > 1 else np.flatnonzero(known)), np.flatnonzero(asked)
        return
    rows = np.flatnonzero(known)
    cells = learnt.cells[rows]
    for train, test in GroupKFold(min(FOLDS, len(np.unique(cells)))).split(rows, groups=cells):
        yield rows[train], rows[test]


def _estimate(source: TrainingRows, inputs: np.ndarray) -> np.ndarray:
    """`estimate`, kept from running away where generated curves hardly differ; infinite where none is of numbers."""
    fine = np.isfinite(source.inputs).all(axis=1)
    if fine.sum() < 2:
        return np.full(len(inputs), np.inf)
    centre, spread = source.inputs[fine].mean(axis=0), source.inputs[fine].std(axis=0)
    low, high = source.target.min(), source.target.max()
    found = estimate(source, np.clip(inputs, centre - _CLIP * spread, centre + _CLIP * spread))
    beyond = _BEYOND * (high - low)
    return np.clip(found, low - beyond, high + beyond)
