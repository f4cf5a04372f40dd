"""Which trial is best so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna import Study

from batgen.search.words import number


@dataclass(frozen=True)
class Best:
    """values: of the objectives, in their order; params: dotted keys, those that the trial has."""

    number: int
    values: tuple[float, ...]
    params: dict[str, Any]


def front(study: "Study") -> list[FrozenTrial]:
    """Complete trials that no other one beats in all objectives, by number; with one objective, the best one."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    signs = [-1.0 if d is StudyDirection.MAXIMIZE else 1.0 for d in study.directions]
    costs = [tuple(s * v for s, v in zip(signs, t.values, strict=True)) for t in complete]

    def beaten(own: tuple[float, ...]) -> bool:
        return any(c != own and all(a <= b for a, b in zip(c, own, strict=True)) for c in costs)

    found = [t for t, cost in zip(complete, costs, strict=True) if not beaten(cost)]
    return found if len(signs) > 1 else found[:1]


def best_of(study: "Study") -> Best | None:
    """The best complete trial; of a front, the one that is best in the first objective. None before any is complete."""
    sign = -1.0 if study.directions[0] is StudyDirection.MAXIMIZE else 1.0
    if not (candidates := front(study)):
        return None
    t = min(candidates, key=lambda t: (sign * t.values[0], t.number))
    return Best(t.number, tuple(t.values), dict(t.params))


def best_words(study: "Study", objectives: Sequence[str]) -> str:
    """`best val/crps 0.0123 (trial 7)`."""
    best = best_of(study)
    return f"best {objectives[0]} {number(best.values[0])} (trial {best.number})" if best else "none complete yet"
