"""Who proposes the next trial. Every proposal has a seed of its own, made of the search's seed and the trial's place, so that
no two processes propose the same, and a search that was killed and goes on proposes what an unbroken one would.

The place of a trial is the number of trials before it, without those that a process asked for in vain and those that repeat
an interrupted one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna import samplers
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from batgen.search.owners import OWNER, Owner
from batgen.search.settings import SearchSettings
from batgen.search.space import Parameter

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

#: User attributes of trials: what went wrong, and which interrupted trial this one repeats.
ERROR, REPEATS = "error", "repeats"
#: What ERROR says of trials that did not fail by themselves.
INTERRUPTED, WITHDRAWN = "interrupted", "withdrawn"


def distribution(p: Parameter) -> BaseDistribution:
    """`p` for Optuna."""
    if p.choices is not None:
        return CategoricalDistribution(p.choices)
    if p.whole:
        return IntDistribution(int(p.low), int(p.high), log=p.log, step=int(p.step or 1))
    return FloatDistribution(p.low, p.high, log=p.log, step=p.step)


def choose_sampler(
    settings: SearchSettings, space: Sequence[Parameter], study: "Study", storage: "BaseStorage", owner: Owner
) -> BaseSampler:
    """The sampler of `settings`, seeded trial by trial; it writes `owner` into every trial that this process asks for."""
    startup = settings.startup

    def make(place: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([settings.seed, place]).generate_state(1)[0])
        match settings.sampler:
            case "tpe":  # grouped: parameters that some trials lack are modelled by themselves
                return samplers.TPESampler(n_startup_trials=startup, multivariate=True, group=True, seed=seed)
            case "gp":
                return samplers.GPSampler(n_startup_trials=startup, seed=seed, warn_independent_sampling=False)
            case "nsga2":
                return samplers.NSGAIISampler(population_size=max(4, startup), seed=seed)
            case "random":
                return samplers.RandomSampler(seed=seed)
        points = _grid if settings.sampler == "grid" else _sobol
        return Planned(space, lambda: points(space, settings.seed, place, study))

    return Placed(study, storage, owner, make)


class Placed(BaseSampler):
    """A fresh sampler for each trial, made for its place. Optuna calls `before_trial` first."""

    def __init__(
        self, study: "Study", storage: "BaseStorage", owner: Owner, make: Callable[[int], BaseSampler]
    ) -> None:
        self._study, self._storage, self._owner, self._make = study, storage, owner, make
        self._inner: BaseSampler = samplers.RandomSampler(seed=0)

    def before_trial(self, study: "Study", trial: FrozenTrial) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, OWNER, list(self._owner))
        self._inner = self._make(place(self._study.get_trials(deepcopy=False), trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: "Study", trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: "Study", trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: "Study", trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: "Study", trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._inner.after_trial(study, trial, state, values)


def place(trials: Sequence[FrozenTrial], number: int) -> int:
    """How many of `trials` stand before trial `number`."""
    return sum(
        t.number < number and t.user_attrs.get(ERROR) != WITHDRAWN and REPEATS not in t.user_attrs for t in trials
    )


class Planned(samplers.RandomSampler):
    """One trial whose values follow a plan, not what earlier trials measured."""

    def __init__(self, space: Sequence[Parameter], plan: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(seed=0)
        self._space, self._plan = space, plan

    def infer_relative_search_space(self, study: "Study", trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {p.key: distribution(p) for p in self._space}

    def sample_relative(
        self, study: "Study", trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self._plan())


def _sobol(space: Sequence[Parameter], seed: int, place: int, study: "Study") -> dict[str, Any]:
    """Point `place` of a scrambled Sobol sequence (Owen, 1998) over the space."""
    from scipy.stats.qmc import Sobol

    sequence = Sobol(len(space), scramble=True, rng=seed)
    if place:
        sequence.fast_forward(place)
    point = sequence.random(1)[0]
    return {p.key: p.at(float(u)) for p, u in zip(space, point, strict=True)}


def _grid(space: Sequence[Parameter], seed: int, place: int, study: "Study") -> dict[str, Any]:
    """Point `place` of the grid in a shuffled order; behind its end, one of the points whose trials failed."""
    values = [p.values() or [] for p in space]
    shape = [len(v) for v in values]
    order = np.random.default_rng(seed).permutation(int(np.prod(shape)))

    def point(i: int) -> dict[str, Any]:
        where = np.unravel_index(order[i], shape)
        return {p.key: v[int(j)] for p, v, j in zip(space, values, where, strict=True)}

    if place < len(order):
        return point(place)
    held = [t.params for t in study.get_trials(deepcopy=False) if t.state is not TrialState.FAIL]
    open_points = [found for i in range(len(order)) if (found := point(i)) not in held]
    return open_points[place % len(open_points)] if open_points else point(place % len(order))
