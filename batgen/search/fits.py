"""Whether a space goes with the config, with what is typed and with the sampler: all that can be refused before a trial."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from batgen.best import override_word
from batgen.build import signature
from batgen.config import GROUPS, ROOT_KEYS, did_you_mean, resolved, seeds
from batgen.errors import ConfigError
from batgen.overrides import read_sweeps
from batgen.search.settings import CONDITIONAL, SearchSettings
from batgen.search.space import Parameter

#: Root keys that say why and where a run is, not what it is.
_NO_PARAMETER = ("search", "ablation", "best", "resume", "run_dir", "run_name")
#: What all trials of a search have in common: the rows they see, and groups of keys.
_SHARED = (*GROUPS, "protocol", "seed", "split.seed")
#: More points than this are no grid that anybody means.
_MOST_POINTS = 100_000


def check_space(space: Sequence[Parameter], cfg: DictConfig, typed: Sequence[str]) -> None:
    """Refuse parameters that no config has, that are typed too, or whose values their target does not take.

    Raises ConfigError with one line per problem.
    """
    found = [line for p in space for line in _strange(p, cfg)]
    keys = {re.split(r"[=@]", word.lstrip("+~"), maxsplit=1)[0]: word for word in typed}
    for p in space:
        if p.key in keys:
            found.append(
                f"{keys[p.key]}: {p.key} is also searched ({p.text()}). Leave it out, or take it out of the space with "
                f"~search.space.{p.key}"
            )
    if found:
        raise ConfigError("\n".join(found))


def _strange(p: Parameter, cfg: DictConfig) -> Iterator[str]:
    node: Any = cfg
    parts = p.key.split(".")
    for i, part in enumerate(parts):
        known = (
            ROOT_KEYS if i == 0 else [str(k) for k in node if k != "_target_"] if isinstance(node, DictConfig) else []
        )
        if part not in known or (i == 0 and part in _NO_PARAMETER):
            path = ".".join(parts[: i + 1])
            usual = [k for k in known if k not in _NO_PARAMETER]
            yield f"search.space.{p.key}: no config has '{path}'{did_you_mean(part, usual)}"
            return
        parent, node = node, node._get_node(part)
        if isinstance(node, DictConfig) and node._is_interpolation():
            node = parent[part]
    if isinstance(node, DictConfig) and not node._is_none():
        yield f"search.space.{p.key}: {p.key} is a group of keys. Search one of them: {', '.join(map(str, node))}."
    elif parent.get("_target_") is not None:
        ends = p.choices if p.choices is not None else (p.low, p.high)
        for value in ends:
            if wanted := signature(str(parent._target_)).refuses(parts[-1], value):
                yield f"search.space.{p.key}: {value} must be {wanted}."
                return


def check_sampler(settings: SearchSettings, space: Sequence[Parameter]) -> None:
    """Refuse a sampler that cannot search this space. Raises ConfigError."""
    hanging = [p.key for p in space if p.when]
    if hanging and settings.sampler not in CONDITIONAL:
        raise ConfigError(
            f"search.sampler={settings.sampler}: it takes no parameters with 'when' ({', '.join(hanging)}). Use "
            f"search.sampler={' or '.join(CONDITIONAL)}, or take 'when' out."
        )
    if settings.sampler == "grid":
        endless = [p for p in space if p.values() is None]
        if endless:
            raise ConfigError(
                f"search.sampler=grid: {endless[0].key} has no end of values ({endless[0].text()}). Give it a step or a list "
                "of choices, or use search.sampler=qmc."
            )
        if grid_size(space) > _MOST_POINTS:
            raise ConfigError(
                f"search.sampler=grid: {grid_size(space)} points are more than {_MOST_POINTS}. Use search.sampler=qmc."
            )


def grid_size(space: Sequence[Parameter]) -> int:
    """Points of the grid over a finite space."""
    size = 1
    for p in space:
        size *= len(p.values() or ())
    return size


def check_one_device(trainer: Mapping[str, Any]) -> None:
    """Refuse a trainer of several processes: each of them would start the search again. Raises ConfigError."""
    several = [key for key in ("devices", "num_nodes") if trainer.get(key, 1) not in (1, "1")]
    if several or "ddp" in str(trainer.get("strategy", "")):
        raise ConfigError(
            f"trainer.{several[0] if several else 'strategy'}: a search trains each trial on one device. Use "
            f"{' '.join(f'trainer.{key}=1' for key in several)}{' ' if several else ''}trainer.strategy=auto; to use several, "
            "start the same command once for each of them."
        )


def check_one_cut(cfg: DictConfig, final: DictConfig, space: Sequence[Parameter]) -> None:
    """Refuse what would let a trial learn from rows that the final run is tested on: splits cut by several seeds.

    cfg: of the trials, which use the first seed; final: of the run at the end. Raises ConfigError.
    """
    own = cfg.split.get("seed", 0)  # a split without a seed is the same for all
    of_final = final.split.get("seed", 0)
    searched = {p.key for p in space}
    cuts = {*(seeds(cfg) if own is None else [own]), *(seeds(final) if of_final is None else [of_final])}
    if len(cuts) > 1 or ("seed" in searched and own is None):
        raise ConfigError(
            "seed: trials and the final run of this search have several seeds, and each would cut the data anew: what is "
            f"tested for one is learnt from for another. Cut them once for all with split.seed={seeds(cfg)[0]}."
        )
    if cut := sorted(searched & {"protocol", "split.seed"}):
        raise ConfigError(f"search.space.{cut[0]}: trials of a search share one test set. Take it out of the space.")


def check_multirun(settings: SearchSettings, cfg: DictConfig, typed: Sequence[str]) -> None:
    """Refuse what a search cannot be combined with: typed sweeps, two protocols, a pruner that sees another number than the
    search is about, several devices.

    typed: the overrides as they are typed. Raises ConfigError.
    """
    for word in read_sweeps(typed):
        if word.swept:
            key = word.key.lstrip("+")
            space = override_word(f"++search.space.{key}", list(word.values))
            alone = key in _SHARED or any(_strange(Parameter(key, word.values), cfg))
            other = (
                "start one command for each, with a search.name of its own"
                if alone
                else f"put it into the space: '{space}'"
            )
            raise ConfigError(f"{word.word}: a search tries one value at a time. Leave it at one value, or {other}.")
    if cfg.protocol == "both":
        raise ConfigError(
            "protocol=both: a search compares trials of one protocol. Use protocol=honest or protocol=paper."
        )
    trainer = resolved(cfg, str(cfg.protocol), seeds(cfg)[0])["trainer"]
    check_one_device(trainer)
    if settings.pruner == "none" or len(settings.objectives) > 1:
        return
    from batgen.run import monitored  # torch comes in here

    reported, aim = monitored(cfg), settings.objectives[0]
    if reported is None:
        raise ConfigError(
            f"search.pruner={settings.pruner}: trials of this model report nothing on the way. Use search.pruner=none."
        )
    if reported != aim and "monitor" in trainer:
        raise ConfigError(
            f"search.pruner={settings.pruner}: trials are pruned by {reported} (trainer.monitor), but the search is about {aim}. "
            f"Use trainer.monitor={aim} if the trainer can, or search.pruner=none."
        )
