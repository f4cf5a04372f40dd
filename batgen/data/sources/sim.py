"""The embedded dataset: 72 virtual LFP cells under 16 two-step fast charges, and pulse rows of LFP and NMC.

Simulated with PyBaMM by `scripts/make_sim.py`; `batgen.simulate` says what is physics and what is invented (the ageing,
the life law, the spread between cells). The packaged file is clean; noise like that of a cycler is added here from a
seed, the same for a cycle whichever others are read. ECL is the cycle number of the file.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from batgen.data.cell import SUMMARY, Cell, CellInfo, Cycle
from batgen.data.eol import eol_fields
from batgen.data.pulse_table import check_pulses
from batgen.errors import ConfigError, DataError

SCHEMA = 1
PULSE_FEATURES = tuple(f"U{k}" for k in range(1, 22))
#: As in `batgen.simulate.pulses`, which needs PyBaMM to import.
PULSE_S = 5.0
_UNITS = "SI as simulated, nothing converted"


@dataclass(frozen=True)
class Sim:
    """Cells in file order, one in memory at a time.

    folder: another folder that holds a `sim.h5` of the same layout (absolute); '' is the packaged file. noise: add
    normal noise with the standard deviations below; false gives the clean curves. Noise of voltage, current and
    temperature is white. capacity_noise_Ah is the error of the charge counter at nominal capacity, one factor for
    charge and discharge of a cycle, so capacities stay monotone. Pulse voltages and the summary get theirs too.
    Raises ConfigError when a standard deviation is negative.
    """

    HOLDS = ("curves", "pulses", "sequences", "profiles")

    name: str = "sim"
    folder: str = ""
    eol_capacity_Ah: float = 0.88
    censored: str = "drop"
    conditions: list[str] = field(default_factory=lambda: ["eol", "ecl", "c1", "q1", "c2", "ambient_degC"])
    noise: bool = True
    noise_seed: int = 0
    voltage_noise_V: float = 0.001
    current_noise_A: float = 0.002
    temperature_noise_degC: float = 0.05
    capacity_noise_Ah: float = 0.0002
    resistance_noise_Ohm: float = 0.00005

    def __post_init__(self) -> None:
        for entry in fields(self):
            if "_noise_" in entry.name and not getattr(self, entry.name) >= 0:
                raise ConfigError(
                    f"data.{entry.name}={getattr(self, entry.name)}: a standard deviation can't be negative; "
                    "data.noise=false turns noise off."
                )

    @property
    def version(self) -> int:
        return 2

    def files(self) -> list[Path]:
        """The one HDF5 file. Raises DataError when it is missing."""
        folder = Path(self.folder).expanduser() if self.folder else Path(str(files("batgen.data"))) / "files"
        path = folder / "sim.h5"
        if not path.is_file():
            raise DataError(
                f"{path} is missing. It ships with batgen: reinstall, or make it with scripts/make_sim.py (extra sim), "
                "or leave data.folder empty."
            )
        return [path]

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """Cells with the curves of ECL 1..`cycles` (all with None) and the summary of every cycle of life.

        A cycle is 160 samples of charge and 96 of discharge; the rest between them (`rest_s` of the file) is a gap in
        time without samples. Raises DataError when the file is not such a file.
        """
        with self._open() as f:
            cells = {name: values[()] for name, values in f["cells"].items()}
            owner, number = f["cycles/cell"][()], f["cycles/cycle"][()]
            for i in range(len(cells["cell_id"])):
                rows = slice(*np.searchsorted(owner, [i, i + 1]))
                yield self._cell(f, {name: values[i] for name, values in cells.items()}, rows, number[rows], cycles)

    def pulses(self) -> pd.DataFrame:
        """Pulse tests, the table of `pulse_table`: LFP_1.1Ah and NMC_5Ah, 600 rows, every cell at one stage."""
        with self._open() as f:
            group = f["pulses"]
            table = pd.DataFrame(
                {name: _plain(group[name]) for name in ("chemistry", "cell_id", "soc", "soh", "nominal_capacity_Ah")}
            )
            voltage = group["voltage"][()] * group["voltage"].attrs["step"]
        voltage += self._rng("pulses").normal(0, self._sigma(self.voltage_noise_V), voltage.shape)
        capacities = table["nominal_capacity_Ah"].map("{:g}Ah".format)
        table = table.assign(
            battery=table["chemistry"] + "_" + capacities,
            stage_id=table["cell_id"],
            pulse_width_s=PULSE_S,
            test_set="grid",
        )
        voltages = pd.DataFrame(voltage, columns=list(PULSE_FEATURES))
        return check_pulses(pd.concat([table, voltages], axis=1), self.name)

    def _open(self) -> h5py.File:
        (path,) = self.files()
        try:
            file = h5py.File(path)
        except OSError as error:
            raise DataError(
                f"{path}: not a readable HDF5 file ({error}). Reinstall batgen, or make it again."
            ) from error
        if file.attrs.get("schema") != SCHEMA:
            file.close()
            raise DataError(f"{path}: not a sim file of schema {SCHEMA}. Make it again with scripts/make_sim.py.")
        return file

    def _cell(self, f: h5py.File, row: dict, rows: slice, number: np.ndarray, limit: int | None) -> Cell:
        cell_id, nominal = row["cell_id"].decode(), float(f.attrs["nominal_capacity_Ah"])
        knots = f["summary/values"]
        summary = self._summary(cell_id, number, dict(zip(knots.attrs["columns"], knots[rows].T, strict=True)), nominal)
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry="LFP",
            nominal_capacity_Ah=nominal,
            voltage_min_V=float(f.attrs["voltage_min_V"]),
            voltage_max_V=float(f.attrs["voltage_max_V"]),
            policy=row["policy"].decode(),
            ambient_degC=float(row["ambient_degC"]),
            c1=float(row["c1"]),
            q1=float(row["q1"]),
            c2=float(row["c2"]),
            discharge_c_rate=float(row["discharge_c_rate"]),
            **eol_fields(summary["cycle"], summary["discharge_capacity_Ah"], self.eol_capacity_Ah, nominal),
        )
        first = rows.start + (len(number) if limit is None else int(np.searchsorted(number, limit, side="right")))
        taken = slice(rows.start, first)
        charge, discharge = _physical(f["cycles/charge"], taken), _physical(f["cycles/discharge"], taken)
        signals = _join(charge, discharge, float(f.attrs["rest_s"]), -info.discharge_c_rate * nominal)
        n, total = charge["time_s"].shape[1], signals["time_s"].shape[1]
        counter = self._counter(cell_id, len(summary), nominal)
        cycles = [
            Cycle(
                int(k),
                self._noisy(cell_id, int(k), {name: values[j] for name, values in signals.items()}, counter[k - 1]),
                charge=(0, n),
                discharge=(n, total),
            )
            for j, k in enumerate(number[: first - rows.start])
        ]
        return Cell(info, cycles, summary, units=_UNITS)

    def _summary(self, cell_id: str, number: np.ndarray, knots: dict[str, np.ndarray], nominal: float) -> pd.DataFrame:
        """Every cycle of life: monotone cubic interpolation between the solved cycles, then noise."""
        cycle = np.arange(1, number[-1] + 1)
        table = pd.DataFrame({"cycle": cycle} | {k: PchipInterpolator(number, v)(cycle) for k, v in knots.items()})
        rng = self._rng(cell_id, "summary")
        temperature = self._sigma(self.temperature_noise_degC)
        sigma = {
            "internal_resistance_Ohm": self._sigma(self.resistance_noise_Ohm),
            # means of many samples
            "relaxation_voltage_drop_V": self._sigma(self.voltage_noise_V) / 10,
            "temperature_mean_degC": temperature / 10,
            "temperature_min_degC": temperature,
            "temperature_max_degC": temperature,
        }
        for name, scale in sigma.items():
            table[name] += rng.normal(0, scale, len(cycle))
        table["discharge_capacity_Ah"] *= self._counter(cell_id, len(cycle), nominal)
        table["charge_capacity_Ah"] = table["discharge_capacity_Ah"] / table["coulombic_efficiency"]
        return table[list(SUMMARY)]

    def _noisy(self, cell_id: str, cycle: int, signals: dict[str, np.ndarray], counter: float) -> dict[str, np.ndarray]:
        """One cycle as a cycler would log it, float32. `counter` is the gain of its charge counter in this cycle."""
        rng = self._rng(cell_id, "cycle", cycle)
        noisy = {"time_s": signals["time_s"]}
        for name, sigma in (
            ("voltage_V", self.voltage_noise_V),
            ("current_A", self.current_noise_A),
            ("temperature_degC", self.temperature_noise_degC),
        ):
            noisy[name] = signals[name] + rng.normal(0, self._sigma(sigma), signals[name].shape)
        for name in ("charge_capacity_Ah", "discharge_capacity_Ah"):
            noisy[name] = signals[name] * counter
        return {name: values.astype(np.float32) for name, values in noisy.items()}

    def _counter(self, cell_id: str, cycles: int, nominal: float) -> np.ndarray:
        """Gain of the charge counter in cycles 1..`cycles`, (cycles,)."""
        return 1 + self._rng(cell_id, "counter").normal(0, self._sigma(self.capacity_noise_Ah) / nominal, cycles)

    def _sigma(self, value: float) -> float:
        return value if self.noise else 0.0

    def _rng(self, *what: str | int) -> np.random.Generator:
        """A stream of its own for every use, so that no draw depends on what else was read."""
        return np.random.default_rng([self.noise_seed, zlib.crc32(repr(what).encode())])


def _physical(data: h5py.Dataset, rows: slice) -> dict[str, np.ndarray]:
    """Signals (n, points) in the units of their names, float64."""
    values = data[rows] * data.attrs["step"][:, None]
    return {str(name): values[:, k] for k, name in enumerate(data.attrs["signals"])}


def _join(charge: dict, discharge: dict, rest_s: float, discharge_A: float) -> dict[str, np.ndarray]:
    """Charge, a rest, discharge: signals (n, points of both) of whole cycles, time from 0."""
    up, down = charge["time_s"], discharge["time_s"]
    passed = np.broadcast_to(charge["charge_capacity_Ah"][:, -1:], down.shape)
    return {
        "time_s": np.concatenate([up, down + up[:, -1:] + rest_s], axis=1),
        "current_A": np.concatenate([charge["current_A"], np.full(down.shape, discharge_A)], axis=1),
        "charge_capacity_Ah": np.concatenate([charge["charge_capacity_Ah"], passed], axis=1),
        "discharge_capacity_Ah": np.concatenate([np.zeros_like(up), discharge["discharge_capacity_Ah"]], axis=1),
        **{name: np.concatenate([charge[name], discharge[name]], axis=1) for name in ("voltage_V", "temperature_degC")},
    }


def _plain(data: h5py.Dataset) -> np.ndarray:
    return data.asstr()[()] if h5py.check_string_dtype(data.dtype) else data[()]
