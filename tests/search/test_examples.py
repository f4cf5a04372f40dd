"""What the headers of conf/search/*.yaml tell people to type works."""

import re
import shlex

import pytest

from batgen.cli import CONF
from batgen.config import validate
from batgen.overrides import check, compose
from batgen.search.fits import check_sampler, check_space
from batgen.search.settings import read_settings
from batgen.search.space import parse_space

_EXAMPLE = re.compile(r"^#   (?:fix a parameter|narrow it|add one) +(.+)$", re.MULTILINE)
EXAMPLES = [
    (path.stem, shlex.split(found))
    for path in sorted((CONF / "search").glob("*.yaml"))
    for found in _EXAMPLE.findall(path.read_text(encoding="utf-8"))
]


def test_every_search_has_three_examples() -> None:
    assert len(EXAMPLES) == 3 * len(list((CONF / "search").glob("*.yaml")))


@pytest.mark.parametrize(("search", "typed"), EXAMPLES)
def test_an_example_of_a_header_is_a_search(search: str, typed: list[str]) -> None:
    base = [f"search={search}", "search.name=s", *(["data=pulse"] if search == "cross_attention_cvae" else [])]
    check([*base, *typed], CONF)
    cfg, before = compose([*base, *typed], CONF), compose(base, CONF)
    validate(cfg)
    settings = read_settings(cfg)
    space = parse_space(settings.space, cfg)
    check_space(space, cfg, typed)
    check_sampler(settings, space)
    assert [p.text() for p in space] != [p.text() for p in parse_space(read_settings(before).space, before)]
