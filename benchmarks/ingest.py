"""Raw MIT files to training tensor for cycles=100: batgen's store against the usual way.

The files are made here in exactly the raw structure: 40 cells x 300 cycles x 900 points, in three batches. Arrays are
not compressed: the real files have the size of their numbers at 8 bytes each plus some overhead (`compression=3` deflates
them, as MATLAB would by default). The usual way is what BatteryML's MATR reader does: every cycle and all nine signals
dereferenced by high-level h5py, all batches in memory, cells as Python lists in one pickle each, which the training
script loads to interpolate cycle by cycle. Both run in processes of their own, with the files in the page cache;
imports are not counted. Peak memory is the process's high-water mark; a tensor grows with its samples, ingest must not.
"""

import importlib
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CYCLES, POINTS = 100, 400
SIGNALS = ("voltage_V", "current_A", "temperature_degC")
_LISTS = ("V", "I", "T", "Qd", "Qc", "t", "Qdlin")
_ALL = ("I", "Qc", "Qd", "Qdlin", "T", "Tdlin", "V", "discharge_dQdV", "t")


def make_files(folder: Path, cells: int, compression: int | None = None) -> None:
    """`cells` cells of 300 cycles and 900 points in the three batch files."""
    from tests.data.mit_fixture import FILES, make_cell, write_batch

    folder.mkdir(parents=True)
    (folder / "cleaning.csv").write_text("batch,index,action,target,cycle_life_added,reason\n")  # keep all
    for b, name in enumerate(FILES):
        numbers = range(b, cells, 3)
        batch = [make_cell(cycles=300, points=900, seed=s, n_cycles_with_curves=20) for s in numbers]
        write_batch(folder / name, batch, compression)


def usual_ingest(folder: Path, out: Path) -> None:
    """Raw files to one pickle a cell."""
    import h5py

    batches = []
    for b, path in enumerate(sorted(folder.glob("*.mat")), start=1):
        with h5py.File(path, "r") as file:
            batch, cells = file["batch"], {}
            for i in range(batch["summary"].shape[0]):
                group = file[batch["cycles"][i, 0]]
                summary = {k: np.hstack(v[0, :].tolist()) for k, v in file[batch["summary"][i, 0]].items()}
                cycles = []
                for j in range(group["I"].shape[0]):
                    cycles.append({name: np.hstack(file[group[name][j, 0]][:]) for name in _ALL})
                life = file[batch["cycle_life"][i, 0]][:]
                cells[f"b{b}c{i}"] = {"life": life, "summary": summary, "cycles": cycles}
            batches.append(cells)
    out.mkdir(parents=True)
    for name, cell in ((k, v) for cells in batches for k, v in cells.items()):
        listed = [
            {key: cycle[key].tolist() for key in _LISTS} | {"number": j, "IR": cell["summary"]["IR"][j]}
            for j, cycle in enumerate(cell["cycles"])
        ]
        with (out / f"{name}.pkl").open("wb") as file:
            pickle.dump({"cell_id": name, "life": cell["life"], "cycle_data": listed}, file)


def usual_tensor(out: Path) -> np.ndarray:
    """Pickles to (N, 3, 2, 20, 20), min-max scaled, in a loop over cells and cycles."""
    grid, samples = np.linspace(0, 1, POINTS), []
    for path in sorted(out.glob("*.pkl")):
        with path.open("rb") as file:
            cell = pickle.load(file)
        for cycle in cell["cycle_data"][:CYCLES]:
            current = np.array(cycle["I"])
            charging = np.arange(int(np.argmax(cycle["Qc"])) + 1)
            charging = charging[current[charging] > 0]
            x = np.linspace(0, 1, len(charging))
            charge = np.interp(grid, x, np.array(cycle["Qc"])[charging])
            rows = []
            for name, factor in (("V", 1.0), ("I", 1.1), ("T", 1.0)):
                rows.append(np.stack([np.interp(grid, x, np.array(cycle[name])[charging] * factor), charge]))
            samples.append(np.stack(rows))
    stacked = np.stack(samples).astype(np.float32)
    low, high = stacked.min(axis=(0, 3), keepdims=True), stacked.max(axis=(0, 3), keepdims=True)
    return ((stacked - low) / (high - low)).reshape(-1, 3, 2, 20, 20)


def our_store(folder: Path) -> Any:
    """batgen's ingest: the store of the first cycles, built where it does not exist."""
    from batgen.data.sources.mit import Mit
    from batgen.data.store import open_store

    return open_store(Mit(folder=str(folder), download=False, cleaning=str(folder / "cleaning.csv")), CYCLES, False)


def our_tensor(folder: Path) -> np.ndarray:
    """Raw files to (N, 3, 2, 20, 20), min-max scaled, by way of the store."""
    from batgen.data.samples import sample_table
    from batgen.preprocessing.quasi_video import QuasiVideo

    store = our_store(folder)
    samples, _ = sample_table(store, store.source, CYCLES, "charge", needs_eol=True)
    wanted = {"part": "charge", "signals": list(SIGNALS), "companion": "charge_capacity_Ah"}
    video = QuasiVideo(curves=wanted, conditions=["eol", "ecl"], points=POINTS)
    curves, _, _ = video.read(store, samples)
    video.fit(curves)
    return video.transform(curves)


def run(cells: int = 40, compression: int | None = None, rounds: int = 3) -> list[tuple[str, float, float, float]]:
    """(what, ours, the usual way, usual / ours): seconds for `cells` cells, and peak MiB for half of them and all.

    Ours is the median of `rounds` runs, some before and some after the one run of the usual way, which takes a minute.
    """
    found: list[tuple[str, float, float, float]] = []
    memory: list[tuple[str, float, float, float]] = []
    for n in (cells // 2, cells):
        with TemporaryDirectory() as name:
            root = Path(name)
            make_files(root / "mit", n, compression)
            ours_runs, stored_runs = [], []
            for i in range(rounds):
                ours_runs.append(_child("ours", root / "mit", root / f"ours{i}"))
                if i == 0:
                    usual = _child("usual", root / "mit", root / "usual")
                    again = _child("usual again", root / "mit", root / "usual")
                for path in (root / f"ours{i}" / "arrays").glob("*"):
                    path.unlink()  # the store stays, the finished arrays go
                stored_runs.append(_child("ours", root / "mit", root / f"ours{i}"))
            ours, stored = (sorted(runs, key=lambda r: r["seconds"])[rounds // 2] for runs in (ours_runs, stored_runs))
            ingest = _child("our store", root / "mit", root / "store only")
        assert ours["shape"] == usual["shape"] == [n * CYCLES, 3, 2, 20, 20], (ours["shape"], usual["shape"])
        for what, mine in ((f"peak MiB, ingest of {n} cells", ingest), (f"peak MiB, tensor of {n} cells", ours)):
            memory.append((what, mine["MiB"], usual["MiB"], usual["MiB"] / mine["MiB"]))
    for what, mine, theirs in (
        ("raw files to tensor, s", ours, usual),
        ("the same when the store exists, s", stored, usual),
        ("the same against finished pickles, s", stored, again),
    ):
        found.append((what, mine["seconds"], theirs["seconds"], theirs["seconds"] / mine["seconds"]))
    return found + memory


def _child(way: str, folder: Path, out: Path) -> dict[str, Any]:
    """Run one way in a process of its own: its seconds, its peak memory in MiB, and the shape it made."""
    environment = os.environ | {"BATGEN_CACHE_DIR": str(out), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.ingest", way, str(folder), str(out)]
    answer = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(f"benchmarks.ingest {way}: {answer.stderr}")
    return json.loads(answer.stdout.splitlines()[-1])


def _measure(way: str, folder: Path, out: Path) -> dict[str, Any]:
    for name in ("batgen.data.samples", "batgen.data.sources.mit", "batgen.preprocessing.quasi_video"):
        importlib.import_module(name)  # before the clock starts
    started = time.perf_counter()
    shape: tuple[int, ...] = ()
    if way == "usual":
        usual_ingest(folder, out / "pickles")
    if way.startswith("usual"):
        shape = usual_tensor(out / "pickles").shape
    elif way == "ours":
        shape = our_tensor(folder).shape
    else:
        our_store(folder)
    seconds = time.perf_counter() - started
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"seconds": seconds, "MiB": int(status["VmHWM"].split()[0]) / 1024, "shape": shape}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
