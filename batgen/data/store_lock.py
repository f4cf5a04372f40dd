"""One process builds a store; the others wait for it and then use it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from batgen.errors import DataError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file at `path`, creating its folder; say so on stderr while another process has it.

    Raises DataError when the folder cannot be written.
    """
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is building {path}: waiting for it.", file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        raise DataError(
            f"The cache folder {path.parent} cannot be written ({error.strerror or os.strerror(error.errno or 0)}): "
            "set BATGEN_CACHE_DIR to a folder that can be."
        ) from error
    try:
        yield
    finally:
        lock.release()
