"""Starting from the models of another run: which they are, whether they fit, what of them is trained on."""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from batgen import checkpoint
from batgen.checkpoint import Trained
from batgen.errors import CheckpointError, ConfigError
from batgen.forecast_notes import listed

#: finetune.train: prefixes of the parameters that learn; those of the encoder never do but with "all".
PARTS = {
    "all": ("",),
    "decoder": ("decoder.",),
    "heads": ("decoder.head.",),
    "heads_and_attention": ("decoder.head.", "decoder.attention."),
}


class Pretrained(dict[str, Trained]):
    """Models of a run by fold; a fold that the run did not have gets one of its models in turn."""

    def __missing__(self, name: str) -> Trained:
        names = sorted(self)
        return self[names[int(name.removeprefix("fold")) % len(names)]]


def pretrained(conf: dict[str, Any]) -> Pretrained | None:
    """The models that `finetune.run` names, checked against this run's model and targets; None where it names none.

    Raises CheckpointError where there is no such run, ConfigError where its models are of another kind.
    """
    if not conf["finetune"]["run"]:
        return None
    run = Path(conf["finetune"]["run"]).expanduser().resolve()
    found = _load(_part_of(run, conf))
    for trained in found.values():
        _refuse_other(conf, trained, run)
    return found


def seen_before(conf: dict[str, Any], tested: Iterable[str]) -> list[str]:
    """A sentence on the cells to be tested on that are named like cells which the models of `finetune.run` learnt from.

    What a pool puts before an id (`oxford/oxford_1`) does not count.
    """
    learnt = {_own(cell) for one in (pretrained(conf) or {}).values() for cell in one.facts["train_cells"]}
    same = [cell for cell in dict.fromkeys(tested) if _own(cell) in learnt]
    if not same:
        return []
    return [
        f"test {listed(same)}: named like cells that finetune.run learnt from; if they are the same, this is no test"
    ]


def _own(cell_id: str) -> str:
    return cell_id.rpartition("/")[2]


def freeze(model: nn.Module, what: str) -> None:
    """Only the parameters of `what` (a key of PARTS) learn."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(PARTS[what]))


def _part_of(run: Path, conf: dict[str, Any]) -> Path:
    own = run / f"{conf['protocol']}-seed{conf['seed']}"
    parts = [p for p in (own, *sorted(run.glob("*-seed*")), run) if list(p.glob("models/*.ckpt"))]
    if not parts:
        if list(run.glob("*-seed*/model.ckpt")):
            raise CheckpointError(
                f"finetune.run={run}: a run of another kind of model. Name one of {conf['model']['_target_']}."
            )
        raise CheckpointError(f"finetune.run={run}: no models/*.ckpt below it. Name the folder of a finished run.")
    if not (parts[0] / "metrics.json").is_file():
        raise CheckpointError(
            f"finetune.run={run}: that run is not finished (no {parts[0].name}/metrics.json). Resume it first."
        )
    return parts[0]


@lru_cache(maxsize=4)
def _load(part: Path) -> Pretrained:
    return Pretrained({path.stem: checkpoint.load(path) for path in sorted(part.glob("models/*.ckpt"))})


def _refuse_other(conf: dict[str, Any], trained: Trained, run: Path) -> None:
    old = trained.config
    if old["model"]["_target_"] != conf["model"]["_target_"]:
        raise ConfigError(
            f"finetune.run={run}: trained with {old['model']['_target_']}, this run has {conf['model']['_target_']}. "
            "Choose the same model, or another run."
        )
    for group, keys in (
        ("preprocessing", ("targets", "inputs", "covariates", "statics")),
        ("model", _SHAPING),
    ):
        for key in keys:
            was, given = json.loads(json.dumps(old[group].get(key))), json.loads(json.dumps(conf[group].get(key)))
            if was != given:
                raise ConfigError(
                    f"finetune.run={run}: it was trained with {group}.{key}={was}, this run has {given}. "
                    f"Fine-tuning keeps these: set {group}.{key} as there."
                )
    was, given = old["preprocessing"]["capacity"], conf["preprocessing"]["capacity"]
    if was != given and conf["finetune"]["scaler"] == "source":  # scales of a shape do not fit amperes
        raise ConfigError(
            f"finetune.run={run}: its scales are of preprocessing.capacity={was}, this run has {given}. Set it as there, or "
            "use finetune.scaler=refit."
        )


#: What of a model's config decides the shape of its weights or what they mean.
_SHAPING = (
    "hidden",
    "layers",
    "bidirectional",
    "attention",
    "heads",
    "levels",
    "ordered",
    "residual",
    "feedback",
    "block",
    "arcana_compat",
)
