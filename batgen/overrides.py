"""What was typed, checked before it is run: every key must exist, and a resumed run takes nothing but its folder."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen.best import best_words, override_word
from batgen.config import GROUPS, ROOT_KEYS, did_you_mean
from batgen.errors import CheckpointError, ConfigError, DataError
from batgen.folder import check_free

#: Groups that leave no node of their own at the root.
OTHER_GROUPS = ("experiment",)
#: Groups that make several runs.
SEVERAL = ("search", "ablation")
#: Flags that take the next word.
_WITH_VALUE = (
    "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p", "--cfg", "-c",
)  # fmt: skip
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


def expanded(argv: Sequence[str]) -> list[str]:
    """`argv` with the overrides that best=FILE stands for beneath it, and -m where a search or an ablation is asked for."""
    argv, pairs = list(argv), _pairs(argv)
    if pairs.get("best", "null") != "null":
        path = Path(pairs["best"]).expanduser().absolute()
        own = [w for w in argv if not w.startswith("best=")]
        argv = [*best_words(path, words(own)), *own, override_word("best", str(path))]
    several = any(pairs.get(group, "null") != "null" for group in SEVERAL)
    return [*argv, "-m"] if several and not sweep(argv) and "--cfg" not in argv and "-c" not in argv else argv


def words(argv: Sequence[str]) -> list[str]:
    """The overrides in `argv`: what is left without the flags and their values."""
    found, skip = [], False
    for word in argv:
        if skip:
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            found.append(word)
    return found


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
    for word, sign, key in values:
        found += _bad_key(word, sign, key, tree)
    if found:
        raise ConfigError("\n".join(found))


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


def claim_folders(argv: Sequence[str], default: Path) -> None:
    """Make the folder that a run will be written to, before Hydra does. Raises DataError where that cannot be."""
    pairs = _pairs(argv)
    if sweep(argv) and ("run_dir" in pairs or "hydra.run.dir" in pairs):
        raise ConfigError("run_dir names the folder of one run; a multirun goes to hydra.sweep.dir=DIR.")
    named = [pairs[k] for k in ("run_dir", "hydra.run.dir", "hydra.sweep.dir") if k in pairs and "${" not in pairs[k]]
    for folder in [Path(n).expanduser() for n in named] or [default]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            raise DataError(f"{folder}: cannot be written ({reason}). Choose another folder with run_dir=DIR.")


def check_whole(argv: Sequence[str], conf: Path, check_config: Callable[[DictConfig], None]) -> None:
    """Compose and check the config of a single run, and that its folder holds no other run: all before Hydra starts."""
    cfg = compose(words(argv), conf)
    check_config(cfg)
    pairs = _pairs(argv)
    folder = Path(pairs.get("hydra.run.dir") or pairs.get("run_dir") or "").expanduser()
    if (nodes := cfg.trainer.get("num_nodes", 1)) > 1 and not folder.parts:
        raise ConfigError(f"trainer.num_nodes={nodes}: name the run's folder, the same on all machines: run_dir=DIR.")
    if folder.parts:
        check_free(folder, cfg)


def sweep(argv: Sequence[str]) -> bool:
    return any(a in ("-m", "--multirun") for a in argv)


def _pairs(argv: Sequence[str]) -> dict[str, str]:
    pairs = dict(w.split("=", 1) for w in words(argv) if "=" in w)
    return {key: value.strip("'\"") for key, value in pairs.items()}


def resume_folder(argv: Sequence[str]) -> Path | None:
    """The folder of `run_dir=DIR resume=true`, or None when this is no resume. Raises ConfigError without run_dir."""
    pairs = _pairs(argv)
    if pairs.get("resume", "false").lower() not in ("true", "1", "yes", "on"):
        return None
    folder = pairs.get("run_dir") or pairs.get("hydra.run.dir")
    if not folder:
        raise ConfigError("resume=true needs run_dir=DIR, the folder of the run to go on with.")
    return Path(folder).expanduser().resolve()


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
    for key, value in _pairs(argv).items():
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
