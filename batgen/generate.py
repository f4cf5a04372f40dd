"""Draw curves from a finished run for conditions the user names, and write them with their provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import batgen
from batgen import checkpoint
from batgen.data import exchange
from batgen.data.curve_set import TEXT_COLUMNS, CurveSet
from batgen.errors import CheckpointError, ConfigError
from batgen.generate_profiles import balanced_start, draw_profiles, gaps, of_cell

#: What a grid of preprocessing is called where curves are exchanged.
_AXES = {"fraction of duration": "span"}


@dataclass
class Generated:
    """n synthetic cycles in physical units: `signals` name -> (n, P); `conditions` name -> value, one for all.

    `notes` says which were filled in. `grid` names what the P points
    are spaced by, `axis` (P,) where they lie on it.
    """

    signals: dict[str, np.ndarray]
    conditions: dict[str, float]
    grid: str
    axis: np.ndarray
    notes: list[str]
    provenance: dict[str, Any]

    def curve_set(self) -> CurveSet:
        """The same as a CurveSet of n curves: U1, U2 ... of pulse tests as one voltage_V over the steps of the pulse; of
        one-hot columns the category; as cell the one whose first records were continued, else "synthetic"."""
        names, axis_name, axis = list(self.signals), _AXES.get(self.grid, self.grid), self.axis
        values = np.stack([self.signals[name] for name in names], axis=1).astype(np.float32)
        if names[0] == "U1":
            values = values[:, :, 0][:, None]
            names, axis_name, axis = ["voltage_V"], "pulse_step", np.arange(1.0, len(names) + 1)
        known: dict[str, Any] = {"cell_id": self.provenance.get("cell", "synthetic")}
        best: dict[str, float] = {}
        for column, value in self.conditions.items():
            name, _, kind = column.partition("=")
            if name not in TEXT_COLUMNS:
                known[name] = value
            elif value > best.get(name, 0.0):
                best[name], known[name] = value, kind
        table = pd.DataFrame({name: [value] * len(values) for name, value in known.items()})
        return CurveSet(values, tuple(names), axis, axis_name, table, self.provenance | {"notes": self.notes})


def find_checkpoint(run: Path) -> Path:
    """A run folder's checkpoint: of its honest part with the lowest seed, or the folder's own when it is a part itself.

    Runs of pulse tests have one for each case and fold, in models/: the first, unless `run` names the file itself.
    """
    if run.is_file():
        return run
    if (run / "model.ckpt").is_file():
        return run / "model.ckpt"
    found = sorted(
        [*run.glob("*-seed*/model.ckpt"), *run.glob("*-seed*/models/*.ckpt"), *run.glob("models/*.ckpt")],
        key=lambda p: (not _part(p).startswith("honest"), _seed(_part(p)), p.name),
    )
    if not found:
        hint = f" Go on with: python train.py run_dir={run} resume=true" if (run / "config.yaml").is_file() else ""
        raise CheckpointError(f"run={run}: no model.ckpt there, so nothing was trained to its end.{hint}")
    return found[0]


def _part(checkpoint_path: Path) -> str:
    """The name of the part folder (such as honest-seed0) a checkpoint lies in."""
    folder = checkpoint_path.parent
    return folder.parent.name if folder.name == "models" else folder.name


def _seed(part: str) -> int:
    digits = part.rpartition("-seed")[2]
    return int(digits) if digits.isdigit() else 0


def generate(
    run: str | Path,
    conditions: Mapping[str, Any],
    n: int = 1,
    seed: int = 0,
    prior: str | None = None,
    cell: str | None = None,
) -> Generated:
    """n cycles (pulse tests) drawn from the prior of the run's model at `conditions`, e.g. {"eol": 800, "ecl": 50}.

    A condition that is left out takes the value of the training row nearest to those given. prior: for pulse tests, what
    is assumed beyond the training SOCs (None: "slope" where the model has it). cell: for profiles that continue a cell's
    first records, which cell. Raises ConfigError for an unknown condition
    or one of the wrong type or sign, CheckpointError for a run without a usable model. Values outside the training range
    are noted.
    """
    if n < 1 or not 0 <= seed < 2**63:
        raise ConfigError(f"n={n} must be 1 or more, seed={seed} from 0 to 2^63 - 1.")
    path = find_checkpoint(Path(run))
    trained = checkpoint.load(path)
    notes = trained.conditions.check(conditions)
    pulses, profiles = (kind == trained.preprocessing.PRODUCES for kind in ("pulses", "profiles"))
    known = of_cell(trained, conditions, cell) if profiles else {}
    if known:
        notes.append(f"as in the first records of {cell}: {', '.join(f'{k}={v:g}' for k, v in known.items())}")
    row, filled = _complete(trained, {**conditions, **known})
    if profiles:
        notes += gaps(trained, conditions)
        if (start := balanced_start(trained, row, conditions)) is not None:
            name = start.partition("=")[0]
            filled = [f for f in filled if not f.startswith(f"{name}=")]
            notes.append(f"{start}: the ambient, and what the training cells had above it at the start")
    elif cell is not None:
        raise ConfigError(f"cell={cell}: only runs of profiles take a cell. Leave it out.")
    if filled:
        notes.append(f"not given, taken from the nearest training cycle: {', '.join(filled)}")
    if prior is not None and not pulses:
        raise ConfigError(f"prior={prior}: only runs of pulse tests take a prior. Leave it out.")
    options = {"prior": prior or ("slope" if trained.model.has_density else "none")} if pulses else {}
    if profiles:
        signals = draw_profiles(trained, row, n, seed, cell)
    else:
        curves = trained.generate(torch.from_numpy(row)[None], n, seed, **options)[:, 0]
        slices = trained.preprocessing.slices
        curves = curves[..., None] if pulses else curves  # a voltage of a pulse test is a signal of one point
        signals = {s: curves[:, [i for i, o in enumerate(slices) if o == s]].mean(1) for s in dict.fromkeys(slices)}
    names = dict(zip(trained.conditions.columns, map(float, row), strict=True))
    facts = trained.facts
    provenance = {
        "synthetic": True,
        "generator": f"batgen {batgen.__version__}",
        "checkpoint": str(path.resolve()),
        "model": trained.config["model"]["_target_"].rpartition(".")[2],
        "data": trained.config["data"]["name"],
        "data_hash": facts["data_hash"],
        "protocol": facts["protocol"],
        "training_seed": facts["seed"],
        "seed": seed,
    }
    grid, axis = ("point", np.zeros(1)) if pulses else trained.preprocessing.axis()
    if cell is not None:
        provenance["cell"] = cell
    if "fold" in facts:
        provenance |= {"trained_as": facts["fold"], **options}
    if "time_s" not in signals and not pulses:
        notes.append(f"this run's curves carry no time (preprocessing.layout=video); their points lie on: {grid}")
    return Generated(signals, names, grid, axis, notes, provenance)


def _complete(trained: checkpoint.Trained, given: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
    """The encoded condition row (columns,), and "name=value" of those that were not given."""
    columns, table = trained.conditions.columns, trained.train_table.numpy()
    wanted: dict[str, float] = {}
    for name, value in given.items():
        if name in trained.conditions.kinds:
            wanted |= {f"{name}={k}": float(k == str(value)) for k in trained.conditions.kinds[name]}
        else:
            wanted[name] = float(value)
    scale = np.maximum(table.std(0), 1e-6)
    distance = sum(abs(table[:, columns.index(k)] - v) / scale[columns.index(k)] for k, v in wanted.items())
    row = table[int(np.argmin(distance)) if wanted else 0].copy()
    filled = [f"{c}={row[i]:g}" for i, c in enumerate(columns) if c not in wanted]
    for name, value in wanted.items():
        row[columns.index(name)] = value
    return row, filled


def write(path: Path, generated: Generated, form: str = "batgen") -> Path:
    """Write to `path` in one of `exchange.FORMATS`, the ending says which file; returns where it lies.

    Conditions and provenance go with the curves in every format, and `synthetic`. Raises ConfigError for a format or
    ending that does not exist, DataError where the format cannot hold such curves.
    """
    return exchange.write(path, generated.curve_set(), form)
