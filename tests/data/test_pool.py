"""Several sources as one: ids, facts and columns stay, raw files are read once, and members are chosen by name."""

import textwrap

import numpy as np
import pytest
from omegaconf import OmegaConf

from batgen import overrides
from batgen.build import build
from batgen.cli import CONF
from batgen.config import BESIDE
from batgen.data.sources.pool import Pool
from batgen.data.sources.sim import Sim
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError
from tests.data.fake_source import Fake, make_fake


def node(folder, **fields) -> dict:
    fake = make_fake(folder, **fields)
    return {"_target_": "tests.data.test_pool.Sequences", "folder": fake.folder, **fields}


class Sequences(Fake):
    """The fake source, which says that it has sequences."""

    HOLDS = ("curves", "sequences")


def composed(*words: str) -> dict:
    plain = OmegaConf.to_container(overrides.compose(words, CONF).data, resolve=True)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items() if k not in BESIDE["data"]}


def test_cells_keep_their_facts_under_unique_ids(tmp_path):
    pool = Pool(sources={"a": node(tmp_path / "a", lives=[30]), "b": node(tmp_path / "b", lives=[20, 10])})
    store = open_store(pool, progress=False)
    assert [(i.cell_id, i.source, i.last_cycle) for i in store.infos] == [
        ("a/cell0", "a", 30),
        ("b/cell0", "b", 20),
        ("b/cell1", "b", 10),
    ]
    assert store.rejected == [(i.cell_id, "record 0", "formation") for i in store.infos]
    assert len(store.cycles_with("a/cell0")) == 0
    alone = open_store(build(node(tmp_path / "b", lives=[20, 10])), 1, progress=False)
    np.testing.assert_array_equal(store.summary("b/cell0"), alone.summary("cell0"))


def test_raw_files_are_read_once_and_a_change_is_seen(tmp_path):
    parts = {"a": node(tmp_path / "a"), "b": node(tmp_path / "b", lives=[12])}
    open_store(Pool(sources=parts), progress=False)
    open_store(Pool(sources=parts), progress=False)
    open_store(Pool(sources={"other": parts["a"]}), progress=False)
    reads = make_fake(tmp_path / "a").reads
    assert len(reads) == 1
    newer = parts | {"b": parts["b"] | {"reader_version": 2}}
    assert Pool(sources=parts).version != Pool(sources=newer).version
    (tmp_path / "b" / "raw.txt").write_text("raw, another")
    open_store(Pool(sources=parts), progress=False)
    assert len(make_fake(tmp_path / "b").reads) == 2


def test_members_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match=r"data.sources.p holds pulses.*data.sources.p=null"):
        Pool(sources={"p": {"_target_": "batgen.data.sources.pulse.Pulse"}})
    with pytest.raises(ConfigError, match="has no member"):
        Pool(sources={"p": None})
    with pytest.raises(ConfigError, match=r"data.sources.x: no dataset there"):
        Pool(sources={"x": {"folder": "y"}})
    pool = Pool(sources={"sim": {"_target_": "batgen.data.sources.sim.Sim", "folder": str(tmp_path)}})
    with pytest.raises(DataError, match=r"data.sources.sim: .*sim.h5 is missing.*data.sources.sim=null"):
        pool.files()


def test_the_yaml_takes_members_by_name():
    both = composed("data=pool")
    assert list(both["sources"]) == ["sim", "nasa"]
    assert "curves" in both["sources"]["sim"]  # what a model of curves needs: no argument of the source
    more = composed(
        "data=pool", "+data@data.sources.rwth=rwth", "data.sources.nasa=null", "data.sources.sim.noise=false"
    )
    pool = build(more)
    assert list(pool.members()) == ["sim", "rwth"]
    assert pool.members()["sim"] == Sim(noise=False)


def test_an_experiment_chooses_members(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        textwrap.dedent("""\
        # @package _global_
        defaults:
          - /data@data.sources.rwth: rwth
          - /data@data.sources.oxford: oxford
          - override /data: pool
        data:
          sources: {nasa: null, oxford: {chemistry: LCO}}
        """)
    )
    words = ("experiment=mine", f"hydra.searchpath=[file://{tmp_path}]")
    pool = build(composed(*words))
    assert set(pool.members()) == {"sim", "rwth", "oxford"}
    assert pool.members()["oxford"].chemistry == "LCO"


def test_sim_alone():
    store = open_store(build(composed("data=pool", "data.sources.nasa=null")), progress=False)
    assert len(store.infos) == 72
    assert {info.source for info in store.infos} == {"sim"}
    assert len(store.summary(store.infos[0].cell_id)) == store.infos[0].last_cycle


def test_measured_members(data_dir):
    store = open_store(
        build(composed("data=pool", "+data@data.sources.rwth=rwth", "+data@data.sources.oxford=oxford")), progress=False
    )
    sources = [info.source for info in store.infos]
    assert {name: sources.count(name) for name in ("sim", "rwth", "oxford")} == {"sim": 72, "rwth": 47, "oxford": 8}
    assert sources.count("nasa") >= 7
    assert store.info("oxford/oxford_1").nominal_capacity_Ah == 0.74
    assert store.info("nasa/B0005").chemistry == "NCA/LCO"
    assert len(store.summary("nasa/B0005")) == 168
