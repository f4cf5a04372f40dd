"""Train one forecaster: the Lightning trainer around `SequenceModule`, and the best weights back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import Callback
from torch import nn

from batgen.errors import BatgenError, ConfigError
from batgen.training.callbacks import BestWeights, EpochBar, EpochTable, LastCheckpoint
from batgen.training.fit import quiet_trainer
from batgen.training.module import OptimiserOf
from batgen.training.sequence_module import SequenceModule, SequenceRows, StopEarly
from batgen.training.sequence_settings import SequenceTraining


def fit_sequences(
    model: nn.Module,
    rows: SequenceRows,
    optimiser_of: OptimiserOf,
    settings: SequenceTraining,
    seed: int,
    folder: Path,
    name: str,
    loggers: list[Any],
    extra: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Train `model` in place and leave it with the weights of the best validation; facts for the record.

    folder: gets losses_<name>.csv and, while it runs, the resume checkpoint last_<name>.ckpt, from which it goes on.
    extra: more callbacks. Raises BatgenError when a loss is no longer a number.
    """
    patience = settings.patience * settings.validated_every if settings.patience is not None else settings.epochs + 1
    best = BestWeights("val/loss", patience)
    table = EpochTable(folder / f"losses_{name}.csv")
    last = folder / f"last_{name}.ckpt"
    callbacks: list[Callback] = [*extra, EpochBar(name), best, table]
    if settings.gl_pq is not None:
        callbacks.append(StopEarly(settings.gl_pq, settings.trend))
    callbacks.append(LastCheckpoint(last, settings.save_every_s))
    module = SequenceModule(model, rows, optimiser_of, settings, seed)
    trainer = quiet_trainer(
        accelerator=settings.accelerator,
        max_epochs=settings.epochs,
        default_root_dir=str(folder),
        logger=loggers or False,
        callbacks=callbacks,
        check_val_every_n_epoch=settings.validated_every,
        gradient_clip_val=settings.gradient_clip,
    )
    try:
        trainer.fit(module, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    except FloatingPointError as error:
        raise BatgenError(f"{error}. Try a smaller model.optim.lr, or trainer.gradient_clip=0.5.") from None
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    table.write()
    if not best.weights:
        raise ConfigError("trainer: no finite validation loss. Look at the data, or try a smaller model.optim.lr.")
    model.load_state_dict(best.weights)
    model.to("cpu").eval()
    return {
        "epochs": trainer.current_epoch,
        "best_epoch": best.epoch,
        "best_score": best.best,
        "monitor": "val/loss",
        "device": str(trainer.strategy.root_device),
        "history": table.rows,
    }
