"""Runs of forecasters as comparisons: one a test set, target and cut; a curve is what comes after the cut."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen.build import build
from batgen.compared.judged import EvaluateSettings, Judged, Method, beside, trained_part
from batgen.data.curve_set import CurveSet
from batgen.evaluation.calibration import quantile_paths
from batgen.evaluation.clamp import held_truth
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.forecast import Forecast
from batgen.evaluation.forecast_settings import ForecastEvaluation
from batgen.evaluation.quantile_scores import is_deterministic
from batgen.forecasting import baseline_forecasts, model_forecasts
from batgen.preprocessing.sequence_series import Series
from batgen.sequence_cuts import tested_pairs, usable
from batgen.sequence_part import Part, prepare, train
from batgen.sequence_run import eol_capacities

#: Cycles of a forecast that are compared, at most.
_POINTS = 100


def of_part(conf: dict[str, Any], folder: Path, settings: EvaluateSettings) -> Iterator[Judged]:
    """Every target at every cut of every test set. Raises CheckpointError where a model is missing."""
    part: Part = trained_part(prepare, train, conf, folder)
    targets = part.members[0].preprocessing.target_names
    for name in part.parts.tests:
        for pairs in tested_pairs(part.parts, part.series, name, part.cuts, targets):
            for target in targets:
                yield _of_set(part, name, pairs, target, settings)


def _of_set(
    part: Part, test_set: str, pairs: Sequence[tuple[Series, int]], target: str, settings: EvaluateSettings
) -> Judged:
    fitted = [(member.preprocessing, member.trained) for member in part.members]
    series = [one for one, _ in pairs]
    cuts = [cut for _, cut in pairs]
    evaluation: ForecastEvaluation = build(part.conf["evaluation"])
    learnt, learnt_cuts = _learnt(part, cuts[0])
    until = max(s.last_cycle for s in (*series, *learnt))
    eol = eol_capacities(part)

    def forecasts(of: Sequence[Series], at: Sequence[int], name: str) -> list[Forecast]:
        return [f for f in model_forecasts(fitted, of, at, until, name, eol) if f.target == target]

    tests, known = forecasts(series, cuts, test_set), forecasts(learnt, learnt_cuts, "train")
    ahead = min(len(f.cycle) for f in (*tests, *known))
    step = max(1, ahead // _POINTS)
    at = np.arange(step - 1, ahead, step)
    real, train_set = (_curve_set(part, found, by, target, at) for found, by in ((tests, series), (known, learnt)))
    compare = beside(real, train_set, train_set, ("soh", "ecl", "ambient_degC", "c1", "q1", "c2"), settings.seed)

    def of_model() -> Comparison:
        return compare(_draws(tests, at, settings.draws), _draws(known, at, settings.draws))

    methods = [Method(part.title, "model", of_model)]
    for name, node in evaluation.baselines.items() if settings.baselines else ():

        def of_baseline(node: Any = node) -> Comparison:
            statics = [n for group in part.members[0].preprocessing.plan.statics.values() for n in group]
            mine = part.members[0]
            own = {s.cell_id: s for s in [*mine.train, *([] if part.parts.stops else mine.val)]}
            by = [
                baseline_forecasts(build(node), list(own.values()), like, part.series, statics)
                for like in (tests, known)
            ]
            return compare(_draws(by[0], at, 1), _draws(by[1], at, 1))

        methods.append(Method(str(name), "baseline", of_baseline))
    where = f"{test_set}, from cycle {round(float(np.mean(cuts)))}"
    context = {
        **part.context,
        "test_set": where if len(part.members[0].preprocessing.target_names) == 1 else f"{where}, {target}",
    }
    seen = float(np.isfinite(np.r_[real.values, train_set.values]).all(axis=0).mean())
    notes = [
        *part.notes,
        f"{where}: whole curves are compared over {seen:.0%} of the forecast, where no record has ended",
    ]
    return Judged(context, "", methods, notes=notes if seen < 1 else list(part.notes))


def _learnt(part: Part, cut: int) -> tuple[list[Series], list[int]]:
    """The series that models learn from, cut where the tests are (chronological splits: at the middle of what was learnt)."""
    every = {s.cell_id: s for member in part.members for s in member.train}
    chronological = part.parts.stops is not None
    asked = [(s, s.last_cycle // 2 if chronological else cut) for s in every.values()]
    found = usable(asked, part.members[0].preprocessing.target_names)
    return [s for s, _ in found], [c for _, c in found]


def _curve_set(
    part: Part, found: Sequence[Forecast], series: Sequence[Series], target: str, at: np.ndarray
) -> CurveSet:
    """What was measured at these places after the cut; a capacity is held at that of the end of life once it is there,
    NaN behind the end of a record that did not see it."""
    values = np.stack([_held_truth(f)[at] for f in found])[:, None].astype(np.float32)
    rows = []
    for forecast, one in zip(found, series, strict=True):
        info = one.info
        last = forecast.observed[-1] / info.nominal_capacity_Ah if target == "discharge_capacity_Ah" else np.nan
        rows.append(
            {
                "cell_id": one.cell_id, "ecl": forecast.cut_cycle, "eol": forecast.truth_eol_cycle, "soh": last,
                "ambient_degC": info.ambient_degC, "c1": info.c1, "q1": info.q1, "c2": info.c2, "policy": info.policy,
                "chemistry": info.chemistry, "nominal_capacity_Ah": info.nominal_capacity_Ah,
            }
        )  # fmt: skip
    about = {"part": "life", "data": part.store.source.name, "synthetic": False, "eol_capacity_Ah": found[0].eol_value}
    cuts = {f.cut_cycle for f in found}  # where cells are cut at their own cycles, the axis counts from the cut
    return CurveSet(
        values, (target,), at + 1.0 + (min(cuts) if len(cuts) == 1 else 0), "cycle", pd.DataFrame(rows), about
    )


def _draws(found: Sequence[Forecast], at: np.ndarray, n: int) -> np.ndarray:
    """(n, N, 1, P) courses through the quantiles of each forecast, one for a forecast that is one line."""
    lines = 1 if all(is_deterministic(f) for f in found) else n
    levels = (np.arange(lines) + 0.5) / lines
    paths = [_held(quantile_paths(f.quantiles[at], f.levels, levels), f.eol_value) for f in found]
    return np.stack(paths, axis=1)[:, :, None].astype(np.float32)


def _held_truth(forecast: Forecast) -> np.ndarray:
    return held_truth(forecast) if np.isfinite(forecast.eol_value) else forecast.truth


def _held(paths: np.ndarray, eol_value: float) -> np.ndarray:
    """Courses (K, H), each held at the end of life from where it gets there, as the measured ones are: records end there, and
    what a forecast says after it nobody asks."""
    if not np.isfinite(eol_value):
        return paths
    return np.where(np.logical_or.accumulate(paths <= eol_value, axis=1), eol_value, paths)
