from pathlib import Path

import pytest

from batgen.data.paths import cache_dir, data_dir, source_folder
from batgen.errors import DataError


def test_unset_data_dir_names_variable_and_remedy():
    with pytest.raises(DataError, match="BATGEN_DATA_DIR is not set.*data=sim"):
        data_dir()


def test_source_folder_is_relative_to_data_dir_or_absolute(tmp_path: Path, monkeypatch):
    (tmp_path / "raw" / "nasa").mkdir(parents=True)
    assert source_folder(tmp_path / "raw") == (tmp_path / "raw").resolve()
    monkeypatch.setenv("BATGEN_DATA_DIR", str(tmp_path / "raw"))
    assert source_folder("nasa") == (tmp_path / "raw" / "nasa").resolve()
    with pytest.raises(DataError, match=r"raw/calce does not exist.*data\.folder"):
        source_folder("calce")
    monkeypatch.setenv("BATGEN_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone is not a folder"):
        data_dir()


def test_cache_dir_is_made_and_a_file_in_its_place_is_an_error(tmp_path: Path, monkeypatch):
    assert cache_dir().is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BATGEN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="BATGEN_CACHE_DIR"):
        cache_dir()
