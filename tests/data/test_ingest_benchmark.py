"""The benchmark compares like with like: both ways make the same tensor."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import ingest
from tests.data.mit_fixture import FILES, make_cell, write_batch


def test_both_ways_make_the_same_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "CYCLES", 5)
    folder = tmp_path / "mit"
    folder.mkdir()
    (folder / "cleaning.csv").write_text("batch,index,action,target,cycle_life_added,reason\n")
    for b, name in enumerate(FILES):
        write_batch(folder / name, [make_cell(cycles=6, points=500, seed=b)], compression=3)
    ingest.usual_ingest(folder, tmp_path / "pickles")
    theirs, ours = ingest.usual_tensor(tmp_path / "pickles"), ingest.our_tensor(folder)
    assert ours.shape == theirs.shape == (15, 3, 2, 20, 20)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
