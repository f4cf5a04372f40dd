"""What cells train, validate and test at which cuts, and what is said of those that cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batgen import sequence_part
from batgen.errors import DataError
from batgen.evaluation.conformal import Conformal
from tests.sequence_run_fixture import QUICK, csv, forecasts, run, table, told

PART = "honest-seed0"
SHORT = [*QUICK, "trainer.epochs=1"]


@pytest.fixture(autouse=True)
def quick(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, and no figures, which other tests look at."""
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)
    monkeypatch.setattr("batgen.sequence_run.draw", lambda part, folder: [folder / "none.png"])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """(cell, its last cycle as training sees it, cut) of every window that a model is trained or stopped on."""
    seen: list[tuple[str, int, int]] = []
    make = sequence_part.batch_of

    def noted(preprocessing: Any, series: Any, cuts: Any, steps: int, training: bool) -> Any:
        seen.extend((one.cell_id, one.last_cycle, cut) for one, cut in zip(series, cuts, strict=True))
        return make(preprocessing, series, cuts, steps, training)

    monkeypatch.setattr(sequence_part, "batch_of", noted)
    return seen


def with_efficiency(lacking: tuple[str, ...] = ()) -> pd.DataFrame:
    frame = table()
    noise = np.random.default_rng(1).normal(0, 1e-3, len(frame))
    frame = frame.assign(efficiency=(0.99 - 2e-4 * frame["cycle"] + noise).round(6))
    return frame.assign(efficiency=frame["efficiency"].where(~frame["cell"].isin(lacking)))


def both_targets(path: Path, frame: pd.DataFrame) -> list[str]:
    targets = "preprocessing.targets=[discharge_capacity_Ah,coulombic_efficiency]"
    return [*csv(path, frame), "+data.columns.coulombic_efficiency=efficiency", targets]


def test_a_split_in_time_trains_at_cuts_beyond_the_cycles_of_the_run(
    tmp_path: Path, drawn: list[tuple[str, int, int]]
) -> None:
    """Tests start late in the life, so that training must have seen cuts there; never behind its own part of the cell."""
    run(tmp_path / "run", *SHORT, *csv(tmp_path / "cells.csv"), "split=chronological", "cycles=8", "trainer.windows=8")
    stops = json.loads((tmp_path / "run" / PART / "splits.json").read_text())["stops"]
    trained = [(cell, cut) for cell, last, cut in drawn if last == stops[cell][0]]
    assert {cell for cell, _ in trained} == set(stops)
    assert max(cut for _, cut in trained) > 2 * 8
    assert all(cut < stops[cell][0] for cell, cut in trained)


def test_a_cell_that_is_known_late_trains_from_there(tmp_path: Path, drawn: list[tuple[str, int, int]]) -> None:
    """First measured at cycle 15, behind every cut of the run: it trains, and does not validate or stop the run."""
    frame = table()
    late = (frame["cell"] == "c05") & (frame["cycle"] < 15)
    run(tmp_path / "run", *SHORT, *csv(tmp_path / "late.csv", frame.assign(capacity=frame["capacity"].where(~late))))
    assert "c05" in json.loads((tmp_path / "run" / PART / "splits.json").read_text())["parts"]["train"]
    cuts = [cut for cell, _, cut in drawn if cell == "c05"]
    assert cuts
    assert min(cuts) >= 15
    assert min(cut for cell, _, cut in drawn if cell != "c05") < 15
    assert any("validates nothing: cell c05," in note for note in told(tmp_path / "run" / PART)["notes"])
    assert "c05" not in set(forecasts(tmp_path / "run" / PART).query("test_set == 'val'")["cell_id"])


def test_cuts_that_some_test_cells_do_not_reach_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *SHORT, *csv(tmp_path / "cells.csv"), "evaluation.cuts=[12,60]", "trainer.val_cuts=[12]")
    part = tmp_path / "run" / PART
    tested = json.loads((part / "splits.json").read_text())["parts"]["test"]
    last = table().groupby("cell")["cycle"].max()
    gone = [cell for cell in tested if last[cell] <= 60]
    assert gone
    assert len(gone) < len(tested)
    notes = [note for note in told(part)["notes"] if note.startswith("test cells, first")]
    assert notes == [
        note for note in notes if note.startswith("test cells, first 60 cycles given: no forecast of cell")
    ]
    assert len(notes) == 1
    assert all(f"{cell} (cycles 1 to {last[cell]})" in notes[0] for cell in gone)
    assert "first 60 cycles given" in capsys.readouterr().out


def test_cuts_that_no_test_cell_reaches_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    words = [*SHORT, *csv(tmp_path / "cells.csv"), "evaluation.cuts=[400,500]", "trainer.val_cuts=[12]"]
    with pytest.raises(DataError, match=r"evaluation\.cuts=\[400,500\]: no test cell .* Use other evaluation\.cuts"):
        run(tmp_path / "run", *words)
    assert not list(tmp_path.rglob("splits.json"))
    assert not list(tmp_path.rglob("*.ckpt"))


def test_baselines_and_calibrations_that_cannot_be_are_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No statics to predict a life from; levels without a symmetric pair."""
    words = [word for word in csv(tmp_path / "cells.csv") if not word.startswith("preprocessing.statics")]
    words += ["model.levels=[0.2,0.5,0.7]"]
    run(tmp_path / "run", *SHORT, *words)
    part = tmp_path / "run" / PART
    notes, shown = told(part)["notes"], " ".join(capsys.readouterr().out.split())
    assert [n.split(":")[0] for n in notes] == [
        "conformal, discharge_capacity_Ah, cut 12", "stretched_mean, discharge_capacity_Ah",
    ]  # fmt: skip
    assert "no pair that is symmetric" in notes[0]
    assert "training cells have none in common" in notes[1]
    assert shown.count("stretched_mean, discharge_capacity_Ah: left out") == 1
    assert json.loads((part / "calibration.json").read_text()) == {}
    assert not {"stretched_mean", "model, conformal"} & {row["method"] for row in told(part)["rows"]}


def test_cells_without_a_target_are_refused_with_the_way_out(tmp_path: Path) -> None:
    words = both_targets(tmp_path / "cells.csv", with_efficiency(("c04", "c07")))
    way_out = r"c0[47]: coulombic_efficiency is not known .* preprocessing\.incomplete=leave_out"
    with pytest.raises(DataError, match=way_out):
        run(tmp_path / "run", *SHORT, *words)
    assert not list(tmp_path.rglob("splits.json"))
    run(tmp_path / "run", *SHORT, *words, "preprocessing.incomplete=leave_out")
    part = tmp_path / "run" / PART
    assert "coulombic_efficiency never measured, left out: cells c04, c07" in told(part)["notes"]
    used = [cell for ids in json.loads((part / "splits.json").read_text())["parts"].values() for cell in ids]
    assert sorted(used) == [f"c{k:02d}" for k in range(12) if k not in (4, 7)]
    assert not {"c04", "c07"} & set(pd.read_csv(part / "cells.csv")["cell_id"])


def test_leaving_out_every_cell_is_refused(tmp_path: Path) -> None:
    words = [*csv(tmp_path / "cells.csv"), "preprocessing.targets=[coulombic_efficiency]"]
    with pytest.raises(DataError, match=r"each of its 12 cells is left out, such as c00.*preprocessing\.targets"):
        run(tmp_path / "run", *SHORT, *words, "preprocessing.incomplete=leave_out")


def test_calibrations_are_kept_by_target_and_cut(tmp_path: Path) -> None:
    words = both_targets(tmp_path / "cells.csv", with_efficiency())
    run(tmp_path / "run", *SHORT, *words, "evaluation.cuts=[8,20]", "trainer.val_cuts=[8]")
    kept = json.loads((tmp_path / "run" / PART / "calibration.json").read_text())
    assert set(kept) == {"discharge_capacity_Ah", "coulombic_efficiency"}
    made = forecasts(tmp_path / "run" / PART).query("test_set == 'test'")
    for target, by_cut in kept.items():
        assert set(by_cut) == {"8", "20"}
        for cut, state in by_cut.items():
            conformal = Conformal()
            conformal.load(state)
            assert conformal.target == target
            assert conformal.state() == state
            # the factors are those of the run: width after over width before, at its first step
            first = made[(made["target"] == target) & (made["cut_cycle"] == int(cut))].groupby("method").first()
            width = first["q0.9"] - first["q0.1"]
            factor = np.interp(np.log(4), conformal.log_ahead, conformal.factors[:, 0])
            floor = 2 * conformal.floor * abs(first.loc["model", "q0.5"])
            assert width["model, conformal"] == pytest.approx(factor * (width["model"] + floor), rel=0.02)
