"""Small pulse runs for tests: a csv file with two made battery types, and runs in this process or on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen import config, overrides
from batgen.cli import CONF
from batgen.run import Result, train

#: Two epochs and two folds: what a run leaves, not how good it is.
FILM = ["model=cross_attention_cvae", "model.variant=film", "trainer.epochs=2", "split.folds=2"]
QUICK = [*FILM, "evaluation.soc_unknown=false", "evaluation.keep_draws=4"]
CASE = 'split.use=["3"]'
SOCS = (0.05, 0.10, 0.25, 0.40, 0.50)
VOLTAGES = 6


def table(types: tuple[str, ...] = ("AAA_1Ah", "BBB_2Ah"), cells: int = 12, stages: int = 2) -> pd.DataFrame:
    """Voltages linear in SOC and SOH with 3 mV of noise; every stage at five SOCs, and one at a SOC off the grid."""
    rng = np.random.default_rng(0)
    rows = []
    for number, battery in enumerate(types):
        for cell in range(cells):
            for stage in range(stages):
                name = f"{battery[0]}{cell}"
                soh = 0.98 - 0.02 * cell - 0.007 * stage
                rows += [(battery, name, f"{name}-{stage}", soc, round(soh, 6), number + 1.0) for soc in SOCS]
    made = pd.DataFrame(rows, columns=["battery", "cell_id", "stage_id", "soc", "soh", "nominal_capacity_Ah"])
    made["chemistry"] = made["battery"].map({"AAA_1Ah": "NMC", "BBB_2Ah": "LMO"})
    offset = 3.4 + 0.1 * made["nominal_capacity_Ah"]
    for k in range(VOLTAGES):
        clean = offset + (0.5 + 0.05 * k) * made["soc"] + (-1) ** k * (0.1 + 0.05 * k) * made["soh"]
        made[f"U{k + 1}"] = (clean + rng.normal(0, 0.003, len(made))).round(6)
    return made


def csv(path: Path, rows: pd.DataFrame | None = None) -> list[str]:
    """Write the file; the words that read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = table() if rows is None else rows
    rows.to_csv(path, index=False)
    beside = [f"data.columns.{name}={name}" for name in ("stage_id", "battery", "chemistry", "nominal_capacity_Ah")]
    return ["data=pulse_csv", f"data.file={path}", *beside]


def run(folder: Path, *words: str) -> Result:
    """Train in this process what `python train.py WORDS run_dir=FOLDER` would."""
    cfg = overrides.compose([*words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    return train(cfg, folder)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["rows"]
    return found


def predictions(part: Path) -> pd.DataFrame:
    return pd.read_csv(part / "predictions.csv", keep_default_na=False, na_values={"low": [""], "high": [""]})
