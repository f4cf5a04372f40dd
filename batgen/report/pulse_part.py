"""Read back what a part folder (one protocol, one seed) of a pulse run holds for figures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from batgen.errors import DataError

TEXT_COLUMNS = ("battery", "case", "calibration", "prior", "test_set", "cell_id", "method")
PREDICTION_COLUMNS = (*TEXT_COLUMNS, "soc", "soh", "estimate")
#: More SOCs than this in one figure are joined to levels of 5 %; the published grid has 10.
_MOST_LEVELS = 20


@dataclass(frozen=True)
class Setting:
    """What one figure is about: a battery type, the calibration cells and the prior beyond the training SOCs."""

    battery: str
    calibration: str
    prior: str

    def words(self) -> str:
        """ "NMC_2.1Ah, calibration cells: quantile, prior: slope"; what is none is left out."""
        parts = [self.battery] if self.battery else []
        parts += [f"calibration cells: {self.calibration}"] if self.calibration != "none" else []
        parts += [f"prior: {self.prior}"] if self.prior != "none" else []
        return ", ".join(parts)

    @property
    def plain(self) -> bool:
        """Whether nothing but the training SOCs was used."""
        return (self.calibration, self.prior) == ("none", "none")


@dataclass(frozen=True)
class Generated:
    """Measured and generated voltages of the test rows of one case, all folds, in V.

    measured, generated_mean (M, F); generated (K, M, F); cell_id (M,); soc, soh (M,) fractions.
    """

    case: str
    setting: Setting
    measured: np.ndarray
    generated_mean: np.ndarray
    generated: np.ndarray
    cell_id: np.ndarray
    soc: np.ndarray
    soh: np.ndarray


@dataclass(frozen=True)
class Posterior:
    """Posterior densities (R, G) of SOH on a grid (G,) for R rows of true soh and soc (R,), all fractions."""

    grid: np.ndarray
    density: np.ndarray
    soh: np.ndarray
    soc: np.ndarray
    label: list[str]


@dataclass(frozen=True)
class Attention:
    """Mean attention weight (F, C) of each pulse token on each condition."""

    weight: np.ndarray
    conditions: list[str]


@dataclass(frozen=True)
class PulsePart:
    """Everything the figures of a pulse run need; see `read_pulse_part`. `names` are the F voltages, U1 first."""

    names: list[str]
    generated: list[Generated]
    predictions: pd.DataFrame
    metrics: list[dict[str, Any]]
    posterior: dict[str, Posterior] = field(default_factory=dict)
    attention: dict[str, Attention] = field(default_factory=dict)
    losses: pd.DataFrame | None = None

    def title(self, setting: Setting | None = None) -> str:
        """What every figure says on top."""
        own = next((row for row in self.metrics if row.get("role") == "model"), {})
        batteries = sorted(set(self.predictions["battery"]))
        about = setting.words() if setting else ", ".join(batteries)
        words = [f"{own.get('model', 'model')} on {about}" if about else str(own.get("model", "model"))]
        words += [f"{own['protocol']} protocol"] if own.get("protocol") else []
        words += [f"seed {own['seed']}"] if own.get("seed") is not None else []
        return ", ".join(words)

    def train_soc(self, case: str) -> list[float]:
        """The training SOCs of a case (fractions), from the metrics rows; empty where they do not say."""
        return next(
            (list(r["train_soc"]) for r in self.metrics if str(r.get("case")) == case and r.get("train_soc")), []
        )

    def settings(self) -> list[Setting]:
        """Every setting in predictions.csv, those without calibration cells and prior first."""
        found = self.predictions[["battery", "calibration", "prior"]].drop_duplicates()
        found = found[found["prior"] != "any"]  # baselines on measured rows
        settings = [Setting(*map(str, row)) for row in found.itertuples(index=False)]
        return sorted(settings, key=lambda s: not s.plain)


def soc_levels(soc: np.ndarray) -> np.ndarray:
    """SOC (N,) as whole percent (N,), in steps of 5 % where more than 20 would differ (the random-SOC test)."""
    percent = np.round(100 * np.asarray(soc, dtype=float)).astype(int)
    return percent if len(np.unique(percent)) <= _MOST_LEVELS else 5 * np.round(percent / 5).astype(int)


def read_pulse_part(part_dir: Path) -> PulsePart:
    """Read predictions.csv, pulses.h5, metrics.json and, where there is one, losses.csv of `part_dir`.

    Raises DataError, naming the file, when one of the first three is absent or not what it should be.
    """
    folder = Path(part_dir)
    with _reading(folder / "metrics.json"):
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["rows"]
    with _reading(folder / "predictions.csv"):
        # "none" is a word of ours here, and a cell may be called NA: only numbers can be missing.
        text = dict.fromkeys((*TEXT_COLUMNS, "stage_id"), str)
        no_number = {name: ["", "nan"] for name in ("soc", "soh", "estimate", "low", "high")}
        predictions = pd.read_csv(folder / "predictions.csv", dtype=text, keep_default_na=False, na_values=no_number)
        missing = [name for name in PREDICTION_COLUMNS if name not in predictions]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
    with _reading(folder / "pulses.h5"), h5py.File(folder / "pulses.h5") as file:
        names = [str(name) for name in file["names"].asstr()[:]]
        generated = _generated(file)
        posterior = {case: _posterior(group) for case, group in file.get("posterior", {}).items()}
        attention = {
            case: Attention(data[:], [str(name) for name in data.attrs["conditions"]])
            for case, data in file.get("attention", {}).items()
        }
    losses = None
    if (folder / "losses.csv").is_file():
        with _reading(folder / "losses.csv"):
            losses = pd.read_csv(folder / "losses.csv")
    return PulsePart(names, generated, predictions, metrics, posterior, attention, losses)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a file of a pulse run ({error}). Evaluate the run again to rewrite it."
        ) from error


def _generated(file: h5py.File) -> list[Generated]:
    found = []
    for case, by_calibration in file["case"].items():
        for calibration, by_prior in by_calibration.items():
            for prior, by_battery in by_prior.items():
                for battery, group in by_battery.items():
                    numbers = {
                        key: group[key][:].astype(float)
                        for key in ("measured", "generated_mean", "generated", "soc", "soh")
                    }
                    setting = Setting(battery, calibration, prior)
                    found.append(Generated(case, setting, cell_id=group["cell_id"].asstr()[:], **numbers))
    return found


def _posterior(group: h5py.Group) -> Posterior:
    numbers = {key: group[key][:].astype(float) for key in ("grid", "density", "soh", "soc")}
    return Posterior(label=[str(text) for text in group["label"].asstr()[:]], **numbers)
