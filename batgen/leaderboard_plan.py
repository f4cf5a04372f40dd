"""Which models of conf/model fit a dataset, and what has to be trained for its leaderboard."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen import config, overrides
from batgen.build import signature
from batgen.config import did_you_mean
from batgen.data.paths import source_folder
from batgen.errors import ConfigError

#: The kinds of data a model can make, in the order of the tables.
KINDS = ("curves", "profiles", "pulses", "sequences")


@dataclass(frozen=True)
class Job:
    """One run: all protocols and seeds of one model. `words` are the overrides of train.py, `needs` those among them that
    conf/leaderboard.yaml added; `cfg` is what they compose to; `board` names the test rows and axis it is compared on."""

    model: str
    kind: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    folder: Path
    cfg: DictConfig
    board: str


@dataclass
class Plan:
    """The runs of a leaderboard. `beside`: closed-form model -> the model beside which it is evaluated as a baseline."""

    data: str
    out: Path
    words: tuple[str, ...]
    jobs: list[Job]
    beside: dict[str, str] = field(default_factory=dict)


def plan(data: str, models: Sequence[str], kinds: Sequence[str], words: Sequence[str], out: Path, conf: Path) -> Plan:
    """The runs for `data`: every model that fits, or those named in `models`; of `kinds`, or of all that the data hold.

    A closed-form model that a trained model of the same kind lists as a baseline needs no run: it is evaluated beside.
    Raises ConfigError for a name that is unknown or does not fit and for an override that one of the models does not
    take, DataError where the raw data are not at hand.
    """
    known = sorted(p.stem for p in (conf / "data").glob("*.yaml"))
    if data not in known:
        raise ConfigError(f"data={data}: no such data{did_you_mean(data, known)}")
    node = OmegaConf.load(conf / "data" / f"{data}.yaml")
    assert isinstance(node, DictConfig)
    held = signature(node._target_).constants.get("HOLDS", ("curves",))
    _check_names(data, models, kinds, held, conf)
    wanted = [k for k in KINDS if k in held and (not kinds or k in kinds)]
    made = {name: kind_of(name, conf) for name in _known(conf)}
    chosen = [name for name in (dict.fromkeys(models) or made) if made[name] in wanted]
    if outside := [name for name in models if name not in chosen]:
        what = (
            f"the families asked for are {', '.join(wanted)}"
            if made[outside[0]] in held
            else f"data={data} holds {' and '.join(held)}"
        )
        raise ConfigError(f"models: {outside[0]} makes {made[outside[0]]}, but {what}. Leave it out.")
    jobs = [*_jobs(data, sorted(chosen, key=lambda n: (wanted.index(made[n]), n)), made, words, out, conf)]
    at_hand(jobs[0].cfg)
    beside = _beside(jobs)
    return Plan(data, out, tuple(words), _named(job for job in jobs if job.model not in beside), beside)


def kind_of(model: str, conf: Path) -> str:
    """What the preprocessing that a model picks for itself PRODUCES; read from its YAML file without composing it."""

    def choice(file: Path, start: str) -> str | None:
        node = OmegaConf.load(file)
        assert isinstance(node, DictConfig)
        found = [str(v) for item in node.get("defaults", []) if isinstance(item, DictConfig) for k, v in item.items()
                 if str(k).startswith(start)]  # fmt: skip
        return found[0] if found else None

    name = choice(conf / "model" / f"{model}.yaml", "override /preprocessing") or choice(
        conf / "train.yaml", "preprocessing"
    )
    node = OmegaConf.load(conf / "preprocessing" / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    return str(signature(node._target_).constants["PRODUCES"])


def at_hand(cfg: DictConfig) -> None:
    """Raise DataError where the raw folder of a dataset is missing that cannot be downloaded: before anything is trained."""
    folder = cfg.data.get("folder")
    if folder and not cfg.data.get("download"):
        source_folder(str(folder))


def closed_form(cfg: DictConfig) -> bool:
    return not signature(cfg.model._target_).methods & {"loss", "critic_loss"}


def _known(conf: Path) -> list[str]:
    return sorted(p.stem for p in (conf / "model").glob("*.yaml"))


def _check_names(data: str, models: Iterable[str], kinds: Iterable[str], held: Sequence[str], conf: Path) -> None:
    for name in models:
        if name not in _known(conf):
            raise ConfigError(f"models: no model {name!r}{did_you_mean(name, _known(conf))}")
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"families: no family {kind!r}{did_you_mean(kind, KINDS)}")
        if kind not in held:
            raise ConfigError(f"families: data={data} holds {' and '.join(held)}, no {kind}. Leave it out.")


def _jobs(
    data: str, names: Sequence[str], made: Mapping[str, str], words: Sequence[str], out: Path, conf: Path
) -> Iterator[Job]:
    table = (
        OmegaConf.to_container(OmegaConf.load(conf / "leaderboard.yaml"))
        if (conf / "leaderboard.yaml").is_file()
        else {}
    )
    own = (table.get(data) or {}) if isinstance(table, dict) else {}
    wrong: dict[str, list[str]] = {}
    for name in names:
        # What is typed goes last and wins over the table.
        needs = tuple(str(w) for w in own.get(name, ()) if str(w).split("=")[0] not in {w.split("=")[0] for w in words})
        typed = (f"data={data}", *needs, *words)
        try:
            overrides.check([f"model={name}", *typed], conf)
            cfg = overrides.compose([f"model={name}", *typed], conf)
            config.validate(cfg)
        except ConfigError as error:
            wrong.setdefault(str(error), []).append(name)
            continue
        yield Job(name, made[name], typed, needs, out / name, cfg, "")
    if wrong:
        lines = [f"{', '.join(found)}: {message}" for message, found in wrong.items()]
        raise ConfigError(
            "\n".join(lines) + "\nAn override must fit every model: choose with models=[...] or families=[...]."
        )


def _beside(jobs: Sequence[Job]) -> dict[str, str]:
    found: dict[str, str] = {}
    for job in jobs:
        if closed_form(job.cfg):
            covers = [g.model for g in jobs if g.kind == job.kind and not closed_form(g.cfg) and _lists(g.cfg, job.cfg)]
            if covers:
                found[job.model] = ", ".join(covers)
    return found


def _lists(generator: DictConfig, model: DictConfig) -> bool:
    baselines = (generator.evaluation.get("baselines") or {}).values()
    return str(model.model._target_) in {str(node._target_) for node in baselines if node is not None}


def _named(jobs: Iterable[Job]) -> list[Job]:
    """Each job with the name of its board: jobs share one where data, split and preprocessing are the same."""
    jobs = list(jobs)
    keys = [_measured_on(job) for job in jobs]
    named: dict[tuple[str, str], str] = {}
    for job, key in zip(jobs, keys, strict=True):
        title = _title(job)
        taken = title in [t for (kind, k), t in named.items() if kind == job.kind and k != key]
        named.setdefault((job.kind, key), f"{title} ({job.model})" if taken else title)
    return [
        Job(j.model, j.kind, j.words, j.needs, j.folder, j.cfg, named[j.kind, key])
        for j, key in zip(jobs, keys, strict=True)
    ]


def _measured_on(job: Job) -> str:
    one = config.resolved(job.cfg, config.protocols(job.cfg)[-1], config.seeds(job.cfg)[0])
    return repr([one["cycles"], one["data"], one["split"], one["preprocessing"]])


def _title(job: Job) -> str:
    one: Any = job.cfg.preprocessing
    on = f", {one.points} points over {str(one.grid).rpartition('_')[0] or one.grid}" if one.get("grid") else ""
    about_data = [word for word in job.needs if not word.startswith(("trainer.", "model."))]
    return job.kind + on + (f", {' '.join(about_data)}" if about_data else "")
