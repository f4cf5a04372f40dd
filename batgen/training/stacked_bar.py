"""The one line that says how far many trainings are."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batgen.training.stacked_task import Task


class StackBar:
    """Epochs of all models, done and expected; how many are trained now and how many wait; their best and median score."""

    def __init__(self, console: Console, models: int, monitor: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[scores]}"), console=console)
        self._monitor = monitor
        self._task = self._bar.add_task(f"{models} models, epochs", total=0, scores="")

    def __enter__(self) -> "StackBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, active: Sequence[Task], waiting: Sequence[int]) -> None:
        """done: epochs of all models so far; waiting: at most so many epochs each, of models that are not in the stack yet."""
        expected = sum(task.limit - task.epoch for task in active if not task.over) + sum(waiting)
        found = [task.best for task in active if task.best_epoch >= 0]
        scores = f"training {len(active)}" + (f", waiting {len(waiting)}" if waiting else "")
        if found:
            scores += f"  {self._monitor} best {min(found):.4g}, median {statistics.median(found):.4g}"
        self._bar.update(self._task, completed=done, total=done + expected, scores=scores)
