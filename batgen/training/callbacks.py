"""What happens around epochs: keep the best weights, stop early, survive a kill, write the table, show progress."""

import copy
import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from batgen.console import console
from batgen.processes import main_process


class BestWeights(Callback):
    """Remembers the weights of the best epoch from `first` on, and stops when `patience` epochs brought nothing better.

    They live in memory and in this callback's state, so that they are part of every resume checkpoint.
    """

    def __init__(self, monitor: str, patience: int, first: int = 0):
        self.monitor, self.patience, self.first = monitor, patience, first
        self.best = float("inf")
        self.epoch = -1
        self.weights: dict[str, Tensor] = {}
        self.stopped = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.stopped:  # resumed from the very epoch that ended it
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking or trainer.current_epoch < self.first:
            return
        score = float(trainer.callback_metrics[self.monitor])
        if score < self.best:
            self.best, self.epoch = score, trainer.current_epoch
            self.weights = {k: v.detach().cpu().clone() for k, v in module.model.state_dict().items()}  # type: ignore[union-attr]
        if trainer.current_epoch - self.epoch >= self.patience:
            trainer.should_stop = self.stopped = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights, "stopped": self.stopped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.epoch, self.weights = state["best"], state["epoch"], dict(state["weights"])
        self.stopped = state["stopped"]


class EpochTable(Callback):
    """metrics.csv: one row per epoch, whole again after a resume because the rows are part of the checkpoint."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._written = 0.0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        scores = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.rows.append({"epoch": float(trainer.current_epoch), **scores})
        self.write_sometimes()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.write()

    def write_sometimes(self) -> None:
        if time.monotonic() - self._written > 5:
            self.write()

    def write(self) -> None:
        if main_process():
            write_table(self.path, self.rows)
            self._written = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": copy.deepcopy(self.rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = copy.deepcopy(state["rows"])


def write_table(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """One row an epoch, its columns in the order in which they first came."""
    names = list(dict.fromkeys(k for row in rows for k in row))
    temporary = path.with_suffix(".csv.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


class LastCheckpoint(Callback):
    """Writes the resume checkpoint at the end of an epoch, at most every `every_s` seconds.

    It must come last among the callbacks: what it saves includes their state after the epoch.
    """

    def __init__(self, path: Path, every_s: float):
        self.path, self.every_s = path, every_s
        self._saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        due = time.monotonic() - self._saved >= self.every_s
        if trainer.strategy.broadcast(due):  # saving is a joint act of all processes: the first one's clock decides
            temporary = self.path.with_name(self.path.stem + ".tmp.ckpt")
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                os.replace(temporary, self.path)
            self._saved = time.monotonic()


class EpochBar(Callback):
    """One line that says how far the training is and what the losses are; plain text where there is no terminal."""

    def __init__(self, title: str):
        self.title = title
        self._bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        columns = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[scores]}"), console=console())
        self._bar.start()
        self._task = self._bar.add_task(
            self.title, total=trainer.max_epochs, scores="", completed=trainer.current_epoch
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._bar is not None:
            shown = ("train/loss", "val/loss", "val/crps", "val/mae", "train/critic_loss", "val/energy_score")
            scores = "  ".join(
                f"{k} {float(v):.4g}" for k in shown if (v := trainer.callback_metrics.get(k)) is not None
            )
            self._bar.update(self._task, completed=trainer.current_epoch + 1, scores=scores)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()
