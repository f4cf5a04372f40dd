"""What a person sees of a search: a line before, a bar with the best value, a line for each trial, the best at the end."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from batgen.search.settings import SearchSettings
from batgen.search.space import Parameter


class Board:
    """A bar over the trials of a search that goes away when done; lines go above it."""

    def __init__(self, out: Console, total: int) -> None:
        columns = (
            TextColumn("  trials"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=out, transient=True)
        self._task = self._progress.add_task("", total=total)
        self._out = out

    def __enter__(self) -> "Board":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, best: str) -> None:
        """`done` trials are finished; `best`: the best value and its trial."""
        self._progress.update(self._task, completed=done, description=best)

    def say(self, line: str) -> None:
        self._out.print(line, markup=False)


def opening(
    settings: SearchSettings, space: Sequence[Parameter], done: str, where: str, judged: str | None, parallel: bool
) -> list[str]:
    """What is searched, how, how far it is (`done`), and where it lies. judged: the score that trials are pruned by;
    parallel: the launcher runs trials side by side."""
    aims = ", ".join(f"{sense} {name}" for sense, name in zip(settings.senses(), settings.objectives, strict=True))
    pruner = settings.pruner if len(settings.objectives) == 1 else "none"
    lines = [f"search {settings.name}: {aims} over {len(space)} parameters"]
    lines += [f"  {p.key}: {p.text()}" for p in space]
    by = f" by {judged}" if pruner != "none" and judged != settings.objectives[0] else ""
    lines.append(f"  {done}; sampler {settings.sampler}, pruner {pruner}{by}; kept in {where}")
    if settings.n_jobs > 1 and not parallel:
        lines.append(
            f"  search.n_jobs={settings.n_jobs}: this launcher runs one trial at a time; for several add hydra/launcher=joblib, "
            "hydra/launcher=gpus or a SLURM launcher"
        )
    if pruner != settings.pruner:
        lines.append(f"  search.pruner={settings.pruner}: several objectives cannot be pruned, so no trial is")
    return lines


def so_far(total: int, done: int) -> str:
    """`12 trials, 5 of them done before`."""
    if done > total:
        return f"{done} trials are done, more than search.n_trials={total}"
    return f"{total} trials" + (f", {done} of them done before" if done else "")


def short_values(values: Mapping[str, Any]) -> str:
    """`lr=0.00123 hidden=32`: the last parts of the keys, more of them where they would be the same."""
    names = {key: next(n for n in _names(key) if sum(n in _names(k) for k in values) == 1) for key in values}
    return " ".join(f"{names[key]}={number(value)}" for key, value in values.items())


def _names(key: str) -> list[str]:
    """For "a.b.c": "c", "b.c", "a.b.c"."""
    parts = key.split(".")
    return [".".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]


def number(value: Any) -> str:
    """A value for people: five digits of a fraction."""
    return f"{value:.5g}" if isinstance(value, float) else "null" if value is None else str(value)


def best_table(values: Mapping[str, Any], title: str) -> Table:
    """The parameters of the best trial."""
    table = Table("parameter", "value", title=title, title_justify="left")
    for key, value in values.items():
        table.add_row(key, number(value))
    return table


def command(*words: str) -> str:
    """A command for the shell."""
    return shlex.join(["python", "train.py", *words])


def same_command(storage: str | None, shown: str) -> str:
    """The command as it was typed, with the storage's URL as it may be shown."""
    typed = [f"search.storage={shown}" if storage and storage in word else word for word in sys.argv[1:]]
    return command(*typed)


def short(path: Path) -> str:
    """`path` from here, where it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
