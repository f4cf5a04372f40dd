"""A new HDF5 file that appears at its path whole or not at all, also on a disk that fills up meanwhile."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from batgen.errors import DataError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


class Sink(io.FileIO):
    """A file whose first failed write is kept in `error` instead of raised.

    HDF5 does not survive a failing write: it reports some in destructors, where they are lost, and then crashes. So it is
    never told; whoever writes asks `check` now and then, and before the file is used.
    """

    error: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        """Write all of `data`, or keep the error and pretend."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.error is None and len(left):
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Like `write`."""
        try:
            return super().truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0

    def check(self) -> None:
        """Raise the OSError that HDF5 was not told of."""
        if self.error is not None:
            raise self.error


@contextmanager
def new_hdf5(path: Path) -> Iterator[tuple[h5py.File, Sink]]:
    """A file to write, put in the place of `path` on leaving without an exception. The caller holds the lock of `path`.

    Raises DataError, naming the folder and BATGEN_CACHE_DIR, when the disk is full or not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for stale in path.parent.glob(f".{path.name}.*.tmp"):
        stale.unlink(missing_ok=True)  # left by a killed process: we hold the lock, so nobody is writing it
    sink: Sink | None = None
    try:
        sink = Sink(temporary, "w+")
        # this version of the format has checksums on its own structure too
        file = h5py.File(sink, "w", libver=("v110", "v110"))
        try:
            yield file, sink
        finally:
            file.close()
        sink.check()
        os.fsync(sink.fileno())
        os.replace(temporary, path)
    except Exception as error:
        cause = sink.error if sink and sink.error else error
        number = getattr(cause, "errno", None)
        if number in _FULL:
            raise DataError(
                f"The disk is full while writing a store in {path.parent}: free some space there, "
                "or set BATGEN_CACHE_DIR to a folder on another disk. Nothing was left behind."
            ) from cause
        if number in _READ_ONLY and (sink is None or sink.error):
            raise DataError(
                f"The cache folder {path.parent} cannot be written ({cause}): "
                "set BATGEN_CACHE_DIR to a folder that can be."
            ) from cause
        raise
    finally:
        if sink is not None:
            with suppress(OSError):
                sink.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
