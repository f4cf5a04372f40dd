"""What the README tells people to type works."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from batgen import config, overrides
from batgen.cli import CONF

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    subprocess.run(["make", "-n", command.split()[1]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python train.py")])
def test_training_commands_compose_and_validate(command: str) -> None:
    # best=FILE names what a search leaves, which is not there yet
    words = [w for w in shlex.split(command)[2:] if not w.startswith(("-", "best="))]
    overrides.check(words, CONF)
    if "-m" not in command:
        config.validate(overrides.compose(words, CONF))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python scripts/")])
def test_scripts_exist(command: str) -> None:
    assert (ROOT / command.split()[1]).is_file()


def test_choices_named_are_the_choices_there_are() -> None:
    for group, text in re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE):
        named = set(re.findall(r"`(\w+)`", text))
        there = {p.stem for p in (CONF / group).glob("*.yaml")}
        assert named == there, group
