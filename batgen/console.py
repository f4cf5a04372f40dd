"""Where words go: the terminal's width where there is a terminal, else wide enough for the tables."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batgen.processes import main_process


def console() -> Console:
    """A console that is silent in all but the first process of a run."""
    width = None if sys.stdout.isatty() else 110
    return Console(quiet=not main_process(), highlight=False, width=width, soft_wrap=True)


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
