"""Read explanation.h5 of a sequence part: attention and saliency of forecast cells."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True)
class Attention:
    """Attention weight (H, n) of each forecast cycle (H,) on each input cycle (n,) of one cell."""

    cell_id: str
    weight: np.ndarray
    cycle: np.ndarray
    input_cycle: np.ndarray


@dataclass(frozen=True)
class Saliency:
    """Sensitivity (H, n, F) of a target's quantile at forecast cycles (H,) to F named inputs at input cycles (n,)."""

    cell_id: str
    target: str
    level: float
    value: np.ndarray
    cycle: np.ndarray
    input_cycle: np.ndarray
    names: list[str]


def read_explanation(path: Path) -> tuple[list[Attention], list[Saliency]]:
    """attention/<cell>, with attributes cycle (H,), input_cycle (n,); saliency/<cell>/<target>/q<level>, names (F,) too.

    Slashes of cell ids are "|" in the file. Raises KeyError or ValueError where an attribute is absent or does not fit.
    """
    with h5py.File(path) as file:
        attention = [
            Attention(_cell(name), _fits(data, 2), *_cycles(data)) for name, data in file.get("attention", {}).items()
        ]
        saliency = []
        for name, targets in file.get("saliency", {}).items():
            for target, by_level in targets.items():
                for level, data in by_level.items():
                    names = [str(text) for text in data.attrs["names"]]
                    value = _fits(data, 3)
                    if len(names) != value.shape[2]:
                        raise ValueError(f"{data.name} has {value.shape[2]} inputs and {len(names)} names")
                    saliency.append(Saliency(_cell(name), target, float(level[1:]), value, *_cycles(data), names))
    return attention, saliency


def _cell(name: str) -> str:
    return name.replace("|", "/")


def _fits(data: h5py.Dataset, dimensions: int) -> np.ndarray:
    value = data[:].astype(float)
    cycle, input_cycle = _cycles(data)
    if value.ndim != dimensions or value.shape[:2] != (len(cycle), len(input_cycle)):
        raise ValueError(
            f"{data.name} has shape {value.shape} for {len(cycle)} forecast, {len(input_cycle)} input cycles"
        )
    return value


def _cycles(data: h5py.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(data.attrs["cycle"]), np.asarray(data.attrs["input_cycle"])
