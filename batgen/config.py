"""The typed root of every training config, the protocol switch, and the check that every key means something.

Nothing here imports torch or Lightning: a typing error must be answered in a moment.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from batgen.build import signature
from batgen.config_names import BESIDE, COLLECTIONS, CURVES, FINETUNE, GIVEN, MEMBER, PROFILES, PROTOCOLS, SEQUENCES
from batgen.errors import ConfigError


@dataclass
class TrainConfig:
    """The root config: the short knobs, and one node per config group.

    cycles: how much of each cell is used (curve models: equivalent cycle life 1..cycles). seed: an int, or a list that is
    trained one after the other. device: "cpu", "cuda", or null to follow the trainer. protocol: honest, paper or both.
    resume: go on in `run_dir` with that folder's own config. finetune: start from the models of another run. best: a file
    that a search wrote; its values lie beneath what is typed. search, ablation: what a multirun is to try.
    """

    data: Any = field(default_factory=dict)
    preprocessing: Any = field(default_factory=dict)
    split: Any = field(default_factory=dict)
    model: Any = field(default_factory=dict)
    trainer: Any = field(default_factory=dict)
    callbacks: Any = field(default_factory=dict)
    logger: Any = field(default_factory=dict)
    evaluation: Any = field(default_factory=dict)
    cycles: int = 100
    seed: Any = 0
    device: str | None = None
    run_name: str = ""
    protocol: str = "honest"
    run_dir: str = ""
    resume: bool = False
    finetune: Any = field(default_factory=dict)
    best: str | None = None
    search: Any = None
    ablation: Any = None


ROOT_KEYS = tuple(f.name for f in fields(TrainConfig))
GROUPS = ROOT_KEYS[:8]
#: What runs of earlier versions do not say.
LATER = ("best", "search", "ablation")


def register_resolvers() -> None:
    """`${by_protocol:PAPER,HONEST}`: one key whose value follows the protocol, until somebody sets the key itself."""

    def by_protocol(paper: Any, honest: Any, *, _root_: DictConfig) -> Any:
        return paper if _root_.protocol == "paper" else honest

    OmegaConf.register_new_resolver("by_protocol", by_protocol, replace=True)


def did_you_mean(word: str, known: Any) -> str:
    near = difflib.get_close_matches(str(word), [str(k) for k in known], 1, cutoff=0.6)
    listed = ", ".join(map(str, known))
    return f"; did you mean '{near[0]}'?" if near else f". Known here: {listed}." if listed else ". It takes no key."


def problems(node: Any, path: str) -> Iterator[str]:
    """One sentence per key under `node` that its `_target_` does not take, or lacks."""
    if isinstance(node, ListConfig):
        for i, item in enumerate(node._content if isinstance(node._content, list) else []):
            yield from problems(item, f"{path}[{i}]")
    if not isinstance(node, DictConfig) or OmegaConf.is_missing(node, "_target_"):
        return
    keys, target = {str(k) for k in node}, str(node.get("_target_"))
    given = next((names for where, names in GIVEN if where.fullmatch(path)), set())
    beside = BESIDE.get(MEMBER.sub("data", path), set())
    if "_target_" in keys:
        try:
            sig = signature(target)
        except ConfigError as error:
            yield f"{path}: {error}"
            return
        allowed = [n for n in sig.names if n not in given] + sorted(beside)
        for key in sorted(keys - {"_target_"}):
            if key not in allowed and not sig.anything:
                yield f"{path}.{key}: {target} takes no '{key}'{did_you_mean(key, allowed)}"
            elif not OmegaConf.is_interpolation(node, key) and (wanted := sig.refuses(key, node[key])):
                yield f"{path}.{key}={node[key]}: must be {wanted}."
        for name in sorted(sig.required - keys - given):
            yield f"{path}: {target} needs '{name}'. Set {path}.{name}=..."
    for key in sorted(keys):
        child = node._get_node(key)
        if isinstance(child, DictConfig | ListConfig) and not child._is_none() and not child._is_interpolation():
            yield from problems(child, f"{path}.{key}")


def _loose_ends(cfg: DictConfig) -> Iterator[str]:
    """Keys in places that no signature guards, and nodes that a model cannot do without."""
    for name in COLLECTIONS:
        for key, child in (OmegaConf.select(cfg, name) or {}).items():
            taken_out = child is None and name == "model.physics"
            if not taken_out and (not isinstance(child, DictConfig) or "_target_" not in child):
                yield f"{name}.{key}: must be a node with a _target_, such as {name}.{key}._target_=package.module.Class."
    yield from _finetune(cfg)
    for node, known in (("curves", CURVES), ("sequences", SEQUENCES), ("profiles", PROFILES)):
        for key in cfg.data.get(node) or {}:
            if key not in known:
                yield f"data.{node}.{key}: unknown key{did_you_mean(str(key), known)}"
    if "conditions" in cfg.data and not isinstance(cfg.data.conditions, ListConfig):
        yield f"data.conditions={cfg.data.conditions}: must be a list, such as data.conditions=[eol,ecl]."
    recipes, variant = cfg.model.get("recipes"), cfg.model.get("variant")
    if recipes is not None and variant not in recipes:
        yield f"model.variant={variant}: unknown variant{did_you_mean(str(variant), recipes)}"
    trained = signature(cfg.model._target_).methods & {"loss", "critic_loss"}
    if trained and not cfg.model.get("optim"):
        yield "model.optim: this model is trained by gradient and needs an optimiser. Leave model.optim as it is."


def _finetune(cfg: DictConfig) -> Iterator[str]:
    for key in cfg.finetune:
        if key not in FINETUNE:
            yield f"finetune.{key}: unknown key{did_you_mean(str(key), FINETUNE)}"
    for key in ("train", "scaler"):
        choices, given = FINETUNE[key], cfg.finetune.get(key)
        if choices is not None and given not in choices:
            yield f"finetune.{key}={given}: it must be one of {', '.join(choices)}."
    made = signature(cfg.preprocessing._target_).constants.get("PRODUCES", "")
    if cfg.finetune.get("run") is not None and made not in ("sequences", "profiles"):
        yield f"finetune.run: models of sequences and profiles start from another run, not those of {made}. Leave it out."


def validate(cfg: DictConfig) -> None:
    """Refuse a config with an unknown, misplaced or missing key, a bad root value, or parts that do not fit each other.

    Raises ConfigError with one line per problem. Imports nothing heavy.
    """
    found = [f"{k!s}: unknown key{did_you_mean(str(k), ROOT_KEYS)}" for k in cfg if k not in ROOT_KEYS]
    found += [
        f"{k}: this key was deleted, but nothing can be done without it." for k in ROOT_KEYS if k not in (*cfg, *LATER)
    ]
    if found:
        raise ConfigError("\n".join(found))
    for group in (*GROUPS, "search", "ablation"):
        if group in LATER and group not in cfg:
            continue
        node = cfg._get_node(group)
        if isinstance(node, DictConfig) and not node._is_none():
            if group in ("data", "preprocessing", "split", "model", "trainer") and "_target_" not in node:
                found.append(f"{group}: nothing chosen. Name one: {group}=NAME (python train.py --help lists them).")
            found += problems(node, group)
    found += _bad_values(cfg)
    if not found:
        found += [*_loose_ends(cfg), *_misfits(cfg)]
    if found:
        raise ConfigError("\n".join(found))
    for protocol in protocols(cfg):
        try:
            resolved(cfg, protocol, 0)
        except OmegaConfBaseException as error:
            where = getattr(error, "full_key", None) or "config"
            raise ConfigError(f"{where}: {str(error).splitlines()[0]}. Check the ${{...}} there.") from None


def validate_data(cfg: DictConfig) -> None:
    """Refuse a bad `data` node alone: what prepares a dataset needs no model. Raises ConfigError."""
    if found := list(problems(cfg.data, "data")):
        raise ConfigError("\n".join(found))


def _bad_values(cfg: DictConfig) -> Iterator[str]:
    if cfg.protocol not in PROTOCOLS:
        yield f"protocol: {cfg.protocol!r} is none of {', '.join(PROTOCOLS)}{did_you_mean(cfg.protocol, PROTOCOLS)}"
    if isinstance(cfg.cycles, bool) or cfg.cycles < 1:
        yield f"cycles: {cfg.cycles} is not a number of cycles. Give 1 or more, such as cycles=100."
    if not all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds(cfg)) or not seeds(cfg):
        yield f"seed: {cfg.seed!r} is neither an int >= 0 nor a list of them. Use seed=0 or seed=[0,1,2,3,4]."
    elif len(set(seeds(cfg))) < len(seeds(cfg)):
        yield f"seed: {list(seeds(cfg))} names a seed twice. Each seed is trained once."
    if cfg.device not in (None, "cpu", "cuda"):
        yield f"device: {cfg.device!r} is neither cpu nor cuda (null follows the trainer)."


def _misfits(cfg: DictConfig) -> Iterator[str]:
    """Parts that do not go together: a preprocessing PRODUCES one kind of data, the others ACCEPT some."""
    made = signature(cfg.preprocessing._target_).constants.get("PRODUCES", "")
    held = signature(cfg.data._target_).constants.get("HOLDS", ("curves",))
    if made not in held:
        yield (
            f"data: {cfg.data.name} holds {' and '.join(held)}, but {cfg.preprocessing._target_} makes "
            f"{made or 'nothing known'}. Use another dataset, or a model for this one (README.md says which goes with which)."
        )
    for group in ("model", "split", "trainer", "evaluation"):
        accepts = signature(target := cfg[group]._target_).constants.get("ACCEPTS", ())
        if made not in accepts:
            remedy = "preprocessing" if group == "model" else group
            yield (
                f"{remedy}: {cfg.preprocessing._target_} makes {made or 'nothing known'}, but {target} takes "
                f"{' or '.join(accepts) or 'nothing'}. Leave {remedy} out: the model picks its own."
            )
            if group == "model":
                return  # what the model picked for itself is not at fault


def seeds(cfg: DictConfig) -> list[Any]:
    return list(cfg.seed) if isinstance(cfg.seed, ListConfig | list | tuple) else [cfg.seed]


def protocols(cfg: DictConfig) -> list[str]:
    return ["paper", "honest"] if cfg.protocol == "both" else [str(cfg.protocol)]


def resolved(cfg: DictConfig, protocol: str, seed: int) -> dict[str, Any]:
    """The config of one part of a run, as plain containers: every interpolation answered for this protocol and seed."""
    one = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    assert isinstance(one, DictConfig)
    one.protocol, one.seed, one.run_dir = protocol, seed, ""  # where a run lies is no part of what it is
    for why in ("search", "ablation"):  # nor is why it is run
        if why in one:
            one[why] = None
    if OmegaConf.is_interpolation(one, "run_name"):
        one.run_name = ""  # Hydra's to answer, and it is not here
    plain = OmegaConf.to_container(one, resolve=True)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()}


def same_run(a: DictConfig, b: DictConfig) -> bool:
    """Whether two configs describe one run, wherever it lies."""
    return essence(a) == essence(b)


def essence(cfg: DictConfig) -> dict[str, Any]:
    """What a run is, as plain containers: less where it lies, what it is called and why it is run."""
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    return without({str(k): v for k, v in plain.items()}, "run_dir", "run_name", "resume", *LATER)


def without(node: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """`node` less `keys`: a model's config without its optimiser, say."""
    return {k: v for k, v in node.items() if k not in keys}
