"""What lies in the folder of a job: nothing yet, a run that was begun, failed or finished; and whose turn it is there.

Leaderboards, grids and ablations ask the same questions of their folders: they ask them here.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from batgen.config import essence, same_run
from batgen.errors import BatgenError
from batgen.files import write_json

FAILED = "failed.json"
LOCK = ".job.lock"
#: free: nothing that counts lies there. begun, finished: this run. older: begun by the same words, with a config tree that
#: has changed since. other: another run.
State = Literal["free", "begun", "finished", "older", "other"]


def state(folder: Path, cfg: DictConfig, words: Iterable[str]) -> State:
    """What lies in `folder` for the job with this config, which these overrides compose to.

    A finished run of the same overrides counts, though the config tree has got a new key since; not where a value changed.
    """
    same = _same(folder, cfg)
    if (folder / "run.json").is_file() and (folder / "metrics.json").is_file():
        return "finished" if same or (_as_typed(folder, words) and _agrees(folder, cfg)) else "other"
    if not begun(folder):
        return "free"
    return "begun" if same else "older" if _as_typed(folder, words) else "other"


def begun(folder: Path) -> bool:
    """Whether a run got as far as splitting its data there."""
    return (folder / "run.json").is_file() or any(folder.glob("*-seed*/splits.json"))


def reason(folder: Path) -> str | None:
    """Why the job failed, as its process wrote it down; None where it wrote nothing."""
    try:
        return str(json.loads((folder / FAILED).read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError):
        return None


def words_of(error: BaseException) -> str:
    """An error of ours is a sentence; of any other its name helps too."""
    return str(error) if isinstance(error, BatgenError) else f"{type(error).__name__}: {error}"


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold the folder while a job runs there, and write down why it failed, if it does.

    The lock makes a job that another process runs already wait for it: a second sweep on the same folder, or one started
    again while a job of an earlier one, killed, is still running.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{folder}: another process trains there: waiting for it.", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        (folder / FAILED).unlink(missing_ok=True)
        yield
    except Exception as error:
        note: dict[str, Any] = {"reason": words_of(error)}
        if not isinstance(error, BatgenError):  # a bug of ours: where it happened is worth knowing
            note["traceback"] = traceback.format_exc()
        if os.environ.get("BATGEN_TRACEBACK"):
            traceback.print_exc()
        write_json(folder / FAILED, note)
        raise
    finally:
        lock.release()


def held(folder: Path) -> bool:
    """Whether a process runs a job there at this moment."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True


def _same(folder: Path, cfg: DictConfig) -> bool:
    saved = _saved(folder)
    return saved is not None and same_run(saved, cfg)


def _agrees(folder: Path, cfg: DictConfig) -> bool:
    """Whether every key that the saved config and `cfg` both have says the same."""
    saved = _saved(folder)
    return saved is not None and _equal_where_both(essence(saved), essence(cfg))


def _equal_where_both(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return all(_equal_where_both(a[key], b[key]) for key in a.keys() & b.keys())
    return bool(a == b)


def _saved(folder: Path) -> DictConfig | None:
    path = folder / "config.yaml"
    saved = OmegaConf.load(path) if path.is_file() else None
    return saved if isinstance(saved, DictConfig) else None


def _as_typed(folder: Path, words: Iterable[str]) -> bool:
    """Whether the run was started with these overrides, as Hydra wrote them down."""
    path = folder / ".hydra" / "overrides.yaml"
    saved = OmegaConf.load(path) if path.is_file() else ()
    return _essential(map(str, saved)) == _essential(words)


def _essential(words: Iterable[str]) -> set[str]:
    return {word for word in words if not word.startswith(("run_dir=", "hydra"))}
