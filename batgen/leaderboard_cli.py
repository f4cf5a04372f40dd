"""The words of scripts/leaderboard.py: its own are few, all others are overrides of train.py."""

from collections.abc import Sequence
from pathlib import Path

from batgen.errors import ConfigError

USAGE = """python scripts/leaderboard.py data=NAME [models=[NAME,...]] [families=[curves,profiles,...]]
    [seed=[0,1,2]] [protocol=both] [out=outputs/leaderboard/NAME] [rows=1000] [draws=20] [KEY=VALUE ...]

Trains every generator that fits the dataset, over seeds and protocols, evaluates it with its baselines beside, and writes
out/leaderboard.md, .csv, .json, .png and .html. Every other word is an override of train.py and must fit every model:
trainer=smoke families=[curves], cycles=40, hydra/launcher=joblib hydra.launcher.n_jobs=2. rows and draws are those of
scripts/evaluate.py. What was stopped, by whatever, goes on with the same command; what is finished is read.
What a model needs on a dataset besides is in conf/leaderboard.yaml. Seeds, protocol and overrides belong to the runs in
out: other ones need another out.
Example: python scripts/leaderboard.py data=sim models=[rcvae,rcvae_continuous] cycles=40 out=outputs/leaderboard/sim40"""
OWN = ("data", "models", "families", "out", "rows", "draws")
#: Words of train.py that say what this command says itself.
_TAKEN = {
    "model": "models=[NAME,...]",
    "run_dir": "out=DIR",
    "resume": "the same command again, which goes on by itself,",
    "hydra.sweep.dir": "out=DIR",
    "hydra.sweep.subdir": "out=DIR",
    "hydra.run.dir": "out=DIR",
}


def main(argv: Sequence[str], conf: Path, home: Path) -> None:
    """Parse the words, plan, train, evaluate, write. Raises ConfigError for a word that means nothing here.

    conf: the config tree; home: the folder below which outputs/ lies.
    """
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    words: dict[str, str] = {}
    for word in argv:
        key, sign, value = word.partition("=")
        if not sign:
            raise ConfigError(f"{word!r}: write KEY=VALUE, such as data=sim. See --help.")
        if key.lstrip("+") in _TAKEN:
            raise ConfigError(f"{word}: a leaderboard takes {_TAKEN[key.lstrip('+')]} instead of {key}.")
        words[key] = value
    if "data" not in words:
        raise ConfigError("data=NAME is missing: the dataset whose leaderboard is wanted. See --help.")
    given: dict[str, int] = {str(key): _whole(words, key) for key in ("rows", "draws") if key in words}
    words.setdefault("seed", "[0,1,2]")
    words.setdefault("protocol", "both")
    out = Path(words.get("out") or home / "outputs" / "leaderboard" / words["data"]).expanduser().resolve()

    from batgen.console import console
    from batgen.leaderboard import leaderboard
    from batgen.leaderboard_plan import plan

    typed = [f"{key}={value}" for key, value in words.items() if key not in OWN]
    made = plan(words["data"], _names(words, "models"), _names(words, "families"), typed, out, conf)
    leaderboard(made, console(), given)


def _names(words: dict[str, str], key: str) -> list[str]:
    return [name.strip() for name in words.get(key, "").strip("[]").split(",") if name.strip()]


def _whole(words: dict[str, str], key: str) -> int:
    if not words[key].isdigit() or int(words[key]) < 1:
        raise ConfigError(f"{key}={words[key]}: must be a whole number from 1.")
    return int(words[key])
