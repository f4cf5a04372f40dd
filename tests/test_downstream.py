"""The door of the downstream proof: small runs in this process, what they leave, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.cli import CONF
from batgen.downstream import SHARES, DownstreamSettings, _compose
from batgen.downstream_cli import main
from batgen.downstream_curves import known_targets, regression_signals, synthetic_conditions
from batgen.errors import ConfigError, DataError
from tests.pulse_run_fixture import CASE, csv, table

TINY = [
    "data=sim",
    "cycles=5",
    "trainer=smoke",
    "evaluation.prior_samples=4",
    "preprocessing.points=36",
    "model=pca_gaussian",
]


@pytest.fixture(autouse=True)
def quick_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures of each run, which take longer than the run, and small forests."""
    monkeypatch.setattr("batgen.evaluation.downstream.TREES", 10)
    for family in ("curve_run", "pulse_run"):
        monkeypatch.setattr(f"batgen.{family}.draw", lambda part, folder: [folder])


def known(cells: int = 4) -> pd.DataFrame:
    """Cells that were measured to their end of life, on trajectories of their own; the last one is of another chemistry."""
    cell = np.repeat(np.arange(cells), 10)
    eol = 300 + 100 * cell
    ecl = eol * np.tile(np.linspace(0.1, 1.0, 10), cells)
    return pd.DataFrame(
        {
            "cell_id": [f"c{k}" for k in cell],
            "chemistry": np.where(cell == cells - 1, "LFP", "NMC"),
            "ecl": ecl.astype(int),
            "eol": eol,
            "soh": 1.0 - 0.2 * ecl / eol,
            "c1": 3.0 + cell,
        }
    )


def test_synthetic_conditions_lie_between_two_kept_rows_of_one_chemistry() -> None:
    rows = known()
    made = synthetic_conditions(rows, 500, 0)
    for kind, own in made.groupby("chemistry"):
        cells = rows[rows["chemistry"] == kind]
        assert set(own["cell_id"]) | set(own["other_cell_id"]) == set(cells["cell_id"])
        for name in ("eol", "soh", "ecl", "c1"):
            low, high = cells[name].min(), cells[name].max()
            assert own[name].between(low - 1e-9, high + 1e-9).all(), name
    assert len(set(made["eol"].round(3))) > 150, "labels between those measured"
    assert made["cell_id"].value_counts().min() > 80
    np.testing.assert_allclose(made["eol"], 300 + 100 * (made["c1"] - 3), err_msg="policy and life are mixed alike")
    pd.testing.assert_frame_equal(made, synthetic_conditions(rows, 500, 0))


def test_no_combination_that_no_cell_has() -> None:
    """Planted: conditions moved each on its own go beyond the end of life and off the trajectory; mixed ones do not."""
    rows = known()
    made = synthetic_conditions(rows, 500, 0)
    assert (made["ecl"] <= made["eol"]).all()
    rng = np.random.default_rng(0)
    moved = made.assign(**{name: made[name] + rng.normal(0, rows[name].std() / 4, 500) for name in ("ecl", "eol")})
    assert (moved["ecl"] > moved["eol"]).any()
    alone = synthetic_conditions(rows[rows["cell_id"] == "c1"], 200, 0)
    assert set(alone["other_cell_id"]) == {"c1"}
    np.testing.assert_allclose(alone["soh"], 1.0 - 0.2 * alone["ecl"] / 400, atol=1e-9)


def test_targets_that_a_cell_lacks_are_left_out_and_signals_that_tell_too() -> None:
    rows = known()
    assert known_targets(rows, ["soh", "eol"]) == (["soh", "eol"], [])
    rows.loc[rows["cell_id"] == "c1", "eol"] = np.nan
    kept, notes = known_targets(rows, ["soh", "eol"])
    assert kept == ["soh"]
    assert "eol is left out: 1 of 4 cells" in notes[0]
    assert regression_signals(["voltage_V", "time_s", "charge_capacity_Ah"]) == ["voltage_V"]
    assert regression_signals(["charge_capacity_Ah"]) == ["charge_capacity_Ah"]


def test_curves_from_end_to_end_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TINY, "shares=[0.05,0.2]", "repeats=1", "synthetic=60", f"out={tmp_path / 'out'}"]
    main(words, CONF, tmp_path)
    out = tmp_path / "out"
    content = json.loads((out / "downstream.json").read_text())
    rows = pd.DataFrame(content["rows"])
    assert {
        "data",
        "model",
        "protocol",
        "target",
        "share",
        "cells",
        "test_cells",
        "fold",
        "note",
        "repeat",
        "source",
        "regressor",
        "value",
        "unit",
        "n",
    } == set(rows.columns)
    assert set(rows["source"]) == {"real", "real+jittered", "real+synthetic", "synthetic", "constant"}
    both = rows[rows["source"].isin(["real+jittered", "real+synthetic"])]
    assert both.groupby(["share", "target"])["n"].nunique().max() == 1, "as many copies as synthetic curves"
    assert set(rows["target"]) == {"soh", "eol"}
    assert dict(zip(rows["target"], rows["unit"], strict=True)) == {"soh": "1", "eol": "cycles"}
    assert sorted(rows["cells"].unique()) == [3, 11]
    assert np.isfinite(rows["value"]).all()
    assert content["about"]["provenance"]["batgen"]
    splits = [
        json.loads((out / f"pca_gaussian/share{s}-seed0/honest-seed0/splits.json").read_text()) for s in (0.05, 0.2)
    ]
    assert splits[0]["parts"]["test"] == splits[1]["parts"]["test"]
    assert set(splits[0]["parts"]["train"]) < set(splits[1]["parts"]["train"])
    assert (out / "downstream.png").stat().st_size > 10_000
    text = (out / "downstream.md").read_text()
    assert "## SOH, pca_gaussian" in text
    assert "nan" not in text
    checkpoint = out / "pca_gaussian/share0.05-seed0/honest-seed0/model.ckpt"
    made = checkpoint.stat().st_mtime_ns
    (out / "pca_gaussian/share0.05-seed0/downstream.json").unlink()
    capsys.readouterr()
    main(words, CONF, tmp_path)
    assert checkpoint.stat().st_mtime_ns == made, "what is done is read"
    assert json.loads((out / "downstream.json").read_text())["rows"] == content["rows"]


def test_pulses_from_end_to_end_with_so_few_cells_that_shares_coincide(tmp_path: Path) -> None:
    data = csv(tmp_path / "p.csv", table(("AAA_1Ah",), stages=4))
    words = [
        "model=pulse_surface",
        *data,
        "split.folds=2",
        "evaluation.soc_unknown=false",
        "evaluation.keep_draws=2",
        CASE,
    ]
    main([*words, "repeats=1", f"out={tmp_path / 'out'}"], CONF, tmp_path)
    content = json.loads((tmp_path / "out" / "downstream.json").read_text())
    rows = pd.DataFrame(content["rows"])
    assert sorted(set(rows["share"])) == [SHARES[0], 0.5, 1.0], "6 training cells: 3 to 20 % are one of them"
    assert sorted(set(rows["cells"])) == [1, 3, 6]
    assert any("keep the same cells" in note for note in content["notes"])
    own = rows[rows["regressor"] == "gaussian_process"]
    real = own[own["source"] == "real"].groupby("share")["value"].mean()
    constant = rows[rows["source"] == "constant"].groupby("share")["value"].mean()
    assert real[1.0] < constant[1.0]
    assert {"real+jittered", "real+synthetic", "synthetic"} <= set(rows["source"])
    assert sorted(set(rows["fold"])) == [0, 1]
    assert set(rows["test_cells"]) == {6}
    counts = own.pivot_table(index=["share", "fold"], columns="source", values="n")
    assert (counts["real+jittered"] == counts["real+synthetic"]).all()
    assert (counts["real"] + counts["synthetic"] == counts["real+synthetic"]).all()


def test_a_share_too_small_for_the_model_is_left_out_with_its_reason(tmp_path: Path) -> None:
    """Six rows of one cell are too few for the surface of the pulse models."""
    data = csv(tmp_path / "p.csv", table(("AAA_1Ah",), stages=2))
    words = [
        "model=pulse_surface",
        *data,
        "split.folds=2",
        "evaluation.soc_unknown=false",
        "evaluation.keep_draws=2",
        CASE,
    ]
    out = tmp_path / "out"
    main([*words, "repeats=1", "shares=[0.1,1.0]", f"out={out}"], CONF, tmp_path)
    content = json.loads((out / "downstream.json").read_text())
    assert {r["share"] for r in content["rows"]} == {1.0}
    assert "share 0.1, repeat 0 is left out: 6 training rows" in content["notes"][-1]
    assert content["notes"][-1] in (out / "downstream.md").read_text()
    with pytest.raises(DataError, match="6 training rows"):
        main([*words, "repeats=1", "shares=[0.1]", f"out={tmp_path / 'none'}"], CONF, tmp_path)


def test_every_model_is_compared_on_the_same_points(tmp_path: Path) -> None:
    settings = DownstreamSettings(("data=sim",), ("rcvae_continuous", "pca_gaussian"))
    first, second = (_compose(settings, CONF, model, 0.1, 3, ["soh", "eol"]) for model in settings.models)
    assert first.preprocessing == second.preprocessing
    assert first.preprocessing.layout == "channels"
    assert list(first.preprocessing.conditions) == ["eol", "ecl", "c1", "q1", "c2", "ambient_degC", "soh"]
    assert (second.seed, second.split.train_share, second.protocol) == (3, 0.1, "honest")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=sim", "shares=[5]"], r"shares=\[5.0\]"),
        (["data=sim", "shares=[a]"], "give fractions"),
        (["data=sim", "repeats=0"], "repeats=0"),
        (["data=sim", "repeats=x"], "not a whole number"),
        (["data=sim", "targets=[rul]"], "'rul' is none of"),
        (["data=sim", "seed=3"], "this program sets seed"),
        (["data=sim", "trainer.epoch=3"], "trainer.epoch"),
        (["data=sim", "model=wgan_gp"], "takes models of curves, or models of pulse tests"),
        (["data=sim", "model=[rcvae_continuous,cross_attention_cvae]"], "cross_attention_cvae makes pulses"),
        (["data=sim", "model=nothing"], "no such model"),
        (["data=sim", "split=held_out_cells"], "split"),
        (["data=sim", "--fast"], "write KEY=VALUE"),
    ],
)
def test_refusals(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        main([*words, f"out={tmp_path / 'out'}"], CONF, tmp_path)
    assert not (tmp_path / "out").exists()


def test_help(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main([], CONF, tmp_path)
    assert "scripts/downstream.py" in capsys.readouterr().out
