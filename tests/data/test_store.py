import errno
import json
import multiprocessing
import os
import pickle
import resource
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from batgen.data import build_store, store_key
from batgen.data.cell import SIGNALS, SUMMARY
from batgen.data.store import Store, open_store
from batgen.errors import ConfigError, DataError
from tests.data.fake_source import make_cell, make_fake


@pytest.fixture
def fake(tmp_path: Path):
    return make_fake(tmp_path / "raw")


def only_store_in(cache: Path) -> bool:
    """Nothing half-written: a store, its lock, and no more."""
    return sorted(path.suffix for path in (cache / "stores").iterdir()) in ([".h5", ".lock"], [".lock"])


def test_round_trip_is_exact(fake):
    store = open_store(fake, progress=False)
    assert [info.cell_id for info in store.infos] == ["cell0", "cell1"]
    assert store.infos[0].eol_cycle == 21
    assert np.isnan(store.infos[1].eol_cycle)
    assert store.signals == SIGNALS
    assert store.rejected == [("cell0", "record 0", "formation"), ("cell1", "record 0", "formation")]
    cell = make_cell("cell0")
    pd.testing.assert_frame_equal(store.summary("cell0"), cell.summary.astype({"cycle": "int64"}))
    assert list(store.summary("cell0")) == list(SUMMARY)
    curves = store.curves("cell0")
    assert curves.cycle.tolist() == list(range(1, 31))
    for k, cycle in enumerate(cell.cycles):
        for name in SIGNALS:
            got = curves.columns[name][curves.offsets[k] : curves.offsets[k + 1]]
            np.testing.assert_array_equal(got, cycle.signals[name])
            assert got.dtype == np.float32


@pytest.mark.parametrize("part", ["charge", "discharge"])
@pytest.mark.parametrize("first", [None, 1, 12, 99])
def test_parts_and_first_cycles(fake, part, first):
    curves = open_store(fake, progress=False).curves("cell0", ["voltage_V", "time_s"], part, first)
    expected = make_cell("cell0", cycles=first).cycles
    assert list(curves.columns) == ["voltage_V", "time_s"]
    assert curves.cycle.tolist() == [c.cycle for c in expected]
    for k, cycle in enumerate(expected):
        got = curves.columns["voltage_V"][curves.offsets[k] : curves.offsets[k + 1]]
        np.testing.assert_array_equal(got, cycle.signals["voltage_V"][slice(*getattr(cycle, part))])


def test_no_cycles_within_first(fake):
    curves = open_store(fake, progress=False).curves("cell0", part="charge", first=0)
    assert curves.cycle.size == 0
    assert curves.offsets.tolist() == [0]
    assert all(values.size == 0 for values in curves.columns.values())


def test_pulses_and_pickle(fake):
    store = pickle.loads(pickle.dumps(open_store(fake, progress=False)))
    pd.testing.assert_frame_equal(store.pulses(), fake.pulses(), check_dtype=False)


def test_built_once_and_reused(fake):
    first = open_store(fake, progress=False)
    second = open_store(fake, progress=False)
    assert fake.reads == ["None"]
    assert first.data_hash == second.data_hash


def test_cycles_limit_is_extended_but_never_cut(fake):
    assert open_store(fake, 5, progress=False).cycles == 5
    assert len(open_store(fake, 3, progress=False).cycles_with("cell0")) == 5
    assert open_store(fake, 8, progress=False).cycles == 8
    limited = open_store(fake, 8, progress=False)
    assert len(limited.summary("cell0")) == 30
    assert open_store(fake, progress=False).cycles is None
    assert open_store(fake, 20, progress=False).cycles is None
    assert fake.reads == ["5", "8", "None"]


def test_limit_beyond_the_longest_record_is_no_limit(fake):
    assert open_store(fake, 500, progress=False).cycles is None
    open_store(fake, progress=False)
    assert fake.reads == ["500"]


@pytest.mark.parametrize("change", ["raw", "version", "config", "schema"])
def test_stale_store_is_rebuilt(tmp_path, monkeypatch, change):
    fake = make_fake(tmp_path / "raw")
    before = open_store(fake, progress=False)
    if change == "raw":
        (tmp_path / "raw" / "raw.txt").write_text("other")
    elif change == "schema":
        monkeypatch.setattr(store_key, "SCHEMA", 999)
    fields = {"version": {"reader_version": 2}, "config": {"eol_capacity_Ah": 0.9}}.get(change, {})
    again = make_fake(tmp_path / "raw", **fields)
    after = open_store(again, progress=False)
    assert len(again.reads) == 2
    assert after.data_hash != before.data_hash


def test_censored_and_conditions_do_not_shape_the_store(tmp_path):
    a = open_store(make_fake(tmp_path / "raw"), progress=False)
    b = open_store(make_fake(tmp_path / "raw", censored="last_record", conditions=["ecl"]), progress=False)
    assert a.path == b.path
    assert len(a.source.reads) == 1


def test_data_hash_is_the_same_wherever_the_files_lie(tmp_path):
    one = open_store(make_fake(tmp_path / "here"), progress=False)
    other = open_store(make_fake(tmp_path / "there" / "deeper"), progress=False)
    assert one.path != other.path
    assert one.data_hash == other.data_hash


@pytest.mark.parametrize("keep", [0, 10, 100, 5000, -1])
def test_truncated_store_is_rebuilt(fake, keep):
    path = open_store(fake, progress=False).path
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    store = open_store(fake, progress=False)
    assert len(fake.reads) == 2
    assert store.curves("cell0").cycle.size == 30


def test_every_kind_of_flipped_byte_is_noticed_or_harmless(fake):
    """Bytes flipped all over the file: what is read afterwards is always the truth, at most one rebuild later."""
    store = open_store(fake, progress=False)
    path, truth = store.path, store.curves("cell0")
    content = path.read_bytes()
    rebuilt = 0
    for position in np.linspace(0, len(content) - 1, 60).astype(int):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        before = len(fake.reads)
        again = open_store(fake, progress=False).curves("cell0")
        assert len(fake.reads) <= before + 1
        rebuilt += len(fake.reads) - before
        for name in SIGNALS:
            np.testing.assert_array_equal(again.columns[name], truth.columns[name])
    assert rebuilt > 10


def test_flipped_byte_met_by_an_open_store_leads_to_one_rebuild(fake):
    store = open_store(fake, progress=False)
    truth = store.curves("cell0", ["voltage_V"]).columns["voltage_V"]
    with h5py.File(store.path) as file:
        where = file["cells/00000/signals/voltage_V"].id.get_chunk_info(0).byte_offset
    stamp = store.path.stat()
    with store.path.open("r+b") as file:
        file.seek(where + 8)
        file.write(b"\xff\xfe")
    os.utime(store.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    np.testing.assert_array_equal(store.curves("cell0", ["voltage_V"]).columns["voltage_V"], truth)
    assert len(fake.reads) == 2
    store.curves("cell0")
    assert len(fake.reads) == 2


def test_removed_store_is_rebuilt_while_open(fake):
    store = open_store(fake, progress=False)
    store.path.unlink()
    assert store.curves("cell1").cycle.size == 10
    assert len(fake.reads) == 2


def test_open_store_survives_a_replacement_with_fewer_cycles(fake):
    store = open_store(fake, 20, progress=False)
    store.path.unlink()
    open_store(fake, 3, progress=False)
    assert store.curves("cell0", first=20).cycle.size == 20


def test_full_disk_is_one_clear_error_and_leaves_nothing(fake, cache_dir, monkeypatch):
    written = []

    def full(group, name, values):
        written.append(name)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        group.create_dataset(name, data=values)

    monkeypatch.setattr(build_store, "_write", full)
    with pytest.raises(DataError, match="disk is full.*BATGEN_CACHE_DIR") as caught:
        open_store(fake, progress=False)
    assert str(cache_dir) in str(caught.value)
    assert only_store_in(cache_dir)


def _open_with_room_for(size: int, folder: str, queue) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        open_store(make_fake(Path(folder), lives=(90, 90)), progress=False)
        queue.put("built")
    except DataError as error:
        queue.put(str(error))


@pytest.mark.parametrize("size", [0, 100, 50_000, 200_000, 400_000, 100_000_000])
def test_writes_that_really_fail(tmp_path, cache_dir, size):
    """HDF5 itself crashes when its writes fail; here the system refuses them beyond `size` bytes."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_open_with_room_for, args=(size, make_fake(tmp_path / "raw").folder, queue))
    (tmp_path / "raw" / "reads.log").write_text("")
    worker.start()
    said = queue.get(timeout=30)
    worker.join(timeout=30)
    assert worker.exitcode == 0
    assert said == "built" if size == 100_000_000 else "disk is full" in said
    assert only_store_in(cache_dir)


def test_interrupt_leaves_the_old_store(tmp_path, cache_dir, monkeypatch):
    fake = make_fake(tmp_path / "raw")
    content = open_store(fake, 5, progress=False).path.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build_store, "_write_cell", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_store(fake, progress=False)
    assert only_store_in(cache_dir)
    assert next((cache_dir / "stores").glob("*.h5")).read_bytes() == content


def test_leftovers_of_a_killed_process_are_removed(fake, cache_dir):
    path = open_store(fake, progress=False).path
    leftover = path.with_name(f".{path.name}.99999.tmp")
    leftover.write_bytes(b"half")
    path.unlink()
    open_store(fake, progress=False)
    assert not leftover.exists()


def test_cache_that_cannot_be_written(fake, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "stores").write_text("a file where the folder should be")
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="BATGEN_CACHE_DIR"):
        open_store(fake, progress=False)


def test_wrong_requests(fake):
    store = open_store(fake, progress=False)
    with pytest.raises(DataError, match=r"fake has no cell zzz; it has cell0, cell1"):
        store.curves("zzz")
    with pytest.raises(DataError, match="cell0 has no signal pressure_Pa"):
        store.curves("cell0", ["pressure_Pa"])
    with pytest.raises(ConfigError, match="part=rest"):
        store.curves("cell0", part="rest")
    with pytest.raises(ConfigError, match="cycles=0"):
        open_store(fake, 0)


def test_duplicate_cell_and_no_cell_are_refused(tmp_path, monkeypatch, cache_dir):
    fake = make_fake(tmp_path / "raw")
    monkeypatch.setattr(type(fake), "cells", lambda self, cycles=None: iter([make_cell("a", 3), make_cell("a", 3)]))
    with pytest.raises(DataError, match="cell a comes twice"):
        open_store(fake, progress=False)
    monkeypatch.setattr(type(fake), "cells", lambda self, cycles=None: iter([]))
    monkeypatch.setattr(type(fake), "pulses", None)
    with pytest.raises(DataError, match="no cell in its files"):
        open_store(fake, progress=False)
    assert only_store_in(cache_dir)


def test_cells_without_curves(tmp_path, monkeypatch):
    """A source of per-cycle summaries only."""
    fake = make_fake(tmp_path / "raw")
    bare = [make_cell("a", 20), make_cell("b", 20)]
    for cell in bare:
        cell.cycles.clear()
    monkeypatch.setattr(type(fake), "cells", lambda self, cycles=None: iter(bare))
    store = open_store(fake, progress=False)
    assert store.signals == ()
    assert store.cycles_with("a").size == 0
    assert len(store.summary("a")) == 20
    with pytest.raises(DataError, match="no curves"):
        store.curves("a", ["voltage_V"])


def test_source_reads_are_never_written_to(fake):
    before = {path.name: path.stat().st_mtime_ns for path in Path(fake.folder).iterdir()}
    open_store(fake, progress=False)
    after = {path.name: path.stat().st_mtime_ns for path in Path(fake.folder).iterdir() if path.name != "reads.log"}
    assert before == after


def _open(folder: str, queue) -> None:
    store = open_store(make_fake(Path(folder), delay_s=0.5), progress=False)
    queue.put((store.data_hash, int(store.curves("cell0").offsets[-1])))


def test_two_processes_build_once(tmp_path, cache_dir, capfd):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    fake = make_fake(tmp_path / "raw")
    workers = [context.Process(target=_open, args=(fake.folder, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(timeout=30)
        assert worker.exitcode == 0
    assert results[0] == results[1]
    assert len(fake.reads) == 1
    assert "Another process is building" in capfd.readouterr().err
    assert only_store_in(cache_dir)


def test_killed_builder_frees_the_lock(tmp_path, cache_dir):
    context = multiprocessing.get_context("fork")
    fake = make_fake(tmp_path / "raw")
    builder = context.Process(target=_open, args=(fake.folder, context.Queue()))
    builder.start()
    while not fake.reads:
        pass
    builder.kill()
    builder.join(timeout=10)
    store = open_store(make_fake(tmp_path / "raw", delay_s=0.5), progress=False)
    assert store.curves("cell0").cycle.size == 30
    assert only_store_in(cache_dir)


def test_meta_is_plain_json(fake):
    store: Store = open_store(fake, progress=False)
    with h5py.File(store.path) as file:
        meta = json.loads(file["meta"][()].tobytes())
    assert meta["schema"] == store_key.SCHEMA
    assert meta["sha256"] == {"raw.txt": store_key.file_hashes(fake.files())["raw.txt"]}
    assert meta["data_hash"] == store.data_hash
