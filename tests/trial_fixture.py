"""Trials of a search in this process, told by nobody."""

import csv
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from batgen import config, overrides, run
from batgen.cli import CONF
from batgen.trials import Report

_FEW = ["data=sim", "cycles=12", "trainer=smoke", "trainer.max_epochs=4"]
CURVES = [
    *_FEW, "model=rcvae_continuous", "model.hidden=8", "model.components=4", "model.cell_latent=2",
    "model.cycle_latent=2", "model.anchors=50", "preprocessing.points=20",
]  # fmt: skip
RCVAE = [
    *_FEW, "model=rcvae", "model.hidden=8", "model.latent=2", "model.embedding=6", "model.layers=2",
    "preprocessing.points=20",
]  # fmt: skip
PROFILES = [
    "data=sim", "cycles=16", "preprocessing.points=16", "model=cgan", "model.hidden=8", "model.noise=4",
    "trainer.steps=12", "trainer.validate_every=3", "trainer.choose_from=6", "trainer.log_every=1",
    "trainer.val_draws=2", "trainer.batch_size=16", "split.run=1",
]  # fmt: skip


def composed(folder: Path, *words: str) -> DictConfig:
    """What `train.py WORDS run_dir=FOLDER` would be given."""
    cfg = overrides.compose([*words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    return cfg


def conf_of(folder: Path, *words: str) -> dict[str, Any]:
    """The same, as a part of it sees it."""
    cfg = composed(folder, *words)
    return config.resolved(cfg, cfg.protocol, config.seeds(cfg)[0])


def go_on(step: int, score: float) -> bool:
    """What a search without a pruner answers."""
    return False


def tried(folder: Path, *words: str, report: Report = go_on) -> dict[str, float]:
    """What the trial measures, less the seconds it took."""
    values = run.trial(composed(folder, *words), folder, report)
    assert values.pop("train_s") > 0
    return values


def csv_rows(path: Path) -> list[dict[str, float]]:
    """A table of a training as numbers, without what is empty."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]
