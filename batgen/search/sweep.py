"""A search from beginning to end: trials as jobs until the study holds as many as were asked for, then what came out."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from rich.console import Console

from batgen import config, run
from batgen.best import override_word
from batgen.console import console
from batgen.errors import BatgenError, ConfigError
from batgen.job import FINAL
from batgen.multirun import Multirun, Outcome
from batgen.search import storage, words
from batgen.search.finish import finish, finished_before, own_words, write_plan
from batgen.search.first import begin_with
from batgen.search.fits import check_multirun, check_one_cut, check_sampler, check_space, grid_size
from batgen.search.job import RESULT, left_behind, objective_values
from batgen.search.owners import Owner, alive, heartbeat, me, owner_of
from batgen.search.settings import SearchSettings, read_settings
from batgen.search.space import Parameter, parse_space
from batgen.search.standing import best_of, best_words
from batgen.trials import NoTrial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial


@dataclass(frozen=True)
class Search:
    """A search that is under way. total: trials it ends with; typed: overrides of every job; owner: this process."""

    settings: SearchSettings
    space: tuple[Parameter, ...]
    multirun: Multirun
    study: "Study"
    total: int
    typed: tuple[str, ...]
    owner: Owner


def run_search(multirun: Multirun) -> Any:
    """Search until `search.n_trials` trials are finished, write what came out, train and test the best one again.

    Returns the best value of the first objective. Raises BatgenError on bad input, and where too many trials fail.
    """
    config.validate(multirun.cfg)
    settings = read_settings(multirun.cfg)
    space = parse_space(settings.space, multirun.cfg)
    check_space(space, multirun.cfg, multirun.typed)
    check_sampler(settings, space)
    check_multirun(settings, multirun.cfg, multirun.typed)
    final = _final_config(settings, multirun)
    check_one_cut(multirun.cfg, final, space)
    run.check_trials(multirun.cfg, elsewhere=multirun.parallel)
    run.check(final, elsewhere=multirun.parallel)
    out = console()
    with storage.storage_errors(settings.storage, multirun.folder):
        search = _open(settings, space, multirun)
        try:
            return _run(search, out)
        except KeyboardInterrupt:
            again = words.same_command(settings.storage, storage.masked(settings.storage))
            out.print(f"\nStopped. What is finished is kept. Go on with: {again}", markup=False)
            raise


def _final_config(settings: SearchSettings, multirun: Multirun) -> DictConfig:
    """The config of the run at the end, but for the values that are found: what is wrong with it shows before the trials."""
    cfg, _ = multirun.compose([*multirun.typed, *own_words(settings, multirun.typed), f"search.trial={FINAL}"])
    config.validate(cfg)
    return cfg


def _open(settings: SearchSettings, space: tuple[Parameter, ...], multirun: Multirun) -> Search:
    from batgen.search.samplers import choose_sampler
    from batgen.search.study import open_study

    owner, kept = me(), storage.open_storage(settings.storage, multirun.folder)
    study = open_study(settings, space, multirun.cfg, kept)
    study.sampler = choose_sampler(settings, space, study, kept, owner)
    total = min(settings.n_trials, grid_size(space)) if settings.sampler == "grid" else settings.n_trials
    typed = multirun.typed
    if settings.storage is not None:
        typed = tuple(w for w in typed if w.lstrip("+").split("=")[0] != "search.storage")
        typed += (override_word("search.storage", storage.for_jobs(settings.storage)),)
    return Search(settings, space, multirun, study, total, typed, owner)


def _run(search: Search, out: Console) -> float | None:
    from batgen.search.shared import finished

    settings, study, folder = search.settings, search.study, search.multirun.folder
    done = len(finished(study.get_trials(deepcopy=False)))
    if done >= search.total and (said := finished_before(search, done)):
        out.print(said, markup=False)
        return best.values[0] if (best := best_of(study)) else None
    where = storage.masked(settings.storage) if settings.storage else words.short(folder)
    judged, so_far = run.monitored(search.multirun.cfg), words.so_far(search.total, done)
    lines = words.opening(settings, search.space, so_far, where, judged, search.multirun.parallel)
    lines += begin_with(search.multirun.first, search.space, settings, study)
    out.print("\n".join(lines), markup=False)
    if search.total < settings.n_trials:
        out.print(f"  search.n_trials={settings.n_trials}: the grid has {search.total} points, and ends with them")
    write_plan(search)
    with heartbeat(study, search.owner), words.Board(out, search.total) as board:
        _all_trials(search, board)
        trials = study.get_trials(deepcopy=False)
        if (missing := search.total - len(finished(trials))) > 0:
            running = (
                "1 trial still runs in another process" if missing == 1 else f"{missing} trials still run in others"
            )
            board.say(f"{running}: the process that ends the last trial ends the search.")
            return None
        if (other := _last_by_another(search)) is not None:
            board.say(f"All {search.total} trials are done; process {other[1]} on {other[0]} ends the search.")
            return None
    return finish(search, out)


def _all_trials(search: Search, board: words.Board) -> None:
    """Trials, `search.n_jobs` at a time, until other processes or this one have finished or begun all of them."""
    from batgen.search.shared import ask, room, take_over

    failures: list[str] = []
    study = search.study
    while True:
        _tell_finished(search, board)
        for number, again in take_over(study, search.owner).items():
            board.say(f"trial {number}: interrupted" + ("; its values are tried again" if again else ""))
        _show(search, board)
        at_once = search.settings.n_jobs if search.multirun.parallel else 1  # each is told before the next one begins
        if (wanted := min(at_once, room(study, search.total))) <= 0:
            return
        asked = [ask(study, search.space, search.total) for _ in range(wanted)]
        batch = [a for a in asked if a is not None]
        if not batch:
            time.sleep(0.1)  # other processes took the places; what they do is looked at again
            continue
        outcomes = _start(search, batch)
        for (trial, values), outcome in zip(batch, outcomes, strict=True):
            if reason := _tell(search, trial, values, outcome, board):
                failures.append(reason)
        _show(search, board)
        if len(failures) > search.settings.max_failures:
            raise ConfigError(
                f"search.max_failures={search.settings.max_failures}: {len(failures)} trials failed, the last one because: "
                f"{failures[-1]}\nWhat they said is in {words.short(search.multirun.folder)}/trials/*/log.txt. Mend it and "
                "repeat the command: the search goes on."
            )


def _start(search: Search, batch: Sequence[tuple["Trial", dict[str, Any]]]) -> list[Outcome]:
    """What came of the trials. Where the launcher itself fails (a worker killed, a job over its time), each trial that came
    to its end is taken from its folder, and the others have failed."""
    folders = [search.multirun.folder / _place(trial.number) for trial, _ in batch]
    for folder in folders:
        (folder / RESULT).unlink(missing_ok=True)  # of another search that lay there
    try:
        return search.multirun.start([_job(search, t.number, v) for t, v in batch], batch[0][0].number)
    except Exception as error:
        return [(result, None) if (result := left_behind(folder)) else (None, error) for folder in folders]


def _place(number: int) -> str:
    return f"trials/{number:04d}"


def _job(search: Search, number: int, values: dict[str, Any]) -> list[str]:
    own = [override_word(key, value) for key, value in values.items()]
    return search.multirun.placed([*search.typed, *own, f"search.trial={number}"], _place(number))


def _tell(search: Search, trial: "Trial", values: dict[str, Any], outcome: Outcome, board: words.Board) -> str | None:
    """Tell the study what came of the trial and say it in a line; the reason where it failed."""
    from optuna.trial import TrialState

    from batgen.search.shared import fail

    result, error = outcome
    told: list[float] | None = None
    try:
        if error is not None:
            raise error
        if result["state"] == "complete":
            told = objective_values(search.settings, result["values"])
    except Exception as problem:
        reason = str(problem) if isinstance(problem, BatgenError) else f"{type(problem).__name__}: {problem}"
        fail(search.study, trial.number, reason)
        if isinstance(problem, NoTrial):
            raise
        board.say(f"trial {trial.number}: failed: {reason.splitlines()[0]}  ({words.short_values(values)})")
        return reason
    unit = "steps" if "steps" in result else "epochs"
    for key in ("seconds", unit):
        trial.set_user_attr(key, result[key])
    state = TrialState.PRUNED if told is None else TrialState.COMPLETE
    search.study.tell(trial.number, told, state=state)
    measured = ", ".join(
        f"{n} {words.number(v)}" for n, v in zip(search.settings.objectives, told or [], strict=bool(told))
    )
    what = measured or f"pruned after {unit[:-1]} {result[unit]}"
    board.say(f"trial {trial.number}: {what}, {result['seconds']:.1f} s  ({words.short_values(values)})")
    return None


def _tell_finished(search: Search, board: words.Board) -> None:
    """Tell the study of trials that came to their end after the process that began them was stopped or killed."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import Trial

    from batgen.search.shared import orphans

    for t in orphans(search.study, search.owner):
        if result := left_behind(search.multirun.folder / _place(t.number)):
            with suppress(UpdateFinishedTrialError, ValueError):  # another process was faster
                _tell(search, Trial(search.study, t._trial_id), t.params, (result, None), board)


def _show(search: Search, board: words.Board) -> None:
    from batgen.search.shared import finished

    board.show(
        len(finished(search.study.get_trials(deepcopy=False))), best_words(search.study, search.settings.objectives)
    )


def _last_by_another(search: Search) -> Owner | None:
    """The process that told the last trial, where it is another one and runs: the search is its to end."""
    from batgen.search.shared import finished

    last = max(finished(search.study.get_trials(deepcopy=False)), key=lambda t: (t.datetime_complete, t.number))
    owner = owner_of(last.user_attrs)
    other = owner is not None and owner != search.owner and alive(owner, search.study.user_attrs, time.time())
    return owner if other else None
