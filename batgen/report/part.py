"""Read back what a part folder (one protocol, one seed) holds for figures."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from batgen.errors import DataError
from batgen.report.labels import in_order


@dataclass(frozen=True)
class Embedding:
    """Label embedding: weight (L, D), eol (L,) and ecl (L,) in cycles, `distance_weight` of eq. 14."""

    weight: np.ndarray
    eol: np.ndarray
    ecl: np.ndarray
    distance_weight: float = 0.5


@dataclass(frozen=True)
class CurvesByCycle:
    """Voltage and temperature (n, P) of n cycles of one cell, on a time grid in seconds (n, P) or (P,) where known."""

    cell_id: str
    cycle: np.ndarray
    grid_s: np.ndarray | None
    signals: dict[str, np.ndarray]


@dataclass(frozen=True)
class Fade:
    """Discharge capacity (n,) in Ah over cycles (n,) of one cell; `life` in cycles (its last record if unknown)."""

    cell_id: str
    cycle: np.ndarray
    capacity_Ah: np.ndarray
    life: float


@dataclass(frozen=True)
class Part:
    """The test rows of one part, in physical units; see `read_part`. Absent groups are None or empty.

    real, reconstruction, conditional_mean (N, S, P); generated (M, K, S, P), of the rows generated_index (M,); slices
    and units (S,); grid (P,).
    """

    protocol: str
    model: str
    data: str
    slices: list[str]
    units: list[str]
    grid: np.ndarray
    grid_name: str
    real: np.ndarray
    cell_id: np.ndarray
    conditions: dict[str, np.ndarray]
    reconstruction: np.ndarray | None = None
    conditional_mean: np.ndarray | None = None
    generated: np.ndarray | None = None
    generated_index: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    embedding: Embedding | None = None
    fade: list[Fade] = field(default_factory=list)
    by_cycle: CurvesByCycle | None = None

    def signals(self) -> dict[str, tuple[int, str]]:
        """Each signal once, in reading order: name -> (its first slice, its unit)."""
        return {name: (place := self.slices.index(name), self.units[place]) for name in in_order(self.slices)}

    def label(self, row: int) -> str:
        """The cell and what is known of its life: "b3c0, EOL 1009, ECL 35"."""
        parts = [str(self.cell_id[row])]
        for name in ("eol", "ecl"):
            value = self.conditions.get(name, np.full(len(self.real), np.nan))[row]
            parts += [f"{name.upper()} {value:.0f}"] if np.isfinite(value) else []
        return ", ".join(parts)

    def title(self) -> str:
        """What every figure says on top."""
        return f"{self.model} on {self.data}, {self.protocol} protocol"


def read_part(part_dir: Path) -> Part:
    """Read `part_dir/samples.h5`. Raises DataError, naming the file, when it is absent or not what it should be."""
    path = Path(part_dir) / "samples.h5"
    try:
        with h5py.File(path) as file:
            return _read(file)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a run's samples ({error}). Evaluate the run again to rewrite it."
        ) from error


def _read(file: h5py.File) -> Part:
    slices = json.loads(file.attrs["slices"])
    units = json.loads(file.attrs["units"]) if "units" in file.attrs else [s.rpartition("_")[2] for s in slices]
    real, generated = file["real"][:], _optional(file, "generated")
    index = _optional(file, "generated_index")
    if index is None:
        index = np.arange(0 if generated is None else len(generated))
    return Part(
        protocol=str(file.attrs.get("protocol", "")),
        model=str(file.attrs.get("model", "")),
        data=str(file.attrs.get("data", "")),
        grid_name=str(file.attrs.get("grid_name", "")),
        slices=slices,
        units=units,
        grid=file["grid"][:],
        real=real,
        cell_id=file["cell_id"].asstr()[:],
        conditions={
            key: column[:].astype(np.float64)
            for key, column in file.get("conditions", {}).items()
            if np.issubdtype(column.dtype, np.number)
        },
        reconstruction=_optional(file, "reconstruction"),
        conditional_mean=_optional(file, "conditional_mean"),
        generated=generated,
        generated_index=index.astype(np.int64),
        embedding=_embedding(file["embedding"]) if "embedding" in file else None,
        fade=[_fade(name, group) for name, group in file.get("overview/fade", {}).items()],
        by_cycle=_by_cycle(file["overview/by_cycle"]) if "overview/by_cycle" in file else None,
    )


def _optional(file: h5py.File, name: str) -> np.ndarray | None:
    return file[name][:] if name in file else None


def _embedding(group: h5py.Group) -> Embedding:
    weight = float(group.attrs.get("distance_weight", 0.5))
    return Embedding(group["weight"][:], group["eol"][:], group["ecl"][:], weight)


def _fade(name: str, group: h5py.Group) -> Fade:
    cycle, capacity = group["cycle"][:], group["discharge_capacity_Ah"][:]
    life = float(group.attrs.get("eol_cycle", np.nan))
    if not np.isfinite(life):
        life = float(cycle.max()) if len(cycle) else np.nan
    return Fade(name, cycle, capacity, life)


def _by_cycle(group: h5py.Group) -> CurvesByCycle:
    signals = {key: group[key][:] for key in ("voltage_V", "temperature_degC") if key in group}
    grid = group["grid_s"][:] if "grid_s" in group else None
    return CurvesByCycle(str(group.attrs.get("cell_id", "")), group["cycle"][:], grid, signals)


def read_epochs(part_dir: Path) -> pd.DataFrame | None:
    """`part_dir/metrics.csv`, one row per epoch; None where there is none (models that are fitted, not trained)."""
    path = Path(part_dir) / "metrics.csv"
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        return pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is no table of training losses ({error}). Delete it to draw the rest.") from error
