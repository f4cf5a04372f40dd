"""Trainings that are watched: a search hears of every validation, and may end a training that promises nothing."""

from collections.abc import Callable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class Pruned(Exception):
    """A search ended this training after the validation of epoch `step` (from 0)."""

    def __init__(self, step: int):
        super().__init__(f"ended by the search after epoch {step + 1}")
        self.step = step

    def __reduce__(self) -> tuple[type["Pruned"], tuple[int]]:
        return Pruned, (self.step,)  # it travels between the processes of a launcher


class Watch(Callback):
    """Tells `report` the epoch (from 0) and the score `monitor` after each validation, from epoch `first` on.

    Where it answers True the training stops at the end of that epoch, as early stopping would: tables are written, bars and
    loggers closed. `raise_if_pruned` says so once the training is over.
    """

    def __init__(self, monitor: str, report: Callable[[int, float], bool], first: int = 0):
        self.monitor, self.report, self.first = monitor, report, first
        self._pruned: int | None = None

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = trainer.current_epoch
        if trainer.sanity_checking or step < self.first:
            return
        # the first process alone speaks to the search, and all of them do what it says
        told = trainer.is_global_zero and self.report(step, float(trainer.callback_metrics[self.monitor]))
        if trainer.strategy.broadcast(told):
            self._pruned = step
            trainer.should_stop = True

    def raise_if_pruned(self) -> None:
        """Raises Pruned where `report` wanted the training to end."""
        if self._pruned is not None:
            raise Pruned(self._pruned)
