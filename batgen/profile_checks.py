"""What a generator of profiles does beyond errors: physics, what its conditions do, sweeps, use for training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from batgen.build import build
from batgen.data.profile_set import Drawn
from batgen.errors import ConfigError
from batgen.evaluation.c2st import blocks, c2st
from batgen.evaluation.distances import energy_score, profile_vector
from batgen.evaluation.permutation import permutation_rows
from batgen.evaluation.physics import pass_rates
from batgen.evaluation.profile_rows import Truth, features
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.evaluation.profile_utility import TrainingRows, train_synthetic_test_real, utility_inputs
from batgen.evaluation.rows import metric_rows
from batgen.models.base import ProfileBatch
from batgen.models.layers.physical import PhysicalView, physical_view
from batgen.profile_part import Member, Part, physics_nodes
from batgen.profile_scoring import Tests, sample

#: What measured neighbours score in the classifier test, by test set and fold.
Floors = dict[tuple[str, str], float]
#: The classifier test needs so many profiles, and so many cells where its own folds are to be of whole cells.
_FEWEST, _CELLS = 20, 5
#: Draws a row for pass rates; draws a row and rows a fold for permutations.
_CHECKED, _PERMUTED, _ROWS = 4, 12, 200


def checks_of(part: Part, member: Member) -> tuple[list[Any], list[str]]:
    """The physics checks of the config, calibrated on the member's training rows; notes on those that cannot be."""
    view, notes, found = part.view(member, member.known), [], []
    for name, node in physics_nodes(part.conf).items():
        check = build(node)
        try:
            check.fit(view)
        except ConfigError as error:  # of weight 0: training would have said so
            notes.append(f"physics check {name} left out: {error}")
        else:
            found.append(check)
    return found, notes


def physical(member: Member, batch: ProfileBatch, drawn: Drawn | None) -> PhysicalView:
    """The batch's measured profiles, or the first draws (a few) of each row, as physics checks see them."""
    if drawn is None:
        return physical_view(batch.x, batch.cond, batch.base, batch.base_duration_s, member.shape)
    few = min(_CHECKED, len(drawn.curves))
    centre, scale = member.preprocessing.centre, member.preprocessing.scale
    x = (drawn.curves[:few] - batch.base.numpy() - centre[:-1, None]) / scale[:-1, None]
    log = (np.log(drawn.duration_s[:few] / batch.base_duration_s.numpy()) - centre[-1]) / scale[-1]
    whole = np.concatenate([x, np.repeat(log[..., None, None], x.shape[-1], -1)], axis=2).astype(np.float32)
    flat = torch.from_numpy(whole.reshape(-1, *whole.shape[2:]))
    cond, base, duration = batch.cond, batch.base, batch.base_duration_s
    return physical_view(flat, cond.repeat(few, 1), base.repeat(few, 1, 1), duration.repeat(few), member.shape)


def physics_rates(
    part: Part, tests: Tests, checks: Mapping[str, list[Any]], drawn: Drawn | None, places: np.ndarray
) -> dict[str, float]:
    """Share of the profiles at `places` (measured, or drawn) that pass each check, rows weighed alike."""
    sums: dict[str, float] = {}
    total = 0
    for member in part.members:
        own = np.intersect1d(tests.of(member), places)
        if not len(own):
            continue
        batch = part.batch(member, tests.rows[own])
        made = (
            None
            if drawn is None
            else Drawn(drawn.curves[:, own], drawn.duration_s[:, own], drawn.signals, drawn.step_s)
        )
        for name, rate in pass_rates(checks[member.name], physical(member, batch, made)).items():
            sums[name] = sums.get(name, 0.0) + rate * len(own)
        total += len(own)
    return {name: value / total for name, value in sums.items()}


def permutations(part: Part, member: Member, rows: np.ndarray, settings: ProfileEvaluation, seed: int) -> pd.DataFrame:
    """permutation.csv of one fold: how much worse the model gets when it is told another row's conditions."""
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(_ROWS, len(rows))).round().astype(int))]
    chosen = part.profiles.take(rows)
    after = settings.after_s(member.preprocessing.part)
    true = features(chosen.curves, chosen.duration_s, chosen.mask, chosen.time_s, chosen.signals, after)
    scale = member.preprocessing.scale
    real = profile_vector(chosen.curves, chosen.duration_s, scale[:-1], float(scale[-1]))

    def drawn(cond: np.ndarray, own_seed: int) -> Drawn:
        table = pd.DataFrame(cond, columns=list(member.conditions.columns))
        table["cell_id"] = chosen.table["cell_id"].to_numpy()
        if "start_temperature_degC" not in table:
            table["start_temperature_degC"] = chosen.table["start_temperature_degC"].to_numpy()
        base, duration = member.preprocessing.base_for(table)
        tensors = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (cond, base, duration))
        own, known, known_duration = tensors
        none = torch.zeros(0)
        return sample(member, member.trained, ProfileBatch(none, own, none, known, known_duration), _PERMUTED, own_seed)

    def peak_error(cond: np.ndarray, own_seed: int = seed) -> np.ndarray:
        made = drawn(cond, own_seed)
        found = features(made.curves, made.duration_s, made.mask, made.time_s, made.signals, after)
        return np.abs(found["peak_temperature_degC"].mean(0) - true["peak_temperature_degC"])

    def score(cond: np.ndarray, own_seed: int = seed) -> np.ndarray:
        made = drawn(cond, own_seed)
        return energy_score(real, profile_vector(made.curves, made.duration_s, scale[:-1], float(scale[-1])))

    cond = member.conditions.encode(chosen.table)
    found = []
    metrics = {"peak_temperature_MAE": peak_error} if "temperature_degC" in chosen.signals else {}
    for metric, error in {**metrics, "energy_score": score}.items():
        noise = 2 * float(np.std([np.nanmean(error(cond, seed + 1 + k)) for k in range(4)], ddof=1))
        protocol = chosen.table["protocol"].to_numpy(str)
        blocks = blocks_of(member, settings)
        for row in permutation_rows(error, cond, blocks, protocol, noise, seed, settings.permutations):
            found.append({"fold": member.name, "metric": metric, **row})
    return pd.DataFrame(found)


def blocks_of(member: Member, settings: ProfileEvaluation) -> dict[str, list[int]]:
    """Columns of the conditions that are permuted together, by name: the blocks of the config, categories, single ones."""
    columns, found, taken = list(member.conditions.columns), {}, set()
    for block in settings.blocks:
        names = [name for name in block if name in columns]
        if names:
            found["+".join(names)] = [columns.index(name) for name in names]
            taken |= set(names)
    for name in member.conditions.names:
        if name not in taken:
            found[name] = [i for i, c in enumerate(columns) if c == name or c.startswith(f"{name}=")]
    return found


def utility(part: Part, tests: Tests, places: np.ndarray, target: str, seed: int) -> dict[str, float]:
    """MAE of the target on measured test rows after training on measured rows, on generated ones, on none: mean over folds."""
    sums: dict[str, list[float]] = {}
    for member in part.members:
        rows = tests.rows[np.intersect1d(tests.of(member), places)]
        if not len(rows):
            continue
        test, known = part.profiles.take(rows), part.profiles.take(member.known)
        made = sample(member, member.trained, part.batch(member, member.known), 1, seed)
        about = [name for name in ("ambient_degC", "c_rate_rms") if known.table[name].notna().all()]
        extra = known.table[about].to_numpy(float)
        cells, label = known.table["cell_id"].to_numpy(str), known.table[target].to_numpy(float)
        sources = {
            "measured": TrainingRows(utility_inputs(known.curves, known.duration_s, extra), label, cells),
            "generated": TrainingRows(utility_inputs(made.curves[0], made.duration_s[0], extra), label, cells),
        }
        inputs = utility_inputs(test.curves, test.duration_s, test.table[about].to_numpy(float))
        truth, own = test.table[target].to_numpy(float), test.table["cell_id"].to_numpy(str)
        for name, value in train_synthetic_test_real(sources, inputs, truth, own).items():
            sums.setdefault(name, []).append(value * len(np.unique(own)))
        sums.setdefault("cells", []).append(float(len(np.unique(own))))
    weight = sum(sums.pop("cells", [1.0]))
    return {name: sum(values) / weight for name, values in sums.items()}


def classifier_rows(
    part: Part, tests: Tests, places: np.ndarray, real: Truth, own: Drawn, base: dict[str, Any], floors: Floors
) -> list[dict[str, Any]]:
    """The classifier test on one draw a row, fold by fold (a cell held out in one fold is a measured neighbour in others).

    Its own folds are of whole cells where a fold tests several that it was not trained on, else of blocks of cycles. `real` and
    `own` are of `places`; `floors` keeps what measured neighbours score, which is the same for every method.
    """
    seed = int(part.conf["seed"])
    table = part.profiles.table.iloc[tests.rows[places]]
    cells, cycles = table["cell_id"].to_numpy(str), blocks(table["ecl"].to_numpy())
    measured = real.vectors(real.curves, real.duration_s)
    near = real.vectors(real.neighbour.curves, real.neighbour.duration_s)
    made = real.vectors(own.curves[0], own.duration_s[0])
    found, members = [], {member.name: member for member in part.members}
    for fold in dict.fromkeys(tests.fold[places].tolist()):
        rows = np.flatnonzero(tests.fold[places] == fold)
        groups, known = cells[rows], members[fold].known
        within = bool(np.isin(groups, part.profiles.table["cell_id"].to_numpy(str)[known]).any())
        if within or len(np.unique(groups)) < _CELLS:
            groups = np.array([f"{cell} {block}" for cell, block in zip(cells[rows], cycles[rows], strict=True)])
        if len(rows) < _FEWEST or len(np.unique(groups)) < 2:
            continue
        key = (base["test_set"], fold)
        if key not in floors:
            floors[key] = c2st(measured[rows], near[rows], groups, groups, seed)
        found.append((len(rows), c2st(measured[rows], made[rows], groups, groups, seed), floors[key]))
    if not found:
        return []
    weight, value, floor = np.array(found).T
    about = {**base, "floor": float(np.average(floor, weights=weight))}
    return metric_rows("C2ST", {"profile": float(np.average(value, weights=weight))}, about)
