"""The dashboard as code: JSON that reads back, panels of keys that runs really write, and pushing to a stand-in of W&B."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from omegaconf import OmegaConf
from pytorch_lightning.loggers import CSVLogger

from batgen import dashboard_push
from batgen.cli import CONF
from batgen.dashboard_cli import ablations, main, searches
from batgen.errors import ConfigError, DataError
from batgen.report.dashboard import (
    EPOCHS,
    HEADLINES,
    METRICS,
    MODEL,
    PARTS_OF_RUNS,
    SAMPLES,
    SAMPLES_PLOT,
    STEP,
    STEPS,
    Contents,
    as_json,
    from_json,
    workspace,
)
from batgen.report.headline import headlines
from batgen.report.published import read_published
from tests.report.fake_pulse_run import make_pulse_part
from tests.report.fake_sequence_run import make_sequence_part
from tests.report.profile_folder import make_profile_part
from tests.training.adversarial_job import TRAIN, VAL, job, settings
from tests.wandb_file import WandbFile, read_wandb

ROOT = Path(__file__).parents[2]
TINY = ["data=sim", "cycles=5", "trainer=smoke", "evaluation.prior_samples=4", "~evaluation.baselines",
        "preprocessing.points=36", "model=rcvae", "model.hidden=16", "model.latent=4", "model.embedding=8",
        "model.layers=2"]  # fmt: skip


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of whoever runs the tests, no server but one that nobody answers for."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb-config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


def all_of_it(group: str | None = None) -> Contents:
    return Contents(group, list(searches(CONF)), list(ablations(CONF)), ("ablation/voltage_V", "ablation/Total"))


def panels(content: dict[str, Any], section: int) -> list[dict[str, Any]]:
    found = content["spec"]["section"]["panelBankConfig"]["sections"][section]["panels"]
    assert found
    return list(found)


@pytest.mark.parametrize("contents", [Contents(), all_of_it(), all_of_it("rcvae_layers_mit")])
def test_what_is_written_reads_back_to_the_same(contents: Contents) -> None:
    made = as_json(workspace("batgen", "lab", contents))
    again = from_json(json.loads(json.dumps(made)))
    assert as_json(again) == made
    assert [section.name for section in again.sections] == [
        "Training curves by model", "Metrics against baselines", "Ablations", "Searches", "Generated samples",
    ]  # fmt: skip
    assert (again.project, again.entity) == ("batgen", "lab")


def test_the_same_command_writes_the_same_file() -> None:
    assert as_json(workspace("batgen", "", all_of_it())) == as_json(workspace("batgen", "", all_of_it()))
    ids = [p["__id__"] for k in range(5) for p in panels(as_json(workspace("batgen", "", all_of_it())), k)]
    assert len(set(ids)) == len(ids)


def test_a_group_is_a_filter_and_no_group_is_none() -> None:
    filters = [
        as_json(workspace("batgen", "", Contents(group)))["spec"]["section"]["runSets"][0]["filters"]
        for group in (None, "rcvae_layers_mit")
    ]
    assert "rcvae_layers_mit" not in json.dumps(filters[0])
    assert "rcvae_layers_mit" in json.dumps(filters[1])


def test_every_parameter_of_every_search_has_an_axis() -> None:
    plots = {p["config"].get("chartTitle"): p["config"] for p in panels(as_json(workspace("b", "", all_of_it())), 3)}
    found = list(searches(CONF))
    assert {s.name for s in found} == {p.stem for p in (CONF / "search").glob("*.yaml")}
    for search in found:
        columns = plots[f"search={search.name}: {search.objective}"]["columns"]
        keys = [c["accessor"].removeprefix("config:").replace(".value", "", 1) for c in columns[:-1]]
        assert keys == [axis.key for axis in search.axes]
        assert columns[-1]["accessor"] == f"summary:{search.objective}"
        for axis, column in zip(search.axes, columns[:-1], strict=True):
            assert bool(column.get("log")) == axis.log
    assert any(axis.log for search in found for axis in search.axes)


def test_what_an_ablation_varies_has_bars() -> None:
    """One plot a main number of its own kind of data: numbers of unlike units share no axis."""
    plots = {p["config"].get("chartTitle"): p["config"] for p in panels(as_json(workspace("b", "", all_of_it())), 2)}
    assert all(len(config["metrics"]) == 1 for config in plots.values() if "metrics" in config)
    titles = {"curves": ["Total MAE", "Total CRPS"], "pulses": ["MAPE of SOH"], "profiles": ["energy score"]}
    families = {one.name: one.family for one in ablations(CONF)}
    assert (families["rcvae_layers"], families["gan_physics"]) == ("curves", "profiles")
    assert (families["pulse_multiplier"], families["seq2seq_attention"]) == ("pulses", "sequences")
    for ablation in ablations(CONF):
        written = OmegaConf.load(CONF / "ablation" / f"{ablation.name}.yaml")
        assert ablation.keys, ablation.name
        for key in ablation.keys:
            assert {f"{title} by {key}" for title in titles.get(ablation.family, ["CRPS"])} <= plots.keys()
            axis = OmegaConf.select(written, f"ablation.axes.{key}")
            cases = [OmegaConf.select(c, key) for c in (written.ablation.get("cases") or {}).values()]
            assert axis is not None or any(value is not None for value in cases), key


def media(keys: Iterable[str]) -> set[str]:
    """What a history row holds of tables and images."""
    return {f"{key}/_type" for key in keys}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> WandbFile:
    """What a tiny run wrote with logger=wandb, offline."""
    folder = tmp_path_factory.mktemp("logged")
    done = subprocess.run(
        [sys.executable, "train.py", *TINY, "logger=wandb", "logger.wandb.system=false", f"run_dir={folder / 'run'}"],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "BATGEN_CACHE_DIR": str(folder / "cache"), "WANDB_MODE": "offline"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = (folder / "run" / "wandb").glob("offline-run-*")
    return read_wandb(run)


def test_the_dashboard_names_what_a_run_wrote(logged: WandbFile) -> None:
    rows = {key for row in logged.history for key in row}
    assert {*EPOCHS, "epoch"} <= rows
    assert media({METRICS, SAMPLES, SAMPLES_PLOT}) <= rows
    assert {key for key in HEADLINES if key.endswith("/Total")} <= set(logged.summary)
    assert logged.config[MODEL] == "rcvae"
    assert any(STEP in row and "train/loss" in row for row in logged.history)
    keys = [axis.key for s in searches(CONF) if s.name == "rcvae" for axis in s.axes]
    keys += [key for one in ablations(CONF) if one.name.startswith("rcvae_") for key in one.keys]
    assert "model.remove" in keys
    for key in keys:
        at: Any = logged.config
        for name in key.split("."):
            assert name in at, key
            at = at[name]


def test_the_main_numbers_of_the_other_families_are_written_too(tmp_path: Path) -> None:
    parts = [
        make_pulse_part(tmp_path / "pulses"),
        make_profile_part(tmp_path / "profiles"),
        make_sequence_part(tmp_path / "sequences"),
    ]
    written = set()
    for part in parts:  # fakes of the rows alone
        content = json.loads((part / "metrics.json").read_text())
        (part / "metrics.json").write_text(json.dumps({"training": {}, **content}))
        main = {f"test/{name}": value for name, value in read_published(part).main.items()}
        (key,) = main.keys() & HEADLINES.keys()
        (known,) = headlines(content["rows"])
        assert main[key] == pytest.approx(known.value)
        written.add(key)
    assert written == {key for key in HEADLINES if not key.endswith("/Total")}


def test_adversarial_trainings_write_what_is_named(tmp_path: Path) -> None:
    from batgen.training.fit_adversarial import fit_adversarial

    logger = CSVLogger(str(tmp_path), name="", version="seen")
    made = job(tmp_path / "wgan")
    made.loggers.append(logger)
    fit_adversarial(made, TRAIN, VAL, settings(steps=4, validate_every=2))
    logger.save()
    (tmp_path / "retrained").mkdir()
    written = set((tmp_path / "seen" / "metrics.csv").read_text().splitlines()[0].split(","))
    fit_adversarial(
        replace(made, folder=tmp_path / "retrained"), TRAIN, VAL, settings(steps=4, validate_every=2, choose="retrain")
    )
    logger.save()
    written |= set((tmp_path / "seen" / "metrics.csv").read_text().splitlines()[0].split(","))
    assert set(STEPS) <= written


def test_panels_over_steps_do_not_count_log_entries() -> None:
    """The number of a log entry jumps by millions where a run was gone on with."""
    plots = {p["config"].get("chartTitle"): p["config"] for p in panels(as_json(workspace("b", "", Contents())), 0)}
    assert {plots[title]["xAxis"] for title in (*STEPS.values(), "Folds and stages")} == {STEP}


def test_folds_and_stages_match_and_the_rest_does_not() -> None:
    assert all(re.match(PARTS_OF_RUNS, key) for key in ("fold0/train/loss", "search/val/crps", "fold1/search/val/loss"))
    assert not any(re.match(PARTS_OF_RUNS, key) for key in (*EPOCHS, *HEADLINES, "figures/samples"))


def test_the_command_writes_without_network_or_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["project=batgen", f"out={tmp_path / 'd.json'}"], CONF, tmp_path)
    written = json.loads((tmp_path / "d.json").read_text())
    assert as_json(from_json(written)) == written
    assert "d.json" in capsys.readouterr().out.replace("\n", "")
    main([], CONF, tmp_path)
    assert json.loads((tmp_path / "outputs" / "dashboard.json").read_text()) == written


@pytest.mark.parametrize(
    ("env", "message"),
    [({}, "needs a key.*Without --push"), ({"WANDB_API_KEY": "0" * 40}, "cannot be reached.*Without --push")],
)
def test_a_push_that_cannot_go_out_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], message: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        main([f"out={tmp_path / 'd.json'}", "--push"], CONF, tmp_path)
    assert not (tmp_path / "d.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["projct=a"], "did you mean 'project'"),
        (["project="], "project=: is empty"),
        (["collected=nowhere"], r"no images there.*scripts/collect\.py"),
    ],
)
def test_bad_words_are_refused(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        main([*words, f"out={tmp_path / 'd.json'}"], CONF, tmp_path)
    assert not (tmp_path / "d.json").exists()


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"project": "batgen"}'])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(DataError, match="no dashboard of this program"):
        main([f"out={tmp_path / 'd.json'}"], CONF, tmp_path)
    assert (tmp_path / "d.json").read_text() == content


class Server:
    """Takes views as W&B does: a new id for a view without one."""

    default_entity = "lab"

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def take(self, view: Any) -> dict[str, Any]:
        self.taken.append(view)
        return {"upsertView": {"view": {"name": view.name, "id": view.id or "view-1"}}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr("batgen.training.wandb_online.check_online", lambda instead: "http://wandb.lab")
    monkeypatch.setattr("wandb.Api", lambda: made)
    monkeypatch.setattr("wandb_workspaces.workspaces.internal.upsert_view2", made.take)
    monkeypatch.setattr("wandb_workspaces.workspaces.interface.get_app_url", lambda api: "http://wandb.lab")
    return made


def test_a_second_push_replaces_the_first(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["project=batgen", f"out={tmp_path / 'd.json'}", "--push"]
    main(words, CONF, tmp_path)
    assert "http://wandb.lab/lab/batgen?nw=" in capsys.readouterr().out
    main(words, CONF, tmp_path)
    first, second = server.taken
    assert (first.entity, first.id) == ("lab", "")
    assert (second.id, second.name) == ("view-1", first.name)
    assert second.name
    main(["project=other", *words[1:]], CONF, tmp_path)
    assert server.taken[2].id == ""


def test_what_is_written_between_two_pushes_makes_no_second_dashboard(tmp_path: Path, server: Server) -> None:
    out = f"out={tmp_path / 'd.json'}"
    main([out, "--push"], CONF, tmp_path)
    main([out], CONF, tmp_path)
    main([out, "--push"], CONF, tmp_path)
    assert [view.id for view in server.taken] == ["", "view-1"]
    assert {view.entity for view in server.taken} == {"lab"}


def test_the_dashboard_of_a_group_replaces_no_other(tmp_path: Path, server: Server) -> None:
    main(["--push"], CONF, tmp_path)
    main(["group=layers", "--push"], CONF, tmp_path)
    main(["group=layers", f"out={tmp_path / 'outputs' / 'dashboard.json'}", "--push"], CONF, tmp_path)
    assert [view.id for view in server.taken] == ["", "", ""]
    assert (tmp_path / "outputs" / "dashboard_layers.json").is_file()


def test_what_the_server_refuses_is_said(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(view: Any) -> None:
        raise ValueError("project not found")

    monkeypatch.setattr("wandb_workspaces.workspaces.internal.upsert_view2", refuse)
    with pytest.raises(ConfigError, match=r"lab/nothing.*project not found"):
        main(["project=nothing", f"out={tmp_path / 'd.json'}", "--push"], CONF, tmp_path)
    assert not (tmp_path / "d.json").exists()


def test_a_collected_sweep_becomes_one_run_with_its_heatmaps(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "figures").mkdir(parents=True)
    image.imsave(folder / "figures" / "heatmap_voltage_V.png", np.zeros((4, 4)))
    (folder / dashboard_push.TABLE).write_text("model.remove,cycles,value\n,20,0.1\nencoder_2,20,0.2\n")
    words = [f"collected={folder}", "group=layers", f"out={tmp_path / 'd.json'}"]
    main(words, CONF, tmp_path)
    written = json.loads((tmp_path / "d.json").read_text())
    assert panels(written, 2)[0]["config"]["mediaKeys"] == ["ablation/heatmap_voltage_V"]
    (first,) = (folder / "wandb").glob("offline-run-*")
    seen = read_wandb(first)
    assert seen.exit_code == 0
    assert (seen.group, seen.project) == ("layers", "batgen")
    assert media({"ablation/heatmap_voltage_V", "ablation/table"}) <= {key for row in seen.history for key in row}
