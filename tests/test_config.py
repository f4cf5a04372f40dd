"""Every choice composes and validates; every typing error is refused, with a suggestion, before torch is imported."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from batgen import config, overrides
from batgen.build import build, signature
from batgen.cli import CONF
from batgen.errors import ConfigError

CHOICES = [
    f"{folder.name}={file.stem}"
    for folder in sorted(CONF.iterdir())
    if folder.is_dir() and folder.name != "hydra"
    for file in sorted(folder.glob("*.yaml"))
]


#: What the names of experiments of other families begin with.
FAMILIES = {"pulse_": "pulses", "seq_": "sequences", "profile_": "profiles"}
#: A model of each family: curves is the default's.
BESIDE = {
    "curves": [],
    "pulses": ["model=cross_attention_cvae"],
    "sequences": ["model=seq2seq_quantile"],
    "profiles": ["model=wgan_gp"],
}


def _beside(choice: str) -> list[str]:
    """What else to choose, so that `choice` fits: read from the constants of what it builds."""
    group, name = choice.split("=")
    if group == "experiment":
        return next((BESIDE[family] for start, family in FAMILIES.items() if name.startswith(start)), [])
    own = OmegaConf.load(CONF / group / f"{name}.yaml")
    if not isinstance(own, DictConfig) or "_target_" not in own:
        return []
    known = signature(own._target_).constants
    takes = known.get("HOLDS") or known.get("ACCEPTS") or [known.get("PRODUCES", "curves")]
    family = "curves" if "curves" in takes else takes[0]
    return [] if group == "model" else BESIDE[family]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_validates(choice: str) -> None:
    words = [*_beside(choice), choice]
    overrides.check(words, CONF)
    config.validate(overrides.compose(words, CONF))


def test_every_leaf_that_builds_something_has_a_target() -> None:
    for group in ("data", "preprocessing", "split", "model", "trainer", "evaluation"):
        for file in (CONF / group).glob("*.yaml"):
            cfg = overrides.compose([f"{group}={file.stem}"], CONF)
            assert signature(cfg[group]._target_).names


@pytest.mark.parametrize(
    ("typed", "named", "meant"),
    [
        ("cycels=100", "cycels", "cycles"),
        ("+cycels=100", "cycels", "cycles"),
        ("modle=rcvae", "modle", "model"),
        ("model=rcvea", "rcvea", "rcvae"),
        ("model.hiden=4", "model.hiden", "hidden"),
        ("+model.hiden=4", "model.hiden", "hidden"),
        ("model.optim.learning=1", "model.optim.learning", "lr"),
        ("+model.optim.wieght_decay=1", "optim.wieght_decay", "weight_decay"),
        ("trainer.max_epoch=3", "trainer.max_epoch", "max_epochs"),
        ("+data.foldr=x", "data.foldr", "folder"),
        ("+evaluation.baselines.knn.neighbors=3", "knn.neighbors", "neighbours"),
        ("protocol=honset", "protocol", "honest"),
        ("experiment=rcvae_tabel1", "rcvae_tabel1", "rcvae_table1"),
        ("+data.curves.signalz=[a]", "data.curves.signalz", "signals"),
        ("+callbacks.my=3", "callbacks.my", "_target_"),
        ("data.conditions=eol", "data.conditions", "list"),
        ("trainer.max_epochs=abc", "trainer.max_epochs=abc", "int"),
        ("model.hidden=wide", "model.hidden=wide", "int"),
        ("trainer.max_epochs=${cycels}", "cycels", "max_epochs"),
        ("logger=null", "null", "csv"),
        ("~cycles", "cycles", "deleted"),
        ("~model.optim", "model.optim", "optimiser"),
    ],
)
def test_misspelt_keys_are_refused_with_a_suggestion(typed: str, named: str, meant: str) -> None:
    def check() -> None:
        overrides.check(["model=rcvae", typed], CONF)
        config.validate(overrides.compose(["model=rcvae", typed], CONF))

    with pytest.raises(ConfigError) as caught:
        check()
    assert named in str(caught.value)
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("+finetune.trian=decoder", r"finetune.trian: unknown key; did you mean 'train'"),
        (
            "finetune.train=encoder",
            "finetune.train=encoder: it must be one of all, decoder, heads, heads_and_attention",
        ),
        ("finetune.scaler=mine", "finetune.scaler=mine: it must be one of source, refit"),
        ("+data.sequences.targts=[a]", r"data.sequences.targts: unknown key; did you mean 'targets'"),
        ("+model.blck=3", "model.blck.*did you mean 'block'"),
        ("+trainer.epoch=3", "trainer.epoch:.*did you mean 'epochs'"),
        ("+preprocessing.strides=3", "did you mean 'stride'"),
        ("+evaluation.explian=3", "did you mean 'explain'"),
        ("split=unseen_soc", "split: .*makes sequences, but .* takes pulses"),
        ("trainer=cpu", "trainer: .*makes sequences, but .* takes curves"),
        ("data=pulse_csv", "data: pulse_csv holds pulses, but .* makes sequences"),
    ],
)
def test_what_a_forecaster_refuses(typed: str, message: str) -> None:
    def check() -> None:
        overrides.check(["model=seq2seq_quantile", typed], CONF)
        config.validate(overrides.compose(["model=seq2seq_quantile", typed], CONF))

    with pytest.raises(ConfigError, match=message):
        check()


def test_models_of_curves_start_from_no_other_run() -> None:
    config.validate(overrides.compose(["model=seq2seq_quantile", "finetune.run=somewhere"], CONF))
    with pytest.raises(ConfigError, match="finetune.run: models of sequences and profiles start"):
        config.validate(overrides.compose(["model=rcvae", "finetune.run=somewhere"], CONF))


def test_a_dataset_of_two_cells_picks_its_split_and_the_command_line_another() -> None:
    words = ["model=seq2seq_quantile", "data=calce"]
    assert overrides.compose(words, CONF).split.kind == "chronological"
    assert overrides.compose([*words, "split=cell"], CONF).split.kind == "cell"


def test_paper_protocol_of_forecasters_reads_500_cycles() -> None:
    cfg = overrides.compose(["model=seq2seq_quantile", "protocol=both"], CONF)
    read = [config.resolved(cfg, protocol, 0)["preprocessing"]["max_cycles"] for protocol in ("paper", "honest")]
    assert read == [500, None]


def test_misspelt_key_in_an_experiment_file(tmp_path: Path) -> None:
    import shutil

    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "experiment" / "wrong.yaml").write_text("# @package _global_\ntrainner:\n  max_epochs: 3\n")
    (conf / "experiment" / "deep.yaml").write_text("# @package _global_\ntrainer:\n  max_epoch: 3\n")
    with pytest.raises(ConfigError, match="did you mean 'trainer'"):
        overrides.check(["experiment=wrong"], conf)
    with pytest.raises(ConfigError, match="did you mean 'max_epochs'"):
        config.validate(overrides.compose(["experiment=deep"], conf))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("cycles=0", "cycles: 0"),
        ("cycles=-3", "cycles: -3"),
        ("seed=-1", "seed"),
        ("seed=[0,0]", "twice"),
        ("seed=[]", "seed"),
        ("device=tpu", "device"),
    ],
)
def test_bad_root_values(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.validate(overrides.compose([typed], CONF))


def test_model_that_does_not_fit_the_preprocessing(tmp_path: Path) -> None:
    cfg = overrides.compose(["model=rcvae"], CONF)
    module = tmp_path / "odd_preprocessing.py"
    module.write_text("class Odd:\n    PRODUCES = 'pulses'\n    def __init__(self): ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        OmegaConf.set_struct(cfg, False)
        cfg.preprocessing = {"_target_": "odd_preprocessing.Odd"}
        with pytest.raises(ConfigError, match="preprocessing: .*makes pulses, but .*takes curves"):
            config.validate(cfg)
    finally:
        sys.path.remove(str(tmp_path))
    assert "odd_preprocessing" not in sys.modules, "the check must not run the user's code"


def test_what_hydra_allows_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ncycles: 7\n")
    overrides.check(["--config-dir", str(tmp_path), "experiment=mine"], CONF)
    overrides.check(["-m", "model=choice(knn,mean_curve)", "model=glob(*)", "~logger", "cycles=1,2"], CONF)


def test_model_picks_its_preprocessing_and_the_command_line_overrides_it() -> None:
    assert overrides.compose(["model=rcvae"], CONF).preprocessing.layout == "video"
    assert overrides.compose(["model=rcvae_continuous"], CONF).preprocessing.layout == "channels"
    both = overrides.compose(["model=rcvae_continuous", "preprocessing=quasi_video"], CONF)
    assert both.preprocessing.layout == "video"


def test_protocol_sets_its_keys_together_and_a_key_still_overrides() -> None:
    cfg = overrides.compose(["model=rcvae", "protocol=both", "model.beta=0.5"], CONF)
    paper, honest = config.resolved(cfg, "paper", 0), config.resolved(cfg, "honest", 0)
    assert (paper["split"]["kind"], honest["split"]["kind"]) == ("sample", "cell")
    assert (paper["preprocessing"]["fit_on"], honest["preprocessing"]["fit_on"]) == ("train_val", "train")
    assert (paper["trainer"]["early_stopping"], honest["trainer"]["early_stopping"]) == ("retrain", "disjoint")
    assert (paper["model"]["loss_reading"], honest["model"]["loss_reading"]) == ("mean_sum", "sum_sum")
    assert (paper["evaluation"]["reconstruct_z"], honest["evaluation"]["reconstruct_z"]) == ("sample", "mean")
    assert paper["preprocessing"]["conditions"] == ["eol", "ecl"]
    assert "c1" in honest["preprocessing"]["conditions"]
    kept = overrides.compose(["model=rcvae", "protocol=both", "model.loss_reading=mean_mean"], CONF)
    assert {config.resolved(kept, p, 0)["model"]["loss_reading"] for p in ("paper", "honest")} == {"mean_mean"}


def test_root_knobs_are_those_of_the_issue() -> None:
    knobs = set(config.ROOT_KEYS) - set(config.GROUPS)
    known = {"cycles", "seed", "device", "run_name", "protocol", "run_dir", "resume", "finetune"}
    assert knobs == known | {"best", "search", "ablation"}


def test_checks_do_not_import_anything_heavy() -> None:
    code = (
        "import sys\nfrom batgen import cli, config, overrides\n"
        "overrides.check(['model=rcvae', 'data=mit'], cli.CONF)\n"
        "config.validate(overrides.compose(['model=rcvae', 'data=mit'], cli.CONF))\n"
        "print([m for m in ('torch', 'pytorch_lightning', 'pandas', 'h5py', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_validation_takes_milliseconds() -> None:
    cfg = overrides.compose(["model=rcvae"], CONF)
    config.validate(cfg)
    started = time.perf_counter()
    config.validate(cfg)
    assert time.perf_counter() - started < 0.5  # measured: about 3 ms


def test_signature_reads_functions_classes_and_dataclasses_without_importing() -> None:
    assert signature("batgen.training.optim.adamw").required == {"parameters"}
    assert "hidden" in signature("batgen.models.rcvae.RCVAE").names
    assert signature("batgen.models.rcvae.RCVAE").constants["REQUIRES"] == ("eol", "ecl")
    assert "max_epochs" in signature("batgen.training.settings.Training").names
    with pytest.raises(ConfigError, match="no module"):
        signature("batgen.nothing.Here")
    with pytest.raises(ConfigError, match="defines no 'Nobody'"):
        signature("batgen.models.rcvae.Nobody")


def test_capacity_alone_sees_capacity_alone() -> None:
    """Mappings merge in a config: what the dataset offers besides must be taken out by name."""
    conf = config.resolved(overrides.compose(["experiment=seq_mit_capacity"], CONF), "honest", 0)
    groups = build(conf["preprocessing"]).shape()["groups"]
    assert dict(groups) == {"cut": ("log_cut",), "fade": ("fade",), "level": ("first_capacity",)}
    assert not conf["model"]["static_noise"]
