"""One trained model and the curves it is judged on, as every kind of run hands them to the evaluation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batgen import checkpoint
from batgen.data.curve_set import NUMERIC_COLUMNS, CurveSet
from batgen.errors import CheckpointError, ConfigError, DataError
from batgen.evaluation.comparison import Comparison

#: Floats that are drawn at once: what keeps memory flat whatever the number of conditions.
_CHUNK_FLOATS = 16_000_000
#: Training curves among which copies are looked for, at most.
EVERY = 20_000
#: Draws at training conditions, at most: enough to tell members from others.
AT_TRAIN = 8


@dataclass(frozen=True)
class EvaluateSettings:
    """rows: held-out curves, and training curves, at most; evenly taken from all. draws: of each condition. seed: of
    everything random. baselines: also evaluate those that the run was trained beside."""

    rows: int = 1000
    draws: int = 20
    seed: int = 0
    baselines: bool = True

    def __post_init__(self) -> None:
        if self.rows < 20:
            raise ConfigError(f"rows={self.rows}: evaluate 20 curves or more.")
        if self.draws < 2:
            raise ConfigError(f"draws={self.draws}: two draws or more tell something of spread.")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}: it must be 0 or more.")


@dataclass(frozen=True)
class Sweep:
    """Draws along one condition, the others held: values (V,), draws (K, V, S, P); range of training; the others."""

    values: np.ndarray
    draws: np.ndarray
    low: float
    high: float
    fixed: dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A model or baseline and its comparison, made when asked for: one at a time is held in memory."""

    name: str
    role: str
    comparison: Callable[[], Comparison]


@dataclass(frozen=True)
class Judged:
    """A test set of one trained model. context: protocol, seed, split, data, model, test_set of its rows; fold: which of
    several models; methods: the model first; sweeps: of the model, by condition."""

    context: dict[str, Any]
    fold: str
    methods: list[Method]
    sweeps: Callable[[], dict[str, Sweep]] = dict
    notes: list[str] = field(default_factory=list)


def evenly(rows: np.ndarray, count: int) -> np.ndarray:
    """`count` of the rows at most, evenly spread in their order."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def chunks(total: int, floats_each: int) -> Iterator[slice]:
    """Slices of range(total) that hold _CHUNK_FLOATS floats at most."""
    step = max(1, _CHUNK_FLOATS // max(1, floats_each))
    for start in range(0, total, step):
        yield slice(start, start + step)


def trained_part(
    prepare: Callable[[dict[str, Any], Path], Any], train: Callable[[Any], None], conf: dict[str, Any], folder: Path
) -> Any:
    """A finished part of a family whose parts have members, a model each, with these models; `prepare` and `train` are the
    family's. Raises CheckpointError where a model is missing, DataError where the data are others."""
    conf, said = own_models(conf)
    part = prepare(conf, folder)
    part.notes += said
    names = [member.name for member in part.members]
    require_models(folder, names)
    for name in names:
        same_data(folder, checkpoint.load(folder / "models" / f"{name}.ckpt"), part.store.data_hash)
    train(part)  # reads what is there
    return part


def require_models(folder: Path, names: Sequence[str]) -> None:
    """Raise CheckpointError unless the part in `folder` has a checkpoint of each of these models."""
    for name in names:
        if not (folder / "models" / f"{name}.ckpt").is_file():
            again = f"python train.py run_dir={folder.parent} resume=true"
            raise CheckpointError(f"{folder}: {name} has no model. Go on with: {again}")


def own_models(conf: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The config without the run it was fine-tuned from, whose folder may be gone (all that is needed is in the run's own
    checkpoints), and what must be said of that."""
    source = conf["finetune"]["run"]
    if not source:
        return conf, []
    note = f"fine-tuned from {source}: curves that that run learnt from are not among the training curves here"
    return {**conf, "finetune": {**conf["finetune"], "run": None}}, [note]


def same_data(folder: Path, trained: Any, data_hash: str) -> None:
    """Raise DataError unless the data are those that a checkpoint was trained on."""
    if trained.facts["data_hash"] != data_hash:
        raise DataError(
            f"{folder}: the data changed since this run was trained (other content). Train again, or restore them."
        )


def told_conditions(names: Sequence[str], *sets: CurveSet) -> tuple[str, ...]:
    """Those of a model's conditions that are numbers and known for all curves of the sets."""
    return tuple(n for n in names if n in NUMERIC_COLUMNS and all(n in one.conditions for one in sets))


def beside(
    real: CurveSet, train: CurveSet, every: CurveSet, told: Sequence[str], seed: int
) -> Callable[[np.ndarray, np.ndarray], Comparison]:
    """A function from draws at the real and at the training conditions to a comparison. `train` is some of `every` training
    curve: those at whose conditions is drawn."""
    names = told_conditions(told, real, train)
    shared: dict[Any, Any] = {}  # floors are the same for every method

    def compare(draws: np.ndarray, at_train: np.ndarray) -> Comparison:
        return Comparison(real, real.with_values(draws[0]), draws, train, at_train, names, seed, shared, every)

    return compare


def typical_row(table: np.ndarray) -> int:
    """The row of (N, C) nearest to the median of all columns, in their standard deviations."""
    spread = np.maximum(table.std(0), 1e-9)
    return int(np.argmin((np.abs(table - np.median(table, axis=0)) / spread).sum(axis=1)))
