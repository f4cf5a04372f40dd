"""What was typed, checked before it is run: every key must exist, and a resumed run takes nothing but its folder."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen.argv import SEVERAL, best_file, pairs, words
from batgen.best import best_words, read_best
from batgen.config import GROUPS, ROOT_KEYS, did_you_mean
from batgen.errors import CheckpointError, ConfigError
from batgen.folder import check_free

#: Groups that leave no node of their own at the root.
OTHER_GROUPS = ("experiment",)
OVERRIDE = re.compile(r"^(?P<sign>\+\+|\+|~)?(?P<key>[\w./@\-]+)(=(?P<value>.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Typed:
    """One override: the word, its key (with its plus), its values as Python has them (none for ~key), whether it sweeps."""

    word: str
    key: str
    values: tuple[Any, ...]
    swept: bool


def read_sweeps(typed: Sequence[str]) -> list[Typed]:
    """The overrides with Hydra's sweeps written out: model=a,b, cycles=range(20,120,20), model=glob(wgan*).

    Raises ConfigError for interval(...), which names no values.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    hydra = GlobalHydra.instance()  # knows what glob(...) may choose from
    parser = OverridesParser.create(config_loader=hydra.config_loader() if hydra.is_initialized() else None)
    found = []
    for word, parsed in zip(typed, parser.parse_overrides(list(typed)), strict=True):
        key = parsed.get_key_element()
        if not parsed.is_sweep_override():
            values: tuple[Any, ...] = () if parsed.is_delete() else (parsed.value(),)
        elif not parsed.is_discrete_sweep():
            raise ConfigError(
                f"{word}: an interval has no end of values. Write them out, or use a search (search=NAME)."
            )
        else:
            texts = parsed.sweep_string_iterator()
            values = tuple(parser.parse_override(f"x={text}").value() for text in texts)
        found.append(Typed(word, key, values, parsed.is_sweep_override()))
    return found


def explained(error: Exception) -> str:
    """What Hydra says when a config cannot be composed, in one line."""
    text = str(error).splitlines()[0] + "".join(f" {line}" for line in str(error.__cause__ or "").splitlines()[:1])
    unknown = re.search(r"Key '(\w+)' (?:is )?not in '?TrainConfig'?", str(error))
    if "Could not append" in text:
        text += " Write it without the plus."
    return text + (did_you_mean(unknown[1], ROOT_KEYS) if unknown else "")


def compose(typed: Sequence[str], conf: Path, name: str = "train") -> DictConfig:
    """The config that `typed` overrides make of `conf`, without running anything."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException

    try:
        with initialize_config_dir(str(conf), version_base="1.3"):
            return hydra_compose(name, overrides=list(typed))
    except HydraException as error:
        raise ConfigError(explained(error)) from None


def check(argv: Sequence[str], conf: Path) -> None:
    """Refuse overrides whose key does not exist, with a suggestion. Raises ConfigError, one line per override."""
    typed = [(w, OVERRIDE.match(w)) for w in words(argv)]
    found = [f"{w!r} is no override. Write KEY=VALUE, such as cycles=100." for w, m in typed if m is None]
    values, groups = [], []
    for word, match in typed:
        if match is None:
            continue
        key = match["key"].split("@")[0]
        if key.startswith("hydra"):
            continue
        folder = conf / key
        if folder.is_dir() and "." not in key:
            if match["sign"] != "~":
                found += _bad_choice(key, match["value"], folder, argv)
            groups.append(word)
        else:
            values.append((word, match["sign"], key))
    if found:
        raise ConfigError("\n".join(found))
    # The first choice of a sweep (`model=a,b`) stands for all: keys common to one model are checked again in each job.
    tree = _tree(groups, conf, argv)
    wrong = {word: line for word, sign, key in values for line in _bad_key(word, sign, key, tree)}
    if found := _of_best(argv, wrong, conf):
        raise ConfigError("\n".join(found))


def _of_best(argv: Sequence[str], wrong: dict[str, str], conf: Path) -> list[str]:
    """What is wrong with overrides, less what is wrong with those that best=FILE stands for, which nobody typed: for them
    one line that names the file, and what is typed that it does not go with."""
    if (path := best_file(argv)) is None:
        return list(wrong.values())
    of_file, typed = best_words(path, []), pairs(argv)
    found = [line for word, line in wrong.items() if word not in of_file]
    strange = {word.partition("=")[0]: line for word, line in wrong.items() if word in of_file}
    for group, choice in read_best(path)[0].items():
        if typed.get(group, choice) == choice:
            other = _chooser(typed, group, choice, conf)
        else:
            other = f"{group}={typed[group]}" if strange else None  # keys that both models have are taken over
        if other is not None:
            keys = f", which has no {', '.join(strange)}" if strange else ""
            return [*found, f"best={path} is of {group}={choice}; it does not go with {other}{keys}."]
    return [*found, *(f"best={path}: {line}" for line in strange.values())]


def _chooser(typed: Mapping[str, str], group: str, choice: str, conf: Path) -> str | None:
    """The search, ablation or experiment that is typed and chooses another of a config group."""
    for several in (*SEVERAL, *OTHER_GROUPS):
        path = conf / several / f"{typed.get(several)}.yaml"
        for entry in OmegaConf.select(OmegaConf.load(path), "defaults", default=()) if path.is_file() else ():
            other = entry.get(f"override /{group}", choice) if isinstance(entry, DictConfig) else choice
            if other != choice:
                return f"{several}={typed[several]} ({group}={other})"
    return None


def _bad_choice(group: str, value: str | None, folder: Path, argv: Sequence[str]) -> Iterator[str]:
    own = _config_dir(argv)
    files = [*folder.glob("*.yaml"), *((own / group).glob("*.yaml") if own else ())]
    known = sorted(p.stem for p in files)
    if re.match(r"\w+\(", value or ""):
        return  # Hydra's choice(...), glob(...)
    for choice in (value or "").strip("[]").split(","):
        if choice.strip() not in known:
            yield f"{group}={choice.strip()}: no such {group}{did_you_mean(choice.strip(), known)}"


def _config_dir(argv: Sequence[str]) -> Path | None:
    """The folder of `--config-dir DIR`: an installed batgen's way to files of one's own."""
    for i, word in enumerate(argv):
        flag, _, value = word.partition("=")
        if flag in ("--config-dir", "-cd"):
            return Path(value or (argv[i + 1] if i + 1 < len(argv) else ".")).expanduser()
    return None


def _tree(groups: Sequence[str], conf: Path, argv: Sequence[str]) -> DictConfig:
    first = [re.sub(r"=(?:\w+\()?([^\[(,)]*)[,)].*", r"=\1", g) for g in groups if "glob(" not in g]
    own = _config_dir(argv)
    return compose([*first, *([f"hydra.searchpath=[file://{own.resolve()}]"] if own else [])], conf)


def _bad_key(word: str, sign: str | None, key: str, tree: DictConfig) -> Iterator[str]:
    node: Any = tree
    parts = key.split(".")
    for i, part in enumerate(parts):
        if not isinstance(node, DictConfig) or part in node:
            node = node._get_node(part) if isinstance(node, DictConfig) else None
            if node is None:
                return
            continue
        path = ".".join(parts[: i + 1])
        known = [str(k) for k in node if k != "_target_"] if i else [*ROOT_KEYS, *OTHER_GROUPS]
        if i == 0 or sign is None:
            new = i > 1 and "_target_" not in node  # a map with names of one's own, such as data.columns
            hint = f" A name of your own takes a plus: +{word}" if new else ""
            yield f"{word}: unknown key '{path}'{did_you_mean(part, known) if known or not new else '.'}{hint}"
        return  # `+model.new=...`: whether the target takes it is for validate() to say
    if len(parts) == 1 and parts[0] in GROUPS:
        yield f"{word}: '{key}' is a config group with no choice of that name"


def check_whole(argv: Sequence[str], conf: Path, check_config: Callable[[DictConfig], None]) -> None:
    """Compose and check the config of a single run, and that its folder holds no other run: all before Hydra starts."""
    cfg = compose(words(argv), conf)
    check_config(cfg)
    typed = pairs(argv)
    folder = Path(typed.get("hydra.run.dir") or typed.get("run_dir") or "").expanduser()
    if (nodes := cfg.trainer.get("num_nodes", 1)) > 1 and not folder.parts:
        raise ConfigError(f"trainer.num_nodes={nodes}: name the run's folder, the same on all machines: run_dir=DIR.")
    if folder.parts:
        check_free(folder, cfg)


def check_resume(argv: Sequence[str], folder: Path, conf: Path) -> None:
    """A resumed run follows its own config: any override that says otherwise is refused."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise CheckpointError(
            f"run_dir={folder}: no config.yaml there, so it is no run folder to resume. Check run_dir."
        )
    saved = OmegaConf.load(path)
    hydra_choices = (
        OmegaConf.load(folder / ".hydra" / "hydra.yaml") if (folder / ".hydra" / "hydra.yaml").is_file() else None
    )
    check([w for w in argv if w not in ("-m", "--multirun")], conf)
    for key, value in pairs(argv).items():
        key = key.lstrip("+~")
        if key in ("run_dir", "resume", "hydra.run.dir"):
            continue
        if (conf / key).is_dir():
            was = OmegaConf.select(hydra_choices, f"hydra.runtime.choices.{key}") if hydra_choices is not None else None
        else:
            was = OmegaConf.select(saved, key)
        if was != OmegaConf.from_dotlist([f"v={value}"])["v"]:
            raise ConfigError(
                f"{key}={value}: the run in {folder} was started with {key}={was}. A resumed run keeps its own config: "
                f"leave {key} out, or start a new run."
            )
