"""Hydra's side of multiruns: what is swept and searched is decided in batgen.grid and batgen.search, which know no Hydra.

Hydra executes this file at every start, without registering it: nothing heavy is imported here, and annotations are real
(`from __future__ import annotations` breaks the dataclass).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from batgen.errors import ConfigError

#: The folder that Hydra's search for plugins needs on the path.
PLUGINS = Path(__file__).parents[2]


@dataclass
class BatgenSweeperConf:
    _target_: str = "hydra_plugins.batgen_sweeper.sweeper.BatgenSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="batgen", node=BatgenSweeperConf, provider="batgen")


class BatgenSweeper(Sweeper):
    """Multiruns that resume: a grid, an ablation, or a search with Optuna."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.master, self.context = config, hydra_context
        # submitit's processes unpickle what names this module before they import batgen.cli, which knows the folder
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*filter(None, paths), str(PLUGINS)]))
        self.jobs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from batgen.multirun import Multirun, run_multirun

        HydraConfig.instance().set_config(self.master)  # ${hydra:runtime.choices.model} is asked for before any job
        folder = Path(self.master.hydra.sweep.dir).expanduser().absolute()
        with open_dict(self.master):
            cfg = self.master.copy()
            del cfg["hydra"]
        typed_subdir = any(str(o).startswith("hydra.sweep.subdir=") for o in self.master.hydra.overrides.hydra)
        return run_multirun(
            Multirun(
                folder=folder,
                typed=tuple(arguments),
                cfg=cfg,
                named=not typed_subdir,
                parallel=not str(self.master.hydra.launcher._target_).endswith("basic_launcher.BasicLauncher"),
                choices={str(k): v for k, v in self.master.hydra.runtime.choices.items()},
                compose=self._compose,
                start=self._start,
            )
        )

    def _compose(self, words: Sequence[str]) -> tuple[DictConfig, str]:
        """The config of a job and the name of its folder. Raises ConfigError where these words compose to none."""
        from batgen.overrides import explained

        try:
            config = self.context.config_loader.load_sweep_config(self.master, list(words))
        except HydraException as error:
            raise ConfigError(explained(error)) from None
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = "job", 0
            HydraConfig.instance().set_config(config)
            subdir = str(config.hydra.sweep.subdir)
            config.run_name = str(config.run_name)
            del config["hydra"]
        HydraConfig.instance().set_config(self.master)
        return config, subdir

    def _start(self, jobs: Sequence[Sequence[str]], first: int) -> list[tuple[Any, Exception | None]]:
        """Run jobs with these overrides, numbered from `first`; for each what it returned, or what went wrong."""
        found: list[tuple[Any, Exception | None]] = []
        for done in self.jobs.launch([list(words) for words in jobs], initial_job_idx=first):
            failed = done.status is not JobStatus.COMPLETED
            found.append((None, done._return_value) if failed else (done.return_value, None))
        return found
