"""Finished runs as comparisons of generated with measured curves, whatever their family."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen import config
from batgen.build import signature
from batgen.compared import curves, profiles, pulses, sequences
from batgen.compared.judged import EvaluateSettings, Judged
from batgen.errors import CheckpointError

_FAMILIES: dict[str, Any] = {"curves": curves, "profiles": profiles, "pulses": pulses, "sequences": sequences}


def open_run(run: Path) -> DictConfig:
    """The config that a run folder keeps. Raises CheckpointError where there is no finished run."""
    path = run / "config.yaml"
    if not path.is_file():
        raise CheckpointError(f"run={run}: no config.yaml there, so it is no run folder. Check the path.")
    if not (run / "run.json").is_file():
        raise CheckpointError(f"run={run}: not finished. Go on with: python train.py run_dir={run} resume=true")
    config.register_resolvers()
    cfg = OmegaConf.load(path)
    assert isinstance(cfg, DictConfig)
    return cfg


def family_of(cfg: DictConfig) -> str:
    """curves, profiles, pulses or sequences."""
    return str(signature(cfg.preprocessing._target_).constants["PRODUCES"])


def judged(run: Path, cfg: DictConfig, settings: EvaluateSettings) -> Iterator[Judged]:
    """Every test set of every protocol, seed and fold of a run, one after the other."""
    family = _FAMILIES[family_of(cfg)]
    for protocol in config.protocols(cfg):
        for seed in config.seeds(cfg):
            yield from family.of_part(config.resolved(cfg, protocol, seed), run / f"{protocol}-seed{seed}", settings)
