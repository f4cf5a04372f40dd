"""One total over all processes: asking for trials, giving places back, and taking over what a dead process left."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from batgen.search.owners import Owner, alive, owner_of
from batgen.search.samplers import ERROR, INTERRUPTED, REPEATS, WITHDRAWN
from batgen.search.space import Parameter

if TYPE_CHECKING:
    from optuna import Study

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
#: A running trial without an owner is one that is being asked for right now, or one whose process died while asking.
_ASKING_S = 60.0


def finished(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that count: complete or pruned."""
    return [t for t in trials if t.state in FINISHED]


def room(study: "Study", total: int) -> int:
    """How many trials are neither finished nor running, of `total`. Queued trials have still to be run."""
    trials = study.get_trials(deepcopy=False)
    return total - len(finished(trials)) - sum(t.state is TrialState.RUNNING for t in trials)


def ask(study: "Study", space: Sequence[Parameter], total: int) -> tuple[Trial, dict[str, Any]] | None:
    """A new trial and the values it is to try, or None where other processes have taken the last places meanwhile.

    The rule needs no lock: a trial withdraws when as many trials with lower numbers are finished, running or queued, so
    of all that were asked for at once the lowest stay. Each process applies it to its own trials.
    """
    trial = study.ask()
    values: dict[str, Any] = {}
    for p in space:  # those that others hang on come first
        if p.active(values):
            values[p.key] = _suggest(trial, p)
    others = study.get_trials(deepcopy=False)
    held = [t for t in others if t.number < trial.number and t.state is not TrialState.FAIL]
    repeats = others[trial.number].user_attrs.get(REPEATS)
    twice = repeats is not None and any(t.user_attrs.get(REPEATS) == repeats for t in held)
    if len(held) < total and not twice:
        return trial, values
    fail(study, trial.number, WITHDRAWN)
    return None


def fail(study: "Study", number: int, reason: str) -> None:
    """Note why the trial failed and end it; nothing is done to one that another process ended before."""
    try:
        trial = study.get_trials(deepcopy=False)[number]
        study._storage.set_trial_user_attr(trial._trial_id, ERROR, reason)
        study.tell(number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):
        if study.get_trials(deepcopy=False)[number].state is TrialState.RUNNING:
            raise


def take_over(study: "Study", owner: Owner) -> dict[int, bool]:
    """End the running trials of processes that are gone and queue their values again; for each, whether it is queued.

    owner: this process, between two trials: what it is said to run was left by an earlier call. A trial that was queued
    again and interrupted again is not queued a third time: it may be what kills its process. Two processes that do this at
    once queue a trial twice; of these `ask` lets one through.
    """
    found = {}
    trials = study.get_trials(deepcopy=False)
    queued = {t.user_attrs.get(REPEATS) for t in trials}
    for t in orphans(study, owner):
        again = bool(t.params) and REPEATS not in t.user_attrs
        if again and t.number not in queued:
            study.enqueue_trial(t.params, user_attrs={REPEATS: t.number})
        fail(study, t.number, INTERRUPTED)
        found[t.number] = again
    return found


def orphans(study: "Study", owner: Owner) -> list[FrozenTrial]:
    """Running trials whose process is gone, or is `owner`, which is between two trials."""
    now, heard = time.time(), study.user_attrs
    return [
        t for t in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if _orphaned(t, heard, owner, now)
    ]


def _orphaned(trial: FrozenTrial, heard: Mapping[str, Any], me: Owner, now: float) -> bool:
    owner = owner_of(trial.user_attrs)
    if owner is None:
        started = trial.datetime_start
        return started is None or now - started.timestamp() > _ASKING_S
    return owner == me or not alive(owner, heard, now)


def _suggest(trial: Trial, p: Parameter) -> Any:
    if p.choices is not None:
        return trial.suggest_categorical(p.key, p.choices)
    if p.whole:
        return trial.suggest_int(p.key, int(p.low), int(p.high), step=int(p.step or 1), log=p.log)
    return trial.suggest_float(p.key, p.low, p.high, step=p.step, log=p.log)
