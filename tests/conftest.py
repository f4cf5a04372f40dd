"""What all tests share: a cache of their own, and measured data where it is at hand."""

import os
from pathlib import Path

import pytest

_DATA = os.environ.get("BATGEN_DATA_DIR", "").strip()


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh BATGEN_CACHE_DIR; BATGEN_DATA_DIR is unset, so that no test reads measured data without saying so."""
    folder = tmp_path / "batgen-cache"
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(folder))
    monkeypatch.delenv("BATGEN_DATA_DIR", raising=False)
    return folder


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of measured data; skips the test where BATGEN_DATA_DIR does not name one."""
    if not _DATA or not Path(_DATA).is_dir():
        pytest.skip(f"no measured data: BATGEN_DATA_DIR={_DATA or 'unset'} is not a folder")
    path = Path(_DATA).resolve()
    monkeypatch.setenv("BATGEN_DATA_DIR", str(path))
    return path
