"""The file a search leaves, best.yaml, and how `best=FILE` brings it back: as overrides beneath those that are typed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from batgen.errors import ConfigError
from batgen.files import replacing

KEYS = ("choices", "values", "about")
_BARE = re.compile(r"[A-Za-z_][\w.\-]*")
_SAID_OTHERWISE = ("true", "false", "null", "nan", "inf")


def override_word(key: str, value: Any) -> str:
    """`key=value` as Hydra reads it back: strings quoted where they would be read as something else."""
    return f"{key}={_value(value)}"


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_value(v) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{_value(v)}" for k, v in value.items()) + "}"
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _SAID_OTHERWISE:
        return text
    return "'" + text.replace("\\'", "\\\\'").replace("'", "\\'") + "'"


def write_best(path: Path, choices: Mapping[str, str], values: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """choices: config groups ("model" -> "rcvae"); values: dotted keys; about: where they come from, for people."""
    content = {"choices": dict(choices), "values": dict(values), "about": dict(about)}
    with replacing(path) as temporary:
        text = "# Train with it: python train.py best=THIS_FILE  (whatever else is typed wins over what stands here)\n"
        temporary.write_text(text + OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")


def best_words(path: Path, typed: Sequence[str]) -> list[str]:
    """The overrides that `path` stands for, less the choices and values that are typed. Raises ConfigError as read_best does."""
    keys = {re.split(r"[=@]", word.lstrip("+~"), maxsplit=1)[0] for word in typed}
    choices, values = read_best(path)
    return [override_word(key, value) for key, value in {**choices, **values}.items() if key not in keys]


def read_best(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The choices of config groups ("model" -> "rcvae") and the values of dotted keys that `path` holds.

    Raises ConfigError where the file is missing or says anything else.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise ConfigError(
            f"best={path}: cannot be read ({error.strerror}). A search leaves best.yaml in its folder."
        ) from None
    except Exception as error:  # PyYAML's and OmegaConf's, which share no class
        raise ConfigError(f"best={path}: is no YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict) or not isinstance(content.get("values"), dict):
        raise ConfigError(f"best={path}: holds no 'values'. Give the best.yaml of a search.")
    if other := [key for key in content if key not in KEYS]:
        raise ConfigError(f"best={path}: unknown key {other[0]!r}; it may hold {', '.join(KEYS)}.")
    choices = content.get("choices") or {}
    if not isinstance(choices, dict):
        raise ConfigError(f"best={path}: 'choices' are no keys and values. Give the best.yaml of a search.")
    return {str(k): str(v) for k, v in choices.items()}, {str(k): v for k, v in content["values"].items()}
