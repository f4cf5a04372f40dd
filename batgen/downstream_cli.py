"""The words of scripts/downstream.py: its own, and overrides of train.py."""

import re
from collections.abc import Sequence
from pathlib import Path

from batgen import overrides
from batgen.errors import ConfigError

USAGE = """python scripts/downstream.py data=NAME [model=NAME or model=[A,B]] [shares=[0.03,0.05,0.1,0.2]] [repeats=5]
                             [synthetic=1000] [targets=[soh,eol]] [out=DIR] [KEY=VALUE of train.py ...]

Trains a generator on a few of the training cells, and asks whether its synthetic curves help a regression of SOH and end of
life on held-out measured cells: from measured curves alone, measured ones and jittered copies of them (the control),
measured and synthetic ones, synthetic ones, and a constant.
Writes downstream.json, .md and .png to out (default outputs/downstream/DATA) and says in a sentence whether it helps. Stopped?
The same command goes on. Models of curves (default rcvae_continuous and pca_gaussian) and of pulse tests.
Example: python scripts/downstream.py data=sim trainer.max_epochs=60
Example: python scripts/downstream.py data=pulse data.battery=NMC_2.1Ah model=cross_attention_cvae"""
DEFAULT_MODELS = "rcvae_continuous,pca_gaussian"
OWN = ("model", "shares", "repeats", "synthetic", "targets", "out")
#: What this program sets for each run.
SET_HERE = ("seed", "protocol", "run_dir", "resume", "run_name", "split.train_share", "preprocessing.conditions")


def main(argv: Sequence[str], conf: Path, home: Path) -> None:
    """Parse the words, train, regress and write. Raises ConfigError for a word that means nothing here."""
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    words, typed = _words(argv)
    models = tuple(_list(words.get("model", DEFAULT_MODELS)))
    overrides.check([*typed, *(f"model={m}" for m in models[:1])], conf)
    data = next((w.partition("=")[2] for w in typed if w.startswith("data=")), "sim")

    from batgen.console import console
    from batgen.downstream import DownstreamSettings, downstream
    from batgen.downstream_curves import TARGETS

    settings = DownstreamSettings(
        typed=tuple(typed),
        models=models,
        shares=tuple(_numbers(words["shares"])) if "shares" in words else None,
        repeats=_whole(words, "repeats", 5),
        synthetic=_whole(words, "synthetic", 1000),
        targets=tuple(_list(words["targets"])) if "targets" in words else TARGETS,
    )
    out = Path(words.get("out") or home / "outputs" / "downstream" / data).expanduser().resolve()
    downstream(settings, conf, out, console())


def _words(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The words of this program, and those of train.py."""
    words, typed = {}, []
    for word in argv:
        key, sign, value = word.partition("=")
        if not sign or re.match(r"-", word):
            raise ConfigError(f"{word!r}: write KEY=VALUE, such as repeats=5. See --help.")
        if key.lstrip("+~") in SET_HERE:
            raise ConfigError(f"{word}: this program sets {key} for each of its runs. Leave it out. See --help.")
        if key in OWN:
            words[key] = value
        else:
            typed.append(word)
    return words, typed


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in _list(text)]
    except ValueError:
        raise ConfigError(f"shares={text}: give fractions, such as shares=[0.05,0.2].") from None


def _whole(words: dict[str, str], key: str, default: int) -> int:
    try:
        return int(words.get(key, default))
    except ValueError:
        raise ConfigError(f"{key}={words[key]}: not a whole number.") from None
