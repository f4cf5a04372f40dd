"""What a trained model is on disk, and how it comes back: plain containers and tensors, never pickled objects."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from batgen.build import build
from batgen.config import BESIDE, without
from batgen.errors import CheckpointError, ConfigError
from batgen.models.base import DataShape, ProfileScales, restore
from batgen.models.sequence_base import SequenceShape
from batgen.preprocessing.conditions import Conditions

VERSION = 1


def data_shape(preprocessing: Any, conditions: Conditions) -> DataShape:
    """What a model must know of data that went through fitted preprocessing and conditions."""
    tokens = tuple(map(tuple, getattr(preprocessing, "tokens", ())))
    profile = ProfileScales(**preprocessing.scales()) if preprocessing.PRODUCES == "profiles" else None
    return DataShape(preprocessing.x_shape, preprocessing.slices, conditions.columns, tokens, profile)


def sequence_shape(preprocessing: Any) -> SequenceShape:
    """The same for cycle sequences."""
    return SequenceShape(**preprocessing.shape())


@dataclass
class Trained:
    """A model ready to draw, with the preprocessing and conditions it was trained with.

    train_table: conditions of the training rows (N, columns), in physical units; facts: data hash, protocol, seed, ...
    """

    model: nn.Module
    preprocessing: Any
    conditions: Conditions
    config: dict[str, Any]
    train_table: Tensor
    facts: dict[str, Any]

    def generate(self, cond: Tensor, n: int, seed: int = 0, **options: Any) -> np.ndarray:
        """n draws for each row of cond (B, columns): physical curves (n, B, slices, points), the same for one seed.

        Raises ConfigError for profiles, which need to know where they start: `batgen.generate.generate` draws those.
        """
        if self.preprocessing.PRODUCES == "profiles":
            raise ConfigError(
                "A model of profiles: draw with batgen.generate.generate(run, conditions, n), not from here."
            )
        generator = torch.Generator().manual_seed(seed)
        drawn = self.model.sample(cond, n, generator, **options)  # type: ignore[operator]
        curves: np.ndarray = self.preprocessing.inverse(drawn.numpy())
        return curves


def save(path: Path, trained: Trained) -> None:
    """Write a checkpoint: to a temporary name first, so that a kill leaves the old one or none."""
    content = {
        "batgen_checkpoint": VERSION,
        "config": trained.config,
        "preprocessing": trained.preprocessing.state(),
        "conditions": trained.conditions.state(),
        "model": {k.removeprefix("_orig_mod."): v.cpu() for k, v in trained.model.state_dict().items()},
        "train_table": trained.train_table,
        "facts": trained.facts,
    }
    temporary = path.with_name(path.name + ".tmp")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path) -> Trained:
    """Rebuild model and preprocessing from a checkpoint, in any process, without unpickling anything but tensors.

    Raises CheckpointError when the file is absent, damaged, of another version, or no checkpoint of batgen.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint. A finished part of a run folder holds a model.ckpt.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}). Train again, or take another copy."
        ) from None
    version = content.get("batgen_checkpoint") if isinstance(content, Mapping) else None
    if version != VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {version}, but this batgen reads version {VERSION}. "
            f"Use the batgen that wrote it (run.json names the commit), or train again."
        )
    config = content["config"]
    preprocessing = build(config["preprocessing"])
    preprocessing.load(content["preprocessing"])
    conditions = Conditions.from_state(content["conditions"])
    sequences = hasattr(preprocessing, "shape")
    shape = sequence_shape(preprocessing) if sequences else data_shape(preprocessing, conditions)
    model = build(without(config["model"], *BESIDE["model"]), shape=shape)
    restore(model, content["model"])
    model.eval()
    return Trained(model, preprocessing, conditions, config, content["train_table"], content["facts"])
