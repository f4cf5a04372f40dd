"""evaluation.h5: what the page of an evaluation draws, so that the page needs no model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from batgen.compared.judged import Judged, Sweep
from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.draw_calibration import calibration_curve
from batgen.evaluation.indicator_rows import indicator_details
from batgen.evaluation.memorisation_rows import memorisation_details
from batgen.evaluation.rows import unit_of
from batgen.files import replacing

#: Held-out curves that are shown, draws of each; points of a curve, values of an indicator, at most.
_SHOWN, _DRAWS, _POINTS, _VALUES = 24, 8, 128, 400
#: What of a row's context is said of a set too.
_CONTEXT = ("protocol", "seed", "split", "data", "model", "test_set")


class EvaluationFile:
    """The file while it is written: to a temporary name, moved into place when all is in it.

    sets/<k> is one protocol and test set: axis (P,), shown/{measured, mean, low, high} (n, S, P), shown/draws (n, k, S, P),
    shown/baselines/<name> (n, S, P), memorisation/<method>/{to_train, to_held_out}, indicators/<name>/{measured,
    generated, low, high}, calibration/<signal>/{expected, observed}, sweeps/<condition>/{values, mean, low, high}.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self._replacing = replacing(path)
        self.file = h5py.File(self._replacing.__enter__(), "w")
        self.file.attrs["about"] = json.dumps(about, default=str)
        self._count = 0

    def __enter__(self) -> "EvaluationFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.close()
        self._replacing.__exit__(*error)

    def open_set(self, tested: Judged, comparison: Comparison) -> "SetGroup":
        """A group for the test set, with the model's curves, memorisation, indicators and calibration."""
        group = SetGroup(self.file.create_group(f"sets/{self._count}"), comparison)
        self._count += 1
        group.describe(tested, comparison)
        group.model(tested.methods[0].name, comparison)
        return group


class SetGroup:
    """One test set in the file. Curves are thinned to the same rows and points for every method."""

    def __init__(self, group: h5py.Group, comparison: Comparison) -> None:
        self.group = group
        self.rows = _some(len(comparison.real), _SHOWN)
        self.points = _some(len(comparison.real.axis), _POINTS)

    def describe(self, tested: Judged, c: Comparison) -> None:
        """Attributes, axis and the measured curves that are shown."""
        about = {
            # files from other tools have no seed, and HDF5 has no word for that
            **{k: v for k in _CONTEXT if (v := tested.context[k]) is not None},
            "signals": json.dumps(list(c.signals)), "axis_name": c.real.axis_name, "told": json.dumps(list(c.told)),
            "n_real": len(c.real), "n_train": 0 if c.train is None else len(c.train),
            "n_draws": 0 if c.draws is None else len(c.draws),
        }  # fmt: skip
        self.group.attrs.update(about)
        self.group["axis"] = c.real.axis[self.points].astype(np.float32)
        self._put("shown/measured", self._thin(c.real.values[self.rows]))
        self.group["shown"].attrs["records"] = json.dumps(_records(c.real, self.rows))

    def model(self, name: str, c: Comparison) -> None:
        """What only the model has: draws, bands, distances to training, indicators, calibration."""
        if c.draws is not None:
            shown = self._thin(c.draws[:, self.rows])
            self._put("shown/mean", shown.mean(axis=0, dtype=np.float64))
            low, high = np.nanquantile(shown, [0.1, 0.9], axis=0)
            self._put("shown/low", low)
            self._put("shown/high", high)
            self._put("shown/draws", np.moveaxis(shown[:_DRAWS], 0, 1))
            if not c.one_line:
                for place, signal in enumerate(c.signals):
                    expected, observed = calibration_curve(c.real.values[:, place], c.draws[:, :, place], c.seed)
                    self._put(f"calibration/{signal}/expected", expected)
                    self._put(f"calibration/{signal}/observed", observed)
        else:
            self._put("shown/loose", self._thin(c.generated.values[_some(len(c.generated), _SHOWN)]))
        self.memorisation(name, c)
        for indicator, columns in indicator_details(c).items():
            for what, values in columns.items():
                self._put(f"indicators/{indicator}/{what}", values[_some(len(values), _VALUES)])
            self.group[f"indicators/{indicator}"].attrs["unit"] = unit_of(indicator)

    def baseline(self, name: str, c: Comparison) -> None:
        """The mean of a baseline's draws at the rows that are shown, and its distances to training."""
        if c.draws is not None:
            self._put(f"shown/baselines/{name}", self._thin(c.draws[:, self.rows]).mean(axis=0, dtype=np.float64))
        self.memorisation(name, c)

    def memorisation(self, name: str, c: Comparison) -> None:
        found = memorisation_details(c, c.seed)
        for what in ("to_train", "to_held_out"):
            if what in found:
                self._put(f"memorisation/{name}/{what}", found[what])
        if "floor_to_train" in found and "memorisation/floor" not in self.group:
            self._put("memorisation/floor/to_train", found["floor_to_train"])

    def sweeps(self, found: Mapping[str, Sweep]) -> None:
        for name, sweep in found.items():
            draws = self._thin(sweep.draws)
            low, high = np.nanquantile(draws, [0.1, 0.9], axis=0)
            for what, values in (("mean", draws.mean(axis=0, dtype=np.float64)), ("low", low), ("high", high)):
                self._put(f"sweeps/{name}/{what}", values)
            self._put(f"sweeps/{name}/values", sweep.values)
            about = {"unit": unit_of(name), "train_low": sweep.low, "train_high": sweep.high}
            self.group[f"sweeps/{name}"].attrs.update({**about, "fixed": json.dumps(sweep.fixed, default=str)})

    def _thin(self, values: np.ndarray) -> np.ndarray:
        return values[..., self.points]

    def _put(self, name: str, values: np.ndarray) -> None:
        data = np.asarray(values, dtype=np.float32)
        self.group.create_dataset(name, data=data, compression="gzip" if data.size else None)


def _some(total: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def _records(curves: CurveSet, rows: np.ndarray) -> list[dict[str, Any]]:
    """What is known of the shown rows, as plain values; what is not known is left out."""
    found = []
    for row in curves.table.iloc[rows].to_dict("records"):
        plain = {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()}
        found.append({k: v for k, v in plain.items() if isinstance(v, str | int) or (isinstance(v, float) and v == v)})
    return found
