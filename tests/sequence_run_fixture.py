"""Small sequence runs for tests: a csv file of made cells, and runs in this process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batgen import config, overrides
from batgen.cli import CONF
from batgen.run import Result, train

#: Three epochs and two folds: what a run leaves, not how good it is.
QUICK = [
    "model=seq2seq_quantile", "model.hidden=8", "model.heads=2", "trainer.epochs=3", "trainer.folds=2",
    "preprocessing.stride=4", "cycles=12",
]  # fmt: skip


def table(cells: int = 12, shortest: int = 40) -> pd.DataFrame:
    """Cells of 2 Ah that fade faster from cell to cell; all but the first three reach 80 %. The resistance grows."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(cells):
        cycle = np.arange(1, shortest + 4 * ((5 * k) % cells) + 1)
        fade = (0.002 + 0.0007 * k) * cycle
        made.append(
            pd.DataFrame(
                {
                    "cell": f"c{k:02d}",
                    "cycle": cycle,
                    "capacity": (2.0 * (1 - fade) + rng.normal(0, 0.001, len(cycle))).round(6),
                    "ohm": (0.02 + 0.0002 * k + 1e-4 * fade).round(7),
                }
            )
        )
    return pd.concat(made, ignore_index=True)


def csv(path: Path, rows: pd.DataFrame | None = None) -> list[str]:
    """Write the file; the words that read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (table() if rows is None else rows).to_csv(path, index=False)
    return [
        "data=percycle_csv", f"data.path={path}", "data.nominal_capacity_Ah=2.0",
        "+data.columns.internal_resistance_Ohm=ohm", "preprocessing.statics={ohm:[internal_resistance_Ohm]}",
    ]  # fmt: skip


def run(folder: Path, *words: str) -> Result:
    """Train in this process what `python train.py WORDS run_dir=FOLDER` would."""
    cfg = overrides.compose([*words, f"run_dir={folder}", "run_name=test"], CONF)
    config.validate(cfg)
    return train(cfg, folder)


def told(folder: Path) -> dict[str, Any]:
    """What metrics.json says."""
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content


def forecasts(part: Path) -> pd.DataFrame:
    return pd.read_csv(part / "forecasts.csv.gz", dtype={"cell_id": str})
