"""Several processes and one study: the total holds, a kill costs nothing, jobs find their storage, passwords stay unsaid."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from batgen.errors import ConfigError, DataError
from batgen.search import storage
from batgen.search.owners import LOST_S, alive, heartbeat, me
from batgen.search.samplers import place
from batgen.search.space import parse_space
from batgen.search.storage import for_jobs, masked, open_storage
from batgen.search.sweep import run_search
from tests.search.fake_search import SPACE, multirun, use

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def begin(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """A search in a process of its own."""
    command = [sys.executable, "-u", "-m", "tests.search.fake_search", str(folder), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=pipe, stderr=pipe, text=True)


def states(study: optuna.Study) -> list[str]:
    return [t.state.name for t in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_two_processes_share_one_total(kind: str, tmp_path: Path) -> None:
    url = None if kind == "journal" else f"sqlite:///{tmp_path}/trials.db"
    words = ["n_trials=8", "startup=8", *([f"storage={url}"] if url else [])]
    workers = [begin(tmp_path, *words, NAP="0.05") for _ in range(2)]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    study = optuna.load_study(study_name="fake", storage=open_storage(url, tmp_path))
    counted = [t for t in study.get_trials() if t.state.name == "COMPLETE"]
    assert len(counted) == 8
    assert len({t.user_attrs["owner"][1] for t in counted}) == 2
    assert len({tuple(t.params.values()) for t in counted}) == 8  # no two of them began with the same proposals
    assert sum("best: trial" in out for out, _ in said) == 1


def test_a_search_killed_at_trial_5_ends_at_exactly_its_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = begin(tmp_path, "n_trials=12", KILL="5")
    worker.communicate(timeout=120)
    assert worker.returncode == -signal.SIGKILL
    study = optuna.load_study(study_name="fake", storage=open_storage(None, tmp_path))
    assert states(study) == ["COMPLETE"] * 5 + ["RUNNING"]
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 12}))
    assert states(study) == ["COMPLETE"] * 5 + ["FAIL"] + ["COMPLETE"] * 7
    trials = study.get_trials()
    assert trials[5].params == trials[6].params


def test_the_lowest_of_trials_asked_for_at_once_keep_their_places(tmp_path: Path) -> None:
    from batgen.search.shared import ask, fail, room

    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")
    space = parse_space(SPACE)
    assert [ask(study, space, 2) is not None for _ in range(4)] == [True, True, False, False]
    assert room(study, 2) == 0
    fail(study, 0, "lost")
    fail(study, 0, "told twice")  # as a second process would
    assert study.get_trials()[0].user_attrs["error"] == "lost"
    assert ask(study, space, 2) is not None
    assert states(study) == ["FAIL", "RUNNING", "FAIL", "FAIL", "RUNNING"]


def test_places_leave_out_trials_that_proposed_nothing_new() -> None:
    study = optuna.create_study()
    for number, attrs in enumerate([{}, {"error": "withdrawn"}, {"repeats": 0}, {"error": "broken"}, {}]):
        trial = study.ask()
        for key, value in attrs.items():
            trial.set_user_attr(key, value)
        assert trial.number == number
    assert [place(study.get_trials(), n) for n in range(5)] == [0, 1, 1, 1, 2]


def test_a_process_of_this_machine_is_alive_while_it_runs() -> None:
    host, pid, start = me()
    assert alive((host, pid, start), {}, time.time())
    assert not alive((host, pid, "1"), {}, time.time())  # another process had this number
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert not alive((host, child.pid, start), {}, time.time())


def test_another_machine_is_alive_until_it_is_silent_for_minutes() -> None:
    other, heard = ("far", 1, "2"), {"heard far 1 2": 1000.0}
    assert alive(other, heard, 1000.0 + LOST_S - 1)
    assert not alive(other, heard, 1000.0 + LOST_S + 1)
    assert alive(other, {}, 1000.0)


def test_a_worker_is_heard() -> None:
    study, owner = optuna.create_study(), ("far", 1, "2")
    with heartbeat(study, owner, every_s=0.01):
        deadline = time.monotonic() + 10
        while "heard far 1 2" not in study.user_attrs and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not alive(owner, study.user_attrs, study.user_attrs["heard far 1 2"] + LOST_S + 1)
    assert alive(owner, study.user_attrs, time.time())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("trials.db", "is no URL of a database"),
        ("nosql://host/db", "is no URL of a database"),
        ("oracle://user:geheim@host/db", "driver is not installed"),
        ("sqlite:////no/such/folder/x.db", "unable to open database file"),
        ("postgresql+psycopg://user:geheim@127.0.0.1:{port}/db", "does not answer"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_error(url: str, said: str, tmp_path: Path) -> None:
    if "psycopg" in url:
        pytest.importorskip("psycopg")
    with socket.socket() as server:  # a port where nobody listens
        server.bind(("127.0.0.1", 0))
        url = url.format(port=server.getsockname()[1])
        with pytest.raises(ConfigError, match=r"search\.storage=.*sqlite:///search\.db") as caught:
            open_storage(url, tmp_path)
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_server_that_never_speaks_is_one_error_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PATIENCE_S", 2)  # psycopg's least
    pytest.importorskip("psycopg")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"postgresql+psycopg://user:geheim@127.0.0.1:{server.getsockname()[1]}/db"
        with pytest.raises(ConfigError, match="cannot be used") as caught:
            open_storage(url, tmp_path)
    assert "geheim" not in str(caught.value)


def test_a_damaged_journal_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 2}))
    journal = tmp_path / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    for damage in (b"{not json}\n", b'{"op_code": 99}\n', b"\x00\xff\n"):
        journal.write_bytes(b"".join([*lines[:3], damage, *lines[3:]]))
        with pytest.raises(DataError, match=r"study\.journal: .*damaged.*search\.name=OTHER"):
            run_search(multirun(tmp_path, {"n_trials": 3}))


def test_a_line_that_a_full_disk_left_unfinished_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 2}))
    with (tmp_path / "study.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    run_search(multirun(tmp_path, {"n_trials": 4}))
    study = optuna.load_study(study_name="fake", storage=open_storage(None, tmp_path))
    assert states(study) == ["COMPLETE"] * 4


def test_passwords_are_neither_said_nor_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert masked("postgresql://u:geheim@h/db?sslpassword=auch") == "postgresql://u:***@h/db?sslpassword=***"
    assert masked("sqlite:///a.db") == "sqlite:///a.db"
    monkeypatch.setenv(storage.VARIABLE, "")
    url = f"sqlite:///{tmp_path}/x.db"
    assert for_jobs(url) == url
    assert os.environ[storage.VARIABLE] == ""
    told = for_jobs("postgresql://u:geheim@h/db")
    assert "geheim" not in told
    assert storage._whole(told) == "postgresql://u:geheim@h/db"
    monkeypatch.setattr(sys, "argv", ["train.py", f"search.storage={url}"])
    use(monkeypatch)
    run_search(multirun(tmp_path, {"n_trials": 1, "storage": url}, [f"search.storage={url}"]))
    assert "kept in sqlite:///" in capsys.readouterr().out
    assert json.loads((tmp_path / "sweep.json").read_text())["typed"] == [f"search.storage='{url}'"]
