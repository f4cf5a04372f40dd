"""Small runs of profile models on the embedded cells, in this process."""

import json
from pathlib import Path
from typing import Any

from batgen import config, overrides
from batgen.cli import CONF
from batgen.run import Result, train

#: A few steps of a small network on few cycles: what a run leaves, not how good it is.
TINY = [
    "data=sim", "cycles=16", "preprocessing.points=16", "trainer.steps=6",
    "trainer.validate_every=3", "trainer.log_every=1", "trainer.val_draws=2", "trainer.batch_size=16",
    "evaluation.draws=4", "evaluation.keep_draws=4", "evaluation.keep_rows=12", "evaluation.permutations=1",
    "evaluation.sweep=6", "evaluation.c2st=false",
]  # fmt: skip
WGAN = ["model=wgan_gp", "model.hidden=8", "model.critic_hidden=8", "model.noise=4", "model.critic_steps=1"]
CGAN = ["model=cgan", "model.hidden=8", "model.noise=4"]
#: Families of preprocessing, split, trainer and evaluation, for models that do not choose them.
FAMILY = ["preprocessing=profiles", "trainer=adversarial", "split=held_out_cells", "evaluation=profiles"]
FEW = ["~evaluation.baselines.knn", "~evaluation.baselines.pca_ridge", "~evaluation.baselines.pca_gaussian"]
FEW += ["~evaluation.baselines.thermal_model"]
PART = "honest-seed0"


def run(folder: Path, *words: str) -> Result:
    """Train in this process what `python train.py WORDS run_dir=FOLDER` would."""
    cfg = overrides.compose([*words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    return train(cfg, folder)


def told(folder: Path) -> dict[str, Any]:
    """What metrics.json says."""
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content
