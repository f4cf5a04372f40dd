"""Folders that are named on the command line are made before a run starts, and the key to change is named where that fails."""

from pathlib import Path

import pytest

from batgen.argv import claim_folders, expanded, split
from batgen.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("argv", "key"),
    [
        (["run_dir={}"], "run_dir"),
        (["hydra.run.dir={}"], "hydra.run.dir"),
        (["-m", "hydra.sweep.dir={}"], "hydra.sweep.dir"),
        (["search=rcvae", "hydra.sweep.dir='{}'", "-m"], "hydra.sweep.dir"),
        (["data=sim"], "run_dir"),
        (["data=sim", "-m"], "hydra.sweep.dir"),
    ],
)
def test_a_folder_that_cannot_be_names_the_key_to_change(tmp_path: Path, argv: list[str], key: str) -> None:
    (tmp_path / "file").touch()
    wrong = tmp_path / "file" / "below"
    with pytest.raises(DataError) as error:
        claim_folders([word.format(wrong) for word in argv], wrong)
    assert str(error.value) == f"{wrong}: cannot be written (Not a directory). Choose another folder with {key}=DIR."


def test_the_folder_is_made(tmp_path: Path) -> None:
    claim_folders([f"run_dir={tmp_path / 'a' / 'b'}"], tmp_path / "default")
    assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "default").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["search=rcvae,cgan"], "search=rcvae,cgan: one search at a time"),
        (["-m", "ablation=choice(rcvae_layers,rcvae_cycles)"], "one ablation at a time"),
        (["search=rcvae", "ablation=rcvae_layers"], "a multirun is either"),
        (["+search=rcvae", "ablation=rcvae_layers", "-m"], "a multirun is either"),
    ],
)
def test_a_multirun_is_one_search_or_one_ablation(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        expanded(argv)
    assert message in str(error.value)
    assert expanded(["search=null", "ablation=rcvae_layers"]) == ["search=null", "ablation=rcvae_layers", "-m"]


def test_a_multirun_has_no_run_dir(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hydra\.sweep\.dir=DIR"):
        claim_folders([f"run_dir={tmp_path}", "-m"], tmp_path)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["a=1", "-m", "b=2"], ["a=1", "b=2"]),
        (["--cfg", "job", "a=1"], ["a=1"]),
        (["--cfg=job", "a=1"], ["a=1"]),
        (["-cd", "own", "a=1", "--resolve"], ["a=1"]),
        (["--info", "a=1"], ["a=1"]),
        (["-i", "defaults-tree", "a=1"], ["a=1"]),
        (["--info", "--config-dir", "own", "~a"], ["~a"]),
        ([], []),
    ],
)
def test_flags_keep_their_values(argv: list[str], words: list[str]) -> None:
    found, flags = split(argv)
    assert found == words
    assert flags == [word for word in argv if word not in words]
