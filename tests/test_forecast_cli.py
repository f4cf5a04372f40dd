"""scripts/forecast.py on a user's own table, with a run trained here in seconds: files, refusals, following a test."""

import copy
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen import forecast_cli
from batgen.cli import forecast_main
from batgen.errors import BatgenError, ConfigError
from batgen.evaluation.conformal import Conformal
from batgen.evaluation.eol_error import crossing
from batgen.follow import follow
from batgen.forecast_run import Forecaster, forecast, open_run
from batgen.forecast_table import UserTable, read_user_table
from tests import sequence_run_fixture as made

CAPACITY = "discharge_capacity_Ah"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of 12 made cells of 2 Ah, observed for 12 cycles, with a static `ohm`."""
    folder = tmp_path_factory.mktemp("forecast")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATGEN_CACHE_DIR", str(folder / "cache"))
        patch.delenv("BATGEN_DATA_DIR", raising=False)
        made.run(folder / "run", *made.csv(folder / "train.csv"), *made.QUICK, "evaluation.cuts=[12]")
        yield folder / "run"


@pytest.fixture(scope="module")
def forecaster(run: Path) -> Forecaster:
    return open_run(run)


def own(path: Path, **changes: object) -> Path:
    """A user's table of three cells of 30, 50 and 70 cycles in mAh, with other names than ours."""
    tables = []
    for k, last in enumerate((30, 50, 70)):
        cycle = np.arange(1, last + 1)
        tables.append(pd.DataFrame({"Cell": f"u{k}", "Cyc": cycle, "Cap": 2000 * (1 - 0.004 * cycle), "R": 0.021}))
    table = pd.concat(tables, ignore_index=True).assign(**changes)  # type: ignore[arg-type]
    table.to_csv(path, index=False)
    return path


WORDS = ["columns.cell_id=Cell", "columns.cycle=Cyc", f"columns.{CAPACITY}=Cap", f"units.{CAPACITY}=mAh"]


def read(path: Path, forecaster: Forecaster, eol_Ah: float | None = None, **more: str) -> UserTable:
    columns = {"cell_id": "Cell", "cycle": "Cyc", CAPACITY: "Cap", **more}
    return read_user_table(path, forecaster.preprocessing, columns, {CAPACITY: "mAh"}, "2", eol_Ah, {})


def call(run: Path, table: Path, out: Path, *words: str) -> None:
    forecast_cli.main([f"run={run}", f"input={table}", "nominal_capacity_Ah=2", f"out={out}", *WORDS, *words])


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_table_a_figure_and_where_it_came_from(
    run: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = own(tmp_path / "cells.csv")
    out = tmp_path / "deep" / f"f.{ending}"
    call(run, table, out, "cycles=12", "horizon=20")
    found = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out)
    assert list(found.columns[:3]) == ["cell_id", "target", "cycle"]
    assert {"q0.1", "q0.5", "q0.9", "truth"} <= set(found.columns)
    for k in range(3):
        mine = found[found["cell_id"] == f"u{k}"]
        assert mine["cycle"].tolist() == list(range(13, 33))
        known = mine["cycle"] <= (30, 50, 70)[k]
        assert mine["truth"][known].to_numpy() == pytest.approx(2.0 * (1 - 0.004 * mine["cycle"][known]), abs=1e-6)
        assert mine["truth"][~known].isna().all()
    assert ((found["q0.1"] <= found["q0.5"]) & (found["q0.5"] <= found["q0.9"])).all()
    assert found["q0.5"].between(1.0, 2.5).all()  # Ah, not mAh
    about = json.loads((out.parent / "f.json").read_text())
    assert about["run"] == str((run / "honest-seed0").resolve())
    assert about["models"] == 2
    assert about["trained_on"] == "percycle_csv"
    assert about["cycles"] == {"u0": 12, "u1": 12, "u2": 12}
    assert about["calibrated_at_cuts"] == [12]
    assert len(about["input_sha256"]) == 64
    assert any("ohm (internal_resistance_Ohm): not in the table" in note for note in about["notes"])
    assert (out.parent / "f.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    assert "counts it as unknown" in said
    assert "discharge_capacity_Ah at cycle 32" in said


def test_to_eol_ends_where_all_quantiles_are_through(forecaster: Forecaster, tmp_path: Path) -> None:
    path = own(tmp_path / "cells.csv")
    upper = forecast(forecaster, read(path, forecaster), 12, forecaster.reach, None, False).forecasts[0].at(0.9)
    table = read(path, forecaster, float(upper[:20].mean()))  # a threshold that upper quantiles do reach, at least one
    far = forecast(forecaster, table, 12, forecaster.reach, None, calibrated=False)
    assert crossing(far.forecasts[0], 0.9)[1]
    assert crossing(far.forecasts[0], 0.5)[0] < crossing(far.forecasts[0], 0.9)[0]
    there = forecast(forecaster, table, 12, None, None, calibrated=False)
    for f, g in zip(there.forecasts, far.forecasts, strict=True):
        end, reached = crossing(g, 0.9)
        assert f.cycle[-1] == end
        assert (f.quantiles == g.quantiles[: len(f.cycle)]).all()
        named = any("not every quantile" in note and g.cell_id in note for note in there.notes)
        assert named == (not reached)
    assert forecaster.reach == 2 * max(m.preprocessing.horizon_cycles for m in forecaster.members)


def test_left_out_cycles_are_all_of_a_cell_and_a_schedule_is_none(forecaster: Forecaster, tmp_path: Path) -> None:
    path = own(tmp_path / "cells.csv")
    assert [f.cut_cycle for f in forecast(forecaster, read(path, forecaster), None, 5, None, True).forecasts] == [
        30,
        50,
        70,
    ]
    rows = pd.read_csv(path)
    rows.loc[(rows["Cell"] == "u2") & (rows["Cyc"] > 40), "Cap"] = np.nan  # what is planned, not measured
    rows.to_csv(path, index=False)
    found = forecast(forecaster, read(path, forecaster), None, 5, None, True)
    assert found.forecasts[2].cut_cycle == 40
    assert any("learnt to forecast from cycle 2 to 12" in note for note in found.notes)


def test_statics_of_the_table_are_used_and_strange_ones_told(forecaster: Forecaster, tmp_path: Path) -> None:
    path = own(tmp_path / "cells.csv")
    without = forecast(forecaster, read(path, forecaster), 12, 20, None, False)
    given = forecast(forecaster, read(path, forecaster, internal_resistance_Ohm="R"), 12, 20, None, False)
    assert not any("unknown" in note for note in given.notes)
    assert not np.allclose(without.forecasts[0].quantiles, given.forecasts[0].quantiles)
    strange = own(path, R=0.5)
    notes = forecast(forecaster, read(strange, forecaster, internal_resistance_Ohm="R"), 12, 20, None, False).notes
    assert any("internal_resistance_Ohm of cells u0, u1, u2 lies far outside the training cells" in n for n in notes)
    same = sorted(forecaster.train_cells)[0]
    rows = pd.read_csv(path)
    rows.assign(Cell=rows["Cell"].replace("u0", same)).to_csv(path, index=False)
    notes = forecast(forecaster, read(path, forecaster), 12, 20, None, False).notes
    assert any(f"cell {same}: named like training cells" in note for note in notes)


def test_the_calibration_of_the_nearest_cut_is_taken(forecaster: Forecaster, tmp_path: Path) -> None:
    table = read(own(tmp_path / "cells.csv"), forecaster)
    raw = forecast(forecaster, table, 12, 20, None, False).forecasts[0]
    state = {"target": CAPACITY, "levels": [0.1, 0.5, 0.9], "floor": 0.0, "log_ahead": [1.0], "limited": []}
    states = {"10": {**state, "factors": [[3.0]]}, "100": {**state, "factors": [[9.0]]}}
    fitted = Forecaster(forecaster.part, forecaster.members, {CAPACITY: states})
    later = replace(raw, cut_cycle=40, cycle=raw.cycle + 28)
    for one, nearest, factor in ((raw, "10", 3.0), (later, "100", 9.0)):  # sqrt(10 * 100) = 31.6
        found, used = fitted.calibrated(one)
        assert used == nearest
        assert found.median - found.at(0.1) == pytest.approx(factor * (raw.median - raw.at(0.1)))
    saved = json.loads((forecaster.part / "calibration.json").read_text())
    conformal = Conformal()
    conformal.load(saved[CAPACITY]["12"])
    cal = forecast(forecaster, table, 12, 20, None, True)
    assert cal.calibrated == ["12"]
    assert cal.forecasts[0].quantiles == pytest.approx(conformal.apply(raw).quantiles)


def test_no_forecast_looks_beyond_its_cut(forecaster: Forecaster, tmp_path: Path) -> None:
    """Following a whole record says at each cut what the record up to there alone would say."""
    path = own(tmp_path / "cells.csv")
    whole = pd.read_csv(path)
    rows, _ = follow(forecaster, read(path, forecaster), every=3, calibrated=True)
    assert rows[rows["cell_id"] == "u0"]["observed"].tolist() == [*range(2, 30, 3), 30]
    quantiles = forecast(forecaster, read(path, forecaster), 11, 40, None, True).forecasts[2].quantiles
    eol = float(quantiles[10:20, 1].mean())  # so that there are ends to compare
    rows, _ = follow(forecaster, read(path, forecaster, eol), every=3, calibrated=False)
    whole[whole["Cyc"] <= 11].to_csv(path, index=False)
    alone = forecast(forecaster, read(path, forecaster), 11, 40, None, True).forecasts[2].quantiles
    assert alone == pytest.approx(quantiles, rel=1e-6)
    short, _ = follow(forecaster, read(path, forecaster, eol), every=3, calibrated=False)
    for at in (8, 11):
        one, again = (t[(t["cell_id"] == "u2") & (t["observed"] == at)].iloc[0] for t in (rows, short))
        assert at == 8 or np.isfinite(one["eol_median"])
        for name in ("eol_low", "eol_median", "eol_high", "revision"):
            assert again[name] == pytest.approx(one[name], nan_ok=True)
    mine = rows[rows["cell_id"] == "u2"]["eol_median"].to_numpy()
    revision = rows[rows["cell_id"] == "u2"]["revision"].to_numpy()
    assert revision[1:] == pytest.approx(mine[1:] / mine[:-1] - 1, nan_ok=True)


def test_following_a_table_that_grows(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = own(tmp_path / "cells.csv"), tmp_path / "follow.csv"
    whole = pd.read_csv(path)
    whole[whole["Cyc"] <= 8].to_csv(path, index=False)

    def grow() -> None:
        for _ in range(200):  # once the first look is written
            if out.is_file() and (tmp_path / "follow.json").is_file():
                break
            time.sleep(0.05)
        whole[whole["Cyc"] <= 20].to_csv(path, index=False)

    writer = threading.Thread(target=grow)
    writer.start()
    call(run, path, out, "follow=true", "every=4", "watch=2", "rounds=3")
    writer.join()
    said = capsys.readouterr().out
    assert "u0 observed to 8: end of life" in said
    assert "u0 observed to 20: end of life" in said
    assert pd.read_csv(out)["observed"].max() == 20
    about = json.loads((tmp_path / "follow.json").read_text())
    assert [a["cell_id"] for a in about["advice"]] == ["u0", "u1", "u2"]
    assert (tmp_path / "follow.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cycels=12"], "unknown key 'cycels'; did you mean 'cycles'?"),
        (["cycles"], "write KEY=VALUE"),
        (["cycles=31"], "cell u0 is shorter, its last cycle is 30"),
        (["cycles=0"], "cycles=0: give a whole number from 1 on"),
        (["horizon=soon"], "horizon=soon: give a number of cycles ahead, or to_eol"),
        (["horizon=20", "until=40"], "horizon and until both say"),
        (["cycles=12", "until=12"], "cell u0 is observed to cycle 12"),
        (["follow=true", "cycles=12"], "cycles= goes without follow=true"),
        (["every=5"], "every= goes with follow=true"),
        (["follow=maybe"], "follow=maybe: give true or false"),
        (["eol_capacity_Ah=-1"], "eol_capacity_Ah=-1: give a number above 0"),
        (["out=forecast.txt"], "out=forecast.txt: the ending decides the format"),
        (["columns.discharge_capcity_Ah=Cap"], "did you mean 'discharge_capacity_Ah'?"),
        (["columns.discharge_capacity_Ah=Capa"], "no column 'Capa', which columns.discharge_capacity_Ah names"),
        (["units.discharge_capacity_Ah=Ah"], "Set units.discharge_capacity_Ah=mAh"),
        (["columns.discharge_capacity_Ah=null"], "no column for the target discharge_capacity_Ah"),
        (["nominal_capacity_Ah=Nom"], "'Nom'"),
    ],
)
def test_refusals_are_one_sentence(run: Path, tmp_path: Path, words: list[str], says: str) -> None:
    path = own(tmp_path / "cells.csv")
    with pytest.raises(BatgenError) as error:
        call(run, path, tmp_path / "f.csv", *words)
    assert says in str(error.value)
    assert not (tmp_path / "f.csv").exists()


def test_what_is_not_there_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own(tmp_path / "cells.csv")
    cases = [
        ([f"input={path}"], "run is missing"),
        ([f"run={run}"], "input is missing"),
        ([f"run={run}", f"input={tmp_path / 'no.csv'}", "nominal_capacity_Ah=2"], "no.csv: there is no such file"),
        ([f"run={tmp_path / 'none'}", f"input={path}"], "there is no such folder"),
        ([f"run={tmp_path}", f"input={path}"], "no model.ckpt there"),
        ([f"run={run}", f"input={path}", *WORDS], "nominal_capacity_Ah is missing"),
        ([f"run={run}", f"input={path}", "nominal_capacity_Ah=2"], "no column for cycle"),
    ]
    for words, says in cases:
        monkeypatch.setattr(sys, "argv", ["forecast.py", *words])
        with pytest.raises(SystemExit) as stopped:
            forecast_main()
        assert stopped.value.code == 2
        said = capsys.readouterr().err
        assert says in said, words
        assert "Traceback" not in said
        assert said.count("\n") == 1


def test_an_unfinished_run_and_one_of_another_kind_are_refused(
    run: Path, tmp_path: Path, forecaster: Forecaster
) -> None:
    other = tmp_path / "run"
    shutil.copytree(run / "honest-seed0", other / "honest-seed0")
    (other / "honest-seed0" / "metrics.json").unlink()
    with pytest.raises(BatgenError, match="not finished"):
        open_run(other)
    one = open_run(other / "honest-seed0" / "models" / "fold1.ckpt")  # a model by itself needs no metrics
    assert len(one.members) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(forecaster.preprocessing), "PRODUCES", "curves")
        with pytest.raises(ConfigError, match=r"forecasts no cycle sequences; scripts/generate.py"):
            open_run(run)


def test_a_schedule_that_the_run_needs_must_be_given(forecaster: Forecaster, tmp_path: Path) -> None:
    """A covariate that nobody knows ahead is an error that says how to give it; given once, or as a column, it works."""
    path = own(tmp_path / "cells.csv", rate=1.0)
    needy = copy.deepcopy(forecaster)
    for member in needy.members:
        plan = member.preprocessing.plan
        member.preprocessing.plan = replace(plan, covariates=("discharge_c_rate", *plan.covariates[1:]))
    with pytest.raises(BatgenError, match=r"covariate discharge_c_rate is missing .* cell u0 .*discharge_c_rate=VALUE"):
        forecast(needy, read(path, needy), 12, 5, None, False)
    forecast(needy, read(path, needy, discharge_c_rate="rate"), 12, 5, None, False)
    columns = {"cell_id": "Cell", "cycle": "Cyc", CAPACITY: "Cap"}
    once = read_user_table(path, needy.preprocessing, columns, {CAPACITY: "mAh"}, "2", None, {"discharge_c_rate": 1.0})
    forecast(needy, once, 12, 5, None, False)


def test_a_file_of_one_cell_and_our_own_names_need_no_words(forecaster: Forecaster, tmp_path: Path) -> None:
    cycle = np.arange(1, 31)
    rows = pd.DataFrame({"cycle": cycle, CAPACITY: 2 - 0.01 * cycle, "nominal_capacity_Ah": 2.0})
    rows.to_csv(tmp_path / "alone.csv", index=False)
    table = read_user_table(tmp_path / "alone.csv", forecaster.preprocessing, {}, {}, None, None, {})
    assert [info.cell_id for info in table.infos] == ["alone"]
    assert table.infos[0].nominal_capacity_Ah == 2.0
    assert np.isnan(table.infos[0].eol_cycle)  # 80 % of 2 Ah is not reached
    assert np.isnan(table.infos[0].voltage_min_V)  # nobody said it
    assert any("all of it is one cell" in note for note in table.notes)
    assert forecast(forecaster, table, None, 5, None, True).forecasts[0].cut_cycle == 30
