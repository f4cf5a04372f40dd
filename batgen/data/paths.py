"""Where raw input is read from and where stores and caches are written.

Raw input lives in the folder that the environment variable `BATGEN_DATA_DIR` names and is never written to; everything
derived from it goes to `BATGEN_CACHE_DIR` (the user's cache folder by default).
"""

import os
from pathlib import Path

from batgen.errors import DataError

_REMEDY = (
    "set the environment variable BATGEN_DATA_DIR to the folder that holds the raw datasets, "
    "or use data=sim, which needs no files"
)


def data_dir() -> Path:
    """The folder of raw input. Raises DataError when BATGEN_DATA_DIR is unset or is not a folder."""
    value = os.environ.get("BATGEN_DATA_DIR", "").strip()
    if not value:
        raise DataError(f"BATGEN_DATA_DIR is not set: {_REMEDY}.")
    path = Path(value).expanduser()
    if not path.is_dir():
        raise DataError(f"BATGEN_DATA_DIR={value} is not a folder: {_REMEDY}.")
    return path.resolve()


def cache_dir() -> Path:
    """The folder of stores and caches, created if need be. Raises DataError when it cannot be created."""
    value = os.environ.get("BATGEN_CACHE_DIR", "").strip()
    if value:
        path = Path(value).expanduser()
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME", "").strip() or Path.home() / ".cache") / "batgen"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The cache folder {path} cannot be created ({error.strerror}): "
            "set BATGEN_CACHE_DIR to a folder that can be written."
        ) from error
    return path.resolve()


def source_folder(folder: str | os.PathLike[str]) -> Path:
    """The raw folder of a source: `folder` itself when absolute, else below BATGEN_DATA_DIR.

    Raises DataError, naming the folder that was looked for, when there is none.
    """
    path = Path(folder).expanduser()
    if not path.is_absolute():
        path = data_dir() / path
    if not path.is_dir():
        raise DataError(
            f"The raw data folder {path} does not exist: put the files there, or set data.folder; {_REMEDY}."
        )
    return path.resolve()
