"""From one trained pulse model to a table of estimates, and from that table to metric rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from batgen.evaluation import utility
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.pulses import (
    IDENTITY,
    Generator,
    PulseEvaluation,
    Task,
    Voltages,
    by_measured_rows,
    by_regression,
    generated_rows,
    infer,
)
from batgen.evaluation.rows import metric_rows

#: What `average` is the mean of: the generator read both ways, alone and with the measured rows.
AVERAGED = ("inversion", "generated", "generated+measured")
#: The inversion and the best estimator on measured rows: what the generator adds to it.
WITH_GP = "inversion+GP"
OURS = (*AVERAGED, "average", WITH_GP, "inversion_soc_unknown", "published_forest")


@dataclass
class Scores:
    """predictions: rows of IDENTITY, prior, method, estimate, low, high. voltages: by (role, name, prior)."""

    predictions: pd.DataFrame
    voltages: dict[tuple[str, str, str], Voltages]


def score_member(
    model: nn.Module, baselines: Mapping[str, nn.Module], task: Task, settings: PulseEvaluation, priors: list[str]
) -> Scores:
    """Everything known of one model on its test rows, under each prior, and of the baselines on the same rows."""
    tables: list[pd.DataFrame] = []
    voltages: dict[tuple[str, str, str], Voltages] = {}
    types = [(tested, task.train[task.train["battery"] == battery]) for battery, tested in task.test.groupby("battery")]
    measured = [by_measured_rows(train, task, tested) for tested, train in types]
    for (tested, _), known in zip(types, measured, strict=True):
        tables += [_tidy(tested, "any", method, values) for method, values in known.items()]
    for prior in priors:
        ours = Generator(model, task, prior, settings.published_shift_V)
        made = generated_rows(ours, settings)
        voltages["model", "", prior] = _voltages(ours, settings)
        others = {name: Generator(m, task, prior, {}) for name, m in baselines.items() if prior in ("none", "slope")}
        for name, other in others.items():
            voltages["baseline", name, prior] = _voltages(other, settings)
        for (tested, train), known in zip(types, measured, strict=True):
            found = estimates(ours, train, made, tested, settings)
            if "inversion" in found:
                found[WITH_GP] = _mean([found["inversion"], known["gaussian_process"]])
            for name, other in others.items():
                if other.has_density:
                    found[name] = infer(other, tested, PulseEvaluation(soc_unknown=False))["inversion"]
            tables += [_tidy(tested, prior, method, values) for method, values in found.items()]
    return Scores(pd.concat(tables, ignore_index=True), voltages)


def estimates(
    ours: Generator,
    train: pd.DataFrame,
    made: tuple[pd.DataFrame, np.ndarray],
    tested: pd.DataFrame,
    settings: PulseEvaluation,
) -> dict[str, np.ndarray]:
    """SOH of rows of one battery type by a generator, read every way it can be, and "average": name -> (N,), or (N, 3) with
    the ends of an interval. train: measured rows of the type; made: what `generated_rows` gives."""
    found = infer(ours, tested, settings) if ours.has_density else {}
    found |= by_regression(train, ours.task, made, tested)
    return found | {"average": _mean([found[m] for m in AVERAGED if m in found])}


def _mean(values: list[np.ndarray]) -> np.ndarray:
    """(N,) from estimates (N,), or (N, 3) with the ends of an interval after them."""
    mean: np.ndarray = np.mean([e[:, 0] if e.ndim == 2 else e for e in values], axis=0)
    return mean


def _voltages(generator: Generator, settings: PulseEvaluation) -> Voltages:
    task = generator.task
    rows = task.test[task.test["test_set"] == "grid"]
    return Voltages(rows[IDENTITY], task.volts(rows), generator.draw(rows, settings.keep_draws).astype(np.float32))


def _tidy(tested: pd.DataFrame, prior: str, method: str, values: np.ndarray) -> pd.DataFrame:
    values = values if values.ndim == 2 else np.c_[values, np.full((len(values), 2), np.nan)]
    table = tested[IDENTITY].assign(prior=prior, method=method)
    table["estimate"], table["low"], table["high"] = values.T
    return table[np.isfinite(table["estimate"])]


def soh_rows(predictions: pd.DataFrame, context: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Metric rows of every (battery, calibration, prior, test_set, method) of one case, all folds together.

    MAPE with a 95 % bootstrap interval over physical cells, standard deviation of APE and, for methods that give an
    interval, its coverage and mean width.
    """
    rows: list[dict[str, Any]] = []
    keys = ["battery", "calibration", "prior", "test_set", "method"]
    for values, part in predictions.groupby(keys, sort=False):
        place = dict(zip(keys, values, strict=True))
        ours = place["method"] in OURS
        true, estimate = part["soh"].to_numpy(float), part["estimate"].to_numpy(float)
        ape = utility.absolute_percentage_error(true, estimate)
        of = {**context, **place, "role": "model" if ours else "baseline", "n": len(part)}
        interval = bootstrap_over_cells(ape, part["cell_id"].to_numpy(str), seed)
        rows += metric_rows("MAPE", {"SOH": utility.mape(true, estimate)}, of, {"SOH": interval})
        rows += metric_rows("APE_std", {"SOH": utility.ape_std(true, estimate)}, of)
        low, high = part["low"].to_numpy(float), part["high"].to_numpy(float)
        if np.isfinite(low).all():
            rows += metric_rows("coverage_90", {"SOH": utility.coverage(true, low, high)}, of)
            rows += metric_rows("interval_width_90", {"SOH": utility.interval_width(low, high)}, of)
    return rows


def voltage_rows(
    voltages: Mapping[tuple[str, str, str], list[Voltages]], names: list[str], context: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Metric rows of the mean absolute error of the mean generated voltage, in mV, for each of U1..Un."""
    rows: list[dict[str, Any]] = []
    for (role, name, prior), parts in voltages.items():
        error = np.concatenate([np.abs(p.generated.mean(0, dtype=np.float64) - p.measured) for p in parts])
        battery = np.concatenate([p.rows["battery"].to_numpy(str) for p in parts])
        for one in np.unique(battery):
            own = error[battery == one]
            of = {
                **context, "battery": str(one), "prior": prior, "test_set": "grid", "role": role,
                "method": name or "generated", "n": len(own),
            }  # fmt: skip
            rows += metric_rows("voltage_MAE", dict(zip(names, 1e3 * own.mean(0), strict=True)), of)
    return rows
