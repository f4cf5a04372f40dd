import pickle
from pathlib import Path

import pytest
import torch

import batgen
from batgen.errors import CheckpointError


def test_absent_damaged_foreign_and_old_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        batgen.load(tmp_path / "none.ckpt")
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"damaged\.ckpt: cannot be read"):
        batgen.load(damaged)
    for content, version in (({"batgen_checkpoint": 99}, "version 99"), ([1, 2], "version None")):
        torch.save(content, tmp_path / "other.ckpt")
        with pytest.raises(CheckpointError, match=version):
            batgen.load(tmp_path / "other.ckpt")


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("/tmp/batgen-was-here"),))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    marker = Path("/tmp/batgen-was-here")
    marker.unlink(missing_ok=True)
    torch.save({"batgen_checkpoint": 1, "config": Evil()}, tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Evil()))
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(CheckpointError):
            batgen.load(tmp_path / name)
    assert not marker.exists()
