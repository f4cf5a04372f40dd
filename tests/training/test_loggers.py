"""W&B runs of parts: settings, the check before anything is read, one id over several starts, names of stages and folds."""

import base64
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batgen.errors import ConfigError
from batgen.training import wandb_online
from batgen.training.loggers import STEP, RunLogger, of_stage
from batgen.training.loggers import wandb as wandb_logger
from batgen.training.wandb_online import check_online
from batgen.training.wandb_runs import WandbSettings, finish, finished, open_runs, run_of
from tests.wandb_file import read_wandb

KEY = "a" * 40
CONFIG: dict[str, Any] = {
    "model": {"_target_": "batgen.models.rcvae.RCVAE", "hidden": 16},
    "data": {"name": "sim"},
    "preprocessing": {"_target_": "batgen.preprocessing.quasi_video.QuasiVideo"},
    "protocol": "honest",
    "seed": 3,
    "run_name": "rcvae_sim",
}


@pytest.fixture(autouse=True)
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no settings and no reports of this machine's user."""
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb-config"))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(wandb_online, "_ACCEPTED", set())


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    """A server that knows one key, and counts what it is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked += 1  # type: ignore[attr-defined]
            known = self.headers.get("Authorization") == "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked = 0  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_online_without_a_key_is_refused_with_both_remedies() -> None:
    with pytest.raises(ConfigError, match=r"`wandb login`.*logger\.wandb\.mode=offline"):
        check_online()


def test_online_without_a_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9 cannot be reached.*logger\.wandb\.mode=offline"):
        check_online()


def test_the_server_is_asked_whether_it_knows_the_key(
    server: http.server.ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("WANDB_BASE_URL", url)
    monkeypatch.setenv("WANDB_API_KEY", "b" * 40)
    with pytest.raises(ConfigError, match="refuses the key"):
        check_online()
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:{server.server_port}\n  login user\n  password {KEY}\n")
    assert check_online() == url
    assert check_online("Leave out --push.") == url
    assert server.asked == 2  # type: ignore[attr-defined]  # not again what was accepted


def test_a_netrc_of_another_host_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    with pytest.raises(ConfigError, match="needs a key"):
        check_online()


def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "nonsense")
    with pytest.raises(ConfigError, match="base_url"):
        check_online()


def test_without_wandb_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        check_online()


@pytest.mark.parametrize(
    ("key", "value"), [("mode", "onlin"), ("tags", "abc"), ("tags", [1]), ("project", "")], ids=str
)
def test_bad_settings_name_their_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"logger\.wandb\.{key}"):
        WandbSettings(**{key: value})


def test_a_part_that_is_gone_on_with_is_the_same_run(tmp_path: Path) -> None:
    part = tmp_path / "sweep" / "job" / "honest-seed3"
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    part.mkdir(parents=True)
    settings = WandbSettings(tags=["mine"], system=False)
    first = run_of(part, CONFIG, settings)
    assert run_of(part, CONFIG, settings) is first
    assert open_runs(part.parent) == [first]
    assert open_runs(tmp_path) == []
    first.run.log({"a": 1.0})
    finish(first, exit_code=1)
    assert not finished(part)
    began = int(time.time())
    while int(time.time()) == began:  # W&B names folders by the second
        time.sleep(0.05)
    second = run_of(part, CONFIG, settings)
    second.run.log({"a": 2.0})
    second.complete = True
    finish(second, exit_code=0)
    assert finished(part)
    assert open_runs(part.parent) == []

    found = [read_wandb(path) for path in sorted((part.parent / "wandb").glob("offline-run-*"))]
    assert [one.exit_code for one in found] == [1, 0]
    assert len({one.run_id for one in found}) == 1
    assert {one.name for one in found} == {"rcvae_sim honest-seed3 (job)"}
    assert {one.group for one in found} == {"sweep"}
    assert set(found[0].tags) == {"mine", "rcvae", "sim", "honest", "curves"}
    assert found[0].config["model"] == CONFIG["model"]
    assert found[0].losses("a") == [1.0]
    assert found[1].losses("a") == [2.0]
    assert found[1].history[0]["_step"] > found[0].history[-1]["_step"]  # `wandb sync` joins them
    assert found[0].system == 0


def test_a_group_of_ones_own_counts(tmp_path: Path) -> None:
    part = tmp_path / "honest-seed3"
    part.mkdir()
    finish(run_of(part, CONFIG, WandbSettings(group="mine", system=False)), 0)
    (path,) = (tmp_path / "wandb").glob("offline-run-*")
    found = read_wandb(path)
    assert (found.group, found.name) == ("mine", "rcvae_sim honest-seed3")


def test_a_multirun_that_is_named_by_its_time_is_grouped_by_day_too(tmp_path: Path) -> None:
    part = tmp_path / "2026-05-01" / "12-30-45" / "seed-0" / "honest-seed3"
    part.mkdir(parents=True)
    (part.parents[1] / "sweep.json").write_text("{}")
    finish(run_of(part, CONFIG, WandbSettings(system=False)), 0)
    (path,) = part.parent.glob("wandb/offline-run-*")
    assert read_wandb(path).group == "2026-05-01_12-30-45"


def test_a_disabled_run_leaves_nothing(tmp_path: Path) -> None:
    part = tmp_path / "honest-seed3"
    part.mkdir()
    one = run_of(part, CONFIG, WandbSettings(mode="disabled"))
    one.run.log({"a": 1.0})
    finish(one, 0)
    assert list(tmp_path.rglob("*.wandb")) == []
    assert list(part.iterdir()) == []


def test_a_damaged_id_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "honest-seed3"
    part.mkdir()
    (part / "wandb.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"wandb\.json: damaged.*Delete it"):
        run_of(part, CONFIG, WandbSettings())


class Kept:
    """Stands for a W&B run."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.steps: dict[str, str] = {}

    def define_metric(self, name: str, step_metric: str) -> None:
        self.steps[name] = step_metric

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def test_stages_and_folds_have_names_of_their_own() -> None:
    run = Kept()
    loggers = [RunLogger(lambda: run, "fold0/")]
    (search,), (retrain,) = of_stage(loggers, "search"), of_stage(loggers, "retrain")
    search.log_metrics({"train/loss": 2.0}, 0)
    search.log_metrics({"train/loss": 1.0}, 1)
    retrain.log_metrics({"train/loss": 0.5}, 0)
    assert run.rows == [
        {"fold0/search/train/loss": 2.0, STEP: 0},
        {"fold0/search/train/loss": 1.0, STEP: 1},
        {"fold0/train/loss": 0.5, STEP: 0},
    ]
    assert run.steps == {"fold0/search/train/loss": STEP, "fold0/train/loss": STEP}


@pytest.mark.parametrize(("name", "prefix"), [("honest-seed3", ""), ("honest-seed3-fold0", "fold0")])
def test_only_folds_have_a_prefix(name: str, prefix: str, tmp_path: Path) -> None:
    assert wandb_logger(tmp_path, name, CONFIG).version == prefix
    assert list(tmp_path.iterdir()) == []  # a run is opened with its first number
