"""best=FILE: what a search found lies beneath what is typed."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra._internal.utils import get_args_parser

from batgen import config, overrides
from batgen.argv import expanded
from batgen.best import best_words, override_word, write_best
from batgen.cli import CONF
from batgen.errors import ConfigError
from batgen.multirun import Multirun, run_multirun


@pytest.fixture
def best(tmp_path: Path) -> Path:
    path = tmp_path / "best.yaml"
    write_best(path, {"model": "rcvae"}, {"model.optim.lr": 2e-3, "model.hidden": 64, "model.remove": None}, {"n": 3})
    return path


@pytest.mark.parametrize(
    "value",
    [1, -3, 1e-5, True, None, "gelu", "encoder_4", "1e5", "true", "null", "a b", "it's", "/tmp/x=y,z", r"v\'q", "", "${x}",
     [1, "null", 2.5, None], {"a": 1, "b": "c d"}],
)  # fmt: skip
def test_a_value_comes_back_from_its_word(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(override_word("model.k", value))
    read = override.value()
    assert override.key_or_group == "model.k"
    assert getattr(read, "text", read) == value or [getattr(v, "text", v) for v in read] == value


def test_values_apply_and_what_is_typed_wins(best: Path) -> None:
    argv = expanded([f"best={best}", "model.hidden=32", "cycles=20"])
    cfg = overrides.compose(argv, CONF)
    config.validate(cfg)
    assert cfg.model._target_.endswith("RCVAE")
    assert (cfg.model.optim.lr, cfg.model.hidden, cfg.cycles, cfg.best) == (2e-3, 32, 20, str(best))
    assert sum(word.startswith("model.hidden=") for word in argv) == 1


def told(*argv: str) -> list[str]:
    """What the check of `argv` says, line by line."""
    with pytest.raises(ConfigError) as error:
        overrides.check(expanded(argv), CONF)
    return str(error.value).splitlines()


def test_a_file_of_another_model_is_named(best: Path) -> None:
    argv = expanded([f"best={best}", "model=rcvae_continuous"])
    assert "model=rcvae" not in argv
    assert told(*argv) == [
        f"best={best} is of model=rcvae; it does not go with model=rcvae_continuous, which has no model.remove."
    ]
    own, file = told(*argv, "model.hiden=3")  # what is typed wrong is still told as such
    assert own.startswith("model.hiden=3: unknown key")
    assert file.startswith(f"best={best} is of model=rcvae")


@pytest.mark.parametrize("word", ["search=wgan_gp", "ablation=gan_physics", "experiment=seq_c_rate"])
def test_a_search_of_another_model_is_named(best: Path, word: str) -> None:
    (line,) = told(f"best={best}", word)
    assert line.startswith(f"best={best} is of model=rcvae; it does not go with {word} (model=")


def test_keys_that_both_models_have_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    write_best(path, {"model": "wgan_gp"}, {"model.hidden": 16}, {})
    overrides.check(expanded([f"best={path}", "model=hybrid"]), CONF)


def test_a_wrong_key_in_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    write_best(path, {"model": "rcvae"}, {"model.hiden": 16}, {})
    (line,) = told(f"best={path}")
    assert line.startswith(f"best={path}: model.hiden=16: unknown key 'model.hiden'; did you mean 'hidden'?")


def test_best_is_no_part_of_what_a_run_is(best: Path) -> None:
    words = best_words(best, [])
    one, other = overrides.compose(words, CONF), overrides.compose([*words, f"best={best}"], CONF)
    assert config.same_run(one, other)


def test_a_config_of_an_earlier_version_is_still_valid(best: Path) -> None:
    cfg = overrides.compose([], CONF)
    from omegaconf import OmegaConf

    old = OmegaConf.create({str(k): v for k, v in cfg.items_ex(resolve=False) if k not in config.LATER})
    config.validate(old)
    assert config.same_run(old, cfg)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read .* A search leaves best.yaml"),
        ("values: [1, 2]", "holds no 'values'"),
        ("{", "is no YAML"),
        ("values: {model.hidden: 4}\nvalue: {}", "unknown key 'value'"),
    ],
)
def test_bad_files_get_one_clear_error(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "best.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        expanded([f"best={path}"])


@pytest.mark.parametrize("word", ["search=rcvae", "ablation=rcvae_layers", "+search=rcvae"])
def test_a_search_or_ablation_is_a_multirun_by_itself(word: str) -> None:
    assert expanded([word, "data=sim"]) == [word, "data=sim", "-m"]
    assert expanded(["-m", word]) == [word, "-m"]
    assert expanded([word.split("=")[0] + "=null"]) == [word.split("=")[0] + "=null"]


@pytest.mark.parametrize(
    "flags",
    [["--cfg", "job"], ["--cfg=job"], ["-c", "job"], ["--info"], ["--info=defaults-tree"], ["--info", "defaults-tree"],
     ["--help"], ["-h"], ["--hydra-help"], ["--run"], ["--multirun"]],
)  # fmt: skip
def test_a_search_that_is_only_looked_at_is_no_multirun(flags: list[str]) -> None:
    for argv in (["search=rcvae", *flags], [*flags, "search=rcvae"]):
        assert expanded(argv) == ["search=rcvae", *flags]


@pytest.mark.parametrize(
    "flags", [["-m"], ["--cfg", "job"], ["-c", "job", "--resolve"], ["--config-dir", "DIR", "-m"], ["--info"]]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_flags_may_stand_anywhere_beside_best(best: Path, flags: list[str], place: int) -> None:
    own = [f"best={best}", "data=sim", "seed=0,1"]
    read = get_args_parser().parse_args(expanded([*own[:place], *flags, *own[place:]]))
    assert read.overrides == [*best_words(best, []), "data=sim", "seed=0,1", override_word("best", str(best))]
    assert vars(read) == vars(get_args_parser().parse_args([*read.overrides, *flags]))


@pytest.mark.parametrize("word", ["+best={}", "++best={}", "best='{}'"])
def test_best_is_read_however_it_is_typed(best: Path, word: str) -> None:
    assert expanded([word.format(best)]) == [*best_words(best, []), override_word("best", str(best))]


def test_the_config_of_a_search_can_be_looked_at(best: Path) -> None:
    """As a process: Hydra refuses two commands at once, and overrides in two places, with a traceback."""
    train = Path(__file__).resolve().parents[1] / "train.py"
    argv = [sys.executable, str(train), "--cfg=job", f"best={best}", "--resolve", "search=rcvae", "data=sim"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "name: rcvae_sim" in done.stdout
    assert f"best: {best}" in done.stdout


def test_values_of_the_file_that_are_searched_are_no_words_of_a_trial(
    best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Multirun] = []
    sweep = SimpleNamespace(run_search=seen.append)  # the real one takes seconds to import
    monkeypatch.setitem(sys.modules, "batgen.search.sweep", sweep)  # type: ignore[arg-type]
    words = expanded([f"best={best}", "search=rcvae", "data=sim", "search.name=x"])[:-1]
    typed = [*words, "model.latent=8"]

    def search(*words: str) -> tuple[str, ...]:
        cfg = overrides.compose([*words], CONF)
        nothing: Any = None
        run_multirun(Multirun(tmp_path, tuple(words), cfg, True, False, {}, nothing, nothing))
        return seen.pop().typed

    # the space has hidden, latent and optim.lr; what is typed stays, for the search to refuse
    assert search(*typed) == ("model=rcvae", "model.remove=null", *typed[4:])
    assert "model.hidden=64" in search(*typed, "~search.space.model.hidden")
    without = ("search=rcvae", "search.name=x", "model.hidden=64")
    assert search(*without) == without
