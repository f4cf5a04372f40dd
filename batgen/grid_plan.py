"""The jobs of a grid or an ablation: what varies, in which folder each lies, and that all of them can be run."""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from batgen.best import override_word
from batgen.config import did_you_mean, without
from batgen.console import Bar
from batgen.errors import ConfigError
from batgen.jobs import State, state
from batgen.multirun import Multirun
from batgen.overrides import Typed, read_sweeps

#: The axis of named cases, each of which sets several keys.
CASE = "case"
_LONGEST_NAME = 120
_UNSAFE = re.compile(r"[^\w.\-]+")


@dataclass(frozen=True)
class AblationSettings:
    """What an ablation varies. name: of its folder; the same name goes on with the same ablation.

    axes: nested like the config, leaves are lists: every combination is a job. cases: by name, what to set for it, nested
    like the config; one more axis, for what takes several keys or one key at a time. A case that is null is left out.
    """

    name: str
    axes: Mapping[str, Any] | None = None
    cases: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class GridJob:
    """One run: `words` are its overrides, but for where it lies; `values` those that vary; `cfg` what they compose to."""

    label: str
    values: Mapping[str, Any]
    words: tuple[str, ...]
    folder: Path
    cfg: DictConfig
    state: State


@dataclass(frozen=True)
class Grid:
    """All jobs of a multirun. kind: grid or ablation; axes: what varies -> its values."""

    kind: str
    name: str
    axes: Mapping[str, Sequence[Any]]
    jobs: tuple[GridJob, ...]


def plan(multirun: Multirun, console: Console, check: Callable[[DictConfig], None]) -> Grid:
    """Compose and check every job. Raises ConfigError, with all that is wrong in one message, before anything is trained."""
    node = multirun.cfg.ablation
    settings = AblationSettings(**_plain(node)) if node is not None else AblationSettings(multirun.folder.name)
    fixed, axes, cases = _axes(multirun, settings)
    names = dict(zip(axes, _short(axes), strict=True))
    found: list[GridJob] = []
    wrong: dict[str, list[str]] = {}
    combinations = list(itertools.product(*axes.values()))
    with Bar(console, "reading configs", len(combinations)) as advance:
        for combination in combinations:
            values = dict(zip(axes, combination, strict=True))
            own = [override_word(key, value) for key, value in values.items() if key != CASE]
            words = (*fixed, *(cases[values[CASE]] if cases else ()), *own)
            label = " ".join(override_word(names[key], value) for key, value in values.items()) or "the job"
            try:
                cfg, subdir = multirun.compose(words)
                check(cfg)
            except ConfigError as error:
                wrong.setdefault(str(error), []).append(label)
                continue
            finally:
                advance(1)
            cfg.search = cfg.ablation = None  # why it is run is no part of what it is
            named = multirun.named and bool(values)
            folder = multirun.folder / (
                folder_name({names[key]: value for key, value in values.items()}) if named else subdir
            )
            found.append(GridJob(label, values, words, folder, cfg, state(folder, cfg, words)))
    if wrong:
        raise ConfigError("\n".join(f"{message}\n  in {_some(labels)}" for message, labels in wrong.items()))
    _check_folders(found, settings if node is not None else None)
    return Grid("grid" if node is None else "ablation", settings.name, axes, tuple(found))


def folder_name(values: Mapping[str, Any]) -> str:
    """remove=encoder_4, cycles=20 -> "remove-encoder_4_cycles-20"; with a hash where that is too long or says too little."""
    words = [(key, override_word("", value)[1:]) for key, value in values.items()]
    safe = [(_UNSAFE.sub("-", key), _UNSAFE.sub("-", value)) for key, value in words]
    name = "_".join("-".join(pair) for pair in safe)
    if safe == words and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(repr(words).encode()).hexdigest()[:8]}"


def _axes(
    multirun: Multirun, settings: AblationSettings
) -> tuple[tuple[str, ...], dict[str, list[Any]], dict[str, list[str]]]:
    """Words that hold for all jobs, what varies with its values, and the words of each case."""
    typed = read_sweeps(multirun.typed)
    swept = [t for t in typed if t.swept]
    axes = {key: list(values) for key, values in _leaves(settings.axes or {}, "ablation.axes")}
    for t in typed:
        if not t.values and (t.swept or t.key.lstrip("~") in axes):
            raise ConfigError(f"{t.word}: leaves no values, so there is nothing to run.")
        if t.swept and sum(other.key.lstrip("+") == t.key.lstrip("+") for other in typed) > 1:
            raise ConfigError(f"{t.word}: {t.key.lstrip('+')} is given twice, and once as a sweep. Give it once.")
    cases = {
        str(name): [override_word(key, value) for key, value in _flat(node)]
        for name, node in (settings.cases or {}).items()
        if node is not None
    }
    if multirun.cfg.ablation is not None:
        if not axes and not cases:
            raise ConfigError("ablation: axes and cases are both empty, so nothing varies. Give at least one.")
        _check_keys(axes, cases, typed, multirun)
    own = {t.key: list(t.values) for t in typed if t.key in axes}  # of two, the last counts, as anywhere
    axes = {key: own.get(key, values) for key, values in axes.items()}
    axes |= {t.key: list(t.values) for t in swept if t.key not in axes}
    if cases:
        axes = {CASE: list(cases), **axes}
    for key, values in axes.items():
        texts = [override_word(key, value) if key != CASE else str(sorted(cases[value])) for value in values]
        if twice := [value for value, text in zip(values, texts, strict=True) if texts.count(text) > 1]:
            what = "are the same run" if key == CASE else "is there more than once"
            raise ConfigError(f"{key}: {' and '.join(map(str, dict.fromkeys(twice)))} {what}. Name each run once.")
    return tuple(t.word for t in typed if not t.swept and t.key not in axes), axes, cases


def _leaves(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, list[Any]]]:
    """Dotted keys and their lists of values. Raises ConfigError for a leaf that is no list, or an empty one."""
    for key, values in _flat(node):
        if not isinstance(values, list):
            raise ConfigError(f"{path}.{key}={values}: must be a list of values, such as [{values}].")
        if not values:
            raise ConfigError(f"{path}.{key}: the list is empty. Name values, or leave {key} out.")
        yield key, values


def _flat(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _check_keys(
    axes: Mapping[str, Any], cases: Mapping[str, Sequence[str]], typed: Sequence[Typed], multirun: Multirun
) -> None:
    """Every key exists, unless it belongs to what is itself chosen anew in each job, and nothing is said twice."""
    in_cases = {word.split("=")[0]: name for name, words in cases.items() for word in words}
    for key, name in in_cases.items():
        other = f"typed ({key}=...)" if any(t.key == key for t in typed) else "an axis" if key in axes else ""
        if other:
            raise ConfigError(f"ablation.cases.{name} sets {key}, which is also {other}. Say it once.")
    chosen = {*axes, *in_cases, *(t.key for t in typed if t.swept)} & set(multirun.choices)
    for key in [*axes, *in_cases]:
        if key in multirun.choices or key.split(".")[0] in chosen:
            continue
        known: Any = multirun.cfg
        parts = key.split(".")
        for i, part in enumerate(parts):
            if not isinstance(known, DictConfig) or part not in known:
                names = [k for k in known if k != "_target_"] if isinstance(known, DictConfig) else []
                said = f"ablation.cases.{in_cases[key]}" if key in in_cases else "ablation.axes"
                raise ConfigError(f"{said}.{key}: no config has {'.'.join(parts[: i + 1])}{did_you_mean(part, names)}")
            known = known._get_node(part)


def _check_folders(jobs: Sequence[GridJob], settings: AblationSettings | None) -> None:
    """Raise ConfigError where two jobs share a folder, or a folder holds another run."""
    remedy = "Choose another folder with " + ("ablation.name=NAME" if settings else "hydra.sweep.dir=DIR")
    folders: dict[Path, list[str]] = {}
    for job in jobs:
        folders.setdefault(job.folder, []).append(job.label)
    for folder, labels in folders.items():
        if len(labels) > 1:
            raise ConfigError(
                f"{folder}: {_some(labels)} would be written there. Name them apart in hydra.sweep.subdir."
            )
    if other := [job for job in jobs if job.state == "other"]:
        raise ConfigError(
            f"{other[0].folder}: a run with another config lies there ({len(other)} of {len(jobs)} jobs). {remedy}, ask for "
            "what lies there, or remove it."
        )
    if older := [job.folder for job in jobs if job.state == "older"]:
        raise ConfigError(
            f"{older[0]}: begun with an earlier config tree. End it with python train.py run_dir={older[0]} resume=true, "
            "or remove it."
        )


def _short(keys: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Keys without what stands before their last dot, as far as that tells them apart."""
    bare = [key.lstrip("+") for key in keys]
    last = [key.rpartition(".")[2] for key in bare]
    return [short if last.count(short) == 1 else key for short, key in zip(last, bare, strict=True)]


def _some(labels: Sequence[str], most: int = 3) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


def _plain(node: Any) -> dict[str, Any]:
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    return without({str(k): v for k, v in found.items()}, "_target_")
