"""Low-level reading of one raw MIT/Severson batch: a MATLAB v7.3 struct array, which is HDF5 full of object references.

`batch` holds datasets (n, 1) of references: `summary` -> group of (1, cycles) arrays, `cycles` -> group of (cycles, 1)
reference datasets, one per signal, each pointing at a (1, points) array; `cycle_life`, `policy_readable`, `barcode`.
A cell has some 5,000 to 20,000 of these small arrays, so the time goes into dereferencing: references are read once
per cell and signal, and each array is read by h5py's low-level calls straight into its place.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from batgen.errors import DataError

#: Names in the file of the signals that are read: time (minutes), voltage (V), current (C-rate), temperature (degC),
#: charge and discharge capacity (Ah). Units are those the data show; `mit_signals.py` checks them.
RAW_SIGNALS = ("t", "V", "I", "T", "Qc", "Qd")
SUMMARY_FIELDS = ("QDischarge", "QCharge", "IR", "chargetime", "Tmin", "Tavg", "Tmax")

#: Bytes of HDF5's cache of object headers. Each header is read once; by default the cache would grow to 32 MiB by its
#: own count, which in fact is several times that, and memory would grow with every cell.
_HEADER_CACHE = 1 << 17

_ALL = h5py.h5s.ALL
_DOUBLE = h5py.h5t.NATIVE_DOUBLE


def check_batch_file(path: Path) -> None:
    """Raise DataError unless `path` is a whole HDF5 file with the batch struct in it."""
    with RawBatch(path):
        pass


class RawBatch:
    """An open batch file. Raises DataError, naming the file and the remedy, where it is not what it should be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        again = "Delete it and fetch it again from https://data.matr.io (or leave that to data.download=true)."
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            what = "truncated" if "truncated" in str(error) else "not a readable HDF5 (MATLAB v7.3) file"
            raise DataError(f"{path}: {what}. {again}") from error
        _shrink_metadata_cache(self._file)
        try:
            missing = [n for n in ("summary", "cycles", "policy_readable") if f"batch/{n}" not in self._file]
            if missing:
                raise DataError(f"{path}: no batch/{', batch/'.join(missing)}: not a raw MIT batch file. {again}")
            self._refs = {name: self._file["batch"][name][()].ravel() for name in self._file["batch"]}
        except (OSError, RuntimeError) as error:
            self._file.close()
            raise DataError(f"{path}: damaged ({error}). {again}") from error
        except DataError:
            self._file.close()
            raise
        self.n_cells = len(self._refs["summary"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def text(self, name: str, cell: int) -> str:
        """A char array (uint16 codes) as text; "" where it is absent or empty."""
        codes = self._array(self._refs[name][cell]) if name in self._refs else np.empty(0)
        return "".join(map(chr, codes.astype(int))).strip("\0 ")

    def number(self, name: str, cell: int) -> float:
        """A scalar; NaN where it is absent or empty."""
        values = self._array(self._refs[name][cell]) if name in self._refs else np.empty(0)
        return float(values[0]) if len(values) else float("nan")

    def summary(self, cell: int, cell_id: str) -> dict[str, np.ndarray]:
        """Per-cycle arrays (cycles,) by their names in the file; a field that is absent, empty or short is NaN."""
        group = self._group("summary", cell, cell_id)
        found = {name: self._read(group[name].id) if name in group else np.empty(0) for name in SUMMARY_FIELDS}
        n = len(found["QDischarge"])
        if n == 0:
            raise self._unusable(cell_id, "its summary has no QDischarge")
        return {name: values if len(values) == n else np.full(n, np.nan) for name, values in found.items()}

    def cycles(self, cell: int, cell_id: str, first: int | None = None) -> Iterator[np.ndarray | str]:
        """Curves of the first `first` records, in file order: (6, points) in the order of RAW_SIGNALS, or why not."""
        group = self._group("cycles", cell, cell_id)
        for name in RAW_SIGNALS:
            if name not in group:
                raise DataError(
                    f"{self.path}: cell {cell_id}: signal {name!r} is absent from its cycles (there are "
                    f"{', '.join(sorted(group))}). The file was altered: fetch it again from https://data.matr.io."
                )
        refs = [group[name][()].ravel()[:first] for name in RAW_SIGNALS]
        if len({len(r) for r in refs}) > 1:
            raise self._unusable(cell_id, f"its signals have different numbers of cycles {[len(r) for r in refs]}")
        fid = self._file.id
        for record in zip(*refs, strict=True):
            if not all(record):
                yield "null reference"
                continue
            ids = [h5py.h5r.dereference(ref, fid) for ref in record]
            sizes = [_size(i) for i in ids]
            if min(sizes) == 0:
                yield "empty"
            elif min(sizes) != max(sizes):
                yield f"signals of different lengths ({min(sizes)} to {max(sizes)} points)"
            else:
                block = np.empty((len(RAW_SIGNALS), sizes[0]))
                for row, dataset in zip(block, ids, strict=True):
                    self._fill(dataset, row)
                yield block

    def _group(self, name: str, cell: int, cell_id: str) -> h5py.Group:
        ref = self._refs[name][cell]
        group = self._file[ref] if ref else None
        if not isinstance(group, h5py.Group):  # MATLAB writes an empty struct as a dataset
            raise self._unusable(cell_id, f"its {name} are empty")
        return group

    def _unusable(self, cell_id: str, why: str) -> DataError:
        return DataError(
            f"{self.path}: cell {cell_id} can't be used: {why}. Fetch the file again, or leave the cell out with a row "
            "of action 'exclude' in the cleaning table (data.cleaning)."
        )

    def _array(self, ref: Any) -> np.ndarray:
        return self._read(h5py.h5r.dereference(ref, self._file.id)) if ref else np.empty(0)

    def _read(self, dataset: Any) -> np.ndarray:
        values = np.empty(_size(dataset))
        if values.size:
            self._fill(dataset, values)
        return values

    def _fill(self, dataset: Any, out: np.ndarray) -> None:
        try:
            dataset.read(_ALL, _ALL, out, _DOUBLE)
        except (OSError, RuntimeError) as error:
            raise DataError(f"{self.path}: damaged ({error}). Fetch it again from https://data.matr.io.") from error


def _shrink_metadata_cache(file: h5py.File) -> None:
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _HEADER_CACHE
    file.id.set_mdc_config(config)


def _size(dataset: Any) -> int:
    """Number of elements; 0 for MATLAB's empty arrays, whose stored numbers are their dimensions, not data."""
    if not isinstance(dataset, h5py.h5d.DatasetID):
        return 0
    size = int(dataset.get_space().get_simple_extent_npoints())
    return 0 if size <= 3 and h5py.h5a.exists(dataset, b"MATLAB_empty") else size
