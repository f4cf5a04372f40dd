"""Where words go: the terminal's width where there is a terminal, else wide enough for the tables."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batgen.best import override_word
from batgen.processes import main_process

#: Where words go instead of to standard output.
_FILES: list[TextIO] = []


@contextmanager
def speaking_to(path: Path) -> Iterator[None]:
    """Within the block what is said goes to the end of `path`: many jobs in one terminal would drown what matters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        _FILES.append(file)
        try:
            yield
        finally:
            _FILES.pop()


def console() -> Console:
    """A console that is silent in all but the first process of a run."""
    if _FILES:
        return Console(file=_FILES[-1], quiet=not main_process(), highlight=False, width=110, soft_wrap=True)
    width = None if sys.stdout.isatty() else 110
    return Console(quiet=not main_process(), highlight=False, width=width, soft_wrap=True)


def from_here(path: Path) -> str:
    """`path` from the current folder, as it can be typed after KEY=."""
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return override_word("", str(path))[1:] if " " in str(path) else str(path)


def duration(seconds: float) -> str:
    """For people: "41 s", "12 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Bar:
    """A progress bar that goes away when done: `with Bar(console, "training", 100) as advance: advance(1)`."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda steps: self._progress.advance(self._task, steps)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
