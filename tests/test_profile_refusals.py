"""What runs of profile models refuse, through the command line: one clear sentence each, and no folder in the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batgen.cli import train_main
from batgen.data.profile_set import ProfileSet
from batgen.preprocessing.profiles import Profiles
from tests.profile_run_fixture import FAMILY, TINY, WGAN

Capture = pytest.CaptureFixture[str]
HYBRID = ["model=hybrid"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def shared_cache(cache_dir: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*WGAN, "preprocessing.conditions=[ecl,humidity]"], "'humidity' is none of eol, ecl"),
        ([*WGAN, "preprocessing.conditions=[ecl,c_rate,c_rate_rms]"], "needs the ambient temperature of every record"),
        ([*WGAN, "preprocessing.signals=[voltage_V]"], "thermal_balance needs the signal temperature_degC"),
        ([*HYBRID, "preprocessing.signals=[voltage_V]"], "model.thermal=true needs the signal temperature_degC"),
        ([*HYBRID, "preprocessing.conditions=[ecl]"], "model.thermal=true needs the condition ambient_degC"),
        (["model=thermal_model", "preprocessing.signals=[voltage_V]"], "model=thermal_model needs temperature_degC"),
        ([*WGAN, "preprocessing.start=random", "preprocessing.window_s=99999"], "use a shorter window"),
        ([*WGAN, "preprocessing.grid=time", "preprocessing.step_s=600"], "points=4 or fewer"),
        ([*WGAN, "preprocessing.grid=time"], "preprocessing.grid=time needs preprocessing.step_s"),
        ([*WGAN, "preprocessing.part=discharging"], "preprocessing.part=discharging: choose one of discharge, charge"),
        ([*WGAN, "preprocessing.where={ambient_degC:[60,70]}"], "in the data ambient_degC is 30 to 40. Widen it"),
        ([*WGAN, "model.physics.bounds.wieght=1"], "did you mean 'weight'?"),
        ([*WGAN, "model.physics.bounds.weight=-1"], "model.physics.bounds.weight=-1"),
        ([*WGAN, "evaluation.drawz=3"], "did you mean 'draws'?"),
        ([*WGAN, "evaluation.blocks=[[ambient]]"], "evaluation.blocks: names 'ambient', which is none of"),
        ([*WGAN, "evaluation.blocks=[[ecl],[ecl,soh]]"], "evaluation.blocks: names 'ecl', twice"),
        ([*WGAN, "+data.profiles.foldz=2"], "did you mean 'folds'?"),
        ([*WGAN, "model.generator=gru"], "model.generator='gru' is neither lstm nor conv"),
        ([*WGAN, "split.folds=99"], "Use split.folds=72 or fewer"),
        ([*WGAN, "split.apart=[B0038]"], "the data have no cell 'B0038'"),
        ([*WGAN, "finetune.run=nowhere"], "no models/*.ckpt below it"),
        ([*WGAN, "data=pulse"], "pulse holds pulses"),
        (["model=rcvae_continuous", *FAMILY], "takes curves. Leave preprocessing out"),
    ],
)
def test_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """Also that nothing is left in the folder but what names the run."""
    folder = tmp_path / "run"
    monkeypatch.setattr("sys.argv", ["train.py", *TINY, *words, f"run_dir={folder}"])
    with pytest.raises(SystemExit) as stopped:
        train_main()
    said = " ".join(capfd.readouterr().err.split())
    assert stopped.value.code == 2
    assert message in said, said
    assert "Traceback" not in said
    assert said.count("batgen:") == 1
    assert said.count(": ") < 8, "one sentence"
    left = [p for p in folder.rglob("*") if p.is_file() and ".hydra" not in p.parts and p.name != "config.yaml"]
    assert not left, left


def test_a_chemistry_that_training_never_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """Every cell is of a kind of its own here, so whichever is held out is unknown."""
    read = Profiles.read

    def renamed(self: Profiles, *args: Any) -> tuple[ProfileSet, list[str]]:
        made, notes = read(self, *args)
        return replace(made, table=made.table.assign(chemistry=made.table["cell_id"])), notes

    monkeypatch.setattr(Profiles, "read", renamed)
    known = "preprocessing.conditions=[ecl,ambient_degC,c_rate,c_rate_rms,chemistry]"
    monkeypatch.setattr("sys.argv", ["train.py", *TINY, *WGAN, known, f"run_dir={tmp_path / 'run'}"])
    with pytest.raises(SystemExit):
        train_main()
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert "fold0, test cells: chemistry=sim_p" in said
    assert said.endswith("Leave it out of preprocessing.conditions.")
    assert not (tmp_path / "run" / "honest-seed0").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["preprocessing=charge_curves"],
            "makes curves, but batgen.models.wgan_gp.WganGp takes profiles. Leave preproc",
        ),
        (
            ["trainer=cpu"],
            "batgen.training.settings.Training takes curves. Leave trainer out: the model picks its own.",
        ),
    ],
)
def test_parts_of_another_family_are_one_line(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """With another preprocessing the model's own split and trainer do not fit either, but they are not at fault."""
    monkeypatch.setattr("sys.argv", ["train.py", *WGAN, *words])
    with pytest.raises(SystemExit):
        train_main()
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert message in said[0]
