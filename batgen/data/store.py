"""Reading a store: curves and summaries of cells, as slices of one HDF5 file.

`open_store` builds the file when it is missing, stale or damaged (`batgen.data.build_store` has the layout), once,
however many processes ask at the same time. A damaged byte that shows only while curves are read leads to one rebuild.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import pandas as pd

from batgen.data import store_key
from batgen.data.build_store import build
from batgen.data.cell import SIGNALS, CellInfo, Source
from batgen.data.curves import Curves, layout, read_curves
from batgen.data.paths import cache_dir
from batgen.data.store_lock import locked
from batgen.errors import ConfigError, DataError

PARTS = ("charge", "discharge", "cycle")
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError)
_T = TypeVar("_T")


def open_store(source: Source, cycles: int | None = None, progress: bool = True) -> "Store":
    """The store of a source, holding at least the curves of cycles 1..`cycles` (all of them with None).

    Raises ConfigError for `cycles` below 1 and DataError for whatever is wrong with raw files, checks or disk.
    """
    if cycles is not None and cycles < 1:
        raise ConfigError(f"cycles={cycles}: the number of cycles must be at least 1.")
    store = Store(source, cache_dir() / "stores" / store_key.store_name(source), cycles, progress)
    store.refresh()
    return store


class Store:
    """One dataset in physical units. Made by `open_store`; holds no open file, so it can be pickled and shared."""

    def __init__(self, source: Source, path: Path, cycles: int | None, progress: bool) -> None:
        self.source = source
        self.path = path
        self._wanted = cycles
        self._progress = progress
        self._meta: dict[str, Any] = {}
        self._index: dict[str, int] = {}
        self._stamp: tuple[int, int] | None = None

    @property
    def infos(self) -> list[CellInfo]:
        """The facts of every cell, in the order of the source."""
        return [CellInfo(**cell["info"]) for cell in self._meta["cells"]]

    @property
    def data_hash(self) -> str:
        """sha256 of raw contents, configuration and reader version; the same on every machine."""
        return self._meta["data_hash"]

    @property
    def rejected(self) -> list[tuple[str, str, str]]:
        """(cell_id, record, reason) of everything that was left out or mended."""
        return [(cell, record, reason) for cell, record, reason in self._meta["rejected"]]

    @property
    def signals(self) -> tuple[str, ...]:
        """Signals that every cell with curves has, in the order of `SIGNALS`."""
        measured = [set(cell["signals"]) for cell in self._meta["cells"] if cell["n_cycles"]]
        common = set.intersection(*measured) if measured else set()
        return tuple(name for name in SIGNALS if name in common)

    @property
    def units(self) -> dict[str, str]:
        """What the unit check found, in words, by cell."""
        return {cell["info"]["cell_id"]: cell["units"] for cell in self._meta["cells"]}

    @property
    def cycles(self) -> int | None:
        """Curves are held of cycles 1..this; None for all of them."""
        return self._meta["cycles"]

    @property
    def seconds(self) -> float:
        """How long the build took."""
        return self._meta["seconds"]

    def info(self, cell_id: str) -> CellInfo:
        """The facts of one cell. Raises DataError for an unknown one."""
        return CellInfo(**self._meta["cells"][self._number(cell_id)]["info"])

    def summary(self, cell_id: str) -> pd.DataFrame:
        """The per-cycle summary of a cell over its whole life: the columns of `SUMMARY`, then the source's own."""
        number = self._number(cell_id)
        values = self._read(lambda file: file[f"cells/{number:05d}/summary"][()])
        table = pd.DataFrame(values, columns=self._meta["cells"][number]["summary"])
        return table.astype({"cycle": np.int64})

    def cycles_with(self, cell_id: str, part: str = "cycle") -> np.ndarray:
        """Numbers of the cycles (n,) whose curves are held and have the part."""
        number = self._number(cell_id)
        cycle, _, bounds = self._read(lambda file: layout(file, number, _part(part), None))
        return cycle[bounds[:, 1] > bounds[:, 0]]

    def curves(
        self, cell_id: str, signals: Sequence[str] | None = None, part: str = "cycle", first: int | None = None
    ) -> Curves:
        """Signals (all with None) of a cell's charges, discharges or whole cycles; those without the part are left out.

        `first` keeps the cycles numbered up to it. Raises DataError for an unknown cell or an absent signal.
        """
        number = self._number(cell_id)
        held = self._meta["cells"][number]["signals"]
        names = tuple(held if signals is None else signals)
        for name in names:
            if name not in held:
                raise DataError(
                    f"{self.source.name} cell {cell_id} has no signal {name}; it has {', '.join(held) or 'no curves'}. "
                    "Choose among these in preprocessing, or leave the cell out."
                )
        return self._read(lambda file: read_curves(file, number, names, _part(part), first))

    def pulses(self) -> pd.DataFrame | None:
        """The table of pulse tests, one row a test, or None for a source without them."""
        columns = self._meta["pulses"]
        if columns is None:
            return None
        raw = self._read(lambda file: [file[f"pulses/{i}"][()] for i in range(len(columns))])
        decoded = (
            json.loads(values.tobytes()) if kind == "text" else values
            for values, (_, kind) in zip(raw, columns, strict=True)
        )
        return pd.DataFrame({name: values for (name, _), values in zip(columns, decoded, strict=True)})

    def refresh(self, damaged: bool = False) -> None:
        """Take the file on disk if it serves, else build it. `damaged` says that the file read so far does not."""
        fingerprint = store_key.fingerprint(self.source.files())
        if not damaged and self._load(fingerprint):
            return
        with locked(self.path):
            replaced = self._stamp is not None and _stamp(self.path) not in (self._stamp, None)
            if (damaged and not replaced) or not self._load(fingerprint):
                build(self.source, self.path, self._wanted, self._progress)
                if not self._load(fingerprint):
                    raise DataError(
                        f"The store {self.path} cannot be used right after it was built: the raw files of "
                        f"{self.source.name} changed meanwhile, or the disk is failing; run again."
                    )

    def _load(self, fingerprint: list[list[Any]]) -> bool:
        """Read the meta data; False when there is no usable, current file with enough cycles."""
        try:
            stamp = _stamp(self.path)  # before reading: a file that replaces it meanwhile is noticed later
            with h5py.File(self.path, "r", locking=False) as file:
                meta = json.loads(file["meta"][()].tobytes())
                whole = len(file["cells"]) == len(meta["cells"]) if meta["cells"] else True
        except _DAMAGE:
            return False
        wanted = {
            "schema": store_key.SCHEMA,
            "version": self.source.version,
            "config": store_key.source_config(self.source),
            "fingerprint": fingerprint,
        }
        held = meta["cycles"]
        enough = held is None or (self._wanted is not None and self._wanted <= held)
        if not (whole and enough and all(meta.get(key) == value for key, value in wanted.items())):
            return False
        self._meta, self._stamp = meta, stamp
        self._index = {cell["info"]["cell_id"]: i for i, cell in enumerate(meta["cells"])}
        return True

    def _number(self, cell_id: str) -> int:
        if cell_id not in self._index:
            raise DataError(f"{self.source.name} has no cell {cell_id}; it has {', '.join(self._index)}.")
        return self._index[cell_id]

    def _read(self, reader: Callable[[h5py.File], _T]) -> _T:
        """Read from the file; when it turns out to be damaged, rebuild it once and read again."""
        if _stamp(self.path) != self._stamp:
            self.refresh()  # another process replaced it, perhaps by one with fewer cycles, or somebody removed it
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                return reader(file)
        except _DAMAGE:
            self.refresh(damaged=True)
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                return reader(file)
        except _DAMAGE as error:
            raise DataError(
                f"The store {self.path} cannot be read even after a rebuild ({error}): check the disk, "
                "or set BATGEN_CACHE_DIR to a folder on another one."
            ) from error


def _part(part: str) -> str:
    if part not in PARTS:
        raise ConfigError(f"part={part}: a cycle has the parts {', '.join(PARTS)}.")
    return part


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells one file at a path from the one that replaces it; None when there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns
