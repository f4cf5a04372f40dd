"""What a sequence run refuses of a user's own table, through the command line: one clear error, and no folder in the way."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batgen.cli import train_main
from tests.sequence_run_fixture import QUICK, run, table, told

Capture = pytest.CaptureFixture[str]
Change = Callable[[pd.DataFrame], pd.DataFrame]
MAPPED = [
    "data=percycle_csv", "data.columns.cell_id=Cell", "data.columns.cycle=N",
    "data.columns.discharge_capacity_Ah=Cap_mAh", "data.nominal_capacity_Ah=2",
]  # fmt: skip
IN_MAH = "data.units.discharge_capacity_Ah=mAh"
EFFICIENCY = [
    "+data.columns.coulombic_efficiency=CE", "preprocessing.targets=[discharge_capacity_Ah,coulombic_efficiency]",
]  # fmt: skip
RATE = ["+data.columns.discharge_c_rate=rate", "preprocessing.covariates=[cycle,discharge_c_rate]"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)
    monkeypatch.setattr("batgen.sequence_run.draw", lambda part, folder: [folder / "none.png"])


def theirs() -> pd.DataFrame:
    """Six cells as a cycler would write them, in mAh."""
    frame = table(6).rename(columns={"cell": "Cell", "cycle": "N"})
    return frame.assign(Cap_mAh=1000 * frame["capacity"], CE=0.99, rate=1.0).drop(columns=["capacity", "ohm"])


def refused(words: list[str], folder: Path, message: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """`python train.py WORDS run_dir=FOLDER` up to its exit, in this process: starting one anew takes seconds each."""
    monkeypatch.setattr("sys.argv", ["train.py", *QUICK, *words, f"run_dir={folder}"])
    with pytest.raises(SystemExit) as stopped:
        train_main()
    said = " ".join(capfd.readouterr().err.split())
    assert stopped.value.code == 2
    assert message in said, said
    assert "Traceback" not in said
    assert said.count("batgen:") == 1
    left = [p for p in folder.rglob("*") if p.is_file() and ".hydra" not in p.parts and p.name != "config.yaml"]
    assert not left, left


def unsorted(frame: pd.DataFrame) -> pd.DataFrame:
    order = np.arange(len(frame))
    order[[10, 12]] = order[[12, 10]]
    return frame.iloc[order]


def without(column: str, cell: str) -> Change:
    return lambda frame: frame.assign(**{column: frame[column].where(frame["Cell"] != cell)})


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (unsorted, [], "line 13: cycle 12 of cell c00 comes after cycle 13. Sort the rows of each cell by cycle."),
        (lambda f: pd.concat([f, f.iloc[[5]]]), [], "cell c00 has cycle 6 in line 7 and in line 302. Keep one row a cycle."),
        (lambda f: f[f["N"] <= 10], [], "cycles=12 leaves no cell with anything to forecast in training: the longest, c00, "
         "ends at cycle 10. Use fewer, such as cycles=3."),
        (lambda f: f[f["Cell"] <= "c01"], [], "2 cells are fewer than its 3 parts. Use split=chronological."),
        (None, ["preprocessing.targets=[coulombic_efficiency]"], "coulombic_efficiency is not known at any of its"),
        (None, ["preprocessing.targets=[discharge_capcity_Ah]"], "did you mean discharge_capacity_Ah?"),
        (without("Cap_mAh", "c03"), [], "cell c03 has no discharge_capacity_Ah in any of its 52 rows"),
        (without("CE", "c03"), EFFICIENCY, "cell c03: coulombic_efficiency is not known at any of its 52 cycles. Leave such "
         "cells out with preprocessing.incomplete=leave_out, or choose preprocessing.targets among discharge_capacity_Ah"),
        (without("rate", "c03"), RATE, "cell c03: covariate discharge_c_rate is missing for the future"),
        (lambda f: f.drop(columns="rate"), RATE, "no column 'rate', which data.columns.discharge_c_rate names"),
        (None, ["preprocessing.covariates=[coulombic_efficiency]"], "coulombic_efficiency is not known ahead; there are cycle"),
        (lambda f: f.assign(Cap_mAh=f["Cap_mAh"] / np.where(f["Cell"] == "c03", 1000, 1)), [],
         "mixed units: the capacity of cell c03 is typically 0.00"),
        (None, ["data.columns.cycle=Nr"], "no column 'Nr', which data.columns.cycle names; it has Cell, N, Cap_mAh"),
        (None, ["data.units.discharge_capacity_Ah=Ah"], f"and so in all 6 cells. Set {IN_MAH}, or data.nominal_capacity_Ah"),
        (None, ["evaluation.cuts=[400]", "trainer.val_cuts=[12]"], "evaluation.cuts=[400]: no test cell"),
        (None, ["trainer.val_cuts=[400]"], "validation cells goes on after cycle 400"),
        (lambda f: f.assign(Cap_mAh=f["Cap_mAh"].where(f["N"] > 20)), [],
         "training cells is known by cycle 12: the earliest is from cycle 21 on. Use cycles=21 or more."),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_error(
    change: Change | None,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    (change or (lambda f: f))(theirs()).to_csv(tmp_path / "cells.csv", index=False)
    mapped = [*MAPPED, f"data.path={tmp_path / 'cells.csv'}", IN_MAH]
    refused([*mapped, *words], tmp_path / "run", message, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.columns.temperature_mean_degC=T", "A name of your own takes a plus: +data.columns.temperature_mean_degC=T"),
        ("model.target_weights.pressure=2", "takes a plus: +model.target_weights.pressure=2"),
        ("+data.units.discharge_capacity_Ah=mAh", "already at 'data.units.discharge_capacity_Ah'. Write it without the plus."),
        ("data.colums.cycle=N", "unknown key 'data.colums'; did you mean 'columns'?"),
    ],
)  # fmt: skip
def test_a_name_of_ones_own_takes_a_plus(
    word: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    refused([*MAPPED, word], tmp_path / "run", message, monkeypatch, capfd)


def test_the_corrected_command_may_have_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    theirs().to_csv(tmp_path / "cells.csv", index=False)
    mapped = [*MAPPED, f"data.path={tmp_path / 'cells.csv'}"]
    refused(mapped, tmp_path / "run", IN_MAH, monkeypatch, capfd)
    refused([*mapped, IN_MAH, "trainer.val_cuts=[400]"], tmp_path / "run", "cycle 400", monkeypatch, capfd)
    run(tmp_path / "run", *QUICK, *mapped, IN_MAH, "trainer.epochs=1")
    assert told(tmp_path / "run")["rows"]
    assert json.loads((tmp_path / "run" / "honest-seed0" / "splits.json").read_text())["parts"]["train"]


def test_a_run_of_another_kind_of_model_cannot_be_fine_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    theirs().to_csv(tmp_path / "cells.csv", index=False)
    other = tmp_path / "rcvae" / "honest-seed0"
    other.mkdir(parents=True)
    (other / "model.ckpt").write_bytes(b"")
    words = [*MAPPED, f"data.path={tmp_path / 'cells.csv'}", IN_MAH, f"finetune.run={tmp_path / 'rcvae'}"]
    refused(
        words, tmp_path / "run", "a run of another kind of model. Name one of batgen.models.seq2seq", monkeypatch, capfd
    )
