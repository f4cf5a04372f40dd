"""Profile models that start from another run: which model it is, whether it fits, and what of it is taken over."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from batgen import checkpoint
from batgen.checkpoint import Trained
from batgen.data.profile_split import Fold
from batgen.errors import CheckpointError, ConfigError
from batgen.forecast_notes import listed

#: What of a config decides the shape of the weights, or what they mean.
_KEPT = {
    "model": ("_target_", "noise", "hidden", "generator", "step_noise", "critic_hidden", "projection", "conditional", "thermal"),
    "preprocessing": ("_target_", "part", "signals", "conditions", "points", "grid", "step_s", "start", "window_s", "relative"),
}  # fmt: skip


def pretrained(conf: dict[str, Any], fold: str) -> Trained | None:
    """The model that `finetune.run` has for this fold (the first one, where it had fewer), checked against this config.

    None where nothing is named. Raises CheckpointError where there is no such run, ConfigError where its models are of
    another kind.
    """
    if not conf["finetune"]["run"]:
        return None
    run = Path(conf["finetune"]["run"]).expanduser().resolve()
    own = run / f"{conf['protocol']}-seed{conf['seed']}"
    parts = [p for p in (own, *sorted(run.glob("*-seed*")), run) if list(p.glob("models/*.ckpt"))]
    if not parts:
        raise CheckpointError(f"finetune.run={run}: no models/*.ckpt below it. Name the folder of a finished run.")
    if not (parts[0] / "metrics.json").is_file():
        raise CheckpointError(f"finetune.run={run}: that run is not finished (no metrics.json). Resume it first.")
    files = sorted(parts[0].glob("models/*.ckpt"))
    trained = _load(next((f for f in files if f.stem == fold), files[0]))
    for group, keys in _KEPT.items():
        for key in keys:
            was, given = trained.config[group].get(key), conf[group].get(key)
            if was != given:
                raise ConfigError(
                    f"finetune.run={run}: it was trained with {group}.{key}={was}, this run has {given}. "
                    f"Fine-tuning keeps these: set {group}.{key} as there."
                )
    if conf["finetune"]["train"] != "all":
        raise ConfigError(
            f"finetune.train={conf['finetune']['train']}: a generator and its critic learn together. Use all."
        )
    return trained


def seen_before(conf: dict[str, Any], fold: Fold, cell_id: np.ndarray) -> list[str]:
    """A sentence on the tested cells that the model of `finetune.run` for this fold learnt from; none where there are none.

    cell_id: (N,) of all profiles.
    """
    source = pretrained(conf, fold.name)
    tested = {str(cell) for rows in fold.tests.values() for cell in cell_id[rows]}
    if source is None or not (same := sorted(tested & set(source.facts["train_cells"]))):
        return []
    return [
        f"{fold.name}: finetune.run learnt from test {listed(same)}, from other cycles perhaps: these are not unseen"
    ]


@lru_cache(maxsize=8)
def _load(path: Path) -> Trained:
    return checkpoint.load(path)


def take_scales(preprocessing: Any, source: Trained) -> None:
    """Centres and scales of the source, as its weights know them; what belongs to the new cells stays."""
    theirs = source.preprocessing.state()
    preprocessing.load({**preprocessing.state(), "centre": theirs["centre"], "scale": theirs["scale"]})


def take_weights(model: nn.Module, source: Trained, rescaled: bool) -> None:
    """The source's weights; with `rescaled` the standardisation of conditions stays that of the new training rows.

    Raises ConfigError where the conditions are not the same columns.
    """
    state = source.model.state_dict()
    own = model.state_dict()
    columns = "conditioner.standardise.mean"
    if columns in state and state[columns].shape != own[columns].shape:
        raise ConfigError(
            f"finetune.run: its models know {len(state[columns])} condition columns "
            f"({', '.join(source.conditions.columns)}), this run has {len(own[columns])}. Train on the same kinds."
        )
    model.load_state_dict({**state, **({k: v for k, v in own.items() if "standardise" in k} if rescaled else {})})
