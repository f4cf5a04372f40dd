"""What a pulse run refuses, through the command line: one clear error, no traceback, and no folder in the way."""

from pathlib import Path

import pytest

from batgen.cli import train_main
from tests.data.pulse_fixture import by_level, sheet, write
from tests.pulse_run_fixture import CASE, QUICK, SOCS, csv, run, table
from tests.test_end_to_end import TINY, script

PULSE = "model=cross_attention_cvae"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one workbook and two csv files: two battery types, and a single cell."""
    folder = tmp_path_factory.mktemp("data")
    write(folder / "pulse_voltage_response", by_level(sheet()))
    csv(folder / "pulses.csv")
    csv(folder / "one_cell.csv", table(("AAA_1Ah",), cells=1, stages=6))
    csv(folder / "two_cells.csv", table(("AAA_1Ah",), cells=2, stages=1))
    return folder


def refused(words: list[str], folder: Path, message: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """`python train.py WORDS run_dir=FOLDER` up to its exit, in this process: starting one anew takes seconds each."""
    monkeypatch.setattr("sys.argv", ["train.py", *words, f"run_dir={folder}"])
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)
    with pytest.raises(SystemExit) as stopped:
        train_main()
    told = capfd.readouterr().err
    assert stopped.value.code == 2
    assert message in told, told
    assert "Traceback" not in told
    assert told.count("batgen:") == 1
    # The corrected command may have the folder: nothing of a part lies there, neither split nor checkpoint.
    left = [p for p in folder.rglob("*") if p.is_file() and ".hydra" not in p.parts and p.name != "config.yaml"]
    assert not left, left


@pytest.fixture
def environment(data: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BATGEN_CACHE_DIR", cache)
    monkeypatch.setenv("BATGEN_DATA_DIR", str(data))
    return data


ABSENT = "was not measured at SOC 0.33. Choose among " + ", ".join(map(str, SOCS))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([PULSE, "data=nasa"], "nasa holds curves"),
        (["model=rcvae", "data=pulse"], "pulse holds pulses"),
        ([PULSE, "data=sim", "model.variant=tokenz"], "did you mean 'tokens'?"),
        ([PULSE, "data=sim", "trainer=cpu"], "Leave trainer out: the model picks its own."),
        ([PULSE, "data=sim", "split=cell"], "Leave split out: the model picks its own."),
        ([PULSE, "data=sim", 'split.use=["9"]'], "there is no case 9. Choose among 0, 1"),
        ([PULSE, "data=sim", "+split.cases.mine=[5,25]", "split.use=[mine]"], "write 0.05"),
        ([PULSE, "data=sim", "evaluation.priors=[sloppe]"], "evaluation.priors"),
        ([PULSE, "data=sim", "evaluation.multiplier=0.5"], "evaluation.multiplier=0.5"),
        ([PULSE, "data=sim", "model.width=15"], "model.heads"),
        ([PULSE, "data=sim", "trainer.epochs=-1"], "trainer.epochs"),
        ([PULSE, "data=pulse", "data.battery=NMC_2.1"], "Did you mean NMC_2.1Ah?"),
        ([PULSE, "data=pulse_csv"], "data.file"),
        ([PULSE, "@pulses.csv", "+split.cases.mine=[0.05,0.33]", "split.use=[mine]"], ABSENT),
        ([PULSE, "@pulses.csv", CASE, "split.folds=99"], "split.folds=12 or fewer"),
        ([PULSE, "@pulses.csv", CASE, "preprocessing.voltages=9"], "Use preprocessing.voltages=6"),
        ([PULSE, "@pulses.csv", 'split.use=["0"]'], "was not measured at SOC 0.15, 0.35, 0.45"),
        ([PULSE, "@one_cell.csv", CASE], "all 30 rows are of one physical cell, A0"),
        ([PULSE, "@two_cells.csv", CASE, "split.folds=2"], "3 training rows"),
    ],
)
def test_bad_input_gets_one_clear_error(
    words: list[str], message: str, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    given: list[str] = []
    for word in words:
        given += _reading(environment / word[1:]) if word.startswith("@") else [word]
    refused(given, tmp_path / "run", message, monkeypatch, capfd)


def _reading(path: Path) -> list[str]:
    return ["data=pulse_csv", f"data.file={path}", "data.columns.stage_id=stage_id", "data.columns.battery=battery"] + [
        f"data.columns.{name}={name}" for name in ("chemistry", "nominal_capacity_Ah")
    ]


def test_measured_data_without_their_folder(cache: str, tmp_path: Path) -> None:
    words = [PULSE, "data=pulse", f"run_dir={tmp_path / 'run'}"]
    done = script(*words, check=False, BATGEN_CACHE_DIR=cache, BATGEN_DATA_DIR="")
    assert done.returncode == 2
    assert "BATGEN_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_corrected_command_may_have_the_folder(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    words = [*QUICK, CASE, "preprocessing.voltages=3"]
    given = [*words, *_reading(environment / "two_cells.csv")]
    refused(given, tmp_path / "run", "3 training rows", monkeypatch, capfd)
    run(tmp_path / "run", *words, *_reading(environment / "pulses.csv"))
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_curve_runs_take_no_prior(cache: str, tmp_path: Path) -> None:
    folder = tmp_path / "curves"
    script(*TINY, "model=mean_curve", f"run_dir={folder}", BATGEN_CACHE_DIR=cache)
    words = [f"run={folder}", "eol=800", "ecl=3", "prior=slope", f"out={tmp_path / 'a.csv'}"]
    done = script(*words, name="scripts/generate.py", check=False)
    assert done.returncode == 2
    assert "prior=slope: only runs of pulse tests take a prior" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a.csv").exists()
