"""What a part of a profile run leaves for figures and readers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from batgen.data.profile_set import Drawn
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.files import replacing
from batgen.profile_part import Part
from batgen.profile_scoring import Tests
from batgen.profile_sweeps import sweep

#: Training rows that are kept for figures.
_TRAIN_ROWS = 400
_FACTS = ("start_s", "duration_s")


class ProfileFile:
    """profiles.h5 while it is written: to a temporary name, moved into place when all is in it."""

    def __init__(self, path: Path, part: Part, tests: Tests, settings: ProfileEvaluation, kept: np.ndarray) -> None:
        self._replacing = replacing(path)
        self.part, self.tests, self.kept = part, tests, kept
        self.file = h5py.File(self._replacing.__enter__(), "w")
        profiles, conf = part.profiles, part.conf
        preprocessing = part.members[0].preprocessing
        about = {
            "signals": json.dumps(list(profiles.signals)), "part": preprocessing.part, "data": conf["data"]["name"],
            "step_s": np.nan if profiles.step_s is None else profiles.step_s, "model": part.title,
            "protocol": conf["protocol"], "seed": conf["seed"], "relative": preprocessing.relative,
            "conditions": json.dumps(list(part.members[0].conditions.names)),
            "peak_after_s": settings.after_s(preprocessing.part),
        }  # fmt: skip
        self.file.attrs.update(about)
        self._put("measured", profiles.curves[tests.rows], profiles.duration_s[tests.rows])
        self.file["kept"] = kept

    def __enter__(self) -> "ProfileFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.close()
        self._replacing.__exit__(*error)

    def _put(self, name: str, curves: np.ndarray, duration_s: np.ndarray) -> None:
        self.file.create_dataset(
            f"{name}/curves", data=curves.astype(np.float32), compression="gzip", compression_opts=1
        )
        self.file[f"{name}/duration_s"] = duration_s

    def method(self, name: str, role: str, drawn: Drawn, keep_draws: int) -> None:
        """The mean of a method's draws at each test row, and for the model some draws of the rows that are kept."""
        group = self.file.create_group(f"methods/{name}")
        group.attrs["role"] = role
        group["mean"] = drawn.curves.mean(0, dtype=np.float64).astype(np.float32)
        group["duration_s"] = drawn.duration_s.mean(0)
        if role == "model":
            some = np.moveaxis(drawn.curves[:keep_draws, self.kept], 0, 1)
            group.create_dataset("draws", data=some, compression="gzip", compression_opts=1)
            group["draw_duration_s"] = drawn.duration_s[:keep_draws, self.kept].T

    def training(self) -> pd.DataFrame:
        """Some training rows of the first fold, whose model the sweeps are of; returns what train_rows.csv says of them."""
        first = self.part.members[0].known
        rows = first[np.unique(np.linspace(0, len(first) - 1, min(_TRAIN_ROWS, len(first))).round().astype(int))]
        chosen = self.part.profiles.take(rows)
        self._put("train", chosen.curves, chosen.duration_s)
        return chosen.table.assign(fold=self.part.members[0].name)[_columns(self.part, ["cell_id", "fold", "protocol"])]

    def sweeps(self, count: int, seed: int) -> None:
        """A sweep of each condition, by the model of the first fold."""
        member = self.part.members[0]
        for name in member.conditions.names:
            found = sweep(self.part, member, name, count, seed) if count > 1 else None
            if found is not None:
                values, drawn, facts = found
                self._put(f"sweeps/{name}", np.moveaxis(drawn.curves, 0, 1), drawn.duration_s.T)
                group = self.file[f"sweeps/{name}"]
                group["values"] = values
                group.attrs.update({"low": facts["low"], "high": facts["high"], "fixed": json.dumps(facts["fixed"])})


def rows_table(part: Part, tests: Tests) -> pd.DataFrame:
    """rows.csv: one line a test row."""
    table = part.profiles.table.iloc[tests.rows].reset_index(drop=True)
    table = table.assign(row=np.arange(len(table)), fold=tests.fold, test_set=tests.test_set)
    return table[_columns(part, ["row", "cell_id", "fold", "test_set", "protocol"])]


def _columns(part: Part, first: list[str]) -> list[str]:
    names = [*first, "ecl", "soh", *part.members[0].conditions.names, "start_temperature_degC", *_FACTS]
    return list(dict.fromkeys(names))


def write_table(path: Path, table: pd.DataFrame | Mapping[str, Any]) -> None:
    """A CSV file, whole or not at all; gzip'd where the name says so."""
    with replacing(path) as temporary:
        pd.DataFrame(table).to_csv(temporary, index=False, float_format="%.7g")
