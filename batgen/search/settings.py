"""What the node `search` of a config says, checked before anything is opened or trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen.config import did_you_mean, without
from batgen.errors import ConfigError

SAMPLERS = ("tpe", "gp", "qmc", "grid", "nsga2", "random")
PRUNERS = ("none", "median", "hyperband")
DIRECTIONS = ("minimize", "maximize")
#: Samplers that learn parameters which are there in some trials only; the others would draw them blindly.
CONDITIONAL = ("tpe", "random")


@dataclass(frozen=True)
class SearchSettings:
    """name: of the study and its folder; the same name goes on with the same search.

    space: nested like the config, see `batgen.search.space`. objectives: names of what a trial measures on validation rows;
    directions: minimize or maximize, one each (null: minimize all). n_trials: finished trials (complete or pruned) that the
    study holds in the end, over all processes that work on it; n_jobs: how many this one hands to the launcher at once.
    startup: trials at random before the sampler learns and the median pruner judges (Hyperband judges from the first one),
    for nsga2 its population, at least 4; warmup: steps of a trial before the pruner may end it. max_failures: how
    many trials may fail in one call. storage: an SQLAlchemy URL; null: the file study.journal in the search's folder.
    final: overrides of the run that trains the best configuration again and tests it, where `retrain` is true. trial: set in
    jobs alone, the number of the trial or "final".
    """

    name: str
    space: Mapping[str, Any]
    objectives: Sequence[str] = ("val/crps",)
    directions: Sequence[str] | None = None
    n_trials: int = 50
    n_jobs: int = 1
    sampler: str = "tpe"
    pruner: str = "median"
    startup: int = 10
    warmup: int = 5
    max_failures: int = 3
    storage: str | None = None
    seed: int = 0
    final: Sequence[str] = ()
    retrain: bool = True
    trial: int | str | None = None

    def senses(self) -> list[str]:
        """A direction for each objective."""
        return list(self.directions) if self.directions is not None else ["minimize"] * len(self.objectives)


def read_settings(cfg: DictConfig) -> SearchSettings:
    """The settings in `cfg.search`, already checked against the signature of SearchSettings. Raises ConfigError."""
    node = OmegaConf.to_container(cfg.search, resolve=True)
    assert isinstance(node, dict)
    settings = SearchSettings(**without({str(k): v for k, v in node.items()}, "_target_"))
    if found := list(_problems(settings)):
        raise ConfigError("\n".join(found))
    return settings


def _problems(s: SearchSettings) -> Iterator[str]:
    for key, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if (given := getattr(s, key)) not in known:
            yield f"search.{key}={given}: there is no such {key}{did_you_mean(given, known)}"
    for key, least in (("n_trials", 1), ("n_jobs", 1), ("startup", 1), ("warmup", 0), ("max_failures", 0), ("seed", 0)):
        if getattr(s, key) < least:
            yield f"search.{key}={getattr(s, key)}: must be {least} or more."
    if not s.name.strip() or s.name.strip(".") == "" or "/" in s.name:
        yield f"search.name={s.name!r}: it names a folder. Give letters and digits, such as search.name=wide."
    if isinstance(s.objectives, str) or not s.objectives or len(set(s.objectives)) < len(s.objectives):
        yield f"search.objectives={s.objectives}: give a list of different names, such as search.objectives=[val/crps]."
        return
    for sense in s.senses():
        if sense not in DIRECTIONS:
            yield f"search.directions: {sense!r} is no direction{did_you_mean(sense, DIRECTIONS)}"
    if len(s.senses()) != len(s.objectives):
        yield (
            f"search.directions={list(s.senses())}: {len(s.objectives)} objectives need as many directions "
            f"({', '.join(s.objectives)})."
        )
    if s.sampler == "nsga2" and len(s.objectives) < 2:
        yield "search.sampler=nsga2: it is for two or more objectives. Use search.sampler=tpe for one."
