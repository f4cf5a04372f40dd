"""Loggers hear of a training that was done without them, from the table of its epochs."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers import Logger

from batgen.training.loggers import of_stage


def replay(loggers: Sequence[Logger], folder: Path) -> None:
    """Send metrics_search.csv and metrics.csv of a part's folder, epoch by epoch, as they would have come while training.

    The step is the number of the epoch.
    """
    for stage, name in (("search", "metrics_search.csv"), ("train", "metrics.csv")):
        path = folder / name
        if not path.is_file():
            continue
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        for logger in of_stage(loggers, stage):
            for row in rows:
                logger.log_metrics(row, int(row["epoch"]))
            logger.save()
            logger.finalize("success")
