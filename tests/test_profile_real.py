"""Profile runs on measured NASA cells: few steps, so that only what does not depend on training is asked of the numbers."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from batgen.errors import ConfigError
from batgen.generate import generate
from tests.profile_run_fixture import FAMILY, PART, TINY, WGAN, run, told

NASA = [*(word for word in TINY if not word.startswith(("data=", "cycles="))), "data=nasa", "cycles=60"]


@pytest.fixture
def nasa(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measured data; no figures, which others look at."""
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)
    monkeypatch.setattr("batgen.profile_run.draw", lambda part, folder: [folder / "none.png"])
    return data_dir


def value(folder: Path, method: str, metric: str, signal: str, test_set: str = "cells") -> float:
    wanted = (method, metric, signal, test_set)
    found = [
        r["value"] for r in told(folder)["rows"] if (r["method"], r["metric"], r["signal"], r["test_set"]) == wanted
    ]
    assert len(found) == 1, wanted
    return float(found[0])


def test_every_cell_is_held_out_once_and_the_means_err_as_measured(nasa: Path, tmp_path: Path) -> None:
    """Four folds and B0038 apart. A same-protocol mean by cycle errs by 1.1 degC in peak temperature (issue 5)."""
    folder = tmp_path / "run"
    run(folder, "model=protocol_cycle_mean", *FAMILY, *NASA, "evaluation.permutations=0", "evaluation.sweep=0")
    rows = pd.read_csv(folder / PART / "rows.csv")
    folds = rows[rows["test_set"] == "cells"].groupby("cell_id")["fold"].nunique()
    assert folds.to_dict() == dict.fromkeys(
        ["B0005", "B0006", "B0007", "B0018", "B0025", "B0026", "B0029", "B0030", "B0032"], 1
    )
    assert set(rows.loc[rows["test_set"] == "apart", "cell_id"]) == {"B0038"}
    assert 0.7 < value(folder, "protocol_cycle_mean", "MAE", "peak_temperature_degC") < 1.5
    assert value(folder, "protocol_mean", "RMSE", "temperature_degC") < 2.5
    assert value(folder, "thermal_model", "MAE", "peak_temperature_degC") < 6


def test_hybrid_generates_at_an_ambient_nobody_measured(nasa: Path, tmp_path: Path) -> None:
    """10 degC is beyond what was measured and 33 in a gap of it: both are said."""
    small = ["model.hidden=8", "model.critic_hidden=8", "model.noise=4", "model.critic_steps=1"]
    run(tmp_path / "run", "model=hybrid", *small, *NASA, "split.run=1", "evaluation.permutations=0")
    for check in ("bounds", "rate", "smoothness"):
        assert value(tmp_path / "run", "measured", "pass_rate", check) > 0.85, check
    made = generate(tmp_path / "run", {"ambient_degC": 10.0, "ecl": 150.0}, n=50)
    notes = " ".join(made.notes)
    assert "ambient_degC=10 lies outside the training range 24 to" in notes
    assert "ecl=150 lies outside the training range 1 to" in notes
    temperature = made.signals["temperature_degC"]
    assert temperature.shape == (50, 16)
    assert np.isfinite(temperature).all()
    assert abs(np.median(temperature[:, 0]) - 10) < 5, "it starts near its ambient"
    assert any("nothing between 24 and 4" in n for n in generate(tmp_path / "run", {"ambient_degC": 33.0}).notes)


def test_reference_runs_continue_a_cell(nasa: Path, tmp_path: Path) -> None:
    """The first 5 records of every cell are given, so none of them is tested; generated profiles go on from a cell's own."""
    folder = tmp_path / "run"
    reference = ["experiment=profile_nasa_reference", "seed=0", *WGAN[1:], *NASA]
    run(folder, *reference, "split.run=1", "evaluation.baselines={}")
    rows = pd.read_csv(folder / PART / "rows.csv")
    first = rows[rows["test_set"] == "cells"].groupby("cell_id")["ecl"].min()
    assert first.min() > 5
    with pytest.raises(ConfigError, match="cell=ID is missing"):
        generate(folder, {"ecl": 50.0})
    with pytest.raises(ConfigError, match="cell_id=B9: there is no reference of this cell"):
        generate(folder, {"ecl": 50.0}, cell="B9")
    for cell, ambient, rms in (("B0018", 24, 1.0), ("B0030", 43, 2.0)):
        made = generate(folder, {"ecl": 50.0}, n=8, cell=cell)
        assert made.conditions["ambient_degC"] == pytest.approx(ambient, abs=1), "that of the cell"
        assert made.conditions["c_rate_rms"] == pytest.approx(rms, abs=0.1)
        assert abs(np.median(made.signals["temperature_degC"][:, 0]) - ambient) < 8
    with h5py.File(folder / PART / "profiles.h5") as file:
        assert file.attrs["relative"] == "reference"


def test_charges_start_from_what_the_discharge_left(nasa: Path, tmp_path: Path) -> None:
    """A charge often peaks at its first sample, so peaks count after 30 minutes."""
    few = ["split.run=1", "evaluation.permutations=0", "evaluation.sweep=0"]
    run(tmp_path / "run", "model=protocol_cycle_mean", *FAMILY, *NASA, "preprocessing.part=charge", *few)
    features = pd.read_csv(tmp_path / "run" / PART / "features.csv")
    times = features.loc[features["feature"] == "peak_time_s", "measured"]
    assert times.min() > 1500
    assert value(tmp_path / "run", "protocol_cycle_mean", "MAE", "peak_temperature_degC") < 1.5
