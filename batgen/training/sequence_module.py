"""The Lightning side of forecasters: windows drawn anew in every epoch, teacher forcing by schedule, fixed validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from batgen.models.sequence_base import SequenceBatch
from batgen.training.datamodule import epoch_seed
from batgen.training.module import OptimiserOf
from batgen.training.schedules import lr_factor
from batgen.training.sequence_settings import SequenceTraining
from batgen.training.stopping import EarlyStopping


@dataclass(frozen=True)
class SequenceRows:
    """What one model learns from: `draw(rng)` gives an epoch's training windows; `val` is always the same."""

    draw: Callable[[np.random.Generator], SequenceBatch]
    val: SequenceBatch


class SequenceModule(pl.LightningModule):
    """Trains a model with `loss(batch, teacher_forcing, steps)`. All randomness of an epoch is seeded by (seed, epoch), so
    that a resumed run repeats the unbroken one."""

    def __init__(
        self, model: nn.Module, rows: SequenceRows, optimiser_of: OptimiserOf, settings: SequenceTraining, seed: int
    ):
        super().__init__()
        self.model, self.rows, self.settings, self.seed = model, rows, settings, seed
        self.optimiser_of, self.plan = optimiser_of, settings.plan

    def configure_optimizers(self) -> Any:
        optimiser = self.optimiser_of([p for p in self.model.parameters() if p.requires_grad])
        factor = lr_factor(self.settings.lr_schedule, self.settings.epochs)
        return {"optimizer": optimiser, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimiser, factor)}

    def on_train_epoch_start(self) -> None:
        self.seeded = epoch_seed(self.seed, self.current_epoch)

    def training_step(self, index: Tensor, number: int) -> Tensor:
        if number == 0:  # here: a data loader draws from the global generator when it is opened
            torch.manual_seed(self.seeded)
            self.drawn = to_device(self.rows.draw(np.random.default_rng(self.seeded)), self.device)
            self.order = torch.randperm(len(self.drawn.cell), device=self.device)
        chosen = self.order[index.to(self.device)]
        batch = SequenceBatch(*(x[chosen] for x in self.drawn))
        ratio = self.plan.ratio(self.current_epoch)
        steps = self.plan.length(self.current_epoch, batch.target.shape[1])
        loss: Tensor = self.model.loss(batch, ratio, steps)["loss"]  # type: ignore[operator]
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"epoch {self.current_epoch}: the training loss is no longer finite")
        logged: dict[str, Tensor | float] = {"train/loss": loss.detach(), "length": float(steps)}
        if self.model.feedback:  # without, nothing is fed back that could be forced
            logged["teacher_forcing"] = ratio
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(chosen))
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], on_step=False, on_epoch=True, batch_size=1)
        return loss

    def validation_step(self, index: Tensor, _: int) -> None:
        batch = to_device(self.rows.val, self.device)
        self.log("val/loss", self.model.loss(batch, 0.0)["loss"], batch_size=len(batch.cell))  # type: ignore[operator]

    def train_dataloader(self) -> DataLoader:
        count = len(self.rows.draw(np.random.default_rng(self.seed)).cell)
        size = min(self.settings.batch_size or count, count)
        return DataLoader(range(count), batch_size=size)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader:
        return DataLoader(range(1), batch_size=1)  # type: ignore[arg-type]


class StopEarly(Callback):
    """Ends the training when validation says so (eq. 11 and the trend); its state is part of every resume checkpoint."""

    def __init__(self, gl_pq: float, trend: int):
        self.rule = EarlyStopping(patience=None, gl_pq=gl_pq, trend=trend)
        self.stopped = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.stopped

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch == 0:  # type: ignore[operator]
            scores = trainer.callback_metrics
            if self.rule.update(float(scores["train/loss"]), float(scores["val/loss"])):
                trainer.should_stop = self.stopped = True

    def state_dict(self) -> dict[str, Any]:
        return {"rule": self.rule.state(), "stopped": self.stopped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rule.load(state["rule"])
        self.stopped = state["stopped"]


def to_device(batch: SequenceBatch, device: torch.device) -> SequenceBatch:
    return SequenceBatch(*(x.to(device) for x in batch))
