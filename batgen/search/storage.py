"""Where trials are kept: a journal file in the search's folder, or an SQL database that many machines reach.

Passwords of a URL are neither printed nor written: what is shown and handed to jobs has `***` in their place, and jobs read
the URL from the environment.
"""

import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batgen.errors import BatgenError, ConfigError, DataError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

#: The journal in the folder of a search.
JOURNAL = "study.journal"
#: Where jobs find a URL that has a password.
VARIABLE = "BATGEN_SEARCH_STORAGE"
_HIDDEN = "***"
_PATIENCE_S = 5
_TRIES = 5
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
#: How the usual drivers call the time they wait for a connection.
_TIMEOUTS = {
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pg8000": "timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
    "mysqlconnector": "connection_timeout",
}
_EXAMPLES = (
    "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///search.db, or leave it out: a file in the search's folder"
)


def open_storage(url: str | None, folder: Path) -> "BaseStorage":
    """The storage at `url`, or the journal in `folder`.

    Raises ConfigError, within seconds, for a URL that cannot be used or does not answer; DataError for a damaged journal.
    """
    _quiet()
    return _journal(folder / JOURNAL) if url is None else _database(_whole(url))


@cache
def _quiet() -> None:
    """Silence Optuna's notes. Once: a changed filter makes Python show warnings again that were shown before."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


@contextmanager
def storage_errors(url: str | None, folder: Path) -> Iterator[None]:
    """Say what a storage that fails later is: a journal damaged behind its beginning, a server that went away."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ConfigError(
            f"search.storage={masked(url)}: the database failed ({_reason(error, url)}). See that it runs, then repeat the "
            "command: the search goes on."
        ) from error
    except ValueError as error:
        if url is None and not isinstance(error, BatgenError) and _torn(folder / JOURNAL):
            raise _damaged(folder / JOURNAL, error) from error
        raise


def masked(url: str | None) -> str:
    """`url` with *** for its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if url is None:
        return "null"
    try:
        parsed = make_url(url)
    except ArgumentError:
        return url
    secret = {key: _HIDDEN for key in parsed.query if "pass" in key.lower()}
    text = parsed.update_query_dict(secret).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", _HIDDEN)


def for_jobs(url: str) -> str:
    """What jobs are told instead of `url`: itself, or, where it has a password, that it is in the environment."""
    if masked(url) != url:
        os.environ[VARIABLE] = url
    return masked(url)


def _whole(url: str) -> str:
    """`url` as it was typed, where a job was told it without its password."""
    known = os.environ.get(VARIABLE)
    if _HIDDEN in url and known and masked(known) == url:
        return known
    return url


def _journal(path: Path) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
        lock = JournalFileOpenLock(str(path))
        _mend(path, lock)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}). Choose another folder with hydra.sweep.dir=DIR."
        ) from None
    except Exception as error:  # what a damaged line makes Optuna raise can be nearly anything
        raise _damaged(path, error) from error


def _mend(path: Path, lock: Any) -> None:
    """Cut off a last line that a full disk or a power cut left unfinished: the next line would be glued to it."""
    from optuna.storages.journal._file import get_lock_file

    with path.open("rb") as file:
        whole = file.read().endswith(b"\n")
    if whole or not path.stat().st_size:
        return
    with get_lock_file(lock), path.open("r+b") as file:  # locked: it is no line that another process is writing
        content = file.read()
        if b"\n" in content:
            file.truncate(content.rfind(b"\n") + 1)


def _damaged(path: Path, error: Exception) -> DataError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"{path}: the file of the search's trials is damaged ({first}). Restore it from a copy, or begin anew with "
        "search.name=OTHER."
    )


def _torn(path: Path) -> bool:
    """Whether a line of the journal is no JSON."""
    try:
        for line in path.read_bytes().splitlines():
            json.loads(line)
    except (OSError, ValueError):
        return True
    return False


def _database(url: str) -> "BaseStorage":
    from optuna.storages import RDBStorage
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        parsed = make_url(url)
        dialect = parsed.get_dialect()
        dialect.import_dbapi()
        driver = dialect.driver
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(f"search.storage={masked(url)}: is no URL of a database. Use {_EXAMPLES}.") from None
    except ImportError as error:
        raise ConfigError(
            f"search.storage={masked(url)}: its driver is not installed ({error}). Install it with pip, or name one that is: "
            f"{_EXAMPLES}."
        ) from None
    backend = parsed.get_backend_name()
    _reach(url, parsed.host, parsed.port or _PORTS.get(backend))
    options: dict[str, Any] = {_TIMEOUTS[driver]: _PATIENCE_S} if driver in _TIMEOUTS else {}
    if backend == "sqlite":
        options["timeout"] = 60  # several processes write to one file
    for tries_left in reversed(range(_TRIES)):
        try:
            # connections are given back at once: a search may take days, and its jobs are many
            return RDBStorage(url, engine_kwargs={"poolclass": NullPool, "connect_args": options})
        except Exception as error:  # drivers and Optuna's schema check raise their own kinds
            reason = _reason(error, url)
        if not tries_left or not any(sign in reason.lower() for sign in ("already exists", "unique", "duplicate")):
            break
        time.sleep(0.5)  # another process makes the same tables, or writes their version
    raise ConfigError(
        f"search.storage={masked(url)}: cannot be used ({reason}). Check that it runs and who may write there. Use {_EXAMPLES}."
    )


def _reach(url: str, host: str | None, port: int | None) -> None:
    if host is None or port is None or host.startswith("/"):
        return
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise ConfigError(
            f"search.storage={masked(url)}: {host}:{port} does not answer ({error.strerror or error}). Check host and port, "
            f"and that the server runs. Use {_EXAMPLES}."
        ) from None


def _reason(error: BaseException, url: str | None) -> str:
    """The innermost cause, in one line, without the password."""
    from sqlalchemy import make_url

    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    secret = make_url(url).password if url else None
    return text.replace(str(secret), _HIDDEN) if secret else text
