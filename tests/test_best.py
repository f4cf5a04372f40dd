"""best=FILE: what a search found lies beneath what is typed."""

from pathlib import Path
from typing import Any

import pytest

from batgen import config, overrides
from batgen.best import best_words, override_word, write_best
from batgen.cli import CONF
from batgen.errors import ConfigError


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
    argv = overrides.expanded([f"best={best}", "model.hidden=32", "cycles=20"])
    cfg = overrides.compose(argv, CONF)
    config.validate(cfg)
    assert cfg.model._target_.endswith("RCVAE")
    assert (cfg.model.optim.lr, cfg.model.hidden, cfg.cycles, cfg.best) == (2e-3, 32, 20, str(best))
    assert sum(word.startswith("model.hidden=") for word in argv) == 1


def test_another_model_is_typed(best: Path) -> None:
    argv = overrides.expanded([f"best={best}", "model=rcvae_continuous"])
    assert "model=rcvae" not in argv
    with pytest.raises(ConfigError, match=r"model\.remove.*unknown key"):
        overrides.check(argv, CONF)


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
        overrides.expanded([f"best={path}"])


@pytest.mark.parametrize("word", ["search=rcvae", "ablation=rcvae_layers"])
def test_a_search_or_ablation_is_a_multirun_by_itself(word: str) -> None:
    assert overrides.expanded([word, "data=sim"]) == [word, "data=sim", "-m"]
    assert overrides.expanded(["-m", word]) == ["-m", word]
    assert overrides.expanded([word, "--cfg", "job"]) == [word, "--cfg", "job"]
    assert overrides.expanded([word.split("=")[0] + "=null"]) == [word.split("=")[0] + "=null"]
