"""Small runs of each family on the embedded cells, in this process: what an evaluation has to cope with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batgen import config, overrides
from batgen.cli import CONF
from batgen.run import _FAMILIES, train

#: As little as a run can be and still have a test set. A closed-form model of each family, and one with a latent.
RUNS = {
    "curves": ["model=pca_gaussian", "data=sim", "cycles=6", "preprocessing.points=32", "evaluation.prior_samples=4"],
    "profiles": [
        "model=protocol_cycle_mean", "data=sim", "cycles=8", "preprocessing.points=16", "split.run=2", "evaluation.draws=4",
        "evaluation.keep_draws=2", "evaluation.permutations=0", "evaluation.sweep=0", "evaluation.c2st=false",
        "~evaluation.baselines.thermal_model", "~evaluation.baselines.knn",
    ],
    "pulses": ["model=pulse_surface", "data=sim", "split.folds=3", "evaluation.soc_unknown=false"],
    "sequences": [
        "model=seq2seq_quantile", "data=sim", "trainer.epochs=1", "trainer.folds=1", "model.hidden=4", "model.heads=1",
        "evaluation.baselines={nearest_cell:{_target_:batgen.models.nearest_trajectory.NearestTrajectory,after:held}}",
        "preprocessing.stride=50",
    ],
}  # fmt: skip


def trained(family: str, folder: Path, *words: str) -> Path:
    """The folder of a finished run of this family, without its figures: they take longer than all else, and no evaluation
    looks at them."""
    cfg = overrides.compose([*RUNS[family], *words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_FAMILIES[family], "draw", lambda part, drawn: [drawn])
        train(cfg, folder)
    return folder


@contextmanager
def shared_cache(folder: Path) -> Iterator[Path]:
    """A cache for several tests: BATGEN_CACHE_DIR is `folder`, BATGEN_DATA_DIR is unset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", str(folder))
        patch.delenv("BATGEN_DATA_DIR", raising=False)
        yield folder
