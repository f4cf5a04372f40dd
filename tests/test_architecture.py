"""Imports flow one way: cli -> run -> {training, evaluation, report} -> {models, preprocessing, data}."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "batgen"
FORBIDDEN = {
    "models": ("hydra", "omegaconf", "pytorch_lightning", "batgen.training", "batgen.evaluation", "batgen.report",
               "batgen.data", "batgen.preprocessing", "batgen.config"),
    "data": ("hydra", "omegaconf", "pytorch_lightning", "torch", "batgen.models", "batgen.preprocessing",
             "batgen.training", "batgen.evaluation", "batgen.report", "batgen.config"),
    "preprocessing": ("hydra", "omegaconf", "pytorch_lightning", "torch", "batgen.models", "batgen.training",
                      "batgen.evaluation", "batgen.report", "batgen.config"),
    "evaluation": ("hydra", "omegaconf", "pytorch_lightning", "batgen.training", "batgen.report", "batgen.config"),
    "report": ("hydra", "omegaconf", "pytorch_lightning", "torch", "batgen.models", "batgen.training",
               "batgen.preprocessing", "batgen.config"),
    "training": ("hydra", "batgen.report", "batgen.config"),
}  # fmt: skip


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_no_import_runs_upwards(layer: str) -> None:
    for path in (PACKAGE / layer).rglob("*.py"):
        for name in imported(path):
            bad = [f for f in FORBIDDEN[layer] if name == f or name.startswith(f + ".")]
            assert not bad, f"{path.relative_to(PACKAGE)} imports {name}"


def test_only_the_command_line_imports_hydra() -> None:
    users = {p.name for p in PACKAGE.rglob("*.py") if any(n.split(".")[0] == "hydra" for n in imported(p))}
    assert users <= {"cli.py", "overrides.py", "sweeper.py"}  # the last is the plugin


def test_files_stay_small() -> None:
    long = {p.name: n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 260}
    assert not long
