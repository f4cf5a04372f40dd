"""A run folder belongs to one config: who may write to it."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from batgen.config import same_run
from batgen.errors import ConfigError, DataError
from batgen.files import replacing


def check_free(folder: Path, cfg: DictConfig) -> None:
    """Raise ConfigError when `folder` holds a run with another config that got as far as splitting its data."""
    path = folder / "config.yaml"
    if path.is_file() and list(folder.glob("*-seed*/splits.json")):
        saved = OmegaConf.load(path)
        assert isinstance(saved, DictConfig)
        if not same_run(saved, cfg):
            raise ConfigError(
                f"{folder}: holds a run with another config. Choose another run_dir, or go on with that one: "
                f"python train.py run_dir={folder} resume=true"
            )


def claim(folder: Path, cfg: DictConfig) -> None:
    """Make the folder this run's: writable, free or its own, its config written down. Clears what a kill left half-written.

    Raises ConfigError for a folder of another run, DataError for one that cannot be written.
    """
    check_free(folder, cfg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be made ({error.strerror}). Choose another folder with run_dir=..."
        ) from None
    if not os.access(folder, os.W_OK):
        raise DataError(f"{folder}: cannot be written (read-only). Choose another folder with run_dir=...")
    for pattern in (".*-????????.json", ".*-????????.h5", "*.ckpt.tmp", "*.tmp.ckpt", "*.csv.tmp"):
        for left in [*folder.glob(pattern), *folder.glob(f"*-seed*/{pattern}")]:
            left.unlink()
    saved = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    assert isinstance(saved, DictConfig)
    saved.run_dir, saved.resume = str(folder), False
    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(saved), encoding="utf-8")
