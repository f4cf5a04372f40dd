"""What may be searched, and one clear error for each way to say it wrongly."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from batgen.cli import CONF
from batgen.config import validate
from batgen.errors import ConfigError
from batgen.overrides import check, compose
from batgen.search.fits import check_sampler, check_space, grid_size
from batgen.search.settings import SearchSettings, read_settings
from batgen.search.space import parse_space

SEARCHES = sorted(path.stem for path in (CONF / "search").glob("*.yaml"))


def test_leaves_become_parameters_in_the_order_they_hang_on_each_other() -> None:
    space = parse_space(
        {
            "model": {
                "beta": {"low": 0.01, "high": 10.0, "log": True, "when": {"model.kind": ["a"]}},
                "layers": {"low": 2, "high": 16, "step": 2},
                "kind": ["a", "b", None],
            }
        }
    )
    assert [p.key for p in space] == ["model.kind", "model.layers", "model.beta"]
    kind, layers, beta = space
    assert layers.values() == [2, 4, 6, 8, 10, 12, 14, 16]
    assert layers.whole
    assert kind.choices == ("a", "b", None)
    assert beta.values() is None
    assert not beta.whole
    assert [beta.active({"model.kind": k}) for k in ("a", "b")] == [True, False]
    assert beta.text() == "0.01..10.0 log when model.kind=a"


@pytest.mark.parametrize(
    ("leaf", "shares"),
    [
        ({"low": 0, "high": 3}, {0.0: 0, 0.49: 1, 0.99: 3}),
        ({"low": 0.0, "high": 1.0, "step": 0.5}, {0.0: 0.0, 0.5: 0.5, 0.99: 1.0}),
        ({"low": 1.0e-4, "high": 1.0, "log": True}, {0.0: 1e-4, 0.5: 1e-2}),
        (["a", "b"], {0.49: "a", 0.5: "b"}),
    ],
)
def test_a_share_of_the_range_is_the_value_there(leaf: Any, shares: dict[float, Any]) -> None:
    (p,) = parse_space({"x": leaf})
    for u, value in shares.items():
        assert p.at(u) == (pytest.approx(value) if isinstance(value, float) else value)


def test_a_logarithmic_range_of_whole_numbers_reaches_both_ends() -> None:
    (p,) = parse_space({"x": {"low": 1, "high": 8, "log": True}})
    found = {p.at(u / 1000) for u in range(1000)}
    assert found == set(range(1, 9))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (None, "is empty"),
        ({"model": {}}, "is empty"),
        ({"x": {"low": 3, "high": 2}}, "low=3 is above high=2"),
        ({"x": {"low": 0, "high": 2, "log": True}}, "begins above 0"),
        ({"x": {"low": 1, "high": 4, "log": True, "step": 1}}, "step=1 with log=true"),
        ({"x": {"low": 2, "high": 16, "step": 5}}, "Use high=12"),
        ({"x": {"low": 2, "high": 16, "step": 0}}, "must be above 0"),
        ({"x": {"low": 1}}, "'high' is missing"),
        ({"x": {"low": "1e-5", "high": 1}}, "must be a number"),
        ({"x": {"low": 1, "high": 2, "log": "yes"}}, "true or false"),
        ({"x": []}, "nothing to choose from"),
        ({"x": [1, [2]]}, "no single value"),
        ({"x": [1, 1]}, "names a value twice"),
        ({"x": 3}, "write a list of choices"),
        ({"x": {"choices": [1], "low": 1}}, "choices and low"),
        ({"x": {"low": 1, "high": 2, "setp": 1}}, "did you mean 'step'"),
        ({"x": {"lwo": 1, "hihg": 2}}, "did you mean 'low'"),
        ({"x": {"choices": [1], "when": 3}}, "name parameters and values"),
        ({"kind": [1, 2], "x": {"choices": [1], "when": {"kinds": 1}}}, "did you mean 'kind'"),
        ({"kind": [1, 2], "x": {"choices": [1], "when": {"kind": [3]}}}, "kind=3 never happens"),
        ({"kind": [0, 1], "x": {"choices": [1], "when": {"kind": [True]}}}, "kind=True never happens"),
        ({"kind": {"low": 0.0, "high": 1.0}, "x": {"choices": [1], "when": {"kind": 2}}}, "never happens"),
        (
            {"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}},
            "goes in a circle (a -> b -> a)",
        ),
    ],
)
def test_a_contradictory_space_is_refused_with_its_remedy(space: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=r"search\.space") as caught:
        parse_space(space)
    text = str(caught.value)
    assert said in text or said.replace("(a -> b -> a)", "(b -> a -> b)") in text


def test_all_problems_of_a_space_are_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_space({"x": {"low": 3, "high": 2}, "y": []})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("space", "typed", "said"),
    [
        ({"model": {"hiden": [1], "optim": {"lrr": [0.1]}}}, [], ["did you mean 'hidden'", "did you mean 'lr'"]),
        ({"modle": {"hidden": [1]}}, [], ["did you mean 'model'"]),
        ({"run_dir": ["a"]}, [], ["no config has 'run_dir'"]),
        ({"model": {"hidden": {"deeper": [1]}}}, [], ["no config has 'model.hidden.deeper'"]),
        ({"model": {"optim": ["a"]}}, [], ["is a group of keys", "lr"]),
        ({"model": {"hidden": [16, 0.5]}}, [], ["0.5 must be int"]),
        ({"model": {"hidden": {"low": 1.0, "high": 2.0}}}, [], ["1.0 must be int"]),
        ({"model": {"hidden": [16]}}, ["model.hidden=64"], ["model.hidden=64", "~search.space.model.hidden"]),
    ],
)
def test_a_space_that_does_not_fit_the_config_is_refused(space: Any, typed: list[str], said: list[str]) -> None:
    cfg = compose(["model=rcvae"], CONF)
    with pytest.raises(ConfigError) as caught:
        check_space(parse_space(space), cfg, typed)
    assert all(words in str(caught.value) for words in said)


@pytest.mark.parametrize(
    ("sampler", "space", "said"),
    [
        ("gp", {"k": [1, 2], "x": {"choices": [1], "when": {"k": 1}}}, "takes no parameters with 'when' (x)"),
        ("grid", {"x": {"low": 0.0, "high": 1.0}}, "x has no end of values"),
        ("grid", {key: {"low": 1, "high": 100} for key in "abc"}, "1000000 points"),
    ],
)
def test_a_sampler_that_cannot_search_the_space_is_refused(sampler: str, space: Any, said: str) -> None:
    settings = SearchSettings(name="s", space=space, sampler=sampler)
    with pytest.raises(ConfigError) as caught:
        check_sampler(settings, parse_space(space))
    assert said in str(caught.value)


def test_the_size_of_a_grid_is_the_product_of_its_values() -> None:
    assert grid_size(parse_space({"a": [1, 2, 3], "b": {"low": 0.0, "high": 1.0, "step": 0.25}})) == 15


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"pruner": "medain"}, "did you mean 'median'"),
        ({"sampler": "nsga2"}, "two or more objectives"),
        ({"n_trials": 0}, "search.n_trials=0"),
        ({"objectives": []}, "give a list"),
        ({"directions": ["minimise"]}, "did you mean 'minimize'"),
        ({"directions": ["minimize", "maximize"]}, "1 objectives need as many directions"),
        ({"name": "a/b"}, "names a folder"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(OmegaConf.create({"search": {"name": "s", "space": {"x": [1]}, **changed}}))
    assert said in str(caught.value)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_of_the_repository_fits_its_model(search: str) -> None:
    words = [f"search={search}", *(["data=pulse"] if search == "cross_attention_cvae" else [])]
    check(words, CONF)
    cfg = compose([*words, "search.name=s"], CONF)
    validate(cfg)
    settings = read_settings(cfg)
    space = parse_space(settings.space)
    check_space(space, cfg, words)
    check_sampler(settings, space)
    assert len(space) >= 6
    by_key = {p.key: p for p in space}
    for heads, width in (("model.heads", "model.hidden"), ("model.heads", "model.width")):
        if heads in by_key and width in by_key:
            pairs = [(w, h) for w in by_key[width].choices or () for h in by_key[heads].choices or ()]
            assert all(w % h == 0 for w, h in pairs)
    assert settings.n_trials == 250 or search != "seq2seq_quantile"
