"""The study behind a search: begun, or gone on with when it is the same search."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from batgen.config import protocols, resolved, seeds, without
from batgen.errors import ConfigError
from batgen.search.settings import SearchSettings
from batgen.search.space import Parameter, parse_space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

#: Keys that may differ when a search goes on: why and where a trial is trained, and who is told.
_FREE = ("search", "ablation", "run_dir", "run_name", "resume", "best", "logger", "callbacks", "device")
_FREE_OF_TRAINER = (
    "accelerator", "devices", "num_nodes", "strategy", "precision", "compile", "resident", "save_every_s", "at_once",
)  # fmt: skip
_SHOWN = 3
#: What trainers call the length of a training, in what its trials count.
_LENGTHS = ("max_epochs", "epochs", "steps")


def open_study(
    settings: SearchSettings, space: Sequence[Parameter], cfg: DictConfig, storage: "BaseStorage"
) -> "Study":
    """The study of this name: a new one, or the one that is there.

    Raises ConfigError, naming what differs, where the one that is there searches something else.
    """
    import optuna
    from optuna.study import StudyDirection

    own, pruner = identity(settings, space, cfg), choose_pruner(settings, cfg)
    if settings.name in optuna.get_all_study_names(storage):  # nothing is written where nothing will be done
        study = optuna.load_study(study_name=settings.name, storage=storage, pruner=pruner)
    else:
        study = optuna.create_study(
            study_name=settings.name,
            storage=storage,
            directions=[
                StudyDirection.MAXIMIZE if d == "maximize" else StudyDirection.MINIMIZE for d in settings.senses()
            ],
            load_if_exists=True,  # another process may be making it
            pruner=pruner,
        )
    for key, value in own.items():
        if key not in study.user_attrs:
            study.set_user_attr(key, value)
    there = study.user_attrs
    differences = [line for key in own for line in _differences(key, there.get(key), own[key])]
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise ConfigError(
            f"search.name={settings.name}: a search of this name exists, and is another one: "
            f"{'; '.join(differences[:_SHOWN])}{more}. Go on with it as it was, or begin another: search.name=OTHER"
        )
    return study


def identity(settings: SearchSettings, space: Sequence[Parameter], cfg: DictConfig) -> dict[str, Any]:
    """What makes a search this one: the space, the objectives, their directions, and the config beneath the parameters.

    Sampler, pruner, number of trials, jobs and failures, what the final run does, loggers and the machine are no part of it.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    plain["trainer"] = without(plain["trainer"], *_FREE_OF_TRAINER)
    beneath = dict(_flat(without({str(k): v for k, v in plain.items()}, *_FREE), ""))
    return {
        "space": {p.key: p.text() for p in space},
        "objectives": list(settings.objectives),
        "directions": settings.senses(),
        "config": json.dumps(beneath, sort_keys=True, default=str),
    }


def choose_pruner(settings: SearchSettings, cfg: DictConfig) -> "BasePruner":
    """The pruner of `settings` for trainings as `cfg` says; several objectives have none.

    Every job makes it anew, so Hyperband is told how long a training is: its brackets are the same in all of them.
    """
    from optuna import pruners

    if settings.pruner == "none" or len(settings.objectives) > 1:
        return pruners.NopPruner()
    if settings.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=settings.warmup)
    shortest = max(1, settings.warmup)
    return pruners.HyperbandPruner(min_resource=shortest, max_resource=max(shortest, _longest(settings, cfg)))


def _longest(settings: SearchSettings, cfg: DictConfig) -> int:
    """The epochs or steps of the longest training, as trials count them when they report."""
    trainer = resolved(cfg, protocols(cfg)[0], seeds(cfg)[0])["trainer"]
    key = next((key for key in _LENGTHS if trainer.get(key) is not None), None)
    if key is None:
        raise ConfigError(
            "search.pruner=hyperband: this trainer does not say how long it trains. Use search.pruner=median."
        )
    searched = [p for p in parse_space(settings.space, cfg) if p.key == f"trainer.{key}"]
    return int(max(searched[0].choices or (searched[0].high,)) if searched else trainer[key])


def _flat(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        where = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, where)
        else:
            yield where, value


def _differences(key: str, there: Any, here: Any) -> list[str]:
    if key == "config" and isinstance(there, str):
        there, here = _shared(json.loads(there), json.loads(here))
    if there == here:
        return []
    if not isinstance(there, Mapping) or not isinstance(here, Mapping):
        return [f"search.{key}={_text(there)} there, {_text(here)} here"]
    front = "search.space." if key == "space" else ""
    every = sorted({*there, *here})
    return [
        f"{front}{k} is {_text(there.get(k, 'absent'))} there, {_text(here.get(k, 'absent'))} here"
        for k in every
        if (k in there) != (k in here) or there.get(k) != here.get(k)
    ]


def _shared(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both configs less the keys that only one has: a key that a newer batgen brings ends no search. What is a group of keys
    in one and a single value, such as null, in the other is in both."""

    def group(key: str, one: Mapping[str, Any]) -> bool:
        return any(k.startswith(f"{key}.") for k in one)

    keys = [k for k in {**there, **here} if all(k in one or group(k, one) for one in (there, here))]
    return {k: there.get(k, "a group") for k in keys}, {k: here.get(k, "a group") for k in keys}


def _text(value: Any) -> str:
    return "null" if value is None else str(value).replace("'", "")
