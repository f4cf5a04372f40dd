"""Writing a store: one HDF5 file per dataset, one cell in memory at a time.

Layout: `cells/<nnnnn>/` holds `cycle` (n,), `offsets` (n + 1,), `charge` and `discharge` (n, 2, relative to the
cycle), `summary` (m, columns) and `signals/<name>` (offsets[-1],) float32; `pulses/<column>`; and `meta`, JSON as
bytes, which is written last, so that a file without it is not a store. Every dataset has a checksum, and the file
format is the one that also checks its own structure: a damaged byte raises instead of becoming a number.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from batgen.data import store_key
from batgen.data.cell import SIGNALS, SUMMARY, Cell, Source
from batgen.data.schema import check_cell
from batgen.data.store_file import Sink, new_hdf5
from batgen.errors import DataError

_CHUNK = 1 << 16


def build(source: Source, path: Path, cycles: int | None, progress: bool) -> None:
    """Write the store of `source` to `path`, atomically. The caller holds the lock.

    Raises DataError for anything the source or the checks refuse, and when the disk is full or not writable; the
    temporary file is removed in every case.
    """
    files = source.files()
    fingerprint = store_key.fingerprint(files)
    started = time.perf_counter()
    with new_hdf5(path) as (file, sink):
        meta = _write_cells(file, sink, source, cycles, progress)
        meta["pulses"] = _write_pulses(file, source)
        if not meta["cells"] and meta["pulses"] is None:
            raise DataError(f"{source.name}: there is no cell in its files; look into data.folder={source.folder}.")
        hashes = store_key.file_hashes(files)
        meta |= {
            "schema": store_key.SCHEMA,
            "source": source.name,
            "version": source.version,
            "config": store_key.source_config(source),
            "fingerprint": fingerprint,
            "sha256": hashes,
            "data_hash": store_key.data_hash(source, hashes),
            "seconds": round(time.perf_counter() - started, 2),
        }
        _write(file, "meta", np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8))


def _write_cells(file: h5py.File, sink: Sink, source: Source, cycles: int | None, progress: bool) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    rejected: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    longest = 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task(f"{source.name}: building its store (once)")
        for cell in source.cells(cycles):
            cell = check_cell(cell)
            if cell.info.cell_id in seen:
                raise DataError(f"{source.name}: cell {cell.info.cell_id} comes twice; count each cell once.")
            seen.add(cell.info.cell_id)
            cells.append(_write_cell(file.create_group(f"cells/{len(cells):05d}"), cell))
            sink.check()
            rejected += [(cell.info.cell_id, r.record, r.reason) for r in cell.rejected]
            longest = max(longest, cell.info.last_cycle, *(c.cycle for c in cell.cycles[-1:]))
            bar.update(task, description=f"{source.name}: cell {len(cells)}, {cell.info.cell_id}")
    # a limit beyond the longest record is no limit: the store then also serves those who ask for everything
    limit = cycles if cycles is not None and cycles < longest else None
    return {"cells": cells, "rejected": rejected, "cycles": limit}


def _write_cell(group: h5py.Group, cell: Cell) -> dict[str, Any]:
    """Write one cell; its entry in the meta data."""
    lengths = [len(next(iter(c.signals.values()), ())) for c in cell.cycles]
    _write(group, "cycle", np.array([c.cycle for c in cell.cycles], dtype=np.int64))
    _write(group, "offsets", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    for part in ("charge", "discharge"):
        _write(group, part, np.array([getattr(c, part) for c in cell.cycles], dtype=np.int64).reshape(-1, 2))
    signals = [name for name in SIGNALS if cell.cycles and name in cell.cycles[0].signals]
    for name in signals:
        values = np.concatenate([np.asarray(c.signals[name], dtype=np.float32) for c in cell.cycles])
        _write(group, f"signals/{name}", values)
    columns = [*SUMMARY, *(name for name in cell.summary.columns if name not in SUMMARY)]
    _write(group, "summary", cell.summary[columns].to_numpy(dtype=np.float64))
    return {
        "info": asdict(cell.info),
        "units": cell.units,
        "signals": signals,
        "n_cycles": len(cell.cycles),
        "summary": columns,
    }


def _write_pulses(file: h5py.File, source: Source) -> list[list[str]] | None:
    """Write the pulse table of a source that has one; [column, "number" | "text"] of its columns, in order."""
    pulses = getattr(source, "pulses", None)
    table: pd.DataFrame | None = pulses() if callable(pulses) else None
    if table is None:
        return None
    columns: list[list[str]] = []
    for name in table.columns:
        numeric = pd.api.types.is_numeric_dtype(table[name])
        if numeric:
            values = table[name].to_numpy(dtype=np.float64)
        else:
            values = np.frombuffer(json.dumps([str(v) for v in table[name]]).encode(), dtype=np.uint8)
        _write(file, f"pulses/{len(columns)}", values)
        columns.append([str(name), "number" if numeric else "text"])
    return columns


def _write(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """A dataset with checksums. HDF5 can only check what is chunked, and chunk only what is not empty."""
    if values.size == 0:
        group.create_dataset(name, data=values)
        return
    rows = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    chunks = (min(len(values), rows), *values.shape[1:])
    group.create_dataset(name, data=values, chunks=chunks, fletcher32=True)
