"""Files in exactly the structure of the raw MIT/Severson batches, with cells whose curves add up.

`make_cell` makes one cell: two-step CC to 80 %, rest, 1C CC-CV to 3.6 V and C/50, rest, 4C discharge to 2.0 V and C/50;
current in C-rate and time in minutes, as in the real files. `write_batch` writes a file; `write_dataset` all three.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

FILES = (
    "2017-05-12_batchdata_updated_struct_errorcorrect.mat",
    "2017-06-30_batchdata_updated_struct_errorcorrect.mat",
    "2018-04-12_batchdata_updated_struct_errorcorrect.mat",
)
NOMINAL_AH = 1.1
CURVES = ("I", "V", "T", "Qc", "Qd", "t", "Qdlin", "Tdlin", "discharge_dQdV")
GRID_V = np.linspace(3.5, 2.0, 1000)


@dataclass
class RawCell:
    """What the file holds of a cell. A cycle that is None is written as MATLAB's empty arrays, as is a signal."""

    policy: str
    cycles: list[dict[str, np.ndarray | None] | None]
    summary: dict[str, np.ndarray]
    cycle_life: float
    barcode: str = "EL150800460000"
    absent: tuple[str, ...] = field(default=())


def make_cell(
    policy: str = "5.4C(60%)-3.6C",
    cycles: int = 30,
    points: int = 300,
    life: float | None = None,
    seed: int = 0,
    first: int = 1,
    placeholder: bool = False,
    n_cycles_with_curves: int | None = None,
) -> RawCell:
    """A cell of `cycles` records numbered from `first`, which ends its life in cycle `life` (default: the one after).

    The last cycle above 0.88 Ah is `life` - 1, and `cycle_life` is `life`, as the authors count. placeholder: record 0
    is empty, as in the first real batch. n_cycles_with_curves: later ones repeat the last curve, which is faster.
    """
    rng = np.random.default_rng(seed)
    life = first + cycles if life is None else life
    numbers = np.arange(first, first + cycles)
    shape = rng.uniform(1.2, 2.0)
    fresh = rng.uniform(1.06, 1.08)
    capacity = fresh - (fresh - 0.8805) * (numbers / (life - 1)) ** shape
    made = [_cycle(policy, float(q), points, rng) for q in capacity[:n_cycles_with_curves]]
    made += [made[-1]] * (cycles - len(made))
    charge_minutes = np.array([c["t"][np.argmax(c["Qc"] >= 0.8 * c["Qc"].max())] for c in made])
    summary = {
        "IR": 0.016 + 0.002 * numbers / life + rng.normal(0, 2e-5, cycles),
        "QCharge": capacity + 2e-4,
        "QDischarge": capacity.copy(),
        "Tavg": np.array([c["T"].mean() for c in made]),
        "Tmin": np.array([c["T"].min() for c in made]),
        "Tmax": np.array([c["T"].max() for c in made]),
        "chargetime": charge_minutes,
        "cycle": numbers.astype(float),
    }
    records: list = list(made)
    if placeholder:
        records[0] = None
        for values in summary.values():
            values[0] = 0
    return RawCell(policy, records, summary, float(life), barcode=f"EL1508004{seed:05d}")


def write_dataset(
    folder: Path,
    cells: Sequence[int] = (2, 2, 2),
    cycles: int = 36,
    points: int = 300,
    compression: int | None = None,
) -> list[Path]:
    """The three files, `cells[b]` cells in batch b + 1, of about `cycles` cycles and a two-step policy each."""
    policies = ("5.4C(60%)-3.6C", "4C(40%)-6C", "3.6C(80%)-3.6C", "7C(30%)-3.6C", "5C(67%)-4C", "2C(10%)-6C")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for b, (name, n) in enumerate(zip(FILES, cells, strict=True)):
        suffix = "-newstructure" if b == 2 else ""
        batch = []
        for i in range(n):
            seed = 100 * b + i
            batch.append(make_cell(policies[seed % 6] + suffix, cycles + 2 * i, points, seed=seed, placeholder=b == 0))
        paths.append(write_batch(folder / name, batch, compression))
    return paths


def write_batch(path: Path, cells: Sequence[RawCell], compression: int | None = None) -> Path:
    """Write `cells` as the struct array `batch` of a MATLAB v7.3 file (with its 512-byte header)."""
    with h5py.File(path, "w", userblock_size=512) as file:
        writer = _Writer(file, compression)
        batch = file.create_group("batch")
        batch.attrs["MATLAB_class"] = np.bytes_("struct")
        writer.column(batch, "policy_readable", [writer.text(c.policy) for c in cells])
        writer.column(batch, "barcode", [writer.text(c.barcode) for c in cells])
        writer.column(batch, "channel_id", [writer.text(str(i + 1)) for i in range(len(cells))])
        writer.column(batch, "cycle_life", [writer.array(np.array([[c.cycle_life]])) for c in cells])
        writer.column(batch, "Vdlin", [writer.array(GRID_V[None]) for _ in cells])
        writer.column(batch, "summary", [writer.struct(c.summary) for c in cells])
        writer.column(batch, "cycles", [writer.cycles(c) for c in cells])
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64 HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")
    return path


class _Writer:
    """Numbers the anonymous objects that MATLAB puts in `#refs#`."""

    def __init__(self, file: h5py.File, compression: int | None) -> None:
        self._refs = file.create_group("#refs#")
        self._how = {} if compression is None else {"compression": "gzip", "compression_opts": compression}
        self._count = 0

    def array(self, values: np.ndarray | None) -> h5py.Reference:
        """A (1, n) array; None: an empty one, stored as its dimensions with the attribute MATLAB_empty."""
        self._count += 1
        if values is None:
            dataset = self._refs.create_dataset(str(self._count), data=np.array([0, 0], dtype=np.uint64))
            dataset.attrs["MATLAB_empty"] = np.uint8(1)
        else:
            dataset = self._refs.create_dataset(str(self._count), data=values, **self._how)
        dataset.attrs["MATLAB_class"] = np.bytes_("double")
        return dataset.ref

    def text(self, text: str) -> h5py.Reference:
        return self.array(np.array([[ord(c)] for c in text], dtype=np.uint16))

    def struct(self, fields: dict[str, np.ndarray]) -> h5py.Reference:
        self._count += 1
        group = self._refs.create_group(str(self._count))
        for name, values in fields.items():
            group.create_dataset(name, data=values[None])
        return group.ref

    def cycles(self, cell: RawCell) -> h5py.Reference:
        self._count += 1
        group = self._refs.create_group(str(self._count))
        for name in CURVES:
            if name not in cell.absent:
                values = [None if c is None or c[name] is None else c[name][None] for c in cell.cycles]
                self.column(group, name, [self.array(v) for v in values])
        return group.ref

    @staticmethod
    def column(group: h5py.Group, name: str, refs: list[h5py.Reference]) -> None:
        group.create_dataset(name, (len(refs), 1), h5py.ref_dtype)[:, 0] = refs


def _cycle(policy: str, capacity_Ah: float, points: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The nine arrays of one cycle, (points,) and (1000,): time in minutes, current in C-rate, capacities in Ah."""
    first, second = policy.replace("-newstructure", "").split("-")
    c1, q1 = float(first.split("C(")[0]), float(first.split("(")[1].rstrip("%)")) / 100
    c2 = float(second.split("C")[0])
    fast_end = min(0.8 * NOMINAL_AH, 0.9 * capacity_Ah)
    switch = min(q1 * NOMINAL_AH, fast_end)
    cc_end, low = 0.96 * capacity_Ah, 0.04 * capacity_Ah
    # (charge moved in Ah, C-rate at the start, whether the current decays to C/50, share of the points)
    steps = [
        (switch, c1, False, 0.2),
        (fast_end - switch, c2, False, 0.15),
        (cc_end - fast_end, 1.0, False, 0.15),
        (capacity_Ah - cc_end, 1.0, True, 0.15),
        (0.0, 0.0, False, 0.03),
        (low - capacity_Ah, -4.0, False, 0.22),
        (-low, -4.0, True, 0.07),
    ]
    steps = [s for s in steps if abs(s[0]) > 1e-9 or s[1] == 0]
    counts = [max(3, int(s[3] * points)) for s in steps]
    counts.append(max(3, points - sum(counts)))
    steps.append((0.0, 0.0, False, 0.0))
    t, current, soc, temperature = [], [], [], []
    clock, charge, heat = 0.0, 0.0, 30.0
    for (amount, rate, decays, _), n in zip(steps, counts, strict=True):
        amps = rate * NOMINAL_AH
        if rate == 0:
            seconds = np.linspace(0.1, 60, n)
            now, moved = np.zeros(n), np.zeros(n)
        elif decays:
            tau = 3600 * amount / amps / (1 - 1 / 50)
            seconds = np.linspace(1e-3, tau * np.log(50), n)
            now = amps * np.exp(-seconds / tau)
            moved = amps * tau / 3600 * (1 - np.exp(-seconds / tau))
        else:
            seconds = np.linspace(1e-3, 3600 * amount / amps, n)
            now = np.full(n, amps)
            moved = amps * seconds / 3600
        steady = 30 + 0.25 * np.mean(now**2)
        temperature.append(steady + (heat - steady) * np.exp(-seconds / 300))
        t.append(clock + seconds)
        current.append(now)
        soc.append(charge + moved)
        clock, charge, heat = t[-1][-1], soc[-1][-1], temperature[-1][-1]
    time_s, amps_all, stored = (np.concatenate(x) for x in (t, current, soc))
    s = np.clip(stored / capacity_Ah, 0, 1)
    ocv = 3.26 + 0.08 * s - 0.8 * np.exp(-s * 25) + 0.35 * np.exp((s - 1) * 40)
    voltage = np.clip(ocv + 0.017 * amps_all, 2.0, 3.6) + rng.normal(0, 1e-4, len(s))
    peak = int(np.argmax(stored))
    qc = np.maximum.accumulate(stored)
    qd = np.r_[np.zeros(peak), stored[peak] - stored[peak:]]
    fall = np.minimum.accumulate(voltage[peak:])
    qdlin = np.interp(-GRID_V, -fall, qd[peak:])
    temps = np.concatenate(temperature)
    return {
        "I": amps_all / NOMINAL_AH,
        "V": voltage,
        "T": temps + rng.normal(0, 0.01, len(s)),
        "Qc": qc,
        "Qd": qd,
        "t": time_s / 60,
        "Qdlin": qdlin,
        "Tdlin": np.interp(-GRID_V, -fall, temps[peak:]),
        "discharge_dQdV": np.gradient(qdlin, GRID_V),
    }
