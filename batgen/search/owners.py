"""Who runs a trial, and whether they still do: a process of this machine is looked up, another machine must have been heard."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study

#: The user attribute of a trial that names its owner: host, process id, start of the process.
OWNER = "owner"
#: The beginning of the user attributes of a study that say when a worker was last heard, in seconds since 1970.
HEARD = "heard "
EVERY_S = 60.0
LOST_S = 300.0

Owner = tuple[str, int, str]


def me() -> Owner:
    """This process. Its start tells it from a later one with the same number."""
    return socket.gethostname(), os.getpid(), _start(os.getpid()) or ""


def owner_of(attrs: Mapping[str, Any]) -> Owner | None:
    """The owner that the user attributes of a trial name."""
    given = attrs.get(OWNER)
    return (
        (str(given[0]), int(given[1]), str(given[2])) if isinstance(given, list | tuple) and len(given) == 3 else None
    )


def alive(owner: Owner, heard: Mapping[str, Any], now: float) -> bool:
    """Whether `owner` runs. heard: the study's user attributes; now: seconds since 1970.

    A machine never heard is believed to run: its first word may be on the way.
    """
    host, pid, start = owner
    if host == socket.gethostname():
        return _start(pid) == start
    last = heard.get(_heard(owner))
    return not isinstance(last, int | float) or now - last < LOST_S


@contextmanager
def heartbeat(study: "Study", owner: Owner, every_s: float = EVERY_S) -> Iterator[None]:
    """Within the block, write into `study` every `every_s` seconds that `owner` runs."""
    over = threading.Event()

    def beat() -> None:
        while True:
            with suppress(
                Exception
            ):  # a database that is away for a minute: the search itself says so when it needs it
                study.set_user_attr(_heard(owner), time.time())
            if over.wait(every_s):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _heard(owner: Owner) -> str:
    return f"{HEARD}{owner[0]} {owner[1]} {owner[2]}"


def _start(pid: int) -> str | None:
    """When the process began, in the kernel's ticks; "" where the system does not tell; None when it is gone."""
    proc = Path("/proc")
    if (proc / "self" / "stat").is_file():
        try:
            # the name of the program, in brackets, may hold spaces
            fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
