"""What stands on the command line: overrides and flags, the folder they name, what best=, search= and ablation= stand for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from batgen.best import best_words, override_word
from batgen.errors import ConfigError, DataError

#: Groups that make several runs.
SEVERAL = ("search", "ablation")
#: Flags that show the config, that show anything else, and that put other files in the place of ours: Hydra's.
CONFIG = ("--cfg", "-c")
HELP = ("--help", "-h", "--hydra-help", "--version", "--info", "-i", "--shell-completion", "-sc")
OTHER_FILES = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
_ONE_NAME = re.compile(r"[\w./\-]+")
_MULTIRUN = ("--multirun", "-m")
_RUN = ("--run", "-r")
#: Flags that take the next word, and those that take it where it is no override.
_WITH_VALUE = (*OTHER_FILES, *CONFIG, "--package", "-p", "--experimental-rerun")
_WITH_CHOICE = ("--info", "-i")


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides in `argv`, and the flags with their values."""
    found: list[str] = []
    flags: list[str] = []
    last = ""  # what may take this word as its value
    for word in argv:
        choice = last in _WITH_CHOICE and "=" not in word and not word.startswith("-")
        value = last in _WITH_VALUE or choice
        (flags if value or word.startswith("-") else found).append(word)
        last = "" if value else word
    return found, flags


def words(argv: Sequence[str]) -> list[str]:
    """The overrides in `argv`."""
    return split(argv)[0]


def pairs(argv: Sequence[str]) -> dict[str, str]:
    """key -> value of the overrides in `argv`, as they are typed but for plus signs and quotes."""
    typed = dict(w.split("=", 1) for w in words(argv) if "=" in w)
    return {key.lstrip("+"): value.strip("'\"") for key, value in typed.items()}


def asks(argv: Sequence[str], flags: Sequence[str]) -> bool:
    """Whether one of these flags is in `argv`, also as --flag=value."""
    return any(word.partition("=")[0] in flags for word in split(argv)[1])


def sweep(argv: Sequence[str]) -> bool:
    return asks(argv, _MULTIRUN)


def best_file(argv: Sequence[str]) -> Path | None:
    """FILE of best=FILE."""
    name = pairs(argv).get("best", "null")
    return None if name == "null" else Path(name).expanduser().absolute()


def expanded(argv: Sequence[str]) -> list[str]:
    """`argv` with the overrides that best=FILE stands for beneath it, and -m where a search or an ablation is asked for.

    All overrides come first, then all flags: Hydra takes overrides in one place only. Raises ConfigError for several
    searches or ablations.
    """
    own, flags = split(argv)
    if (path := best_file(argv)) is not None:
        own = [word for word in own if word.lstrip("+").partition("=")[0] != "best"]
        own = [*best_words(path, own), *own, override_word("best", str(path))]
    several = [group for group in SEVERAL if pairs(argv).get(group, "null") != "null"]
    if len(several) > 1:
        raise ConfigError("search= and ablation= together: a multirun is either. Leave one out.")
    for group in several:
        if not _ONE_NAME.fullmatch(choice := pairs(argv)[group]):
            raise ConfigError(f"{group}={choice}: one {group} at a time. Start a command for each.")
    if several and not asks(argv, (*_MULTIRUN, *_RUN, *CONFIG, *HELP)):
        flags.append("-m")
    return [*own, *flags]


def resume_folder(argv: Sequence[str]) -> Path | None:
    """The folder of `run_dir=DIR resume=true`, or None when this is no resume. Raises ConfigError without run_dir."""
    typed = pairs(argv)
    if typed.get("resume", "false").lower() not in ("true", "1", "yes", "on"):
        return None
    folder = typed.get("run_dir") or typed.get("hydra.run.dir")
    if not folder:
        raise ConfigError("resume=true needs run_dir=DIR, the folder of the run to go on with.")
    return Path(folder).expanduser().resolve()


def claim_folders(argv: Sequence[str], default: Path) -> None:
    """Make the folder that a run will be written to, before Hydra does. Raises DataError where that cannot be."""
    typed = pairs(argv)
    if sweep(argv) and ("run_dir" in typed or "hydra.run.dir" in typed):
        raise ConfigError("run_dir names the folder of one run; a multirun goes to hydra.sweep.dir=DIR.")
    keys = ("run_dir", "hydra.run.dir", "hydra.sweep.dir")
    folders = {k: Path(typed[k]).expanduser() for k in keys if k in typed and "${" not in typed[k]}
    usual = "hydra.sweep.dir" if sweep(argv) else "run_dir"
    for key, folder in (folders or {usual: default}).items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            raise DataError(f"{folder}: cannot be written ({reason}). Choose another folder with {key}=DIR.")
