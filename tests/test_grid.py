"""Grids and ablations: what their jobs are, what is refused before any is started, and that each runs once."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from batgen import grid as grid_module
from batgen import overrides
from batgen.build import signature
from batgen.cli import CONF
from batgen.console import duration
from batgen.errors import ConfigError, DataError
from batgen.files import write_json
from batgen.folder import claim
from batgen.grid import run_grid
from batgen.grid_plan import folder_name
from batgen.jobs import FAILED, LOCK, holding, reason, state
from batgen.multirun import Multirun, Outcome


@cache
def _composed(words: tuple[str, ...]) -> DictConfig:
    return overrides.compose(words, CONF)


def composed(words: Sequence[str]) -> DictConfig:
    """Composing takes a while, and most tests want the same few."""
    return copy.deepcopy(_composed(tuple(words)))


ABLATIONS = sorted(p.stem for p in (CONF / "ablation").glob("*.yaml"))
PLAIN = ("model=mean_curve", "data=sim", "cycles=5,6", "seed=0,1")


class Launcher:
    """Stands for Hydra's launcher: trains at once, or is killed, fails or dies at the job whose folder has that name."""

    def __init__(self, folder: Path, kill: str = "", fail: str = "", die: str = "") -> None:
        self.folder, self.kill, self.fail, self.die = folder, kill, fail, die
        self.asked: list[str] = []

    def __call__(self, jobs: Sequence[Sequence[str]], first: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for words in jobs:
            name = next(w for w in words if w.startswith("hydra.sweep.subdir=")).split("=", 1)[1].strip("'")
            self.asked.append(name)
            folder = self.folder / name
            claim(folder, composed([w for w in words if not w.startswith("hydra.")]))
            (folder / "honest-seed0").mkdir(exist_ok=True)
            write_json(folder / "honest-seed0" / "splits.json", {})
            if name == self.kill:
                raise KeyboardInterrupt
            if name == self.die:
                raise RuntimeError("a worker was killed")
            if name == self.fail:
                outcomes.append((None, DataError("too few cells.")))
                continue
            row = {
                "role": "model",
                "protocol": "honest",
                "metric": "CRPS",
                "signal": "Total",
                "mode": "prior",
                "seed": 0,
            }
            write_json(
                folder / "metrics.json", {"rows": [{**row, "value": 0.25, "unit": "mixed", "direction": "lower"}]}
            )
            write_json(folder / "run.json", {})
            outcomes.append((0.0, None))
        return outcomes


def asked_for(folder: Path, typed: Sequence[str], launcher: Any = None, **more: Any) -> Multirun:
    """A multirun as Hydra's side would hand it over."""
    fixed = [t.word for t in overrides.read_sweeps(typed) if not t.swept]
    about: dict[str, Any] = {
        "named": True,
        "parallel": False,
        "choices": {"model": "rcvae", "data": "sim", "trainer": "cpu"},
        "compose": lambda words: (composed(words), "job"),
        "start": launcher or Launcher(folder),
    }
    return Multirun(folder=folder, typed=tuple(typed), cfg=composed(fixed), **{**about, **more})


def sweep_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "sweep.json").read_text())
    return found


def ablation(*words: str, name: str = "rcvae_layers") -> list[str]:
    return [f"ablation={name}", "ablation.name=mine", "data=sim", *words]


def test_sweeps_are_read_as_hydra_reads_them() -> None:
    typed = ["model=rcvae,knn", "cycles=range(20,60,20)", "seed=[0,1]", "+trainer.note='a, b',c", "~callbacks"]
    found = {t.key: t for t in overrides.read_sweeps(typed)}
    assert found["model"].values == ("rcvae", "knn")
    assert found["cycles"].values == (20, 40)
    assert found["seed"].values == ([0, 1],)
    assert found["+trainer.note"].values == ("a, b", "c")
    assert [t.key for t in found.values() if t.swept] == ["model", "cycles", "+trainer.note"]
    with pytest.raises(ConfigError, match="interval has no end of values"):
        overrides.read_sweeps(["model.hidden=interval(1,2)"])


def test_folders_are_named_after_values_and_no_two_values_share_one() -> None:
    assert folder_name({"remove": "encoder_4", "cycles": 20}) == "remove-encoder_4_cycles-20"
    assert folder_name({"remove": None}) == "remove-null"
    odd = [
        {"x": -1},
        {"x": 1},
        {"x": "1"},
        {"x": [0, 1]},
        {"x": "[0,1]"},
        {"x": "0 1"},
        {"x": "a/b"},
        {"x": "null"},
        {"x": None},
    ]
    names = [folder_name(values) for values in odd]
    assert len(set(names)) == len(odd)
    assert all("/" not in name and " " not in name for name in names)
    assert len(folder_name({"x": "long" * 100})) < 140


def test_every_typed_combination_is_a_job_in_its_own_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launcher = Launcher(tmp_path)
    run_grid(asked_for(tmp_path, PLAIN, launcher))
    assert launcher.asked == ["cycles-5_seed-0", "cycles-5_seed-1", "cycles-6_seed-0", "cycles-6_seed-1"]
    found = sweep_of(tmp_path)
    assert (found["kind"], found["axes"]) == ("grid", {"cycles": [5, 6], "seed": [0, 1]})
    assert found["jobs"][1]["values"] == {"cycles": 5, "seed": 1}
    assert found["jobs"][1]["words"] == ["model=mean_curve", "data=sim", "cycles=5", "seed=1"]
    said = capsys.readouterr().out
    assert "[2/4] cycles=5 seed=1 ..." in said
    assert "Total CRPS 0.25 (honest protocol)" in said
    assert "4 of 4 jobs done" in said


def test_wandb_is_asked_before_any_job_wherever_they_run_and_its_upload_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for variable in ("NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    folder, launcher = tmp_path / "sweep", Launcher(tmp_path / "sweep")
    with pytest.raises(ConfigError, match=r"logger\.wandb\.mode=offline"):
        run_grid(asked_for(folder, [*PLAIN, "logger=wandb", "logger.wandb.mode=online"], launcher, parallel=True))
    assert launcher.asked == []
    elsewhere = [*PLAIN, "logger=wandb", "trainer.accelerator=gpu"]  # there may be the GPU that is not here
    run_grid(asked_for(folder, elsewhere, launcher, parallel=True))
    assert f"wandb sync {folder}/*/wandb" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ConfigError, match="shows no GPU"):
        run_grid(asked_for(tmp_path / "here", elsewhere, launcher))


def test_a_killed_grid_goes_on_and_a_finished_one_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_grid(asked_for(tmp_path, PLAIN, Launcher(tmp_path, kill="cycles-5_seed-1")))
    assert ended.value.code == 130, "what there is to say is said: the command line adds nothing"
    assert "Stopped; 3 of 4 jobs are left" in capsys.readouterr().out
    again = Launcher(tmp_path)
    run_grid(asked_for(tmp_path, PLAIN, again))
    assert again.asked == ["cycles-5_seed-1", "cycles-6_seed-0", "cycles-6_seed-1"]
    assert "1 of 4 jobs done before; 1 begun before" in capsys.readouterr().out
    idle = Launcher(tmp_path)
    run_grid(asked_for(tmp_path, PLAIN, idle))
    assert idle.asked == []
    assert "4 of 4 jobs done before" in capsys.readouterr().out


@pytest.mark.parametrize("parallel", [False, True])
def test_a_failed_job_stops_no_other_and_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parallel: bool
) -> None:
    launcher = Launcher(tmp_path, fail="cycles-5_seed-1")
    with pytest.raises(SystemExit) as ended:
        run_grid(asked_for(tmp_path, PLAIN, launcher, parallel=parallel))
    assert ended.value.code == 1
    assert len(launcher.asked) == 4
    said = capsys.readouterr().out
    assert "3 of 4 jobs done" in said
    assert "1 failed (the same command tries them again):\n  too few cells.\n    in cycles=5 seed=1" in said
    mended = Launcher(tmp_path)
    run_grid(asked_for(tmp_path, PLAIN, mended, parallel=parallel))
    assert mended.asked == ["cycles-5_seed-1"]


def test_a_launcher_that_dies_loses_only_what_was_not_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_grid(asked_for(tmp_path, PLAIN, Launcher(tmp_path, die="cycles-6_seed-0"), parallel=True))
    said = capsys.readouterr().out
    assert "2 of 4 jobs done" in said
    assert "the launcher ended with RuntimeError: a worker was killed\n    in cycles=6 seed=0; cycles=6 seed=1" in said


def test_a_job_that_another_process_runs_comes_last(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    (tmp_path / "cycles-5_seed-0").mkdir()
    with FileLock(tmp_path / "cycles-5_seed-0" / LOCK):
        run_grid(asked_for(tmp_path, PLAIN, launcher))
    assert launcher.asked[-1] == "cycles-5_seed-0"
    assert len(launcher.asked) == 4


def test_what_an_ablation_varies_can_be_fixed_replaced_and_added_to(tmp_path: Path) -> None:
    run_grid(asked_for(tmp_path, ablation("cycles=20", "model.remove=null,embedding", "seed=0,1")))
    found = sweep_of(tmp_path)
    assert found["axes"] == {"model.remove": [None, "embedding"], "cycles": [20], "seed": [0, 1]}
    folders = [job["folder"] for job in found["jobs"]]
    assert folders[0] == "remove-null_cycles-20_seed-0"
    assert len(folders) == 4
    assert (found["kind"], found["name"]) == ("ablation", "mine")
    run_grid(asked_for(tmp_path, ablation("cycles=40", "model.remove=null,embedding", "seed=0")))
    more = sweep_of(tmp_path)  # the next day's values lie beside
    assert more["axes"]["cycles"] == [20, 40]
    assert [job["values"]["cycles"] for job in more["jobs"]] == [20, 20, 20, 20, 40, 40]


def test_a_case_that_is_null_is_left_out(tmp_path: Path) -> None:
    run_grid(
        asked_for(tmp_path, ablation("ablation.cases.film=null", "ablation.cases.paper=null", name="cross_attention"))
    )
    assert sweep_of(tmp_path)["axes"] == {"case": ["tokens", "tokens_without_attention"]}


def test_layers_of_the_paper_are_160_rows() -> None:
    axes = composed(ablation()).ablation.axes
    assert len(axes.model.remove) == 32
    assert len(axes.model.remove) * len(axes.cycles) == 160


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_composes_on_sim_and_holds_its_base_case(name: str, tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    fewer = {"rcvae_layers": ("cycles=20", "model.remove=null,embedding"), "rcvae_cycles": ("cycles=20",)}
    multirun = asked_for(tmp_path, ablation(*fewer.get(name, ()), name=name), launcher)
    run_grid(multirun)
    jobs = sweep_of(tmp_path)["jobs"]
    assert 1 <= len(jobs) <= 32
    base = composed([w for w in multirun.typed if not w.startswith(("cycles", "model.remove"))])

    def unchanged(job: dict[str, Any]) -> bool:
        """Whether what the job adds to the words of all is what the config says anyway."""
        own = [
            t for t in overrides.read_sweeps([w for w in job["words"] if w not in multirun.typed]) if t.key != "cycles"
        ]
        return all(OmegaConf.select(base, t.key) == t.values[0] for t in own)

    assert sum(map(unchanged, jobs)) == 1, "one row is the model as it is"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["cycles=5,5"], "cycles: 5 is there more than once"),
        (["cycles=range(5,5)"], "cycles=range.* leaves no values"),
        (["cycles=5,6", "cycles=7"], "cycles is given twice"),
        (["cycles=0,5,-1"], r"(?s)cycles: 0 is not.*in cycles=0\n.*cycles: -1 is not.*in cycles=-1"),
        (["model=mean_curve,knn", "model.neighbours=3,4"], "(?s)neighbours.*in model=mean_curve neighbours=3,"),
        (["evaluation.prior_samples=0,4"], "(?s)prior_samples.*in prior_samples=0"),
        (
            ablation("+ablation.axes.model.remvoe=[a]"),
            "ablation.axes.model.remvoe: no config has model.remvoe.*'remove'",
        ),
        (ablation("model=knn"), "no config has model.remove"),
        (ablation("ablation.axes={model: null, cycles: 5}"), "ablation.axes.*must be a list"),
        (ablation("ablation.axes.cycles=[]"), "ablation.axes.cycles: the list is empty"),
        (ablation("ablation.axes=null"), "axes and cases are both empty"),
        (ablation("ablation.axis=3"), "ablation.*axis"),
        (
            ablation("model.attention=false", name="cross_attention"),
            "cases.tokens_without_attention sets model.attention",
        ),
        (ablation("+ablation.cases.again={}", name="cross_attention"), "case: tokens and again are the same run"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_message_before_anything_is(
    typed: list[str], message: str, tmp_path: Path
) -> None:
    launcher = Launcher(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run_grid(asked_for(tmp_path, ["model=mean_curve"] * (typed[0][:5] not in ("model", "ablat")) + typed, launcher))
    assert launcher.asked == []
    assert not (tmp_path / "sweep.json").exists()


def test_folders_of_other_runs_are_refused(tmp_path: Path) -> None:
    run_grid(asked_for(tmp_path, PLAIN))
    with pytest.raises(ConfigError, match=r"another config lies there \(4 of 4 jobs\).*hydra.sweep.dir=DIR"):
        run_grid(asked_for(tmp_path, [*PLAIN, "evaluation.prior_samples=7"]))
    with pytest.raises(ConfigError, match="would be written there. Name them apart in hydra.sweep.subdir"):
        run_grid(asked_for(tmp_path / "b", PLAIN, named=False))


def test_an_ablation_of_one_name_is_one_study(tmp_path: Path) -> None:
    layers = "model.remove=null,embedding"
    run_grid(asked_for(tmp_path, ablation("cycles=5", layers)))
    launcher = Launcher(tmp_path)
    with pytest.raises(ConfigError, match=r"without trainer.max_epochs=1; .*ablation.name=OTHER"):
        run_grid(asked_for(tmp_path, ablation("cycles=6", layers, "trainer.max_epochs=1"), launcher))
    with pytest.raises(ConfigError, match="with ablation=rcvae_layers and without ablation=rcvae_cycles"):
        run_grid(asked_for(tmp_path, ablation("cycles=6", name="rcvae_cycles"), launcher))
    assert launcher.asked == []
    assert sweep_of(tmp_path)["axes"]["cycles"] == [5]
    run_grid(asked_for(tmp_path, ablation("cycles=6", layers, "logger=tensorboard", "run_name=x"), launcher))
    assert launcher.asked == ["remove-null_cycles-6", "remove-embedding_cycles-6"]


def test_a_study_of_which_nothing_was_begun_may_change(tmp_path: Path) -> None:
    write_json(tmp_path / "sweep.json", {"kind": "ablation", "name": "mine", "typed": ["trainer=smoke"], "axes": {},
                                         "jobs": [{"folder": "a", "words": [], "values": {}}]})  # fmt: skip
    run_grid(asked_for(tmp_path, ablation("cycles=5", "model.remove=null")))
    assert len(sweep_of(tmp_path)["jobs"]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"jobs": 3}', "damaged"),
        ('{"kind": "grid", "name": "a", "typed": [], "axes": {}, "jobs": [{"folder": 1}]}', "damaged"),
        ('{"kind": "search", "name": "a", "typed": [], "axes": {"x": "1 to 2"}, "jobs": []}', "a search lies there"),
    ],
)
def test_a_sweep_file_of_another_kind_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    launcher = Launcher(tmp_path)
    with pytest.raises(DataError, match=message):
        run_grid(asked_for(tmp_path, PLAIN, launcher))
    assert launcher.asked == []


def test_the_same_words_are_another_run_where_a_value_beneath_has_changed(tmp_path: Path) -> None:
    words = ["model=mean_curve", "data=sim", "cycles=5"]
    cfg = composed(words)
    claim(tmp_path, cfg)
    write_json(tmp_path / "run.json", {})
    write_json(tmp_path / "metrics.json", {"rows": []})
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(words), tmp_path / ".hydra" / "overrides.yaml")
    assert state(tmp_path, cfg, words) == "finished"
    newer = copy.deepcopy(cfg)
    OmegaConf.set_struct(newer, False)
    newer.evaluation.a_new_key = 1
    assert state(tmp_path, newer, words) == "finished"
    newer.evaluation.prior_samples = 1 + cfg.evaluation.prior_samples
    assert state(tmp_path, newer, words) == "other"


def test_what_can_be_trained_together_is_before_the_jobs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    launcher = Launcher(tmp_path, fail="seed-1")

    def together(cfgs: Sequence[Any], folders: Sequence[Path]) -> None:
        seen.append(([cfg.seed for cfg in cfgs], [*launcher.asked]))

    def marked(target: str) -> Any:
        known = signature(target)
        return replace(known, constants={**known.constants, "TOGETHER": True}) if "training" in target else known

    monkeypatch.setattr(grid_module.run, "train_together", together, raising=False)
    monkeypatch.setattr(grid_module, "signature", marked)
    typed = ["model=rcvae", "data=sim", "cycles=5", "seed=0,1,2"]
    with pytest.raises(SystemExit):
        run_grid(asked_for(tmp_path, typed, launcher))
    run_grid(asked_for(tmp_path, typed))
    assert seen[0] == ([0, 1, 2], [])
    assert seen[1][0] == [1], "only what is not finished"


def test_a_job_writes_down_why_it_failed_and_only_bugs_keep_their_traceback(tmp_path: Path) -> None:
    with pytest.raises(DataError), holding(tmp_path / "a"):
        raise DataError("no cells left.")
    assert json.loads((tmp_path / "a" / FAILED).read_text()) == {"reason": "no cells left."}
    with pytest.raises(ZeroDivisionError), holding(tmp_path / "a"):
        raise ZeroDivisionError("planted")
    assert reason(tmp_path / "a") == "ZeroDivisionError: planted"
    assert "planted" in json.loads((tmp_path / "a" / FAILED).read_text())["traceback"]
    with holding(tmp_path / "a"):
        pass
    assert reason(tmp_path / "a") is None


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (0.04, 9.9, 41.2, 600, 7200)] == ["0.0 s", "9.9 s", "41 s", "10 min", "2.0 h"]
