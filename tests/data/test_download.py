"""Downloads from a server on this machine that can break off, lie and ignore ranges."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batgen.data import download
from batgen.data.download import fetch, find_or_fetch
from batgen.data.sources.mit import Mit
from batgen.errors import DataError
from tests.data.mit_fixture import FILES, make_cell, write_batch


class Server(ThreadingHTTPServer):
    """Serves `bodies` by path; `limits` holds, per request to come, after how many bytes it breaks off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, bytes] = {}
        self.limits: list[int] = []
        self.asked: list[str | None] = []
        self.ranges = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        body = self.server.bodies.get(self.path.lstrip("/"))
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(body) and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        limit = self.server.limits.pop(0) if self.server.limits else None
        self.wfile.write(body[start:] if limit is None else body[start : start + limit])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "PAUSE", 0.01)
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


BODY = bytes(range(256)) * 4000


def test_download_and_record(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    fetch(server.url("a"), tmp_path / "new" / "a.mat", len(BODY))
    assert (tmp_path / "new" / "a.mat").read_bytes() == BODY
    record = json.loads((tmp_path / "new" / "sha256.json").read_text())
    assert record == {"a.mat": hashlib.sha256(BODY).hexdigest()}
    assert not list(tmp_path.rglob("*.part"))


def test_broken_transfer_goes_on_by_itself(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    server.limits = [300_000, 200_000]
    fetch(server.url("a"), tmp_path / "a", len(BODY))
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_broken_transfer_goes_on_in_the_next_run(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    server.limits = [300_000, 0, 0, 0]
    with pytest.raises(DataError, match=r"300000 bytes that came are kept"):
        fetch(server.url("a"), tmp_path / "a", len(BODY))
    assert (tmp_path / "a.part").stat().st_size == 300_000
    assert not (tmp_path / "a").exists()
    fetch(server.url("a"), tmp_path / "a", len(BODY))
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked[-1] == "bytes=300000-"


def test_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    server.ranges = False
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    fetch(server.url("a"), tmp_path / "a", len(BODY))
    assert (tmp_path / "a").read_bytes() == BODY


@pytest.mark.parametrize("extra", [0, 10])
def test_part_as_long_as_the_file_or_longer(server: Server, tmp_path: Path, extra: int) -> None:
    server.bodies["a"] = BODY
    (tmp_path / "a.part").write_bytes(BODY + b"x" * extra)
    fetch(server.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY


def test_wrong_size_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    with pytest.raises(DataError, match=r"1024000 bytes came where a should have 1023999"):
        fetch(server.url("a"), tmp_path / "a", len(BODY) - 1)
    with pytest.raises(DataError, match=r"1024000 bytes came where a should have 1024001"):
        fetch(server.url("a"), tmp_path / "a", len(BODY) + 1)
    assert not list(tmp_path.glob("a")) + list(tmp_path.glob("*.part"))


def test_later_download_must_be_the_same(server: Server, tmp_path: Path) -> None:
    server.bodies["a"] = BODY
    fetch(server.url("a"), tmp_path / "a")
    (tmp_path / "a").unlink()
    server.bodies["a"] = BODY[::-1]
    with pytest.raises(DataError, match=r"differs from the first one.*sha256.json"):
        fetch(server.url("a"), tmp_path / "a")
    assert not list(tmp_path.glob("a")) + list(tmp_path.glob("*.part"))
    server.bodies["a"] = BODY
    fetch(server.url("a"), tmp_path / "a")


def test_mit_downloads_what_is_missing(server: Server, tmp_path: Path, cache_dir: Path) -> None:
    for name in FILES:
        server.bodies[name] = write_batch(tmp_path / "made.mat", [make_cell(cycles=8)]).read_bytes()
    own = tmp_path / "mit"
    own.mkdir()
    (own / FILES[0]).write_bytes(server.bodies[FILES[0]])
    urls = {name: server.url(name) for name in FILES}
    source = Mit(folder=str(own), urls=urls, sizes={name: len(server.bodies[name]) for name in FILES})
    places = [path.parent for path in source.files()]
    assert places == [own, cache_dir / "raw/mit", cache_dir / "raw/mit"]
    assert len(list(source.cells())) == 3
    asked = len(server.asked)
    source.files()
    assert len(server.asked) == asked  # found again, not fetched again


def test_body_that_is_no_hdf5_is_refused_and_removed(server: Server, cache_dir: Path) -> None:
    for name in FILES:
        server.bodies[name] = b"<html>sign in</html>"
    with pytest.raises(DataError, match=r"not a readable HDF5"):
        Mit(urls={name: server.url(name) for name in FILES}).files()
    assert not list(cache_dir.rglob("*.mat")) + list(cache_dir.rglob("*.part"))


def test_no_server_is_one_error(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    urls = {name: server.url(name) for name in FILES}
    with pytest.raises(DataError) as error:
        Mit(folder=str(tmp_path / "mit"), urls=urls).files()
    message = str(error.value)
    assert all(name in message for name in FILES)
    assert str(tmp_path / "mit") in message
    assert "data=sim" in message
    assert "refused" in message


def test_address_that_is_gone(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.mat, b.mat.*Not Found.*data=sim"):
        find_or_fetch(["a.mat", "b.mat"], str(tmp_path), {"a.mat": server.url("a")}, {}, lambda path: None)
