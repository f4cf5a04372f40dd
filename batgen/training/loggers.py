"""Loggers beside the metrics.csv that is always written. Each is a function of the run folder, the part and its config."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger


def tensorboard(folder: Path, name: str, config: dict[str, Any]) -> TensorBoardLogger:
    """Event files in FOLDER/tensorboard/NAME: tensorboard --logdir FOLDER/tensorboard."""
    return TensorBoardLogger(save_dir=str(folder), name="tensorboard", version=name)
