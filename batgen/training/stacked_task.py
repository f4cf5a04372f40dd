"""One model among those that are trained together: how far it is, when it ends, and how it is found again after a kill."""

import math
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from batgen.errors import CheckpointError
from batgen.training.callbacks import write_table
from batgen.training.settings import Training
from batgen.training.stacked_rows import RowsOf
from batgen.training.stacked_weights import Weights


@dataclass
class Task:
    """One stage of the training of a model: "train", or "search" and then "retrain" (`Training.early_stopping`).

    limit: epochs at most; epoch: those done; best and best_epoch: the lowest score of the monitor and its epoch (from 0);
    over: it has ended; table: its rows of metrics.csv.
    """

    stage: str
    model: nn.Module
    rows: RowsOf
    optim: Mapping[str, float]
    limit: int
    folder: Path
    weights: Weights
    epoch: int = 0
    best: float = math.inf
    best_epoch: int = -1
    over: bool = False
    table: list[dict[str, float]] = field(default_factory=list)

    @property
    def watched(self) -> bool:
        return self.rows.val > 0

    def steps(self, batch_size: int) -> int:
        """Steps an epoch."""
        return -(-self.rows.train // batch_size)

    def due(self, val_every: int) -> bool:
        """Whether the epoch that runs ends with a validation."""
        return self.watched and (self.epoch + 1) % val_every == 0

    def record(self, losses: Mapping[str, float], scores: Mapping[str, float] | None, settings: Training) -> bool:
        """An epoch is done: note its means of the losses and, where it was validated, the scores; decide whether it was
        the last (`over`). Returns whether its weights are the best so far. As `BestWeights` and `EpochTable` do."""
        shown = {k: v for k, v in self.table[-1].items() if k.startswith("val/")} if self.table else {}
        if scores is not None:
            shown = {f"val/{name}": value for name, value in scores.items()}
        self.table.append({"epoch": float(self.epoch), **{f"train/{k}": v for k, v in losses.items()}, **shown})
        better = scores is not None and shown[settings.monitor] < self.best
        if better:
            self.best, self.best_epoch = shown[settings.monitor], self.epoch
        out_of_patience = scores is not None and self.epoch - self.best_epoch >= settings.patience
        self.epoch += 1
        self.over = out_of_patience or self.epoch >= self.limit
        return better

    def write_table(self) -> None:
        write_table(self.folder / ("metrics_search.csv" if self.stage == "search" else "metrics.csv"), self.table)

    @property
    def resume_path(self) -> Path:
        return self.folder / f"last_{self.stage}_together.ckpt"

    def save(self) -> None:
        """Write the resume checkpoint: to a temporary name first, so that a kill leaves the old one."""
        kept = {name: getattr(self, name) for name in ("epoch", "best", "best_epoch", "over", "table")}
        weights = {name: getattr(self.weights, name) for name in ("now", "best", "mean", "square")}
        own = {name: {k: v.to("cpu", copy=True) for k, v in part.items()} for name, part in weights.items()}
        temporary = self.resume_path.with_name(self.resume_path.stem + ".tmp.ckpt")
        torch.save({**kept, "weights": {**own, "steps": self.weights.steps}}, temporary)
        os.replace(temporary, self.resume_path)

    def go_on(self) -> None:
        """From the resume checkpoint, where there is one. Raises CheckpointError where it cannot be read."""
        if not self.resume_path.is_file():
            return
        try:
            kept: dict[str, Any] = torch.load(self.resume_path, weights_only=True, map_location="cpu")
            self.weights = Weights(**kept.pop("weights"))
            for name, value in kept.items():
                setattr(self, name, value)
        except (
            OSError,
            RuntimeError,
            EOFError,
            KeyError,
            TypeError,
            pickle.UnpicklingError,
            zipfile.BadZipFile,
        ) as error:
            raise CheckpointError(
                f"{self.resume_path}: damaged ({type(error).__name__}). Delete it: this model is then trained from its start."
            ) from None

    def trained(self) -> nn.Module:
        """The model with its weights of the best epoch, or with the last where nothing was validated."""
        chosen = self.weights.best if self.watched else self.weights.now
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                value.copy_(chosen[name])
        return self.model.eval()
