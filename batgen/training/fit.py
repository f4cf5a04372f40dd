"""Train a model: build the Lightning trainer, run the stages that early stopping asks for, return the chosen weights."""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from batgen.errors import BatgenError, ConfigError
from batgen.files import write_json
from batgen.models.base import Batch
from batgen.processes import main_process
from batgen.training.callbacks import BestWeights, EpochBar, EpochTable, LastCheckpoint
from batgen.training.datamodule import CurveData
from batgen.training.loggers import of_stage
from batgen.training.module import GenerativeModule, OptimiserOf
from batgen.training.settings import LEAK, Training

Rows = dict[str, Batch]


@dataclass(frozen=True)
class _Job:
    """What the stages of one training share."""

    new_model: Callable[[Batch], nn.Module]
    optimiser_of: OptimiserOf
    seed: int
    folder: Path
    loggers: list[Any]
    extra: list[Callback]


def fit(
    new_model: Callable[[Batch], nn.Module],
    rows: Rows,
    optimiser_of: OptimiserOf,
    settings: Training,
    seed: int,
    folder: Path,
    loggers: list[Any],
    extra: list[Callback],
) -> tuple[nn.Module, dict[str, Any]]:
    """Train on `rows["train"]`, choose the epoch on `rows["val"]`, as `settings.early_stopping` says.

    new_model: builds and fits-to-data a fresh model for the training rows it is given, the same for the same seed.
    folder: gets metrics.csv and the resume checkpoints. Goes on from them where they are found.
    Returns the model with the chosen weights, and facts for the record: best epoch, epochs run, monitor, what leaked.
    """
    job = _Job(new_model, optimiser_of, seed, folder, loggers, extra)
    merged = Batch(*(torch.cat(pair) for pair in zip(rows["train"], rows["val"], strict=True)))
    if settings.early_stopping == "disjoint":
        return _stage(job, "train", settings, rows["train"], rows["val"])
    if settings.early_stopping == "literal":
        model, facts = _stage(job, "train", settings, merged, rows["val"])
        return model, {**facts, "leak": LEAK}
    done = folder / "stage1.json"
    if done.is_file():
        first = json.loads(done.read_text())
    else:
        _, first = _stage(job, "search", settings, rows["train"], rows["val"])
        if main_process():
            write_json(done, first)
    again = replace(settings, max_epochs=first["best_epoch"] + 1)
    model, facts = _stage(job, "retrain", again, merged, Batch(*(t[:0] for t in merged)))
    return model, {**facts, "search": first}


def _stage(job: _Job, name: str, settings: Training, train: Batch, val: Batch) -> tuple[nn.Module, dict[str, Any]]:
    model = job.new_model(train)
    best = BestWeights(settings.monitor, settings.patience)
    table = EpochTable(job.folder / ("metrics.csv" if name != "search" else "metrics_search.csv"))
    last = job.folder / f"last_{name}.ckpt"
    watched = len(val.x) > 0
    callbacks = [
        *job.extra,
        EpochBar(name),
        *([best] if watched else []),
        table,
        LastCheckpoint(last, settings.save_every_s),
    ]
    data = CurveData(train, val, settings.batch_size, job.seed, settings.resident)
    module = GenerativeModule(model, job.optimiser_of, settings, job.seed)
    trainer = _trainer(settings, job.folder, of_stage(job.loggers, name), callbacks, watched)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    except FloatingPointError as error:
        raise BatgenError(f"{error}. Try a smaller model.optim.lr, or trainer.gradient_clip=1.") from None
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    table.write()
    if watched and not best.weights:
        raise ConfigError(
            f"trainer.monitor={settings.monitor}: no finite value in {trainer.current_epoch} epochs with "
            f"trainer.val_every={settings.val_every}. Validate more often, or choose another monitor."
        )
    if watched:
        model.load_state_dict(best.weights)
    model.to("cpu").eval()
    return model, {
        "epochs": trainer.current_epoch,
        "best_epoch": best.epoch if watched else trainer.current_epoch - 1,
        "best_score": best.best if watched else None,
        "monitor": settings.monitor,
        "device": str(trainer.strategy.root_device),
        "early_stopping": settings.early_stopping,
    }


def _trainer(
    settings: Training, folder: Path, loggers: list[Any], callbacks: list[Callback], watched: bool
) -> pl.Trainer:
    return quiet_trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=settings.precision,
        max_epochs=settings.max_epochs,
        default_root_dir=str(folder),
        logger=loggers or False,
        callbacks=callbacks,
        check_val_every_n_epoch=settings.val_every,
        limit_val_batches=1.0 if watched else 0,
        use_distributed_sampler=False,  # processes share each minibatch by themselves
    )


def quiet_trainer(**options: Any) -> pl.Trainer:
    """A Lightning trainer that leaves bars, tables and checkpoints to our callbacks and warns of nothing we know."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Index batches come from memory: workers would only cost.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*")
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # on the login node of a cluster
    warnings.filterwarnings("ignore", message=".*`isinstance\\(treespec, LeafSpec\\)`.*")
    return pl.Trainer(
        **options,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
