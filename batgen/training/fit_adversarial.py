"""Train one GAN of profiles: the Lightning trainer around `AdversarialModule`, the choice of the step, the table of health."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from batgen.errors import BatgenError, ConfigError
from batgen.files import write_json
from batgen.models.base import DataShape, ProfileBatch
from batgen.processes import main_process
from batgen.training.adversarial import AdversarialModule, AdversarialRows
from batgen.training.adversarial_settings import AdversarialTraining
from batgen.training.callbacks import BestWeights, EpochBar, EpochTable, LastCheckpoint
from batgen.training.fit import quiet_trainer
from batgen.training.loggers import of_stage
from batgen.training.module import OptimiserOf


@dataclass(frozen=True)
class AdversarialJob:
    """What the stages of one training share.

    new_model: a fresh model, fitted to the rows it is given, the same for the same seed. new_physics: loss terms, calibrated
    on them. optimisers_of: of the generator, of the critic. folder: gets health_<name>.csv and the resume checkpoints. extra:
    more callbacks.
    """

    new_model: Callable[[ProfileBatch], nn.Module]
    new_physics: Callable[[ProfileBatch], Sequence[Any]]
    optimisers_of: tuple[OptimiserOf, OptimiserOf]
    shape: DataShape
    seed: int
    folder: Path
    name: str
    loggers: list[Any]
    extra: Sequence[Callback] = ()


def fit_adversarial(
    job: AdversarialJob, train: ProfileBatch, val: ProfileBatch, settings: AdversarialTraining
) -> tuple[nn.Module, dict[str, Any]]:
    """The model with the chosen weights, and facts for the record: steps, chosen step, its score, the monitor.

    Goes on from the resume checkpoints it finds. Raises BatgenError when the training cannot recover.
    """
    both = ProfileBatch(*(torch.cat(pair) for pair in zip(train, val, strict=True)))
    if settings.choose == "last":
        return _stage(job, "", settings, both, None)
    if settings.choose == "disjoint":
        return _stage(job, "", settings, train, val)
    done = job.folder / f"search_{job.name}.json"
    if done.is_file():
        found = json.loads(done.read_text(encoding="utf-8"))
    else:
        _, found = _stage(job, "search", settings, train, val)
        if main_process():
            write_json(done, found)
    model, facts = _stage(job, "retrain", replace(settings, steps=found["chosen_step"]), both, None)
    return model, {**facts, "search": found}


def _stage(
    job: AdversarialJob, stage: str, settings: AdversarialTraining, train: ProfileBatch, val: ProfileBatch | None
) -> tuple[nn.Module, dict[str, Any]]:
    model = job.new_model(train)
    suffix = f"{job.name}_search" if stage == "search" else job.name
    table = HealthTable(job.folder / f"health_{suffix}.csv")
    best = BestWeights(settings.monitor, settings.epochs + 1, settings.first_choice)
    last = job.folder / f"last_{job.name}_{stage or 'train'}.ckpt"
    callbacks: list[Callback] = [
        *job.extra,
        EpochBar(" ".join((job.name, stage)).strip()),
        *([best] if val is not None else []),
        table,
    ]
    callbacks.append(LastCheckpoint(last, settings.save_every_s))
    empty = ProfileBatch(*(t[:0] for t in train))
    rows = AdversarialRows(train, empty if val is None else val)
    module = AdversarialModule(model, rows, job.shape, job.new_physics(train), job.optimisers_of, settings, job.seed)
    trainer = quiet_trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        # each backward reaches one of the two networks: the other's parameters are unused in it
        strategy="ddp_find_unused_parameters_true"
        if settings.devices > 1 and settings.strategy == "auto"
        else settings.strategy,
        precision=settings.precision,
        max_epochs=settings.epochs,
        default_root_dir=str(job.folder),
        logger=of_stage(job.loggers, stage) or False,
        callbacks=callbacks,
        limit_val_batches=0 if val is None else 1.0,
        use_distributed_sampler=False,  # processes draw their own rows
    )
    try:
        trainer.fit(module, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    except FloatingPointError as error:
        raise BatgenError(f"{job.name}: {error}") from None
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    if val is not None and not best.weights:
        raise ConfigError(
            f"{job.name}: no finite {settings.monitor} in {settings.steps} steps. Look at the data, or try a smaller "
            "model.optim.lr."
        )
    chosen = min((best.epoch + 1) * settings.epoch_steps, settings.steps) if val is not None else settings.steps
    table.choose(chosen)
    if val is not None:
        model.load_state_dict(best.weights)
    model.to("cpu").eval()
    if main_process():
        last.unlink(missing_ok=True)
    return model, {
        "steps": settings.steps,
        "chosen_step": chosen,
        "best_score": best.best if val is not None else None,
        "monitor": settings.monitor,
        "choose": settings.choose,
        "device": str(trainer.strategy.root_device),
    }


class HealthTable(EpochTable):
    """health_<name>.csv: a row every `log_every` generator steps, with the scores of validation where there was one."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        row = dict(module.latest)  # type: ignore[arg-type]
        if not self.rows or self.rows[-1]["step"] != row["step"]:
            self.rows.append(row)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.rows:
            scores = trainer.callback_metrics.items()
            self.rows[-1] |= {k.replace("/", "_"): float(v) for k, v in scores if k.startswith("val/")}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.write_sometimes()

    def choose(self, step: int) -> None:
        """Mark the step whose weights are kept, and write the table."""
        for row in self.rows:
            row["chosen"] = float(row["step"] == step)
        self.write()
