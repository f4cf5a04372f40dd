"""A multirun without Hydra and trials without training, for tests of searches.

`python -m tests.search.fake_search FOLDER KEY=VALUE ...` runs one in a process of its own: x and y in -4..4, objective
(x - 1)^2 + y^2, ten reports on the way. The environment says how trials end: NAP, KILL.
"""

import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

if __name__ == "__main__":  # a process that trains nothing need not wait for torch and Lightning
    sys.modules["batgen.run"] = types.ModuleType("batgen.run")
    sys.modules["batgen.run"].train = None  # type: ignore[attr-defined]
    for name in ("check", "check_trials", "monitored"):
        setattr(sys.modules["batgen.run"], name, lambda *_, **__: None)
    sys.modules["batgen.run"].trial_unit = lambda cfg: "epochs"  # type: ignore[attr-defined]
    sys.modules["batgen.training.watch"] = types.ModuleType("batgen.training.watch")
    sys.modules["batgen.training.watch"].Pruned = type("Pruned", (Exception,), {})  # type: ignore[attr-defined]

from batgen.cli import CONF
from batgen.multirun import Multirun, Outcome
from batgen.overrides import compose
from batgen.search.job import run, run_trial

#: Two keys of the config that are numbers, standing for x and y.
X, Y = "model.beta", "model.label_weight"
SPACE = {"model": {"beta": {"low": -4.0, "high": 4.0}, "label_weight": {"low": -4.0, "high": 4.0}}}
BASE = ("model=rcvae", "data=sim", "cycles=20", "trainer=smoke")
Trial = Callable[[DictConfig, Path, Callable[[int, float], bool]], dict[str, float]]


@cache
def _base() -> DictConfig:
    return compose(BASE, CONF)


def config(search: Mapping[str, Any], words: Sequence[str] = ()) -> DictConfig:
    """The config of `search=rcvae` with `search` in place of what its file says."""
    cfg = _base().copy()
    for word in words:
        key, _, value = word.partition("=")
        if key.startswith(("hydra.", "search.")):
            continue
        OmegaConf.update(cfg, key, yaml.safe_load(value), merge=False, force_add=True)
    node = {
        "_target_": "batgen.search.settings.SearchSettings",
        "name": "fake",
        "pruner": "none",
        "startup": 4,
        **search,
    }
    node.setdefault("objectives", ["val/crps"])
    with_space = {"space": SPACE, "retrain": False, "trial": None, "storage": None, **node}
    cfg.search = OmegaConf.create(with_space)
    return cfg


def multirun(folder: Path, search: Mapping[str, Any], typed: Sequence[str] = ()) -> Multirun:
    """What Hydra's side would hand over; jobs run one after the other in this process."""

    def parts(words: Sequence[str]) -> tuple[DictConfig, str]:
        cfg = config(search, words)
        trial = next((w.partition("=")[2] for w in words if w.startswith("search.trial=")), None)
        if trial is not None:
            cfg.search.trial = int(trial) if trial.isdigit() else trial
        name = next((w.partition("=")[2].strip("'") for w in words if w.startswith("hydra.sweep.subdir=")), "job")
        return cfg, name

    def start(jobs: Sequence[Sequence[str]], first: int) -> list[Outcome]:
        found: list[Outcome] = []
        for words in jobs:
            cfg, name = parts(words)
            try:
                found.append((run_trial(cfg, folder / name), None))
            except Exception as error:
                found.append((None, error))
        return found

    choices = {"model": "rcvae", "data": "sim"}
    return Multirun(folder, tuple(typed), config(search, typed), True, False, choices, parts, start)


def bowl(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
    """A trial whose result is known: the least value is 0 at x = 1, y = 0."""
    from batgen.training.watch import Pruned

    value = (cfg.model.beta - 1) ** 2 + cfg.model.label_weight**2
    for step in range(10):
        if report(step, value + 1.0 / (step + 1)):
            raise Pruned(step)
    return {"val/crps": value, "val/mae": abs(cfg.model.beta + 1), "epochs": 10.0}


def use(monkeypatch: pytest.MonkeyPatch, trial: Trial = bowl) -> None:
    """Let jobs call `trial`."""
    monkeypatch.setattr(run, "trial", trial, raising=False)


def _slow(cfg: DictConfig, folder: Path, report: Callable[[int, float], bool]) -> dict[str, float]:
    values = bowl(cfg, folder, report)
    time.sleep(float(os.environ.get("NAP", "0")))
    if int(os.environ.get("KILL", "-1")) == int(folder.name):
        os.kill(os.getpid(), 9)
    return values


if __name__ == "__main__":
    from batgen.search.sweep import run_search

    run.trial = _slow
    given = OmegaConf.to_container(OmegaConf.from_dotlist(sys.argv[2:]))
    assert isinstance(given, dict)
    run_search(multirun(Path(sys.argv[1]), {str(k): v for k, v in given.items()}))
