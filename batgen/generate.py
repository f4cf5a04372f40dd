"""Draw curves from a finished run for conditions the user names, and write them with their provenance."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch

import batgen
from batgen import checkpoint
from batgen.errors import CheckpointError, ConfigError
from batgen.evaluation.rows import unit_of
from batgen.files import replacing
from batgen.generate_profiles import balanced_start, draw_profiles, gaps, of_cell
from batgen.preprocessing.conditions import NUMERIC

FORMATS = (".h5", ".csv", ".parquet")


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


def write(path: Path, generated: Generated) -> None:
    """Write to .h5 (one dataset per signal, (n, P)), .csv or .parquet (one row per point). Raises ConfigError otherwise.

    All carry the conditions and the provenance: as attributes in .h5, as schema metadata in .parquet, as columns
    `synthetic`, `model`, `checkpoint` in .csv.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ConfigError(f"out={path}: the ending decides the format; use one of {', '.join(FORMATS)}.")
    with replacing(path) as temporary:
        if kind == ".h5":
            _write_h5(temporary, generated)
        elif kind == ".csv":
            table = _table(generated)
            for key in ("model", "data", "protocol", "checkpoint"):
                table[key] = generated.provenance[key]
            table.to_csv(temporary, index=False, float_format="%.7g")
        else:
            _write_parquet(temporary, generated)


def _write_h5(path: Path, generated: Generated) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update(generated.provenance)
        file.attrs["grid"] = generated.grid
        file["axis"] = generated.axis
        file["axis"].attrs["name"] = generated.grid
        file.attrs["notes"] = json.dumps(generated.notes)
        for name, value in generated.conditions.items():
            file.attrs[f"condition_{name}"] = value
            dataset = file.create_dataset(f"conditions/{name}", data=np.full(_count(generated), value))
            dataset.attrs["unit"] = NUMERIC.get(name, "category")
        for name, values in generated.signals.items():
            dataset = file.create_dataset(f"curves/{name}", data=values, compression="gzip", compression_opts=4)
            dataset.attrs["unit"] = unit_of(name)


def _count(generated: Generated) -> int:
    return len(next(iter(generated.signals.values())))


def _table(generated: Generated) -> pd.DataFrame:
    n, points = next(iter(generated.signals.values())).shape
    table = pd.DataFrame({"sample": np.repeat(np.arange(n), points)})
    if points > 1:  # a pulse test is one row
        table["point"] = np.tile(np.arange(points), n)
        table[f"axis_{generated.grid}"] = np.tile(generated.axis, n)
    for name, values in generated.signals.items():
        table[name] = values.ravel()
    for name, value in generated.conditions.items():
        table[name] = value
    table["synthetic"] = True
    return table


def _write_parquet(path: Path, generated: Generated) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(_table(generated), preserve_index=False)
    meta = {**(table.schema.metadata or {}), b"batgen": json.dumps(generated.provenance).encode()}
    pq.write_table(table.replace_schema_metadata(meta), path)
