from dataclasses import replace

import numpy as np
import pytest

from batgen.data.samples import COLUMNS, sample_table
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError
from tests.data.fake_source import make_cell, make_fake


@pytest.fixture
def fake(tmp_path):
    """cell0 lives 30 cycles and crosses 0.88 Ah at cycle 21; cell1 ends at 10, before it."""
    return make_fake(tmp_path / "raw")


def test_one_row_per_cell_and_cycle(fake):
    samples, notes = sample_table(open_store(fake, progress=False), fake, 12)
    assert list(samples) == list(COLUMNS)
    assert samples["cell_id"].tolist() == ["cell0"] * 12 + ["cell1"] * 10
    assert samples["ecl"].tolist() == [*range(1, 13), *range(1, 11)]
    np.testing.assert_allclose(samples["soh"], 1 - 0.01 * samples["ecl"])
    assert samples["eol"].iloc[0] == 21
    assert samples["eol"].iloc[12:].isna().all()
    assert samples[["eol", "soh", "ambient_degC", "c1", "q1", "c2"]].dtypes.eq(float).all()
    assert notes == []


def test_all_cycles(fake):
    samples, _ = sample_table(open_store(fake, progress=False), fake, None, part="discharge")
    assert len(samples) == 40


def test_censored_cells_are_dropped_or_replaced_and_it_is_said(fake):
    store = open_store(fake, progress=False)
    dropped, notes = sample_table(store, fake, 12, needs_eol=True)
    assert set(dropped["cell_id"]) == {"cell0"}
    assert dropped.index.tolist() == list(range(12))
    assert "1 of 2 cells never cross 0.88 Ah (cell1)" in notes[0]
    assert "10 samples are dropped" in notes[0]
    last = replace(fake, censored="last_record")
    kept, notes = sample_table(store, last, 12, needs_eol=True)
    assert kept.groupby("cell_id")["eol"].first().to_dict() == {"cell0": 21, "cell1": 10}
    assert "data.censored=last_record" in notes[0]


def test_everything_censored(tmp_path):
    fake = make_fake(tmp_path / "raw", lives=(10, 12))
    with pytest.raises(DataError, match=r"nothing is left.*data\.censored=last_record"):
        sample_table(open_store(fake, progress=False), fake, 5, needs_eol=True)
    samples, _ = sample_table(open_store(fake, progress=False), fake, 5)
    assert len(samples) == 10


@pytest.mark.parametrize("limit", [None, 31])
@pytest.mark.parametrize(("cycles", "message"), [(0, "at least 1"), (-3, "at least 1"), (31, "has 30 cycles")])
def test_cycles_out_of_range(fake, cycles, message, limit):
    with pytest.raises(ConfigError, match=f"cycles={cycles}: .*{message}"):
        sample_table(open_store(fake, limit, progress=False), fake, cycles)


def test_limited_store_of_a_sparse_cell_serves(tmp_path, monkeypatch):
    """Cycles 1, 9, 17 ... are recorded; cycles=12 is within the life though the last curve is of cycle 9."""
    cell = make_cell("a", 30)
    fake = make_fake(tmp_path / "raw")
    sparse = [c for c in cell.cycles if c.cycle % 8 == 1]

    def cells(self, cycles=None):
        return iter([replace(cell, cycles=[c for c in sparse if cycles is None or c.cycle <= cycles])])

    monkeypatch.setattr(type(fake), "cells", cells)
    samples, _ = sample_table(open_store(fake, 12, progress=False), fake, 12)
    assert samples["ecl"].tolist() == [1, 9]


def test_cells_without_the_part(tmp_path, monkeypatch):
    with_charge, without = make_cell("a"), make_cell("b")
    without = replace(without, cycles=[replace(c, charge=(0, 0)) for c in without.cycles])
    fake = make_fake(tmp_path / "raw")
    monkeypatch.setattr(type(fake), "cells", lambda self, cycles=None: iter([with_charge, without]))
    samples, notes = sample_table(open_store(fake, progress=False), fake, 5)
    assert set(samples["cell_id"]) == {"a"}
    assert notes == ["1 of 2 cells have no charge and give no samples"]


def test_wrong_censored(fake):
    store = open_store(fake, progress=False)
    with pytest.raises(ConfigError, match=r"data\.censored=maybe"):
        sample_table(store, replace(fake, censored="maybe"), 5)


def test_ambient_by_cycle_wins_over_that_of_the_cell(tmp_path, monkeypatch):
    cell = make_cell("a", 6)
    cell = replace(cell, summary=cell.summary.assign(ambient_degC=[24.0, 24, 24, 44, 44, np.nan]))
    fake = make_fake(tmp_path / "raw")
    monkeypatch.setattr(type(fake), "cells", lambda self, cycles=None: iter([cell]))
    samples, _ = sample_table(open_store(fake, progress=False), fake, None)
    assert samples["ambient_degC"].tolist() == [24, 24, 24, 44, 44, 30]
