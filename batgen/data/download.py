"""Files that a user lacks: looked for, else fetched with progress and resume, checked, and remembered by their sha256.

Plain ranged requests from the standard library: a transfer that breaks off leaves `<file>.part`, and the next one asks
for the rest only. Raw folders are the user's and read-only, so downloads go to `raw/<folder>` in the cache folder.
"""

import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from batgen.data.paths import cache_dir, data_dir
from batgen.errors import DataError

#: Seconds without an answer after which a server counts as absent.
TIMEOUT = 8.0
#: Requests in a row that may bring nothing, once some have brought something, and the pause between them in seconds.
RETRIES, PAUSE = 3, 2.0
_CHUNK = 1 << 20
_RECORD = "sha256.json"
_PROBLEMS = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError)


class TransferError(DataError):
    """The server can't be reached or broke off; what came is kept for the next attempt."""


def find_or_fetch(
    names: Sequence[str],
    folder: str,
    urls: Mapping[str, str],
    sizes: Mapping[str, int],
    check: Callable[[Path], None],
) -> list[Path]:
    """Paths of the files `names`: from `folder` (absolute, or below BATGEN_DATA_DIR), else from the download folder.

    What is in neither is fetched from `urls` (none: no download); it must have `sizes` bytes and pass `check`, which
    raises DataError. Raises one DataError that names all missing files, where they go and what else to do.
    """
    downloads = cache_dir() / "raw" / Path(folder).name
    own = _own_folder(folder)
    places = [own, downloads] if own else [downloads]
    found = {name: next((p / name for p in places if (p / name).is_file()), downloads / name) for name in names}
    why = "" if urls else " Downloading is off (data.download)."
    for name in names:
        if not found[name].is_file() and name in urls:
            try:
                fetch(urls[name], found[name], sizes.get(name), check)
            except TransferError as error:
                why = f" Downloading failed: {error}"
                break
    missing = [name for name in names if not found[name].is_file()]
    if missing:
        where = own or f"$BATGEN_DATA_DIR/{folder} (BATGEN_DATA_DIR is not set)"
        raise DataError(
            f"Raw data is missing: {', '.join(missing)}.{why} Put the files in {where}, or use data=sim, "
            "which needs no files."
        )
    return [found[name] for name in names]


def _own_folder(folder: str) -> Path | None:
    """Where the user's own files would be; None when that depends on BATGEN_DATA_DIR and it is not set."""
    path = Path(folder).expanduser()
    if path.is_absolute():
        return path
    return data_dir() / path if os.environ.get("BATGEN_DATA_DIR", "").strip() else None


def fetch(url: str, target: Path, size: int | None = None, check: Callable[[Path], None] | None = None) -> None:
    """Download `url` to `target`, going on from `target.part` if there is one.

    The file takes its name only once it is whole: `size` bytes, accepted by `check`, and of the sha256 that
    `sha256.json` beside it remembers from the first download. What fails a check is deleted.
    Raises TransferError when the server can't be reached or keeps breaking off (the part is kept), else DataError.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.is_file():  # another process was faster
                return
            _transfer(url, part, size)
            try:
                _check_size(url, part, size)
                if check is not None:
                    check(part)
                _check_sha256(url, part, target)
            except DataError:
                part.unlink()
                raise
            os.replace(part, target)
    except OSError as error:
        raise DataError(f"{target}: can't be written ({error}). Free some space, or set BATGEN_CACHE_DIR.") from error


def _transfer(url: str, part: Path, size: int | None) -> None:
    """Bring `part` to its full size, over as many requests as that takes."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    began = fruitless = 0
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(part.stem, total=size)
        while True:
            before = _bytes(part)
            try:
                return _request(url, part, size, lambda n, total: progress.update(task, completed=n, total=total))
            except _PROBLEMS as error:
                moved = _bytes(part) > before
                began, fruitless = began or moved, 0 if moved else fruitless + 1
                permanent = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if permanent or not began or fruitless == RETRIES:
                    reason = getattr(error, "reason", None) or error
                    kept = f" The {_bytes(part)} bytes that came are kept for the next run." if part.exists() else ""
                    raise TransferError(f"{url}: {reason}.{kept}") from error
                time.sleep(PAUSE)


def _request(url: str, part: Path, size: int | None, report: Callable[[int, int | None], None]) -> None:
    """One request for what `part` lacks. Raises one of _PROBLEMS when the server does not deliver all of it."""
    have = _bytes(part)
    if size is not None and have >= size:
        return
    headers = {"User-Agent": "batgen", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if not re.fullmatch(rf"bytes \*/{have}", error.headers.get("Content-Range", "")):
            part.unlink()  # longer than the server's file: not a part of it
            _request(url, part, size, report)
        return  # else nothing was lacking
    with answer, part.open("ab") as file:
        if have and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server ignores ranges and sends it all again
            file.truncate(0)
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else size
        report(have, total)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            report(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"broke off after {have} of {total} bytes")


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_size(url: str, part: Path, size: int | None) -> None:
    if size is not None and _bytes(part) != size:
        raise DataError(
            f"{url}: {_bytes(part)} bytes came where {part.stem} should have {size}; they were deleted. "
            "Check the address (data.urls) and the size (data.sizes)."
        )


def _check_sha256(url: str, part: Path, target: Path) -> None:
    """Compare with the first download of this file, or remember it as that."""
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = target.with_name(_RECORD)
    with FileLock(f"{record}.lock"):
        known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if known.setdefault(target.name, digest) != digest:
            raise DataError(
                f"{url}: this download (sha256 {digest}) differs from the first one ({known[target.name]}); it was "
                f"deleted. If the data really changed, delete the entry of {target.name} in {record}."
            )
        new = record.with_suffix(".tmp")
        new.write_text(json.dumps(known, indent=1), encoding="utf-8")
        os.replace(new, record)
