"""pulses.h5 of a pulse part: measured and generated voltages, posterior examples, attention maps. For figures, and users."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from batgen.evaluation.pulses import Voltages
from batgen.files import replacing

_TEXT = h5py.string_dtype()


def write_pulses(
    path: Path,
    names: Sequence[str],
    voltages: Mapping[tuple[str, str, str], list[Voltages]],
    posteriors: Mapping[str, Mapping[str, np.ndarray]],
    attention: Mapping[str, tuple[np.ndarray, list[str]]],
) -> None:
    """Write atomically. voltages by (case, calibration, prior), a list over folds; posteriors and attention by case.

    case/<case>/<calibration>/<prior>/<battery>/ holds measured (M, F), generated_mean (M, F), generated (K, M, F) in V,
    cell_id, stage_id, soc, soh (M,); posterior/<case>/ grid (G,), density (R, G), soh, soc, label (R,); attention/<case>
    (F, C), its columns named in the attribute "conditions"; names (F,).
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["generated"] = "synthetic voltages, drawn by batgen at the conditions of the measured rows"
        file["names"] = np.array(names, dtype=_TEXT)
        for (case, calibration, prior), parts in voltages.items():
            rows = pd.concat([p.rows for p in parts], ignore_index=True)
            measured = np.concatenate([p.measured for p in parts])
            generated = np.concatenate([p.generated for p in parts], axis=1)
            for battery, index in rows.groupby("battery").indices.items():
                group = file.create_group(f"case/{case}/{calibration}/{prior}/{battery}")
                group["measured"] = measured[index].astype(np.float32)
                group["generated_mean"] = generated[:, index].mean(0, dtype=np.float64).astype(np.float32)
                group.create_dataset("generated", data=generated[:, index], compression="gzip", compression_opts=1)
                _columns(group, rows.iloc[index], ("cell_id", "stage_id", "soc", "soh"))
        for case, found in posteriors.items():
            for name, values in found.items():
                _put(file, f"posterior/{case}/{name}", np.asarray(values))
        for case, (weights, conditions) in attention.items():
            file[f"attention/{case}"] = weights
            file[f"attention/{case}"].attrs["conditions"] = np.array(conditions, dtype=_TEXT)


def _columns(group: h5py.Group, rows: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        _put(group, name, rows[name].to_numpy())


def _put(group: Any, name: str, values: np.ndarray) -> None:
    numeric = values.dtype.kind in "fiu"
    group[name] = values if numeric else np.array([str(v) for v in values], dtype=_TEXT)
