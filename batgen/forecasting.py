"""From trained forecasters to forecasts in physical units, cycle by cycle, beside what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from batgen.evaluation.forecast import Forecast
from batgen.models.sequence_base import SequenceBatch
from batgen.models.trajectory import Trajectory
from batgen.preprocessing.sequence_series import Series
from batgen.preprocessing.sequence_windows import is_capacity

#: Windows that go through a model at once.
_AT_ONCE = 256


def batch_of(
    preprocessing: Any, series: Sequence[Series], cuts: Sequence[int], steps: int, training: bool
) -> SequenceBatch:
    """Windows of `series` at `cuts` as tensors."""
    arrays = preprocessing.windows(list(series), list(cuts), steps, training=training)
    return SequenceBatch(**{name: torch.from_numpy(values) for name, values in arrays.items()})


def model_forecasts(
    fitted: Sequence[tuple[Any, nn.Module]],
    series: Sequence[Series],
    cuts: Sequence[int],
    until: int,
    test_set: str,
    eol_capacity_Ah: Mapping[str, float],
) -> list[Forecast]:
    """Forecasts of every target of every (series, cut) pair, to cycle `until` at least.

    fitted: (preprocessing, model) of each fold; their quantiles are averaged in physical units. Between steps, and between
    the value at the cut and the first step, a forecast is a straight line. eol_capacity_Ah: by cell.
    """
    preprocessing = fitted[0][0]
    stride, names = preprocessing.plan.stride, preprocessing.target_names
    steps = -(-max(until - min(cuts), stride) // stride)
    made = np.mean([_physical(pre, model, series, cuts, steps) for pre, model in fitted], axis=0)
    levels = np.asarray(fitted[0][1].levels.numpy(), np.float64).round(6)  # type: ignore[operator]
    found = []
    for number, (one, cut) in enumerate(zip(series, cuts, strict=True)):
        knots = cut + stride * np.arange(steps + 1)
        cycle = np.arange(cut + 1, max(until, cut + 1) + 1)
        for place, name in enumerate(names):
            quantiles = np.stack(
                [np.interp(cycle, knots, made[number, :, place, level]) for level in range(len(levels))], axis=1
            )
            found.append(_forecast(one, name, cut, cycle, levels, quantiles, test_set, eol_capacity_Ah))
    return found


def _physical(pre: Any, model: nn.Module, series: Sequence[Series], cuts: Sequence[int], steps: int) -> np.ndarray:
    """(windows, 1 + steps, T, Q) in physical units, the value at the cut first."""
    parts = []
    for start in range(0, len(series), _AT_ONCE):
        chosen, at = series[start : start + _AT_ONCE], cuts[start : start + _AT_ONCE]
        batch = batch_of(pre, chosen, at, steps, training=False)
        with torch.no_grad():
            quantiles = model.forecast(batch)  # type: ignore[operator]
        joined = torch.cat([batch.last[:, None, :, None].expand(-1, -1, -1, quantiles.shape[-1]), quantiles], 1)
        values = joined.transpose(2, 3).numpy().astype(np.float64)  # targets last, as `inverse` wants them
        physical = np.stack(
            [pre.inverse(values[i], one, cut) for i, (one, cut) in enumerate(zip(chosen, at, strict=True))]
        )
        parts.append(physical.swapaxes(2, 3))
    return np.concatenate(parts)


def _forecast(
    one: Series, name: str, cut: int, cycle: np.ndarray, levels: np.ndarray, quantiles: np.ndarray, test_set: str,
    eol_capacity_Ah: Mapping[str, float],
) -> Forecast:  # fmt: skip
    values = one.columns[name]
    truth = np.full(len(cycle), np.nan)
    known = cycle <= one.last_cycle
    truth[known] = values[cycle[known] - 1]
    seen = np.flatnonzero(np.isfinite(values[:cut]))
    return Forecast(
        cell_id=one.cell_id,
        test_set=test_set,
        target=name,
        cut_cycle=cut,
        cycle=cycle,
        levels=levels,
        quantiles=quantiles,
        truth=truth,
        observed_cycle=seen + 1,
        observed=values[seen],
        nominal_capacity_Ah=one.info.nominal_capacity_Ah,
        eol_value=eol_capacity_Ah[one.cell_id] if name == "discharge_capacity_Ah" else float("nan"),
        truth_eol_cycle=one.eol_cycle,
        truth_last_cycle=one.last_cycle,
    )


def trajectory(one: Series, name: str, statics: Sequence[str], window: int) -> Trajectory:
    """A cell as the baselines see it: a capacity relative to nominal, other targets as they are."""
    unit = one.info.nominal_capacity_Ah if is_capacity(name) else 1.0
    held = {}
    for static in statics:
        if static in one.columns:
            held[static] = one.recent(static, window)
        elif hasattr(one.info, static):
            held[static] = np.full(one.last_cycle, float(getattr(one.info, static)))
    eol = one.info.eol_cycle if one.ended else float("nan")
    return Trajectory(one.cell_id, one.cycle, one.columns[name] / unit, eol, held)


def baseline_forecasts(
    baseline: Any,
    train: Sequence[Series],
    like: Sequence[Forecast],
    series: Mapping[str, Series],
    statics: Sequence[str],
) -> list[Forecast]:
    """What a baseline, fitted to `train`, says where `like` (of one target) says something. Raises ValueError as it does."""
    name = like[0].target
    baseline.fit([trajectory(one, name, statics, 5) for one in train])
    found = []
    for forecast in like:
        one = series[forecast.cell_id]
        unit = one.info.nominal_capacity_Ah if is_capacity(name) else 1.0
        values = unit * np.asarray(
            baseline.forecast(trajectory(one, name, statics, 5), forecast.cut_cycle, forecast.cycle)
        )
        found.append(replace(forecast, quantiles=np.repeat(values[:, None], len(forecast.levels), axis=1)))
    return found
