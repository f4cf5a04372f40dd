"""Windows of sequences at cut cycles: what was seen up to the cut, what is known ahead, and what came after.

Everything here is in units that models do not see yet: capacities relative (`Plan.capacity`), nothing standardised, NaN
where nothing is known. Nothing after the cut goes into `past`, `last` and `statics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from batgen.errors import DataError
from batgen.preprocessing.sequence_medians import held, held_both_ways
from batgen.preprocessing.sequence_series import FACTS, Series, check_magnitude

#: Covariates that need no column of the summary.
COMPUTED = ("cycle", "log_cycle", "ahead", "log_nominal_capacity")
#: The other two are columns that the experimenter sets, so that they may be known ahead.
COVARIATES = (*COMPUTED, "discharge_c_rate", "ambient_degC")
#: Statics that are neither a column nor a fact of a cell.
DERIVED = ("log_nominal_capacity", "log_cut", "first_capacity", "fade")


@dataclass(frozen=True)
class Plan:
    """What a window holds; the fields are those of `CycleSequences`. `level` is the column of `first_capacity`, `fade`."""

    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    covariates: tuple[str, ...]
    statics: Mapping[str, tuple[str, ...]]
    capacity: str
    first_cycles: int
    stride: int
    input_stride: int
    static_window: int
    after_eol: Mapping[str, float] | None
    level: str

    def steps_to(self, cycles: int) -> int:
        """Steps that cover so many cycles."""
        return -(-cycles // self.stride)


def is_capacity(name: str) -> bool:
    return name.endswith("capacity_Ah")


def reference(series: Series, name: str, cut: int, plan: Plan) -> float:
    """What values of a column are divided by, for a window at `cut`: 1 for all but capacities; NaN where not known."""
    if not is_capacity(name) or plan.capacity == "Ah":
        return 1.0
    if plan.capacity == "nominal":
        return series.info.nominal_capacity_Ah
    return series.first(name, cut, plan.first_cycles)


def windows(
    series: Sequence[Series], cuts: Sequence[int], steps: int, plan: Plan, training: bool
) -> dict[str, np.ndarray]:
    """One window per pair of `series` and `cuts`, `steps` steps ahead; B pairs, N the most steps of any of them.

    values (B, N, T + I): targets with the last value held where there is none, inputs NaN there; flags (B, N, T): 1 where
    a target was measured; covariates (B, N, K), future (B, M, K); length (B,); statics (B, S); last (B, T); target
    (B, M, T), weight (B, M, T); cell (B,): number of the cell among those given. Zero beyond `length`.

    Raises DataError for a cell shorter than its cut, a target without a value up to it, and an unknown covariate.
    """
    pairs: dict[int, list[int]] = {}
    for row, one in enumerate(series):
        pairs.setdefault(id(one), []).append(row)
    numbers = {cell: k for k, cell in enumerate(dict.fromkeys(one.cell_id for one in series))}
    at = np.asarray(cuts, dtype=np.int64)
    parts = [_of_cell(series[rows[0]], at[rows], steps, plan, training) for rows in pairs.values()]
    most = max(part["values"].shape[1] for part in parts)
    for part in parts:
        for name in ("values", "flags", "covariates"):
            part[name] = np.pad(part[name], ((0, 0), (0, most - part[name].shape[1]), (0, 0)))
    order = np.argsort(np.concatenate(list(pairs.values())))
    out = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    out["cell"] = np.array([numbers[one.cell_id] for one in series], dtype=np.int64)
    return out


def _of_cell(one: Series, cuts: np.ndarray, steps: int, plan: Plan, training: bool) -> dict[str, np.ndarray]:
    """The windows of one cell at its cuts (b,)."""
    _check(one, cuts, plan)
    begin = min(int(np.isfinite(one.columns[name]).argmax()) for name in plan.targets) + 1
    length = (cuts - begin) // plan.input_stride + 1
    back = length[:, None] - 1 - np.arange(int(length.max()))
    # beyond the length: any cycle, zeroed below
    past = np.clip(cuts[:, None] - plan.input_stride * back, begin, one.last_cycle)
    ahead = cuts[:, None] + plan.stride * np.arange(1, steps + 1)
    scale = np.array([[reference(one, name, int(c), plan) for name in (*plan.targets, *plan.inputs)] for c in cuts])
    read = [one.filled(name, plan.input_stride)[past - 1] for name in plan.targets]
    read += [one.causal(name, plan.input_stride)[past - 1] for name in plan.inputs]
    flags = [np.isfinite(one.causal(name, plan.input_stride))[past - 1] for name in plan.targets]
    last = np.stack([one.recent(name, plan.static_window)[cuts - 1] for name in plan.targets], axis=1)
    last = last / scale[:, : len(plan.targets)]
    target, weight = _after(one, ahead, last, scale, plan, training)
    real = (back >= 0)[:, :, None]
    return {
        "values": np.where(real, np.stack(read, axis=2) / scale[:, None], 0.0),
        "flags": np.where(real, np.stack(flags, axis=2), 0.0),
        "covariates": np.where(real, covariates(one, past, cuts, plan), 0.0),
        "length": length,
        "statics": _statics(one, cuts, plan),
        "future": covariates(one, ahead, cuts, plan),
        "last": last,
        "target": target,
        "weight": weight,
    }


def _after(
    one: Series, ahead: np.ndarray, last: np.ndarray, scale: np.ndarray, plan: Plan, training: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights (b, M, T) at cycles `ahead` (b, M); without a value, the last known one and weight 0.

    In training, capacities of a cell that reached its end of life go on falling behind its record.
    """
    beyond = ahead - one.last_cycle
    inside = np.minimum(ahead, one.last_cycle) - 1
    target, weight = [], []
    for k, name in enumerate(plan.targets):
        values = np.where(beyond > 0, np.nan, one.centred(name, plan.stride)[inside]) / scale[:, k, None]
        measured = np.isfinite(values)
        weights = measured.astype(np.float64)
        if training and plan.after_eol and one.ended and is_capacity(name):
            drop = plan.after_eol["depth"] * (1 - np.exp(-np.maximum(beyond, 0) / plan.after_eol["tau_cycles"]))
            unit = one.info.nominal_capacity_Ah if plan.capacity == "Ah" else 1.0
            end = one.recent(name, plan.static_window)[-1] / scale[:, k, None]
            values = np.where(beyond > 0, end - drop * unit, values)
            weights = np.where(beyond > 0, plan.after_eol["weight"], weights)
        target.append(held(np.concatenate([last[:, k, None], values], axis=1))[:, 1:])
        weight.append(weights)
    return np.stack(target, axis=2), np.stack(weight, axis=2)


def covariates(one: Series, cycle: np.ndarray, cuts: np.ndarray, plan: Plan) -> np.ndarray:
    """(b, n, K) the covariates at cycles (b, n) of windows cut at (b,); a schedule goes on as it ended.

    Raises DataError for an unknown one.
    """
    columns = []
    for name in plan.covariates:
        if name == "cycle":
            columns.append(cycle.astype(np.float64))
        elif name == "log_cycle":
            columns.append(np.log(cycle))
        elif name == "ahead":
            columns.append((cycle - cuts[:, None]).astype(np.float64))
        elif name == "log_nominal_capacity":
            columns.append(np.full(cycle.shape, np.log(one.info.nominal_capacity_Ah)))
        elif name in one.columns and np.isfinite(one.columns[name]).any():
            columns.append(held_both_ways(one.columns[name])[np.minimum(cycle, one.last_cycle) - 1])
        else:
            columns.append(np.full(cycle.shape, float(getattr(one.info, name))))
        if not np.isfinite(columns[-1]).all():
            rest = ",".join(c for c in plan.covariates if c != name)
            raise DataError(
                f"cell {one.cell_id}: covariate {name} is missing for the future: it is neither measured nor a known fact of "
                f"the cell. Give it for the cell, or use preprocessing.covariates=[{rest}]."
            )
    return np.stack(columns, axis=2) if columns else np.zeros((*cycle.shape, 0))


def _statics(one: Series, cuts: np.ndarray, plan: Plan) -> np.ndarray:
    """(b, S): what is known of the cell at its cuts, NaN where unknown."""
    columns = []
    for name in (name for group in plan.statics.values() for name in group):
        if name == "log_nominal_capacity":
            value = np.full(len(cuts), np.log(one.info.nominal_capacity_Ah))
        elif name == "log_cut":
            value = np.log(cuts)
        elif name in ("first_capacity", "fade"):
            first = np.array([one.first(plan.level, int(c), plan.first_cycles) for c in cuts])
            now = one.recent(plan.level, plan.static_window)[cuts - 1]
            value = first / one.info.nominal_capacity_Ah if name == "first_capacity" else now / first - 1
        else:
            value = np.full(len(cuts), np.nan)
            if name in one.columns:
                value = one.recent(name, plan.static_window)[cuts - 1]
            if name in FACTS:
                value = np.where(np.isfinite(value), value, float(getattr(one.info, name)))
        columns.append(value)
    return np.stack(columns, axis=1) if columns else np.zeros((len(cuts), 0))


def _check(one: Series, cuts: np.ndarray, plan: Plan) -> None:
    if (cuts > one.last_cycle).any() or (cuts < 1).any():
        raise DataError(
            f"cell {one.cell_id} has cycles 1 to {one.last_cycle}, but {int(cuts.max())} are to be observed. Use cycles= of at "
            f"most {max(1, one.last_cycle - 1)}, or leave the cell out."
        )
    for name in plan.targets:
        if is_capacity(name):
            check_magnitude(one, name)
        begin = int(np.isfinite(one.columns[name]).argmax()) + 1
        if (cuts < begin).any():
            raise DataError(
                f"cell {one.cell_id}: {name} is first known at cycle {begin}, but only {int(cuts.min())} cycles are observed. "
                f"Use cycles={begin} or more, or leave the cell out."
            )
