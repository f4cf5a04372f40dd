"""Loggers beside the metrics.csv that is always written. Each is a function of the run folder, the part (and the fold in
it) and the part's config.

A logger of one's own is any function (folder, name, config, ...) that gives a Lightning logger:
`+logger.mine._target_=package.module.function`.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from batgen.training.wandb_runs import WandbSettings, run_of

STEP = "trainer/global_step"


def tensorboard(folder: Path, name: str, config: dict[str, Any]) -> TensorBoardLogger:
    """Event files in FOLDER/tensorboard/NAME: tensorboard --logdir FOLDER/tensorboard."""
    return TensorBoardLogger(save_dir=str(folder), name="tensorboard", version=name)


def wandb(
    folder: Path,
    name: str,
    config: dict[str, Any],
    project: str = "batgen",
    entity: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    mode: str = "offline",
    checkpoint: bool = False,
    system: bool = True,
) -> "RunLogger":
    """Into the W&B run of the part; a fold's numbers begin with its name: fold0/train/loss. See conf/logger/wandb.yaml."""
    part = f"{config['protocol']}-seed{config['seed']}"
    settings = WandbSettings(project, entity, group, list(tags), mode, checkpoint, system)
    fold = name.removeprefix(part).removeprefix("-")
    return RunLogger(lambda: run_of(folder / part, config, settings).run, f"{fold}/" if fold else "")


def of_stage(loggers: Sequence[Logger], stage: str) -> list[Logger]:
    """The same loggers, for a stage of a training: what searches the length of the training that counts begins with search/."""
    return [Prefixed(one, "search/") for one in loggers] if stage == "search" else list(loggers)


class RunLogger(Logger):
    """Lightning's numbers into a W&B run that is shared: it is opened with the first number, and finished by others."""

    def __init__(self, run: Callable[[], Any], prefix: str):
        super().__init__()
        self._run, self._prefix = run, prefix
        self._known: set[str] = set()

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self._prefix.strip("/")

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        run = self._run()
        row = {self._prefix + name: value for name, value in metrics.items()}
        for name in row.keys() - self._known:
            run.define_metric(name, step_metric=STEP)  # folds come one after the other: one name does for all
        self._known |= row.keys()
        run.log({**row, STEP: step} if step is not None else row)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run has had the part's config since it was opened."""


class Prefixed(Logger):
    """Another logger, whose names get a prefix."""

    def __init__(self, inner: Logger, prefix: str):
        super().__init__()
        self._inner, self._prefix = inner, prefix

    @property
    def name(self) -> str | None:
        return self._inner.name

    @property
    def version(self) -> str | int | None:
        return self._inner.version

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._inner.log_metrics({self._prefix + name: value for name, value in metrics.items()}, step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self._inner.log_hyperparams(params, *args, **kwargs)

    def save(self) -> None:
        self._inner.save()

    def finalize(self, status: str) -> None:
        self._inner.finalize(status)
