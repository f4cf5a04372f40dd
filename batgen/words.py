"""KEY=VALUE words of the scripts that are not Hydra's."""

from collections.abc import Sequence

from batgen.config import did_you_mean
from batgen.errors import ConfigError


def key_values(argv: Sequence[str], known: Sequence[str], example: str, groups: Sequence[str] = ()) -> dict[str, str]:
    """{"run": "outputs/DIR"} of run=outputs/DIR. `groups`: prefixes, such as "columns.", of keys that are free behind them.

    Raises ConfigError for what is no KEY=VALUE, with the example, and for an unknown key, with a suggestion.
    """
    words: dict[str, str] = {}
    for word in argv:
        key, sign, value = word.partition("=")
        if not sign:
            raise ConfigError(f"{word!r}: write KEY=VALUE, such as {example}. See --help.")
        if key not in known and not key.startswith(tuple(groups)):
            raise ConfigError(f"{word}: unknown key '{key}'{did_you_mean(key, [*known, *groups])}")
        words[key] = value
    return words
