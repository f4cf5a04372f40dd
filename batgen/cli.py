"""The command line: compose -> check -> run. The only file that imports Hydra.

What is typed is checked twice: each override against the config tree before Hydra runs (a misspelt key gets one line and a
suggestion), and the composed config against the signatures of what it builds. Torch is imported only after both.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from batgen import argv as command_line
from batgen import config, overrides
from batgen.errors import BatgenError
from batgen.processes import gpu_of

PACKAGE = Path(__file__).resolve().parent
#: The repository's conf/, or the copy that travels in the wheel.
CONF = PACKAGE.parent / "conf" if (PACKAGE.parent / "conf" / "train.yaml").is_file() else PACKAGE / "conf"
#: Where outputs/ lies: the repository, or the current folder for an installed package.
HOME = CONF.parent if CONF.parent != PACKAGE else Path.cwd()

sys.path.append(str(PACKAGE / "plugins"))  # Hydra looks for a package `hydra_plugins` on the path
OmegaConf.register_new_resolver("batgen.home", lambda: str(HOME), replace=True)
OmegaConf.register_new_resolver("batgen.short", lambda s: hashlib.sha256(str(s).encode()).hexdigest()[:8], replace=True)
OmegaConf.register_new_resolver("batgen.gpu_of", lambda number, count: gpu_of(int(number), int(count)), replace=True)
config.register_resolvers()
ConfigStore.instance().store(name="train_schema", node=config.TrainConfig)


def train_main() -> None:
    """`python train.py model=rcvae data=mit cycles=100`, and everything Hydra offers: -m, --cfg job, --help."""
    _quiet_exit(lambda: _train(sys.argv[1:]))


def _train(argv: Sequence[str]) -> None:
    argv = command_line.expanded(argv)
    sys.argv[1:] = argv  # what Hydra reads
    resume = command_line.resume_folder(argv)
    if resume is not None:
        overrides.check_resume(argv, resume, CONF)
        from batgen.run import resume_training

        resume_training(resume)
        return
    if not command_line.asks(argv, command_line.HELP):
        overrides.check(argv, CONF)
        if not command_line.sweep(argv) and not command_line.asks(argv, command_line.OTHER_FILES):
            overrides.check_whole(argv, CONF, config.validate)
        if not command_line.asks(argv, command_line.CONFIG):
            command_line.claim_folders(argv, HOME / "outputs")
    _hydra_train()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def _hydra_train(cfg: DictConfig) -> Any:
    try:
        config.validate(cfg)
        cfg.run_name = str(cfg.run_name)  # answered while Hydra is here to answer it
        from batgen.job import run_job  # torch and Lightning come in here

        told = HydraConfig.get()
        many = told.mode == hydra.types.RunMode.MULTIRUN
        beside = many and not str(told.launcher._target_).endswith("BasicLauncher")
        return run_job(cfg, Path(told.runtime.output_dir), many, beside)
    except BatgenError as error:
        if HydraConfig.get().mode == hydra.types.RunMode.MULTIRUN:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # hand the error on instead of printing a traceback
            raise
        _refuse(error)
        raise AssertionError from None  # not reached


def generate_main() -> None:
    """`python scripts/generate.py run=DIR eol=800 ecl=50 n=100 out=curves.h5`."""
    from batgen.generate_cli import main

    _quiet_exit(lambda: main(sys.argv[1:]))


def forecast_main() -> None:
    """`python scripts/forecast.py run=DIR input=cells.csv cycles=30 horizon=to_eol out=forecast.csv`."""
    from batgen.forecast_cli import main

    _quiet_exit(lambda: main(sys.argv[1:]))


def evaluate_main() -> None:
    """`python scripts/evaluate.py run=DIR`: every metric of a finished run, its floors and baselines, and a page."""
    from batgen.evaluate_cli import main

    _quiet_exit(lambda: main(sys.argv[1:]))


def leaderboard_main() -> None:
    """`python scripts/leaderboard.py data=sim`: train, evaluate and rank every generator that fits a dataset."""
    from batgen.leaderboard_cli import main

    _quiet_exit(lambda: main(sys.argv[1:], CONF, HOME))


def collect_main() -> None:
    """`python scripts/collect.py sweep=DIR`: one table of all jobs of a multirun, the paper's tables, figures."""
    from batgen.collect_cli import main

    _quiet_exit(lambda: main(sys.argv[1:]))


def downstream_main() -> None:
    """`python scripts/downstream.py data=sim`: do synthetic curves help a regression where few cells were measured?"""
    from batgen.downstream_cli import main

    _quiet_exit(lambda: main(sys.argv[1:], CONF, HOME))


def dashboard_main() -> None:
    """`python scripts/dashboard.py project=batgen`: the W&B workspace of a project as JSON; --push sends it."""
    from batgen.dashboard_cli import main

    _quiet_exit(lambda: main(sys.argv[1:], CONF, HOME))


def prepare_data_main() -> None:
    """`python scripts/prepare_data.py data=nasa`: build a dataset's store and say what was found."""
    _quiet_exit(lambda: _prepare(sys.argv[1:]))


def _prepare(argv: Sequence[str]) -> None:
    if not argv or any(a in ("-h", "--help") for a in argv):
        names = ", ".join(sorted(p.stem for p in (CONF / "data").glob("*.yaml")))
        print(f"python scripts/prepare_data.py data=NAME [data.KEY=VALUE ...] [cycles=N]\n\ndata: {names}")
        return
    overrides.check(argv, CONF)
    cfg = overrides.compose(argv, CONF)
    config.validate_data(cfg)
    from batgen.prepare_data import prepare_data

    prepare_data(cfg)


def _quiet_exit(job: Callable[[], None]) -> None:
    """Run `job`; a BatgenError ends the program with its message alone (BATGEN_TRACEBACK=1 shows where it came from)."""
    try:
        job()
    except BatgenError as error:
        _refuse(error)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise SystemExit(130) from None


def _refuse(error: BatgenError) -> None:
    if os.environ.get("BATGEN_TRACEBACK"):
        raise error
    print(f"batgen: {error}", file=sys.stderr)
    raise SystemExit(2) from None
